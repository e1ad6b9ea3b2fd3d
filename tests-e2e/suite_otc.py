"""The unmodified otcextensions SDK and `openstack cbr` against the running service.

Runs in the `otc` environment: openstacksdk and otcextensions are imported here.
"""

import datetime
import json
import os
import unittest

import openstack
from otcextensions import sdk

from support import (
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


class CbrSession(unittest.TestCase):
    """A vault from its creation to its end, crossing over to the Cinder side."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("otc", cls)
        cls.service = Service(cls.room / "data").start()
        cls.addClassCleanup(cls.service.kill)
        cls.env = cls.service.client_environment()
        cls.client = cls.service.client()
        # The first call of each of these starts the command itself; the others are forks (`warm.py`).
        cls.command = OpenStack("otc", ("volume backup show", "cbr vault list", "cbr task show"))
        cls.addClassCleanup(cls.command.stop)
        for name in [key for key in os.environ if key.startswith("OS_")]:
            del os.environ[name]
        os.environ["OS_CLIENT_CONFIG_FILE"] = cls.env["OS_CLIENT_CONFIG_FILE"]
        cls.conn = openstack.connect(cloud="emberkeep")
        sdk.register_otc_extensions(cls.conn)
        cls.volume_id = cls.client.create_volume("disk-1")
        cls.path = emberkeep("volume", "path", cls.volume_id, env=cls.env)[1].strip()
        fill_with_filesystem(cls.path)
        sparse_copy(cls.path, cls.room / "first.img")
        cls.seen = {}

    def openstack(self, *arguments):
        return self.command(arguments, self.env)[1]

    def openstack_json(self, *arguments):
        shown = json.loads(self.openstack(*arguments, "-f", "json"))
        # Some of the commands call it ID.
        return {key.lower(): value for key, value in shown.items()}

    def task_ends(self, kind, **match):
        """Waits for the newest task of a kind to end well, as CBR shows it."""

        def probe():
            for task in self.conn.cbr.tasks():
                if task.operation_type == kind and task.status not in ("waiting", "running"):
                    if all(getattr(task, key) == value for key, value in match.items()):
                        return task
            return None

        task = wait_until(f"a {kind} task ends", probe, timeout=180)
        self.assertEqual(task.status, "success", task.error_info)
        return task

    def test_01_a_vault_is_created(self):
        vault = self.conn.cbr.create_vault(
            name="disks-a",
            description="team A",
            billing={
                "object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 100,
            },
            resources=[],
        )
        self.seen["vault"] = vault
        self.assertEqual((vault.name, vault.billing.size, vault.billing.status), ("disks-a", 100, "available"))
        self.assertEqual(self.conn.cbr.get_vault(vault.id).to_dict(), vault.to_dict())
        self.assertEqual([found.id for found in self.conn.cbr.vaults(limit=1)], [vault.id])
        self.assertEqual(self.conn.cbr.find_vault("disks-a").id, vault.id)

    def test_02_the_volume_is_added(self):
        vault = self.seen["vault"]
        answer = self.conn.cbr.associate_resources(vault.id, [{"id": self.volume_id, "type": DISK}])
        # The SDK hands back refusals without a word.
        self.assertNotIn("error_code", str(getattr(answer, "body", answer)))
        resources = self.conn.cbr.get_vault(vault.id).resources
        self.assertEqual([(found.id, found.name, found.size) for found in resources], [(self.volume_id, "disk-1", 1)])

    def test_03_a_checkpoint_is_taken(self):
        vault = self.seen["vault"]
        checkpoint = self.conn.cbr.create_checkpoint(vault_id=vault.id, parameters={"name": "before-upgrade"})
        self.assertEqual(checkpoint.status, "protecting")
        done = self.conn.cbr.wait_for_checkpoint(checkpoint, interval=1, wait=180)
        self.assertEqual(done.status, "available")
        self.seen["checkpoint"] = done
        backups = list(self.conn.cbr.backups(vault_id=vault.id))
        self.assertEqual(len(backups), 1)
        backup = backups[0]
        self.assertEqual(
            (backup.name, backup.status, backup.resource_id, backup.resource_size, backup.checkpoint_id),
            ("before-upgrade", "available", self.volume_id, 1, checkpoint.id),
        )
        self.assertGreater(self.conn.cbr.get_vault(vault.id).billing.used, 0)
        self.seen["first"] = backup
        task = self.task_ends("backup")
        self.assertEqual((task.vault_id, task.checkpoint_id), (vault.id, checkpoint.id))

    def test_04_a_second_checkpoint_after_a_change(self):
        change(self.path, seed=4)
        sparse_copy(self.path, self.room / "second.img")
        vault = self.seen["vault"]
        checkpoint = self.conn.cbr.create_checkpoint(vault_id=vault.id)
        self.conn.cbr.wait_for_checkpoint(checkpoint, interval=1, wait=180)
        found = list(self.conn.cbr.backups(checkpoint_id=checkpoint.id))
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].name.startswith("manualbk_"), found[0].name)
        self.assertTrue(found[0].extend_info.incremental)
        self.seen["second"] = found[0]

    def test_05_the_first_one_comes_back(self):
        self.conn.cbr.restore_data(self.seen["first"].id, volume_id=self.volume_id)
        self.task_ends("restore")
        self.client.volume_settled(self.volume_id, {"available"})
        self.assertIsNone(same_bytes(self.path, self.room / "first.img"))
        self.assertEqual(self.conn.cbr.get_backup(self.seen["first"].id).status, "available")

    def test_06_the_same_backup_seen_and_restored_through_cinder(self):
        seen = self.openstack_json("volume", "backup", "show", self.seen["second"].id)
        self.assertEqual((seen["status"], seen["volume_id"]), ("available", self.volume_id))
        made = self.openstack_json("volume", "backup", "restore", self.seen["second"].id, "restored")
        self.client.volume_settled(made["volume_id"], {"available"})
        path = emberkeep("volume", "path", made["volume_id"], env=self.env)[1].strip()
        self.assertIsNone(same_bytes(path, self.room / "second.img"))
        self.openstack("volume", "delete", made["volume_id"])

    def test_07_a_cinder_backup_in_the_vault_is_seen_and_restored_through_cbr(self):
        vault = self.seen["vault"]
        change(self.path, seed=8)
        sparse_copy(self.path, self.room / "third.img")
        made = self.openstack_json(
            "volume", "backup", "create", "--name", "by-cinder", "--container", vault.id, self.volume_id,
        )
        self.client.backup_settled(made["id"], {"available"})
        self.assertEqual(self.conn.cbr.get_backup(made["id"]).vault_id, vault.id)
        outside = self.openstack_json("volume", "backup", "create", "--name", "outside", self.volume_id)
        self.client.backup_settled(outside["id"], {"available"})
        names = {backup.name for backup in self.conn.cbr.backups()}
        self.assertIn("by-cinder", names)
        self.assertNotIn("outside", names)
        change(self.path, seed=9)
        self.conn.cbr.restore_data(made["id"], volume_id=self.volume_id)
        wait_until("the restore ends", lambda: self.conn.cbr.get_backup(made["id"]).status == "available", 180)
        self.client.volume_settled(self.volume_id, {"available"})
        self.assertIsNone(same_bytes(self.path, self.room / "third.img"))

    def test_08_the_command_line_lists_and_shows(self):
        vault = self.seen["vault"]
        self.assertIn(vault.id, self.openstack("cbr", "vault", "list"))
        self.assertEqual(self.openstack_json("cbr", "vault", "show", "disks-a")["id"], vault.id)
        self.assertIn("before-upgrade", self.openstack("cbr", "backup", "list"))
        shown = self.openstack_json("cbr", "backup", "show", self.seen["first"].id)
        self.assertEqual(shown["name"], "before-upgrade")
        self.assertEqual(
            self.openstack_json("cbr", "checkpoint", "show", self.seen["checkpoint"].id)["status"], "available",
        )
        tasks = self.openstack("cbr", "task", "list")
        self.assertIn("restore", tasks)
        one = next(iter(self.conn.cbr.tasks()))
        self.assertEqual(self.openstack_json("cbr", "task", "show", one.id)["id"], one.id)

    def test_08a_policies(self):
        cbr, vault = self.conn.cbr, self.seen["vault"]
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=65)
        policy = cbr.create_policy(
            name="nightly",
            operation_type="backup",
            enabled=True,
            operation_definition={"max_backups": 1, "timezone": "UTC+02:00"},
            trigger={"properties": {"pattern": [f"FREQ=DAILY;INTERVAL=1;BYHOUR={soon.hour};BYMINUTE={soon.minute:02}"]}},
        )
        self.assertEqual((policy.operation_definition.max_backups, policy.associated_vaults), (1, []))
        self.assertEqual(cbr.get_policy(policy.id).to_dict(), policy.to_dict())
        self.assertEqual(cbr.find_policy("nightly").id, policy.id)
        self.assertEqual([found.id for found in cbr.policies(limit=1)], [policy.id])
        self.assertIn("nightly", self.openstack("cbr", "policy", "list"))
        for _ in range(2):
            # The SDK hands back refusals without a word.
            answer = cbr.bind_policy(vault.id, policy.id)
            self.assertNotIn("error_code", str(getattr(answer, "body", answer)))
        self.assertEqual(cbr.get_vault(vault.id).backup_policy_id, policy.id)
        self.assertEqual([found.id for found in cbr.policies(vault_id=vault.id)], [policy.id])
        self.assertEqual([found.id for found in cbr.vaults(policy_id=policy.id)], [vault.id])

        # It runs by itself at the minute that was named, once.
        def automatic():
            return [found for found in cbr.backups(vault_id=vault.id) if found.extend_info.auto_trigger]

        wait_until("the policy runs", lambda: [found for found in automatic() if found.status == "available"], 180)
        first = automatic()
        self.assertEqual(len(first), 1)
        self.assertTrue(first[0].name.startswith("autobk_"), first[0].name)
        self.assertEqual(self.task_ends("backup", policy_id=policy.id).checkpoint_id, first[0].checkpoint_id)
        # The next automatic one takes its place: one is to be kept. Those made by hand stay.
        by_hand = {found.id for found in cbr.backups(vault_id=vault.id)} - {first[0].id}
        cbr.create_checkpoint(vault_id=vault.id, parameters={"auto_trigger": True, "name": "by-rule"})
        wait_until("the first one goes", lambda: [found.name for found in automatic()] == ["by-rule"], 120)
        left = {found.id for found in cbr.backups(vault_id=vault.id)}
        self.assertTrue(by_hand < left)

        changed = cbr.update_policy(policy, name="weekly", enabled=False)
        self.assertEqual((changed.name, changed.enabled), ("weekly", False))
        cbr.unbind_policy(vault.id, policy.id)
        self.assertIsNone(cbr.get_vault(vault.id).backup_policy_id)
        cbr.delete_policy(policy)
        self.assertEqual(list(cbr.policies()), [])
        with self.assertRaises(openstack.exceptions.NotFoundException):
            cbr.get_policy(policy.id)

    def test_08b_a_backup_is_shared(self):
        cbr, backup = self.conn.cbr, self.seen["second"]
        identity = self.conn.identity
        beta = identity.create_project(name="beta")
        role = identity.find_role("member")
        identity.assign_project_role_to_user(beta.id, self.conn.current_user_id, role.id)
        members = list(cbr.add_members(backup, [beta.id]))
        self.assertEqual([(found.dest_project_id, found.status) for found in members], [(beta.id, "pending")])
        self.assertEqual([found.id for found in cbr.members(backup)], [members[0].id])
        self.assertEqual(cbr.get_member(backup, beta.id).id, members[0].id)
        other = openstack.connect(cloud="emberkeep", project_name="beta")
        sdk.register_otc_extensions(other)
        self.assertEqual([found.id for found in other.cbr.backups(own_type="shared")], [backup.id])
        vault = other.cbr.create_vault(name="received", billing={
            "object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 10,
        }, resources=[])
        accepted = other.cbr.update_member(backup.id, beta.id, status="accepted", vault=vault.id)
        self.assertEqual((accepted.status, accepted.vault_id), ("accepted", vault.id))
        self.assertEqual(other.cbr.get_backup(backup.id).status, "available")
        cbr.delete_member(backup, cbr.get_member(backup, beta.id))
        self.assertEqual(list(cbr.members(backup)), [])
        self.assertEqual(list(other.cbr.backups(own_type="shared")), [])
        other.cbr.delete_vault(vault.id)

    def test_08c_tags(self):
        path = f"/vault/{self.seen['vault'].id}/tags"
        answer = self.conn.cbr.post(f"{path}/action", json={
            "action": "create", "tags": [{"key": "env", "value": "prod"}],
        })
        self.assertEqual(answer.status_code, 204)
        self.assertEqual(self.conn.cbr.get_vault(self.seen["vault"].id).tags, [{"key": "env", "value": "prod"}])
        found = self.conn.cbr.post("/vault/resource_instances/action", json={
            "action": "filter", "tags": [{"key": "env", "values": ["prod"]}],
        }).json()
        self.assertEqual([one["resource_id"] for one in found["resources"]], [self.seen["vault"].id])
        self.assertEqual(self.conn.cbr.delete(f"{path}/env").status_code, 204)

    def test_09_refusals(self):
        missing = "00000000-0000-4000-8000-000000000000"
        for what, call in [
            ("vault", lambda: self.conn.cbr.get_vault(missing)),
            ("backup", lambda: self.conn.cbr.get_backup(missing)),
            ("checkpoint", lambda: self.conn.cbr.get_checkpoint(missing)),
            ("task", lambda: self.conn.cbr.get_task(missing)),
        ]:
            with self.assertRaises(openstack.exceptions.NotFoundException, msg=what):
                call()
        with self.assertRaises(openstack.exceptions.BadRequestException) as refused:
            self.conn.cbr.create_vault(name="too-small", billing={
                "object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 9,
            }, resources=[])
        self.assertIn("BackupService.6101", str(refused.exception))

    def test_10_deleting(self):
        self.conn.cbr.delete_backup(self.seen["first"].id)
        wait_until("it goes", lambda: self.client.backup(self.seen["first"].id) is None)
        self.conn.cbr.dissociate_resources(self.seen["vault"].id, [self.volume_id])
        wait_until("the resource goes", lambda: not self.conn.cbr.get_vault(self.seen["vault"].id).resources, 120)
        self.assertEqual(list(self.conn.cbr.backups()), [])
        self.assertEqual([backup["name"] for backup in self.client.backups()], ["outside"])
        self.conn.cbr.delete_vault(self.seen["vault"].id)
        wait_until("the vault goes", lambda: not list(self.conn.cbr.vaults()), 120)
