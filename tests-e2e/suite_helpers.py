"""The helpers themselves: a comparison that cannot fail would prove nothing."""

import os
import unittest

from support import MIB, change, digest, discard, read_cloud, real_files, same_bytes, scratch, sparse_copy


class Helpers(unittest.TestCase):
    def setUp(self):
        self.room = scratch("helpers")
        self.addCleanup(discard, self.room)
        self.file = self.room / "a.img"
        self.file.touch()
        os.truncate(self.file, 64 * MIB + 100)
        with open(self.file, "rb+") as file:
            os.pwrite(file.fileno(), b"data" * 5000, 3 * MIB + 7)
            os.pwrite(file.fileno(), b"tail", 64 * MIB + 96)

    def test_a_digest_sees_every_byte_and_no_holes(self):
        before = digest(self.file)
        copy = self.room / "b.img"
        copy.write_bytes(self.file.read_bytes())  # no holes at all
        self.assertEqual(digest(copy), before)
        self.assertIsNone(same_bytes(copy, self.file))
        for at in (0, 3 * MIB + 8, 64 * MIB + 99):
            with open(copy, "rb+") as file:
                old = os.pread(file.fileno(), 1, at)
                os.pwrite(file.fileno(), bytes([old[0] ^ 1]), at)
                self.assertNotEqual(digest(copy), before, at)
                self.assertIsNotNone(same_bytes(copy, self.file), at)
                os.pwrite(file.fileno(), old, at)
        os.truncate(copy, 64 * MIB + 101)
        self.assertNotEqual(digest(copy), before)

    def test_a_change_changes_and_a_copy_copies(self):
        copy = self.room / "c.img"
        sparse_copy(self.file, copy)
        before = digest(copy)
        self.assertEqual(digest(self.file), before)
        change(copy, seed=1)
        self.assertNotEqual(digest(copy), before)
        self.assertEqual(os.path.getsize(copy), os.path.getsize(self.file))

    def test_clouds_yaml(self):
        text = (
            "clouds:\n  emberkeep:\n    auth:\n      auth_url: http://h:1/identity/v3\n"
            "      username: admin\n      password: \"p w\"\n      project_name: 'x'\n"
        )
        want = {"auth_url": "http://h:1/identity/v3", "username": "admin", "password": "p w", "project_name": "x"}
        self.assertEqual(read_cloud(text), want)
        with self.assertRaises(AssertionError):
            read_cloud("clouds: {}\n")

    def test_real_files_are_bounded(self):
        tree = self.room / "tree"
        total = real_files(tree, 2 * MIB)
        self.assertTrue(MIB < total <= 2 * MIB, total)
