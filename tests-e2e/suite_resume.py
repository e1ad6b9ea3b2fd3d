"""A service that is killed in the middle of a large backup: the next one goes on with the same instant, and reads
again what the workers had in hand and no more."""

import os
import unittest

import support

DATA = 640 * support.MIB
WINDOW = 16 * support.MIB
WORKERS = max(1, min(8, len(os.sched_getaffinity(0))))


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = support.scratch("resume", cls)
        cls.service = support.Service(cls.place / "data", sweep_delay_secs=3600, grace_secs=0).start()
        cls.addClassCleanup(cls.service.kill)
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("large", size=2)
        cls.path = cls.client.volume_path(cls.volume)

    def setUp(self):
        with open(self.path, "rb+") as file:
            for _ in range(DATA // (8 * support.MIB)):
                file.write(os.urandom(8 * support.MIB))
        self.content = support.digest(self.path)
        self.before = self.packed()

    def packed(self):
        total = 0
        for path in (self.place / "data" / "repository" / "p").rglob("packs/*/*"):
            total += path.stat().st_size
        return total

    def interrupted(self, name, end):
        """Begins a backup and ends the service when more than half is stored; returns how much was."""
        backup = self.client.create_backup(self.volume, name)
        support.wait_until("more than half is stored", lambda: self.packed() - self.before > DATA * 55 // 100, 120, 0.01)
        end()
        stored = self.packed() - self.before
        self.assertLess(stored, DATA * 95 // 100, "it was caught in the middle")
        # What is written now is of another instant.
        with open(self.path, "rb+") as file:
            os.pwrite(file.fileno(), b"later" * 100_000, 3 * support.MIB)
        self.service.start()
        type(self).client = self.service.client()
        self.client.backup_settled(backup, {"available"}, 180)
        page = self.client.native("GET", "/backups").expect(200).json["backups"]
        read = next(one["bytes"]["read"] for one in page if one["id"] == backup)
        twice = read - (DATA - stored)
        print(f"    {stored >> 20} MiB of {DATA >> 20} were stored; {read >> 20} MiB were read then", flush=True)
        self.assertLess(twice, WINDOW * WORKERS)
        made = self.client.restore(backup, name="restored")["volume_id"]
        self.client.volume_settled(made, {"available"}, 180)
        self.assertEqual(support.digest(self.client.volume_path(made)), self.content, "one instant")
        self.client.cinder("DELETE", f"/volumes/{made}").expect(202)
        self.assertEqual(list((self.place / "data" / "frozen").iterdir()), [])
        self.assertEqual(list((self.place / "data" / "repository").rglob("spool/*")), [])

    def test_1_after_a_kill(self):
        self.interrupted("killed", self.service.kill)

    def test_2_after_a_stop(self):
        self.interrupted("stopped", self.service.stop)


if __name__ == "__main__":
    unittest.main()
