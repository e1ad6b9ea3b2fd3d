"""Deleting a backup while it is being made: it stops within seconds, and nothing of it stays."""

import os
import time
import unittest

import support

DATA = 800 * support.MIB
SECONDS = 10


class Cancel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = support.scratch("cancel", cls)
        cls.service = support.Service(
            cls.place / "data", sweep_delay_secs=3600, store_write_mib_s=100, store_read_mib_s=200
        ).start()
        cls.addClassCleanup(cls.service.kill)
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("large", size=4)
        # Nothing of it compresses or repeats, so that there is something to stop.
        with open(cls.client.volume_path(cls.volume), "rb+") as file:
            for _ in range(DATA // (8 * support.MIB)):
                file.write(os.urandom(8 * support.MIB))

    def stored(self):
        """Bytes of what the repository keeps of data; what is being written counts too."""
        total = 0
        for path in (self.place / "data" / "repository").rglob("*"):
            if path.is_file():
                total += path.stat().st_size
        return total

    def test_01_what_is_being_copied_stops_and_goes(self):
        before = self.stored()
        backup = self.client.create_backup(self.volume, "cut short")

        def running():
            tasks = [task for task in self.client.tasks() if task["kind"] == "backup" and task["status"] == "running"]
            return tasks and self.stored() > before + 16 * support.MIB

        support.wait_until("the copying is well under way", running, 60, 0.02)
        self.assertEqual(self.client.backup(backup)["status"], "creating")
        refused = self.client.cinder("DELETE", f"/backups/{backup}")
        self.assertEqual(refused.status, 400, "only an administrator's word stops it")
        begun = time.monotonic()
        self.client.cinder("POST", f"/backups/{backup}/action", {"os-force_delete": {}}).expect(202)
        support.wait_until("it is gone", lambda: self.client.backup(backup) is None, SECONDS, 0.02)
        print(f"    gone after {time.monotonic() - begun:.2f} s", flush=True)
        self.assertEqual(self.client.volume_settled(self.volume, {"available"}, SECONDS)["status"], "available")
        ended = [task["status"] for task in self.client.tasks() if task["kind"] == "backup"]
        self.assertEqual(ended, ["cancelled"])
        lines = self.client.cinder("GET", f"/os-quota-sets/{self.client.project}?usage=True").expect(200).json["quota_set"]
        self.assertEqual([lines[name]["in_use"] for name in ("backups", "backup_gigabytes")], [0, 0])
        self.client.sweep()
        # Less than a MiB: records of the sweep itself, and an index of nothing.
        self.assertLess(self.stored() - before, support.MIB)

    def test_02_the_volume_can_be_backed_up_again(self):
        backup = self.client.create_backup(self.volume, "whole")
        self.client.backup_settled(backup, {"available"})
        self.assertGreater(self.stored(), DATA * 9 // 10)

    def test_03_a_restore_stops_when_its_backup_is_said_to_be_in_error(self):
        backup = self.client.create_backup(self.volume, "to restore")
        self.client.backup_settled(backup, {"available"})
        target = self.client.restore(backup, name="cut short")["volume_id"]

        def running():
            tasks = [task for task in self.client.tasks() if task["kind"] == "restore"]
            return tasks and tasks[0]["status"] == "running"

        support.wait_until("the restore is under way", running, 60, 0.02)
        reset = {"os-reset_status": {"status": "error"}}
        self.client.cinder("POST", f"/backups/{backup}/action", reset).expect(202)
        self.assertEqual(self.client.volume_settled(target, {"error", "available"}, SECONDS)["status"], "error")
        # The backup has lost nothing by it.
        self.assertEqual(self.client.backup_settled(backup, {"available"})["status"], "available")
        again = self.client.restore(backup, name="whole")["volume_id"]
        self.assertEqual(self.client.volume_settled(again, {"error", "available"}, 120)["status"], "available")
