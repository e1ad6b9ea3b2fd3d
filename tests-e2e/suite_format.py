"""What the binary backed up, restored by tools/read_repository.py, which knows docs/format.md alone.

Runs in the `reader` environment: blake3, zstandard and cryptography are the reader's.
"""

import os
import pathlib
import random
import sys
import unittest

from support import MIB, command, emberkeep, same_bytes, scratch, sparse_copy

READER = pathlib.Path(__file__).resolve().parent.parent / "tools" / "read_repository.py"


def overwrite(path, chance, size):
    """Writes text, noise and zeroes over an image, in runs of all sizes; what is not met stays."""
    path.touch()
    with open(path, "r+b") as out:
        for _ in range(size // MIB):
            out.seek(chance.randrange(size))
            length = chance.randrange(1, MIB)
            kind = chance.randrange(3)
            if kind == 0:
                out.write(chance.randbytes(length))
            elif kind == 1:
                out.write(b"".join(b"line %d\n" % chance.randrange(1000) for _ in range(length // 9)))
            else:
                out.write(bytes(length))


class FormatAsWritten(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("format", cls)
        cls.repository = str(cls.room / "repository")
        cls.key = str(cls.room / "master.key")
        cls.kept = {}

    def repo(self, verb, *words):
        return emberkeep("repo", verb, self.repository, *words, "--key-file", self.key)

    def read(self, *words, check=True):
        return command([sys.executable, READER, self.repository, "--key-file", self.key, *words], check=check)

    def keep(self, name, disk, size):
        os.truncate(disk, size)
        self.kept[name] = self.room / f"{name}.img"
        sparse_copy(disk, self.kept[name])
        self.repo("backup", str(disk), "--name", name)

    def test_01_backups_of_one_disk_as_it_changes(self):
        self.repo("init")
        chance = random.Random(11)
        disk = self.room / "disk.img"
        overwrite(disk, chance, 40_000_123)
        self.keep("small", disk, 40_000_123)
        overwrite(disk, chance, 60 * MIB)
        # Larger than 256 windows, so that its map has two levels.
        size = 4096 * MIB + 70_000_001
        os.truncate(disk, size)
        with open(disk, "r+b") as out:
            out.seek(size - 5_000_000)
            out.write(chance.randbytes(4_999_999))
        self.keep("grown", disk, size)
        overwrite(disk, chance, 33_000_000)
        self.keep("shrunk", disk, 33_000_000)
        disk.unlink()
        disk.touch()
        self.keep("zeroes", disk, 1_000_003)
        self.repo("delete", "small")
        self.repo("sweep")
        # A project that is erased leaves its mark in the key file; then keys are renewed twice.
        self.repo("backup", self.kept["zeroes"], "--name", "gone", "--project", "gone")
        self.repo("erase-project", "--project", "gone", "--confirm", "gone")
        self.assertIn("\nnode 64 ", (self.room / "master.key").read_text())
        self.read("grown", str(self.room / "out.img"))
        for name in ("renewed", "renewed again"):
            self.repo("rotate-key")
            disk.write_bytes(chance.randbytes(3 * MIB))
            self.keep(name, disk, 3 * MIB)
        self.repo("backup", disk, "--name", "gone", "--project", "gone")
        self.repo("erase-project", "--project", "gone", "--confirm", "gone")
        del self.kept["small"]

    def test_02_the_reader_lists_and_restores_each(self):
        listed = self.read()[1].splitlines()
        self.assertEqual(len(listed), len(self.kept), listed)
        for name, wanted in self.kept.items():
            out = self.room / "out.img"
            self.read(name, str(out))
            self.assertIsNone(same_bytes(out, wanted), name)

    def test_03_the_reader_refuses_a_flipped_byte(self):
        packs = [path for path in (self.room / "repository").rglob("*") if path.is_file() and path.stat().st_size > MIB]
        self.assertTrue(packs)
        for path in packs:
            with open(path, "r+b") as file:
                file.seek(path.stat().st_size // 2)
                (byte,) = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte ^ 1]))
        code, _, told = self.read("grown", str(self.room / "bad.img"), check=False)
        self.assertEqual(code, 1)
        self.assertNotIn("Traceback", told)
        self.assertIn("its checksum", told)
