"""Volumes on file systems that share blocks: XFS and Btrfs, each in a file that is mounted as a loop device.

Where the machine has no loop devices, or may not mount, this says so and is skipped.
"""

import os
import pathlib
import random
import subprocess
import unittest

from support import GIB, MIB, Service, command, digest, scratch, wait_until

MAKE = {"xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"], "btrfs": ["mkfs.btrfs", "-q"]}


def used(place):
    """Bytes that a file system has given out."""
    os.sync()
    facts = os.statvfs(place)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


class OnLoop:
    KIND = None

    @classmethod
    def setUpClass(cls):
        cls.room = scratch(f"loop-{cls.KIND}", cls)
        disk, place = cls.room / "disk", cls.room / "mounted"
        disk.touch()
        os.truncate(disk, 3 * GIB)
        place.mkdir()
        try:
            command([*MAKE[cls.KIND], disk])
            command(["mount", "-o", "loop", disk, place])
        except (AssertionError, OSError, subprocess.SubprocessError) as why:
            raise unittest.SkipTest(f"{cls.KIND} cannot be mounted here: {why}") from None
        cls.addClassCleanup(command, ["umount", "-l", place])
        cls.place = place
        cls.service = Service(place / "data").start()
        cls.addClassCleanup(cls.service.stop)
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("disk")
        cls.path = pathlib.Path(cls.client.volume_path(cls.volume))
        chance = random.Random(9)
        with open(cls.path, "rb+") as file:
            for at in range(0, 512 * MIB, 16 * MIB):
                os.pwrite(file.fileno(), chance.randbytes(8 * MIB), at)
            os.fsync(file.fileno())
        cls.content = digest(cls.path)

    def test_1_a_snapshot_shares_its_blocks(self):
        before = used(self.place)
        body = {"snapshot": {"volume_id": self.volume, "name": "instant", "force": True}}
        made = self.client.cinder("POST", "/snapshots", body).expect(202).json["snapshot"]["id"]
        shown = lambda: self.client.cinder("GET", f"/snapshots/{made}").expect(200).json["snapshot"]["status"]
        wait_until("the snapshot is there", lambda: shown() == "available", 60)
        self.assertLess(used(self.place) - before, 32 * MIB, "256 MiB of data were not copied")
        with open(self.path, "rb+") as file:
            os.pwrite(file.fileno(), b"changed" * 1000, 5 * MIB)
            os.fsync(file.fileno())
        self.assertNotEqual(digest(self.path), self.content)
        copy = self.client.cinder("POST", "/volumes", {"volume": {"snapshot_id": made, "size": 1}}).expect(202)
        copy = copy.json["volume"]["id"]
        wait_until("the copy is there", lambda: self.client.volume(copy)["status"] == "available", 60)
        self.assertEqual(digest(self.client.volume_path(copy)), self.content, "what was at that instant")
        self.assertLess(used(self.place) - before, 48 * MIB, "nor for a volume made of it")

    def test_2_a_backup_freezes_without_copying_and_comes_back(self):
        content = digest(self.path)
        backup = self.client.create_backup(self.volume, "frozen")
        self.client.backup_settled(backup, {"available"})
        self.assertEqual(list((self.place / "data" / "frozen").iterdir()), [], "it was let go")
        made = self.client.restore(backup, name="restored")["volume_id"]
        wait_until("it is restored", lambda: self.client.volume(made)["status"] == "available", 120)
        restored = pathlib.Path(self.client.volume_path(made))
        self.assertEqual(digest(restored), content)
        self.assertLess(abs(restored.stat().st_blocks - self.path.stat().st_blocks) * 512, 8 * MIB, "holes are holes")

    def bytes_of(self, backup):
        page = self.client.native("GET", "/backups").expect(200).json["backups"]
        return next(one["bytes"] for one in page if one["id"] == backup)

    def comes_back(self, backup, content):
        made = self.client.restore(backup, name="again")["volume_id"]
        wait_until("it is restored", lambda: self.client.volume(made)["status"] == "available", 120)
        self.assertEqual(digest(self.client.volume_path(made)), content)
        self.client.cinder("DELETE", f"/volumes/{made}").expect(202)

    def test_3_the_next_one_reads_what_was_written_since(self):
        kept = self.place / "data" / "backed-up"
        self.assertEqual([one.stem for one in kept.iterdir()], [self.volume])
        unchanged = self.client.create_backup(self.volume, "unchanged", incremental=True)
        self.client.backup_settled(unchanged, {"available"})
        told = self.bytes_of(unchanged)
        print(f"    {self.KIND}: unchanged, {told}", flush=True)
        # Nothing but the sample that is compared.
        self.assertLess(told["read"], 8 * MIB)
        chance = random.Random(10)
        with open(self.path, "rb+") as file:
            os.pwrite(file.fileno(), chance.randbytes(MIB), 33 * MIB + 5000)
            os.pwrite(file.fileno(), chance.randbytes(4096), 200 * MIB)
            os.pwrite(file.fileno(), b"where there was a hole", 700 * MIB)
            os.posix_fallocate(file.fileno(), 800 * MIB, 4 * MIB)
        # Punched, so that there is a hole where there was data.
        command(["fallocate", "--punch-hole", "--offset", str(64 * MIB), "--length", str(MIB), self.path])
        content = digest(self.path)
        changed = self.client.create_backup(self.volume, "changed", incremental=True)
        self.client.backup_settled(changed, {"available"})
        told = self.bytes_of(changed)
        print(f"    {self.KIND}: 1.1 MiB written, {told}", flush=True)
        self.assertLess(told["read"], 16 * MIB, "not the 256 MiB that it holds")
        self.assertGreaterEqual(told["new"], MIB)
        self.comes_back(changed, content)
        self.assertEqual(len(list(kept.iterdir())), 1)

    def test_4_a_run_that_failed_or_skipped_one_costs_no_more_than_a_read(self):
        # Made after another parent than the clone that is kept: all is read, and all is right.
        page = self.client.native("GET", "/backups").expect(200).json["backups"]
        newest = max((one for one in page if one["status"] == "available"), key=lambda one: one["created_at"])
        self.client.cinder("DELETE", f"/backups/{newest['id']}").expect(202)
        wait_until("it goes", lambda: self.client.backup(newest["id"]) is None, 60)
        with open(self.path, "rb+") as file:
            os.pwrite(file.fileno(), b"later" * 1000, 300 * MIB)
        content = digest(self.path)
        backup = self.client.create_backup(self.volume, "after an older one", incremental=True)
        self.client.backup_settled(backup, {"available"})
        self.assertGreater(self.bytes_of(backup)["read"], 200 * MIB)
        self.comes_back(backup, content)

    def test_5_moved_blocks_are_no_change_of_what_is_there(self):
        if self.KIND != "btrfs":
            self.skipTest("only Btrfs moves blocks of mounted files at will")
        command(["btrfs", "filesystem", "defragment", "-f", "-c", self.path])
        content = digest(self.path)
        backup = self.client.create_backup(self.volume, "compressed", incremental=True)
        self.client.backup_settled(backup, {"available"})
        with open(self.path, "rb+") as file:
            os.pwrite(file.fileno(), b"in a compressed extent" * 10, 48 * MIB + 70_000)
        self.comes_back(backup, content)
        content = digest(self.path)
        backup = self.client.create_backup(self.volume, "after compression", incremental=True)
        self.client.backup_settled(backup, {"available"})
        self.comes_back(backup, content)

    def test_6_a_deleted_volume_leaves_no_clone(self):
        self.client.cinder("DELETE", f"/volumes/{self.volume}?force=true&cascade=true").expect(202)
        wait_until("it goes", lambda: self.volume not in [one["id"] for one in self.client.volumes()], 60)
        self.assertEqual(list((self.place / "data" / "backed-up").iterdir()), [])


class OnXfs(OnLoop, unittest.TestCase):
    KIND = "xfs"


class OnBtrfs(OnLoop, unittest.TestCase):
    KIND = "btrfs"


if __name__ == "__main__":
    unittest.main()
