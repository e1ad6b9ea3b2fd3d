"""The unmodified otcextensions SDK and `openstack cbr` against the running service.

Runs in the `otc` environment: openstacksdk and otcextensions are imported here.
"""

import json
import os
import unittest

import openstack
from otcextensions import sdk

from support import (
    Service,
    change,
    command,
    emberkeep,
    fill_with_filesystem,
    same_bytes,
    scratch,
    sparse_copy,
    test_env,
    wait_until,
)

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
        program = test_env() / "otc" / "bin" / "openstack"
        return command([program, *arguments], env=self.env)[1]

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
