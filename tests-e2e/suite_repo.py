"""The engine without a service: `emberkeep repo …` on a directory, as the README shows it."""

import concurrent.futures
import json
import os
import random
import threading
import unittest

from support import GIB, MIB, change, digest, discard, emberkeep, fill_with_filesystem, same_bytes, scratch, sparse_copy


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
        self.assertEqual(code, 4)
        self.assertIn("chmod 600", err)
        key.chmod(0o600)
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


class SeveralProcesses(unittest.TestCase):
    """Backups, restores, deletes, checks and sweeps of one repository, each a process, all at once."""

    WORKERS, ROUNDS = 3, 5

    def setUp(self):
        self.room = scratch("repo-many", None)
        self.addCleanup(discard, self.room)
        self.repository = self.room / "repository"
        emberkeep("repo", "init", self.repository)
        # Volumes share parts, so that chunks die and are wanted again all the time.
        self.parts = [random.Random(n).randbytes(MIB) for n in range(9)]
        self.kept, self.lock, self.busy = {}, threading.Lock(), True

    def repo(self, verb, *arguments, check=True):
        return emberkeep("repo", verb, self.repository, *arguments, check=check)

    def comes_back(self, name, content, me):
        out = self.room / f"out-{me}.img"
        out.unlink(missing_ok=True)
        self.repo("restore", name, out)
        self.assertTrue(out.read_bytes() == content, name)

    def work(self, me):
        chance = random.Random(me)
        image = self.room / f"disk-{me}.img"
        for n in range(self.ROUNDS):
            content = b"".join(chance.choice(self.parts) for _ in range(5)) + bytes(MIB)
            image.write_bytes(content)
            name = f"{me}-{n}"
            self.repo("backup", image, "--name", name)
            self.comes_back(name, content, me)
            with self.lock:
                self.kept[name] = content
            if chance.random() < 0.6:
                with self.lock:
                    mine = [one for one in self.kept if one.startswith(f"{me}-")]
                    victim = chance.choice(mine)
                    content = self.kept.pop(victim)
                self.comes_back(victim, content, me)
                self.repo("delete", victim)

    def sweep(self):
        swept = 0
        while self.busy:
            code, out, err = self.repo("sweep", check=False)
            # Two sweep here: one of them may be told that the other does.
            self.assertTrue(code == 0 or "sweep" in err, out + err)
            swept += code == 0
        return swept

    def check(self):
        while self.busy:
            self.repo("check", "--read-data")

    def test_nothing_is_lost(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            others = [pool.submit(self.sweep), pool.submit(self.sweep), pool.submit(self.check)]
            workers = [pool.submit(self.work, me) for me in range(self.WORKERS)]
            concurrent.futures.wait(workers)
            self.busy = False
            for worker in workers:
                worker.result()
            swept = others[0].result() + others[1].result()
            others[2].result()
        self.assertGreater(swept, 1)
        listed = json.loads(self.repo("list", "-o", "json")[1])
        self.assertEqual(sorted(one["name"] for one in listed), sorted(self.kept))
        for _ in range(2):
            self.repo("sweep")
        for name, content in self.kept.items():
            self.comes_back(name, content, "last")
        self.repo("check", "--read-data")
        used = sum(path.stat().st_size for path in self.repository.rglob("packs/*/*"))
        live = len({self.parts.index(kept[at:at + MIB]) for kept in self.kept.values() for at in range(0, 5 * MIB, MIB)})
        # Packs of which less than a part is dead are not worth being written again.
        self.assertLess(used, (live + 1) * MIB * 2)
        print(f"    {swept} sweeps beside {self.WORKERS * self.ROUNDS} backups; {used >> 20} MiB for {live} live")
