"""Damage of stored data: a restore that meets it says so everywhere, and the next backup heals it."""

import json
import os
import unittest

import support


class Damage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = support.scratch("damage", cls)
        cls.service = support.Service(cls.place / "data").start()
        cls.addClassCleanup(cls.service.kill)
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("data")
        cls.client.volume_settled(cls.volume, {"available"})
        cls.path = cls.client.volume_path(cls.volume)
        with open(cls.path, "rb+") as file:
            file.write(os.urandom(4 * support.MIB))

    def flip(self):
        """One bit of the largest pack."""
        packs = [path for path in (self.place / "data" / "repository").rglob("packs/*/*") if path.is_file()]
        pack = max(packs, key=lambda path: path.stat().st_size)
        pack.chmod(0o600)
        with open(pack, "rb+") as file:
            file.seek(pack.stat().st_size // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))

    def test_01_a_restore_that_meets_it_is_told_everywhere(self):
        backup = self.client.create_backup(self.volume, "hurt")
        self.client.backup_settled(backup, {"available"})
        self.flip()
        target = self.client.restore(backup, name="torn")["volume_id"]
        self.assertEqual(self.client.volume_settled(target)["status"], "error")
        shown = self.client.backup_settled(backup)
        self.assertEqual(shown["status"], "error")
        self.assertIn("damaged (found by restore)", shown["fail_reason"])
        damage = self.client.native("GET", f"/backups/{backup}").expect(200).json["damage"]
        self.assertEqual(damage["found_by"], "restore")
        self.assertEqual(damage["lost_bytes"], sum(one["end"] - one["start"] for one in damage["ranges"]))
        self.assertTrue(0 < damage["lost_bytes"] < support.MIB, damage)
        self.assertTrue(all(one["end"] <= 4 * support.MIB for one in damage["ranges"]), damage)
        said = self.client.cinder("GET", "/messages").expect(200).json["messages"]
        self.assertIn(backup, [message["resource_uuid"] for message in said])
        metrics = support.http_request(self.service.url, "GET", "/metrics").expect(200).body.decode()
        self.assertIn("\nemberkeep_damaged_backups 1\n", metrics)
        env = self.service.client_environment()
        text = support.emberkeep("backup", "show", backup, env=env)[1]
        self.assertIn(f"{damage['ranges'][0]['start']}-{damage['ranges'][0]['end'] - 1}", text)
        parsed = json.loads(support.emberkeep("backup", "show", backup, "-o", "json", env=env)[1])
        self.assertEqual(parsed["damage"], damage)
        # It is not restored from as long as it is hurt.
        refused = self.client.cinder("POST", f"/backups/{backup}/restore", {"restore": {"name": "again"}})
        self.assertEqual(refused.status, 400)

    def test_02_the_next_backup_heals_it(self):
        hurt = next(one["id"] for one in self.client.backups() if one["name"] == "hurt")
        healing = self.client.create_backup(self.volume, "healing")
        self.client.backup_settled(healing, {"available"})
        support.wait_until(
            "the backup is healed", lambda: self.client.backup(hurt)["status"] == "available", 60
        )
        self.assertIsNone(self.client.backup(hurt)["fail_reason"])
        self.assertNotIn("damage", self.client.native("GET", f"/backups/{hurt}").expect(200).json)
        target = self.client.restore(hurt, name="whole")["volume_id"]
        self.assertEqual(self.client.volume_settled(target)["status"], "available")
        self.assertEqual(support.digest(self.client.volume_path(target)), support.digest(self.path))
        metrics = support.http_request(self.service.url, "GET", "/metrics").expect(200).body.decode()
        self.assertIn("\nemberkeep_damaged_backups 0\n", metrics)

    def test_03_what_is_damaged_can_be_deleted(self):
        with open(self.path, "rb+") as file:
            file.write(os.urandom(8 * support.MIB))
        backup = self.client.create_backup(self.volume, "to delete")
        self.client.backup_settled(backup, {"available"})
        self.flip()
        target = self.client.restore(backup, name="torn again")["volume_id"]
        self.client.volume_settled(target)
        self.assertEqual(self.client.backup_settled(backup)["status"], "error")
        self.client.cinder("DELETE", f"/backups/{backup}").expect(202)
        support.wait_until("it is gone", lambda: self.client.backup(backup) is None, 60)
