"""The engine without a service: `emberkeep repo …` on a directory, as the README shows it."""

import json
import os
import unittest

from support import GIB, MIB, change, digest, emberkeep, fill_with_filesystem, same_bytes, scratch, sparse_copy


class OfflineRepository(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("repo", cls)
        cls.repository = cls.room / "repository"
        cls.image = cls.room / "disk.img"
        cls.image.touch()
        os.truncate(cls.image, GIB)
        fill_with_filesystem(cls.image)
        cls.ids = {}

    def repo(self, verb, *arguments):
        return emberkeep("repo", verb, self.repository, *arguments)[1]

    def repo_json(self, verb, *arguments):
        return json.loads(self.repo(verb, *arguments, "-o", "json"))

    def refused(self, status, verb, *arguments):
        code, out, err = emberkeep("repo", verb, self.repository, *arguments, check=False)
        self.assertEqual(code, status, out + err)
        self.assertTrue(err.startswith("emberkeep: "), err)
        return err

    def test_01_init(self):
        self.repo("init")
        self.assertEqual((self.repository / "master.key").stat().st_mode & 0o777, 0o600)
        self.refused(4, "init")

    def test_02_backups(self):
        sparse_copy(self.image, self.room / "first.img")
        first = self.repo_json("backup", self.image, "--name", "monday")
        change(self.image, seed=2)
        sparse_copy(self.image, self.room / "second.img")
        size = sum(path.stat().st_size for path in self.repository.rglob("*") if path.is_file())
        second = self.repo_json("backup", self.image, "--name", "tuesday")
        grown = sum(path.stat().st_size for path in self.repository.rglob("*") if path.is_file()) - size
        self.assertLess(grown, size / 3, "the second backup stored what was there already")
        self.ids.update(monday=first["id"], tuesday=second["id"])
        again = self.repo_json("backup", self.image, "--name", "tuesday-full", "--full")
        self.ids["tuesday-full"] = again["id"]

    def test_03_list_and_stats(self):
        listed = self.repo("list")
        for name in self.ids:
            self.assertIn(name, listed)
        self.assertIn(self.ids["monday"], json.dumps(self.repo_json("list")))
        self.repo_json("stats")
        self.repo_json("check", "--read-data")

    def test_04_restore(self):
        out = self.room / "out.img"
        self.repo("restore", "monday", out)
        self.assertIsNone(same_bytes(out, self.room / "first.img"))
        self.refused(4, "restore", "tuesday", out)
        self.assertIsNone(same_bytes(out, self.room / "first.img"))
        with open(out, "rb+") as junk:
            for at in range(0, GIB, 64 * MIB):
                os.pwrite(junk.fileno(), b"\xa5" * MIB, at)
        self.repo("restore", self.ids["tuesday"], out, "--force")
        self.assertIsNone(same_bytes(out, self.room / "second.img"))

    def test_05_delete_and_sweep(self):
        self.repo("delete", "monday")
        self.repo("delete", "tuesday-full")
        self.repo("sweep")
        self.repo("check", "--read-data")
        out = self.room / "kept.img"
        self.repo("restore", "tuesday", out)
        self.assertEqual(digest(out), digest(self.room / "second.img"))
        self.refused(3, "restore", "monday", self.room / "never.img")
        self.assertFalse((self.room / "never.img").exists())

    def test_05b_a_check_reads_what_waits_longest_within_its_budget(self):
        first = self.repo_json("check", "--read-data", "--budget", "1MiB")
        self.assertGreater(first["read_bytes"], 0)
        rest = self.repo_json("check", "--read-data", "--older-than", "1h")
        self.assertEqual(rest["read_bytes"], 0, "all was read a moment ago")
        self.assertEqual(rest["unverified_packs"], 0)
        damaged = max((path for path in self.repository.glob("p/*/packs/*/*")), key=lambda path: path.stat().st_size)
        bad = bytearray(damaged.read_bytes())
        for at in range(9000, len(bad) - 9000, 256 << 10):
            bad[at] ^= 1
        damaged.write_bytes(bad)
        code, out, _ = emberkeep("repo", "check", self.repository, "--read-data", check=False)
        self.assertEqual(code, 1, out)
        self.assertIn("backups hurt: " + self.ids["tuesday"], out)
        self.assertRegex(out, r"lost: bytes \d+ to \d+ of " + self.ids["tuesday"])
        # The same bytes are met again, and heal what was hurt.
        self.repo("backup", self.room / "second.img", "--name", "healing", "--full")
        healed = self.room / "healed.img"
        self.repo("restore", "tuesday", healed)
        self.assertIsNone(same_bytes(healed, self.room / "second.img"))
        self.repo("sweep")
        self.repo("sweep")
        self.repo("check", "--read-data")
        self.repo("delete", "healing")

    def test_05c_nothing_of_names_is_in_the_clear(self):
        self.repo("backup", self.room / "first.img", "--name", "VeryPlainName", "--description", "SomePlainWords",
                  "--project", "PlainProject")
        secrets = [b"VeryPlainName", b"SomePlainWords", b"PlainProject", b"first.img", b"tuesday"]
        for path in self.repository.rglob("*"):
            for secret in secrets:
                self.assertNotIn(secret.decode(), path.name)
                if path.is_file():
                    self.assertNotIn(secret, path.read_bytes(), path)

    def test_05d_a_project_is_erased_for_ever(self):
        erase = lambda *more: emberkeep("repo", "erase-project", self.repository, "--project", "PlainProject", *more,
                                        check=False)
        copy = self.room / "stolen"
        emberkeep("repo", "list", self.repository, "--project", "PlainProject")
        code, out, _ = erase("--dry-run")
        self.assertEqual((code, "1 backups of project 'PlainProject'" in out), (0, True), out)
        self.assertEqual(erase()[0], 4, "it wants to be confirmed")
        self.assertEqual(erase("--confirm", "plainproject")[0], 4)
        import shutil
        shutil.copytree(self.repository / "p", copy)
        self.assertEqual(erase("--confirm", "PlainProject")[0], 0)
        self.assertEqual(erase("--dry-run")[0], 3)
        # Whoever kept a copy of the objects has nothing: the key is gone.
        shutil.copytree(copy, self.repository / "p", dirs_exist_ok=True)
        code, out, _ = emberkeep("repo", "list", self.repository, "--project", "PlainProject", check=False)
        self.assertEqual(code, 3, out)
        self.repo("restore", "tuesday", self.room / "others.img")
        self.assertIsNone(same_bytes(self.room / "others.img", self.room / "second.img"))

    def test_06_a_key_that_is_missing_or_wrong(self):
        key = self.repository / "master.key"
        kept = key.read_bytes()
        key.unlink()
        code, _, err = emberkeep("repo", "list", self.repository, check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("key", err.lower())
        self.assertFalse(key.exists())
        emberkeep("repo", "init", self.room / "other")
        key.write_bytes((self.room / "other" / "master.key").read_bytes())
        code, _, err = emberkeep("repo", "list", self.repository, check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("key", err.lower())
        key.write_bytes(kept)
        self.assertIn("tuesday", self.repo("list"))

    def test_07_what_cannot_be_read(self):
        self.refused(3, "backup", self.room / "no-such.img", "--name", "x")
        code, _, err = emberkeep("repo", "list", self.room / "nowhere", check=False)
        self.assertNotEqual(code, 0)
        self.assertTrue(err.startswith("emberkeep: "), err)
