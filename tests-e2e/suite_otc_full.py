"""Every method of the otcextensions CBR proxy and every `openstack cbr` command, unmodified.

Runs in the `otc` environment. What there is to call is read from the package itself, so that
a method or command which a later version adds fails here until it is called. Slips of the
package that are known, all before any request is sent, are listed and shown to be slips still.
"""

import importlib.metadata
import inspect
import json
import os
import time
import unittest

import openstack
from openstack import proxy as base_proxy
from otcextensions import sdk
from otcextensions.sdk.cbr.v3 import _proxy as cbr_proxy

from support import (
    MIB,
    Service,
    change,
    emberkeep,
    fill_with_filesystem,
    same_bytes,
    scratch,
    sparse_copy,
    wait_until,
)
from warm import OpenStack

DISK = "OS::Cinder::Volume"
MISSING = "00000000-0000-4000-8000-000000000000"
PATTERN = "FREQ=DAILY;INTERVAL=1;BYHOUR=3;BYMINUTE=00"

# Commands that call the SDK with a keyword it does not have, whatever the service does.
SLIPS = {
    "cbr policy show": ["{policy}"],
    "cbr policy update": ["{policy}", "--name", "other"],
    "cbr policy delete": ["{policy}"],
}


def proxy_methods():
    """The public methods that the CBR proxy itself has."""
    return {
        name
        for name, member in inspect.getmembers(cbr_proxy.Proxy, inspect.isfunction)
        if not name.startswith("_") and not hasattr(base_proxy.Proxy, name)
    }


def commands():
    """The `openstack cbr` commands that the package registers."""
    found = importlib.metadata.distribution("otcextensions").entry_points
    names = [entry.name for entry in found if entry.group == "openstack.cbr.v3"]
    return {name.replace("_", " ") for name in names}


class CbrInFull(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("otc-full", cls)
        cls.service = Service(cls.room / "data").start()
        cls.addClassCleanup(cls.service.kill)
        cls.env = cls.service.client_environment()
        cls.client = cls.service.client()
        # The first call of each of these starts the command itself; the others are forks (`warm.py`).
        cls.command = OpenStack("otc", ("cbr vault create", "cbr vault show", "cbr backup restore", "cbr policy show"))
        cls.addClassCleanup(cls.command.stop)
        for name in [key for key in os.environ if key.startswith("OS_")]:
            del os.environ[name]
        os.environ["OS_CLIENT_CONFIG_FILE"] = cls.env["OS_CLIENT_CONFIG_FILE"]
        cls.conn = cls.connect()
        cls.called, cls.typed = set(), set()
        cls.note_calls(cls.conn)
        cls.disks = [cls.client.create_volume(f"disk-{number}") for number in (1, 2, 3, 4)]
        cls.path = emberkeep("volume", "path", cls.disks[0], env=cls.env)[1].strip()
        fill_with_filesystem(cls.path, 16 * MIB)
        sparse_copy(cls.path, cls.room / "first.img")
        cls.seen = {}

    @classmethod
    def connect(cls, **more):
        conn = openstack.connect(cloud="emberkeep", **more)
        sdk.register_otc_extensions(conn)
        return conn

    @classmethod
    def note_calls(cls, conn):
        """Notes the methods of the proxy that were called and did not raise."""
        for name in proxy_methods():
            method = getattr(conn.cbr, name)

            def noted(*args, _name=name, _method=method, **kwargs):
                answer = _method(*args, **kwargs)
                cls.called.add(_name)
                return answer

            setattr(conn.cbr, name, noted)

    def openstack(self, words, *arguments, check=True):
        status, out, err = self.command([*words.split(), *arguments], self.env, check)
        if status == 0:
            self.typed.add(words)
        return out if check else (status, out + err)

    def json(self, words, *arguments):
        shown = json.loads(self.openstack(words, *arguments, "-f", "json"))
        if isinstance(shown, list):
            return [{key.lower(): value for key, value in row.items()} for row in shown]
        return {key.lower(): value for key, value in shown.items()}

    def accepted(self, answer):
        """Some methods hand refusals back without a word."""
        if hasattr(answer, "status_code"):
            self.assertLess(answer.status_code, 300, answer.text)

    def backup_settled(self, backup_id):
        return wait_until(
            "the backup rests", lambda: self.conn.cbr.get_backup(backup_id).status == "available", 180,
        )

    # ---- the SDK ----

    def test_01_vaults(self):
        cbr = self.conn.cbr
        billing = {"object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 40}
        vault = cbr.create_vault(
            name="full", description="all of it", billing=billing, resources=[{"id": self.disks[0], "type": DISK}],
            tags=[{"key": "env", "value": "prod"}], auto_expand=True, bind_rules={"tags": [{"key": "a", "value": "b"}]},
        )
        self.assertEqual([found.id for found in vault.resources], [self.disks[0]])
        self.assertEqual((vault.billing.allocated, vault.auto_expand), (1, True))
        self.assertEqual(vault.bind_rules["tags"], [{"key": "a", "value": "b"}])
        self.assertEqual(cbr.get_vault(vault.id).to_dict(), vault.to_dict())
        self.assertEqual(cbr.find_vault("full").id, vault.id)
        self.assertIsNone(cbr.find_vault("none"))
        edited = cbr.update_vault(vault, name="fuller", billing={"size": 50}, auto_expand=False)
        self.assertEqual((edited.name, edited.billing.size, edited.auto_expand), ("fuller", 50, False))
        for query in [
            {"id": vault.id}, {"name": "fuller"}, {"object_type": "disk"}, {"protect_type": "backup"},
            {"status": "available"}, {"cloud_type": "public"}, {"limit": 1}, {"resources_ids": self.disks[0]},
        ]:
            self.assertEqual([found.id for found in cbr.vaults(**query)], [vault.id], query)
        for query in [{"name": "full"}, {"object_type": "server"}, {"protect_type": "replication"}, {"status": "error"}]:
            self.assertEqual(list(cbr.vaults(**query)), [], query)
        self.seen["vault"] = vault

    def test_02_resources(self):
        cbr, vault = self.conn.cbr, self.seen["vault"]
        resources = [{"id": disk, "type": DISK} for disk in self.disks[:3]]
        for _ in range(2):
            self.accepted(cbr.associate_resources(vault.id, resources))
        self.assertEqual({found.id for found in cbr.get_vault(vault.id).resources}, set(self.disks[:3]))
        self.accepted(cbr.dissociate_resources(vault.id, [self.disks[2]]))
        wait_until("it goes", lambda: len(cbr.get_vault(vault.id).resources) == 2, 60)

    def test_03_checkpoints_and_backups(self):
        cbr, vault = self.conn.cbr, self.seen["vault"]
        made = cbr.create_checkpoint(vault_id=vault.id, parameters={
            "name": "one", "description": "by hand", "auto_trigger": False, "incremental": True,
            "resource_details": [{"id": self.disks[0], "type": DISK}],
        })
        done = cbr.wait_for_checkpoint(made, interval=1, wait=180)
        shown = cbr.get_checkpoint(done.id)
        self.assertEqual((shown.status, shown.extra_info.name), ("available", "one"))
        self.assertEqual([found.id for found in shown.vault.resources], [self.disks[0]])
        self.assertEqual(shown.vault.skipped_resources, [])
        self.seen["checkpoint"] = shown
        backup = cbr.find_backup("one")
        self.assertEqual((backup.resource_id, backup.description), (self.disks[0], "by hand"))
        self.seen["backup"] = cbr.get_backup(backup.id)
        for query in [
            {"checkpoint_id": done.id}, {"vault_id": vault.id}, {"name": "one"}, {"resource_id": self.disks[0]},
            {"resource_name": "disk-1"}, {"status": "available"}, {"image_type": "backup"}, {"own_type": "private"},
            {"resource_az": backup.resource_az}, {"sort": "created_at:asc"}, {"start_time": "2020-01-01T00:00:00Z"},
            {"end_time": "2100-01-01T00:00:00Z"}, {"limit": 1}, {"dec": False},
        ]:
            self.assertEqual([found.id for found in cbr.backups(**query)], [backup.id], query)
        for query in [
            {"name": "two"}, {"status": "error"}, {"image_type": "replication"}, {"own_type": "shared"},
            {"resource_id": self.disks[1]}, {"parent_id": MISSING}, {"used_percent": 100}, {"start_time": "2100-01-01T00:00:00Z"},
        ]:
            self.assertEqual(list(cbr.backups(**query)), [], query)
        # A name clash inside the SDK; no request is sent.
        with self.assertRaises(TypeError):
            list(cbr.backups(resource_type=DISK))

    def test_04_restoring(self):
        cbr, backup = self.conn.cbr, self.seen["backup"]
        change(self.path, seed=4)
        cbr.restore_data(backup.id, volume_id=self.disks[0], power_on=True, mappings=[])
        self.backup_settled(backup.id)
        self.client.volume_settled(self.disks[0], {"available"})
        self.assertIsNone(same_bytes(self.path, self.room / "first.img"))

    def test_05_policies(self):
        cbr, vault = self.conn.cbr, self.seen["vault"]
        policy = cbr.create_policy(
            name="daily", operation_type="backup", enabled=False,
            operation_definition={"retention_duration_days": 30},
            trigger={"properties": {"pattern": [PATTERN]}},
        )
        self.assertEqual((policy.enabled, policy.operation_definition.retention_duration_days), (False, 30))
        self.assertEqual(cbr.get_policy(policy.id).to_dict(), policy.to_dict())
        self.assertEqual(cbr.find_policy("daily").id, policy.id)
        edited = cbr.update_policy(policy, name="nightly", trigger={"properties": {"pattern": [PATTERN, PATTERN.replace("3", "15")]}})
        self.assertEqual((edited.name, len(edited.trigger.properties.pattern)), ("nightly", 2))
        for _ in range(2):
            self.accepted(cbr.bind_policy(vault.id, policy.id))
        for query in [{"vault_id": vault.id}, {"operation_type": "backup"}, {"limit": 1}]:
            self.assertEqual([found.id for found in cbr.policies(**query)], [policy.id], query)
        self.assertEqual(list(cbr.policies(operation_type="replication")), [])
        self.accepted(cbr.unbind_policy(vault.id, policy.id))
        self.assertEqual(list(cbr.policies(vault_id=vault.id)), [])
        cbr.delete_policy(policy.id, ignore_missing=False)
        cbr.delete_policy(policy.id)

    def test_06_members(self):
        cbr, backup, identity = self.conn.cbr, self.seen["backup"], self.conn.identity
        beta = identity.create_project(name="beta")
        identity.assign_project_role_to_user(beta.id, self.conn.current_user_id, identity.find_role("member").id)
        member = list(cbr.add_members(backup.id, [beta.id]))[0]
        self.assertEqual((member.status, member.backup_id), ("pending", backup.id))
        self.assertEqual([found.id for found in cbr.members(backup.id, status="pending")], [member.id])
        self.assertEqual(cbr.get_member(backup.id, beta.id).id, member.id)
        other = self.connect(project_name="beta")
        self.note_calls(other)
        billing = {"object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 10}
        vault = other.cbr.create_vault(name="received", billing=billing, resources=[])
        self.assertEqual(other.cbr.update_member(backup.id, beta.id, status="accepted", vault=vault.id).status, "accepted")
        self.assertEqual(other.cbr.update_member(backup.id, beta.id, status="rejected", vault=vault.id).status, "rejected")
        cbr.delete_member(backup.id, member)
        self.assertEqual(list(cbr.members(backup.id)), [])
        other.cbr.delete_vault(vault.id)

    def test_07_tasks(self):
        cbr = self.conn.cbr
        tasks = list(cbr.tasks(limit=2))
        kinds = {task.operation_type for task in tasks}
        self.assertEqual(kinds, {"backup", "restore", "remove_resource"})
        one = cbr.get_task(next(task for task in tasks if task.operation_type == "restore").id)
        self.assertEqual((one.status, one.extra_info.restore.target_resource_id), ("success", self.disks[0]))
        self.assertEqual(one.extra_info.common.progress, 100)

    def test_07a_every_list_pages_by_offset_and_by_marker(self):
        cbr = self.client.cbr
        billing = {"object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 10}
        tags = [{"key": "paged", "value": "yes"}]
        made = []
        for number in range(4):
            resources = [{"id": self.disks[3], "type": DISK}] if number == 0 else []
            body = {"vault": {"name": f"page-{number}", "billing": billing, "resources": resources, "tags": tags}}
            made.append(cbr("POST", "/vaults", body).expect(200).json["vault"]["id"])
        policies = [
            cbr("POST", "/policies", {"policy": {
                "name": f"page-{number}", "operation_type": "backup", "operation_definition": {"max_backups": 1},
                "trigger": {"properties": {"pattern": [PATTERN]}},
            }}).expect(200).json["policy"]["id"]
            for number in range(4)
        ]
        for number in range(3):
            body = {"checkpoint": {"vault_id": made[0], "parameters": {"name": f"page-{number}"}}}
            run = cbr("POST", "/checkpoints", body).expect(200).json["checkpoint"]["id"]
            wait_until("the run ends", lambda: (
                cbr("GET", f"/checkpoints/{run}").expect(200).json["checkpoint"]["status"] == "available"
            ), 120)
        backup = self.seen["backup"].id
        projects = [self.conn.identity.create_project(name=f"page-{number}").id for number in range(4)]
        cbr("POST", f"/backups/{backup}/members", {"members": projects}).expect(200)

        for path, key in [
            ("/vaults", "vaults"), ("/backups", "backups"), ("/policies", "policies"),
            ("/operation-logs", "operation_logs"), (f"/backups/{backup}/members", "members"),
            ("/protectables/disk/instances", "instances"),
        ]:
            def page(query):
                answer = cbr("GET", f"{path}?{query}").expect(200).json
                self.assertFalse([name for name in answer if "link" in name or name == "next"], path)
                return answer
            whole = page("")
            ids = [item["id"] for item in whole[key]]
            self.assertGreater(len(ids), 3, path)
            self.assertEqual((whole["count"], len(set(ids))), (len(ids), len(ids)), path)
            for limit in (1, 2, 3):
                by_offset, by_marker, marker = [], [], ""
                while True:
                    some = page(f"limit={limit}&offset={len(by_offset)}")
                    self.assertEqual(some["count"], len(ids), path)
                    if not some[key]:
                        break
                    by_offset += [item["id"] for item in some[key]]
                while True:
                    # With a marker, an offset says nothing.
                    some = page(f"limit={limit}{marker}&offset={7 if marker else 0}")[key]
                    if not some:
                        break
                    by_marker += [item["id"] for item in some]
                    marker = f"&marker={by_marker[-1]}"
                self.assertEqual((by_offset, by_marker), (ids, ids), f"{path} {limit}")
            self.assertEqual(page(f"marker={MISSING}")[key], [], path)
            for query in ("limit=0", "limit=-1", "limit=1001", "limit=x", "offset=-1", "marker=x"):
                refused = cbr("GET", f"{path}?{query}").expect(400).json
                self.assertEqual(refused["error_code"], "BackupService.9900", f"{path}?{query}")
        # By the tags, where numbers are texts; and what backups take, by offset alone.
        asked = {"action": "filter", "limit": "3", "offset": "2", "tags": [{"key": "paged", "values": ["y*", "*es"]}]}
        found = cbr("POST", "/vault/resource_instances/action", asked).expect(200).json
        self.assertEqual((found["total_count"], len(found["resources"])), (4, 2), found)
        counted = cbr("POST", "/vault/resource_instances/action", {"action": "count", "tags": asked["tags"]})
        self.assertEqual(counted.expect(200).json, {"total_count": 4})
        usage = cbr("GET", "/storage_usage").expect(200).json
        self.assertEqual(usage["resource_count"], 2)
        parts = [cbr("GET", f"/storage_usage?limit=1&offset={n}").expect(200).json["storage_usage"] for n in range(3)]
        self.assertEqual([part for some in parts for part in some], usage["storage_usage"])

        # The filters of operation logs and of protectables, each beside what the whole list says.
        logs = cbr("GET", "/operation-logs").expect(200).json["operation_logs"]
        for field, parameter in [
            ("operation_type", "operation_type"), ("status", "status"), ("vault_id", "vault_id"),
            ("vault_name", "vault_name"), ("provider_id", "provider_id"),
        ]:
            for value in {log[field] for log in logs if log[field]}:
                seen = cbr("GET", f"/operation-logs?{parameter}={value}").expect(200).json["operation_logs"]
                want = [log["id"] for log in logs if log[field] == value]
                self.assertEqual([log["id"] for log in seen], want, f"{parameter}={value}")
        about = [log for log in logs if log["extra_info"].get("resource")]
        for field in ("id", "name"):
            for value in {log["extra_info"]["resource"][field] for log in about}:
                seen = cbr("GET", f"/operation-logs?resource_{field}={value}").expect(200).json["operation_logs"]
                want = [log["id"] for log in about if log["extra_info"]["resource"][field] == value]
                self.assertEqual([log["id"] for log in seen], want, f"resource_{field}={value}")
        middle = logs[len(logs) // 2]["created_at"]
        for bound, keeps in [("start_time", lambda at: at >= middle), ("end_time", lambda at: at <= middle)]:
            seen = cbr("GET", f"/operation-logs?{bound}={middle}Z").expect(200).json["operation_logs"]
            want = [log["id"] for log in logs if keeps(log["created_at"])]
            self.assertEqual([log["id"] for log in seen], want, bound)
        for log in logs:
            self.assertTrue(log["vault_id"] and log["vault_name"] and log["extra_info"]["common"]["request_id"], log)
            self.assertEqual(log["error_info"], {"code": "", "message": ""}, log)
        disks = cbr("GET", "/protectables/disk/instances").expect(200).json["instances"]
        for disk in disks:
            for query in (f"id={disk['id']}", f"name={disk['name']}"):
                seen = cbr("GET", f"/protectables/disk/instances?{query}").expect(200).json
                self.assertEqual([found["id"] for found in seen["instances"]], [disk["id"]], query)
        seen = cbr("GET", "/protectables/disk/instances?status=error").expect(200).json
        self.assertEqual(seen, {"instances": [], "count": 0})

        for project in projects:
            cbr("DELETE", f"/backups/{backup}/members/{project}").expect(204)
        for policy in policies:
            cbr("DELETE", f"/policies/{policy}").expect(204)
        for vault in made:
            cbr("DELETE", f"/vaults/{vault}").expect(204)
        wait_until("the vaults go", lambda: not {vault["id"] for vault in cbr("GET", "/vaults").json["vaults"]} & set(made), 60)
        gone = cbr("GET", f"/operation-logs?operation_type=vault_delete&vault_id={made[0]}").expect(200).json["operation_logs"]
        self.assertEqual(gone[0]["extra_info"]["vault_delete"], {"fail_count": 0, "total_count": 3})

    def test_08_a_new_volume_and_a_new_server_are_protected_within_a_minute(self):
        cbr = self.conn.cbr
        policy = cbr.create_policy(
            name="yearly-enough", operation_type="backup", enabled=True, operation_definition={"max_backups": 2},
            trigger={"properties": {"pattern": ["FREQ=DAILY;INTERVAL=30;BYHOUR=3;BYMINUTE=00"]}},
        )
        takers = {}
        for kind in ("disk", "server"):
            billing = {"object_type": kind, "protect_type": "backup", "consistent_level": "crash_consistent", "size": 100}
            vault = cbr.create_vault(
                name=f"taker-of-{kind}s", billing=billing, resources=[], auto_bind=True,
                bind_rules={"tags": [{"key": "tier", "value": "gold"}]},
            )
            self.accepted(cbr.bind_policy(vault.id, policy.id))
            takers[kind] = vault.id
        made = {}
        begun = time.monotonic()
        for tier in ("gold", "lead"):
            body = {"volume": {"name": f"new-{tier}", "size": 1, "metadata": {"tier": tier}}}
            made["disk", tier] = self.client.cinder("POST", "/volumes", body).expect(202).json["volume"]["id"]
            # Its disk carries no tag of its own: the server's counts.
            disk = self.client.create_volume(f"disk-of-{tier}")
            words = ["server", "create", f"server-of-{tier}", "--volume", disk, "--property", f"tier={tier}", "-o", "json"]
            made["server", tier] = json.loads(emberkeep(*words, env=self.env)[1])["id"]
        for kind, vault in takers.items():
            wait_until(f"a {kind} is taken in", lambda: cbr.get_vault(vault).resources, 60)
            print(f"        a {kind} is taken in after {time.monotonic() - begun:.1f} s", flush=True)
            self.assertEqual([found.id for found in cbr.get_vault(vault).resources], [made[kind, "gold"]])
            shown = self.client.cbr("GET", f"/protectables/{kind}/instances/{made[kind, 'gold']}").expect(200)
            protectable = shown.json["instance"]["protectable"]
            self.assertEqual((protectable["result"], protectable["vault"]["id"]), (False, vault), protectable)
        # What they took in can be backed up at once, the server with its disk.
        for kind, vault in takers.items():
            point = cbr.create_checkpoint(vault_id=vault, parameters={"name": f"of-a-{kind}"})
            cbr.wait_for_checkpoint(point, interval=1, wait=180)
            backup = next(cbr.backups(checkpoint_id=point.id))
            self.assertEqual(backup.resource_id, made[kind, "gold"])
            self.assertEqual(len(backup.children), 1 if kind == "server" else 0)
        for kind, vault in takers.items():
            self.accepted(cbr.unbind_policy(vault, policy.id))
            cbr.delete_vault(vault)
            wait_until("the vault goes", lambda: cbr.find_vault(f"taker-of-{kind}s") is None, 60)
        cbr.delete_policy(policy.id)

    def test_09_a_lock_holds_on_both_wires(self):
        cbr = self.conn.cbr
        made = self.conn.cbr.post("/vaults", json={"vault": {
            "name": "vault-of-steel", "locked": True, "resources": [{"id": self.disks[2], "type": DISK}],
            "billing": {
                "object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 20,
            },
        }})
        vault = made.json()["vault"]["id"]
        point = cbr.create_checkpoint(vault_id=vault, parameters={"auto_trigger": True, "name": "steel"})
        cbr.wait_for_checkpoint(point, interval=1, wait=180)
        backup = cbr.find_backup("steel").id
        with self.assertRaises(openstack.exceptions.BadRequestException) as refused:
            cbr.delete_backup(backup)
        self.assertIn("BackupService.6220", str(refused.exception))
        path = f"/backups/{backup}"
        for answer in [
            self.client.cinder("DELETE", path),
            self.client.cinder("POST", f"{path}/action", {"os-force_delete": {}}),
            # What has failed is kept by nothing: so an administrator may not say that it has.
            self.client.cinder("POST", f"{path}/action", {"os-reset_status": {"status": "error"}}),
            self.client.cbr("DELETE", f"/vaults/{vault}"),
        ]:
            self.assertEqual(answer.status, 400, answer)
        self.assertEqual(cbr.get_backup(backup).status, "available")

    # ---- the command line ----

    def test_11_vault_commands(self):
        made = self.json(
            "cbr vault create", "--consistent-level", "crash_consistent", "--object-type", "disk", "--size", "20",
            "--description", "by command", "--resource", f"id={self.disks[3]},type={DISK}", "--tag", "team=a",
            "--bind-rule", "key1=value1", "by-command",
        )
        self.seen["second"] = made["id"]
        self.assertEqual(self.json("cbr vault show", "by-command")["id"], made["id"])
        self.json("cbr vault update", "by-command", "--name", "renamed", "--size", "25")
        self.assertEqual([row["id"] for row in self.json("cbr vault list", "--name", "renamed")], [made["id"]])
        self.openstack("cbr vault dissociate", "renamed", "--resource", self.disks[3])

        def gone():
            return not self.conn.cbr.get_vault(made["id"]).resources

        wait_until("the resource goes", gone, 60)
        self.openstack("cbr vault associate", "renamed", "--resource", f"id={self.disks[3]},type={DISK}")
        self.assertEqual([found.id for found in self.conn.cbr.get_vault(made["id"]).resources], [self.disks[3]])

    def test_12_policy_commands(self):
        made = self.json(
            "cbr policy create", "weekly", "--pattern", "FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=4;BYMINUTE=30",
            "--max-backups", "5", "--day-backups", "3", "--timezone", "UTC+02:00",
        )
        policy = made["id"]
        self.assertIn(policy, {row["id"] for row in self.json("cbr policy list")})
        self.openstack("cbr vault bind", "renamed", policy)
        self.assertEqual(self.conn.cbr.get_vault(self.seen["second"]).backup_policy_id, policy)
        for words, arguments in SLIPS.items():
            arguments = [argument.format(policy=policy) for argument in arguments]
            status, said = self.openstack(words, *arguments, check=False)
            self.assertNotEqual(status, 0, f"{words}: not a slip any more")
            self.assertIn("unexpected keyword argument", said, words)
        self.openstack("cbr vault unbind", "renamed", policy)
        self.assertIsNone(self.conn.cbr.get_vault(self.seen["second"]).backup_policy_id)
        self.conn.cbr.delete_policy(policy)

    def test_13_checkpoint_and_backup_commands(self):
        made = self.json("cbr checkpoint create", "--vault-id", self.seen["second"], "--backup-name", "typed")
        self.conn.cbr.wait_for_checkpoint(self.conn.cbr.get_checkpoint(made["id"]), interval=1, wait=180)
        self.assertEqual(self.json("cbr checkpoint show", made["id"])["status"], "available")
        listed = self.json(
            "cbr backup list", "--vault-id", self.seen["second"], "--status", "available", "--sort", "created_at:desc",
        )
        self.assertEqual([row["name"] for row in listed], ["typed"])
        shown = self.json("cbr backup show", "typed")
        self.assertEqual((shown["status"], shown["resource_id"]), ("available", self.disks[3]))
        self.openstack("cbr backup restore", "typed", "--volume-id", self.disks[3])
        self.backup_settled(shown["id"])
        self.client.volume_settled(self.disks[3], {"available"})
        tasks = self.json("cbr task list")
        restored = next(row for row in tasks if row["operation_type"] == "restore")
        self.assertEqual(self.json("cbr task show", restored["id"])["vault_id"], self.seen["second"])
        self.openstack("cbr backup delete", "typed")
        wait_until("it goes", lambda: self.client.backup(shown["id"]) is None)

    def test_14_deleting(self):
        cbr = self.conn.cbr
        self.openstack("cbr vault delete", "renamed")
        cbr.delete_backup(self.seen["backup"].id)
        wait_until("it goes", lambda: self.client.backup(self.seen["backup"].id) is None)
        with self.assertRaises(openstack.exceptions.NotFoundException):
            cbr.delete_backup(MISSING, ignore_missing=False)
        cbr.delete_vault(self.seen["vault"].id)
        wait_until("the vaults go", lambda: [found.name for found in cbr.vaults()] == ["vault-of-steel"], 120)

    def test_15_nothing_was_left_out(self):
        self.assertGreater(len(proxy_methods()), 25)
        self.assertEqual(proxy_methods() - self.called, set())
        self.assertGreater(len(commands()), 20)
        self.assertEqual(commands() - self.typed, set(SLIPS))
