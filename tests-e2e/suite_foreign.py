"""Backups that Cinder wrote: imported, restored, adopted, and ours written as Cinder writes them."""

import base64
import json
import os
import pathlib
import random
import re
import shutil
import time
import unittest
import uuid

from stores import Moto, Swift
from support import (
    GIB,
    MIB,
    Service,
    command,
    emberkeep,
    same_bytes,
    scratch,
    sparse_copy,
    test_env,
    wait_until,
)
from warm import OpenStack

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "vectors" / "cinder" / "chunked"
POSIX = "cinder.backup.drivers.posix.PosixBackupDriver"


def expected(name):
    return json.loads((VECTORS / name / "expected.json").read_text())


def sha256(path, length):
    """The digest of the first bytes of a file, as the vectors have it."""
    import hashlib

    with open(path, "rb") as file:
        return hashlib.sha256(file.read(length)).hexdigest()


def changed(record, **fields):
    """A record that says something else."""
    known = json.loads(base64.b64decode(record))
    known.update(fields)
    return base64.b64encode(json.dumps(known).encode()).decode()


def tree(path):
    """Every file below a directory, with its bytes."""
    return {
        str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()
    }


class Foreign(unittest.TestCase):
    def ours(self, *arguments, check=True, env=None):
        return emberkeep(*arguments, env=env or self.env, check=check)

    def ours_json(self, *arguments):
        return json.loads(self.ours(*arguments, "-o", "json")[1])

    def openstack(self, *arguments, check=True):
        return self.command(arguments, self.env, check)

    def imported(self, service, record):
        """Imports as a stranger would, through the real client."""
        # The newer command asks for a path that no Cinder has.
        who = self.service.credentials()
        env = {key: value for key, value in self.env.items() if not key.startswith("OS_")}
        env.update(
            OS_AUTH_URL=who["auth_url"], OS_USERNAME=who["username"], OS_PASSWORD=who["password"],
            OS_PROJECT_NAME=who["project_name"], OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default",
            OS_IDENTITY_API_VERSION="3",
        )
        out = command([test_env() / "cli" / "bin" / "cinder", "backup-import", service, record], env=env)[1]
        return re.search(r"\|\s*id\s*\|\s*([0-9a-f-]{36})", out).group(1)

    def restored(self, backup_id, length):
        """Restores to a new volume, and to one full of junk; returns what both hold and the first one."""
        new = self.client.restore(backup_id, name=f"new-{backup_id[:8]}")["volume_id"]
        self.client.backup_settled(backup_id, {"available"})
        old = self.client.create_volume("junk")
        with open(self.client.volume_path(old), "rb+") as file:
            file.write(b"\xa5" * (2 * length))
        self.client.restore(backup_id, volume_id=old)
        self.client.volume_settled(new, {"available"})
        self.client.volume_settled(old, {"available"})
        self.client.backup_settled(backup_id, {"available"})
        # What no backup holds stays as it was.
        with open(self.client.volume_path(old), "rb") as file:
            file.seek(length)
            self.assertEqual(file.read(length), b"\xa5" * length)
        digests = {sha256(self.client.volume_path(volume), length) for volume in (new, old)}
        self.assertEqual(len(digests), 1, "a new volume and one with junk hold different bytes")
        return digests.pop(), self.client.volume(new)

    def task_ended(self, task_id, wanted="succeeded", timeout=120):
        def probe():
            task = self.client.native("GET", f"/tasks/{task_id}").expect(200).json
            return task if task["status"] not in ("waiting", "running") else None

        task = wait_until(f"task {task_id} ends", probe, timeout)
        self.assertEqual(task["status"], wanted, task)
        return task


class ChainOfCinders(Foreign):
    """A chain of three that the real driver wrote, in its directory."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("foreign", cls)
        # The first deletion starts the command itself; the others are forks (`warm.py`).
        cls.command = OpenStack("cli", ("volume backup delete",))
        cls.addClassCleanup(cls.command.stop)
        cls.posix = cls.room / "posix"
        cls.posix.mkdir()
        for name in ("posix_zlib_chain", "posix_none"):
            shutil.copytree(VECTORS / name / "repo", cls.posix, dirs_exist_ok=True)
        cls.untouched = tree(cls.posix)
        cls.set = expected("posix_zlib_chain")
        cls.chain = cls.set["backups"]
        cls.size = cls.set["image_size"]
        cls.service = Service(cls.room / "data", cinder_posix_path=cls.posix).start()
        cls.addClassCleanup(cls.service.kill)
        cls.env = cls.service.client_environment()
        cls.client = cls.service.client()

    def test_01_a_record_of_nothing_fails_with_its_name(self):
        backup = expected("posix_none")["backups"][0]
        record = changed(backup["record"], id=str(uuid.uuid4()), service_metadata="volume_x_2024_backup_y")
        found = self.client.backup_settled(self.imported(POSIX, record), {"error"})
        self.assertIn("volume_x_2024_backup_y_metadata does not exist", found["fail_reason"])
        for place in ("../../etc", "/etc/passwd", "a/../../b"):
            record = changed(backup["record"], id=str(uuid.uuid4()), service_metadata=place)
            found = self.client.backup_settled(self.imported(POSIX, record), {"error"})
            self.assertIn("is refused as a name", found["fail_reason"])
        swift = self.imported("cinder.backup.drivers.swift.SwiftBackupDriver", changed(backup["record"], id=str(uuid.uuid4())))
        found = self.client.backup_settled(swift, {"error"})
        self.assertIn("cannot find backup service to perform the import", found["fail_reason"])

    def test_02_a_parent_that_is_missing_is_named(self):
        newest, parent = self.chain[-1], self.chain[-2]
        self.assertEqual(self.imported(POSIX, newest["record"]), newest["backup_id"])
        self.client.backup_settled(newest["backup_id"], {"available"})
        for arguments in (
            ("backup", "restore", newest["backup_id"], "--wait"),
            ("backup", "adopt", newest["backup_id"], "--wait"),
            ("backup", "export", newest["backup_id"], self.room / "never.img"),
        ):
            status, _, err = self.ours(*arguments, check=False)
            self.assertNotEqual(status, 0)
            self.assertIn(parent["backup_id"], err, arguments)
        self.assertFalse((self.room / "never.img").exists())

    def test_03_the_chain_is_true(self):
        for backup in self.chain[:-1]:
            self.imported(POSIX, backup["record"])
            self.client.backup_settled(backup["backup_id"], {"available"})
        for number, backup in enumerate(self.chain):
            seen = self.client.backup(backup["backup_id"])
            self.assertEqual(seen["is_incremental"], number > 0)
            self.assertEqual(seen["has_dependent_backups"], backup is not self.chain[-1], seen)
            self.assertEqual(seen["object_count"], backup["object_count"])
            self.assertEqual(seen["container"], backup["container"])
        for backup in self.chain[:-1]:
            status, _, err = self.openstack("volume", "backup", "delete", backup["backup_id"], check=False)
            self.assertNotEqual(status, 0)
            self.assertIn("Incremental backups exist for this backup", err)
            status, _, err = self.openstack("volume", "backup", "delete", "--force", backup["backup_id"], check=False)
            self.assertNotEqual(status, 0)
            self.assertIn("Incremental backups exist for this backup", err)

    def test_04_every_backup_restores(self):
        for backup in self.chain:
            got, volume = self.restored(backup["backup_id"], self.size)
            self.assertEqual(got, backup["restore_over_junk"]["sha256"], backup["label"])
            after = backup["restore_over_junk"].get("volume_after")
            if after:
                wanted = {**after.get("metadata", {}), "src_backup_id": backup["backup_id"]}
                self.assertEqual(volume["metadata"], wanted)

    def test_05_the_record_goes_out_as_it_came(self):
        backup = self.chain[0]
        record = self.ours_json("backup", "export-record", backup["backup_id"])
        self.assertEqual(record["backup_service"], POSIX)
        known, came = (json.loads(base64.b64decode(text)) for text in (record["backup_url"], backup["record"]))
        for field in ("id", "volume_id", "container", "service_metadata", "service", "object_count", "size",
                      "parent_id", "display_name", "display_description", "created_at", "metadata"):
            self.assertEqual(known[field], came[field], field)

    def test_06_an_export_without_adopting(self):
        newest = self.chain[-1]
        self.ours("backup", "export", newest["backup_id"], self.room / "foreign.img")
        self.assertEqual(sha256(self.room / "foreign.img", self.size + 1), newest["source_sha256"])

    def test_07_adopting_the_newest_adopts_the_chain(self):
        newest = self.chain[-1]
        begun = self.ours_json("backup", "adopt", newest["backup_id"], "--wait")
        self.assertEqual(len(begun["task_ids"]), len(self.chain))
        for backup in self.chain:
            seen = self.client.backup(backup["backup_id"])
            self.assertEqual(seen["status"], "available")
            self.assertFalse(seen["has_dependent_backups"], seen)
            status, _, err = self.ours("backup", "adopt", backup["backup_id"], check=False)
            self.assertNotEqual(status, 0)
            self.assertIn("in the repository already", err)
        self.assertEqual(tree(self.posix), self.untouched)
        # Nothing of it is needed any more.
        away = self.room / "away"
        self.posix.rename(away)
        try:
            for backup in self.chain:
                got, _ = self.restored(backup["backup_id"], self.size)
                self.assertEqual(got, backup["source_sha256"], backup["label"])
        finally:
            away.rename(self.posix)

    def test_08_out_again_as_cinder_writes(self):
        out = self.room / "out"
        for compression in ("none", "zlib", "bz2", "zstd"):
            root = out / compression
            newest = self.chain[-1]
            written = self.ours_json(
                "backup", "export", newest["backup_id"], root, "--format", "cinder-chunked", "--compression", compression,
                "--object-size", self.set["chunk_size"], "--block-size", self.set["sha_block_size"],
            )
            self.assertEqual(written["objects"], self.size // self.set["chunk_size"])
            self.ours("cinder-repo", "verify", root, "--image")
            self.ours("cinder-repo", "restore", root, newest["backup_id"], root / "disk.img")
            self.assertEqual(sha256(root / "disk.img", self.size + 1), newest["source_sha256"])
            self.assertEqual([path.name for path in root.glob(".*")], [], "nothing is left lying about")
        # The oldest is a full one: its objects are, byte for byte, those that Cinder wrote.
        full = self.chain[0]
        root = out / "full"
        written = self.ours_json(
            "backup", "export", full["backup_id"], root, "--format", "cinder-chunked",
            "--object-size", self.set["chunk_size"], "--block-size", self.set["sha_block_size"],
        )
        self.assertEqual(written["container"], full["container"])
        for name in full["objects"]:
            suffix = name.removeprefix(full["service_metadata"])
            if suffix.startswith("-"):
                ours = root / written["container"] / (written["prefix"] + suffix)
                theirs = self.posix / full["container"] / name
                self.assertEqual(ours.read_bytes(), theirs.read_bytes(), suffix)

    def test_09_what_is_adopted_goes_alone(self):
        for backup in self.chain:
            self.openstack("volume", "backup", "delete", backup["backup_id"])
            wait_until("it goes", lambda backup=backup: self.client.backup(backup["backup_id"]) is None)
        self.client.sweep()
        self.assertEqual(tree(self.posix), self.untouched)

    def test_10_deleting_what_was_imported_leaves_the_objects(self):
        backup = expected("posix_none")["backups"][0]
        self.imported(POSIX, backup["record"])
        self.client.backup_settled(backup["backup_id"], {"available"})
        got, _ = self.restored(backup["backup_id"], expected("posix_none")["image_size"])
        self.assertEqual(got, backup["source_sha256"])
        self.openstack("volume", "backup", "delete", backup["backup_id"])
        wait_until("it goes", lambda: self.client.backup(backup["backup_id"]) is None)
        self.assertEqual(tree(self.posix), self.untouched)
        # And the record brings it back.
        self.imported(POSIX, backup["record"])
        self.client.backup_settled(backup["backup_id"], {"available"})

    def test_11_a_damaged_object_is_named(self):
        backup = expected("posix_none")["backups"][0]
        victim = self.posix / backup["container"] / next(name for name in backup["objects"] if name.endswith("-00001"))
        kept = victim.read_bytes()
        try:
            victim.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
            status, _, err = self.ours("backup", "adopt", backup["backup_id"], "--wait", check=False)
            self.assertNotEqual(status, 0)
            self.assertIn(victim.name, err)
            self.assertIn("MD5", err)
            self.client.backup_settled(backup["backup_id"], {"available"})
        finally:
            victim.write_bytes(kept)


class OursAsCinders(Foreign):
    """A backup of our own, written as Cinder writes, and all the way back."""

    SIZE = 512 * MIB

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("foreign-ours", cls)
        cls.posix = cls.room / "posix"
        cls.posix.mkdir()
        cls.service = Service(cls.room / "data", cinder_posix_path=cls.posix).start()
        cls.addClassCleanup(cls.service.kill)
        cls.env = cls.service.client_environment()
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("source")
        chance = random.Random(11)
        with open(cls.client.volume_path(cls.volume), "rb+") as file:
            for at in range(0, cls.SIZE, 32 * MIB):
                os.pwrite(file.fileno(), chance.randbytes(24 * MIB), at)
            os.pwrite(file.fileno(), b"the end", GIB - 7)
        cls.image = cls.room / "disk.img"
        sparse_copy(cls.client.volume_path(cls.volume), cls.image)
        cls.backup = cls.client.create_backup(cls.volume, "monday")
        cls.client.backup_settled(cls.backup, {"available"})

    def test_01_images(self):
        for name, format in (("out.img", "raw"), ("out.qcow2", "qcow2")):
            path = self.room / name
            self.ours("backup", "export", "monday", path, "--format", format)
            command(["qemu-img", "compare", "-f", "raw", "-F", format, self.image, path])
            if format == "qcow2":
                checked = json.loads(command(["qemu-img", "check", "--output=json", path])[1])
                self.assertFalse(checked.get("corruptions") or checked.get("leaks"), checked)
            self.assertLess(path.stat().st_blocks * 512, self.SIZE, "holes stay holes")
            status, _, err = self.ours("backup", "export", "monday", path, "--format", format, check=False)
            self.assertNotEqual(status, 0)
            self.assertIn("exists", err)
            self.ours("backup", "export", "monday", path, "--format", format, "--force")
            command(["qemu-img", "compare", "-f", "raw", "-F", format, self.image, path])

    def test_02_chunked_with_a_record(self):
        written = self.ours_json("backup", "export", "monday", self.posix, "--format", "cinder-chunked", "--compression",
                                 "zstd", "--object-size", 16 * MIB)
        self.assertEqual(written["backup_service"], POSIX)
        self.ours("cinder-repo", "verify", self.posix, "--image")
        out = self.room / "read-back.img"
        self.ours("cinder-repo", "restore", self.posix, "monday", out)
        self.assertIsNone(same_bytes(out, self.image))
        status, _, err = self.ours("backup", "export", "monday", self.posix, "--format", "cinder-chunked", check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("exists already", err)
        type(self).record = written["backup_url"]

    def test_03_adopting_survives_kills(self):
        new_id = str(uuid.uuid4())
        record = self.room / "record.json"
        url = changed(self.record, id=new_id, display_name="came back")
        record.write_text(json.dumps({"backup-record": {"backup_service": POSIX, "backup_url": url}}))
        # In a project of its own nothing is known of the content, so that all of it is copied.
        self.ours("project", "create", "other")
        self.ours("backup", "import-record", "--file", record, "--wait")
        task = self.ours_json("backup", "adopt", new_id)["task_ids"][0]
        kills = 0
        for _ in range(3):
            def begun():
                seen = self.client.native("GET", f"/tasks/{task}").expect(200).json
                return seen if seen["progress"]["bytes_done"] > 0 or seen["status"] not in ("waiting", "running") else None

            seen = wait_until("it is under way", begun, interval=0.02)
            if seen["status"] != "running":
                break
            self.service.kill()
            kills += 1
            self.service.start()
            self.env.update(self.service.client_environment())
            type(self).client = self.service.client()
        self.assertGreater(kills, 0, "it was too fast to be killed")
        self.task_ended(task)
        # The place it came from is not needed any more.
        away = self.room / "away"
        self.posix.rename(away)
        try:
            out = self.room / "adopted.img"
            self.ours("backup", "export", new_id, out)
            self.assertIsNone(same_bytes(out, self.image))
        finally:
            away.rename(self.posix)
        self.ours("cinder-repo", "verify", self.posix)

    def test_04_a_lost_row_comes_back_from_its_record(self):
        record = self.ours_json("backup", "export-record", "monday")
        file = self.room / "monday.json"
        file.write_text(json.dumps(record))
        self.service.stop()
        # As if the catalogue had never known of it.
        import sqlite3

        with sqlite3.connect(self.room / "data" / "catalogue.db") as catalogue:
            catalogue.execute("DELETE FROM tasks WHERE backup_id = (SELECT id FROM backups WHERE name = 'monday')")
            catalogue.execute("DELETE FROM backups WHERE name = 'monday'")
        catalogue.close()
        self.service.start(flags=["--accept"])
        self.env.update(self.service.client_environment())
        type(self).client = self.service.client()
        self.assertIsNone(self.client.backup(self.backup))
        self.ours("backup", "import-record", "--file", file, "--wait")
        out = self.room / "again.img"
        self.ours("backup", "export", "monday", out)
        self.assertIsNone(same_bytes(out, self.image))

    def test_05_another_installation_with_the_same_store_and_keys(self):
        record = self.room / "monday.json"
        record.write_text(json.dumps(self.ours_json("backup", "export-record", "monday")))
        self.service.stop()
        other = self.room / "other"
        shutil.copytree(self.room / "data" / "repository", other / "repository")
        shutil.copy(self.room / "data" / "master.key", other)
        service = Service(other).start(flags=["--accept"])
        self.addCleanup(service.kill)
        env = service.client_environment()
        client = service.client()
        self.assertIsNone(client.backup(self.backup))
        emberkeep("backup", "import-record", "--file", record, "--wait", env=env)
        emberkeep("backup", "restore", "monday", "--name", "back", "--wait", env=env)
        volume = next(one for one in client.volumes() if one["name"] == "back")
        self.assertIsNone(same_bytes(client.volume_path(volume["id"]), self.image))


class ObjectStores(Foreign):
    """The same objects in S3 and in Swift."""

    STORE = {"s3": Moto, "swift": Swift}

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("foreign-stores", cls)
        cls.set = expected("swift_zlib")
        cls.objects = tree(VECTORS / "swift_zlib" / "repo" / "volumebackups")
        cls.stores = {}
        for scheme, kind in cls.STORE.items():
            store = kind(cls.room / scheme)
            cls.addClassCleanup(store.stop)
            store.put("volumebackups")
            for name, content in cls.objects.items():
                store.put("volumebackups", name, content)
            cls.stores[scheme] = store
        s3, swift = cls.stores["s3"], cls.stores["swift"]
        for name, secret in (("s3.key", "testtest"), ("swift.key", Swift.KEY)):
            (cls.room / name).write_text(f"{secret}\n")
        cls.service = Service(
            cls.room / "data",
            cinder_s3_endpoint=s3.url, cinder_s3_region="us-east-1", cinder_s3_access_key_id="test",
            cinder_s3_secret_access_key_file=cls.room / "s3.key",
            cinder_swift_auth_version=1, cinder_swift_auth_url=swift.auth_url, cinder_swift_user=Swift.USER,
            cinder_swift_key_file=cls.room / "swift.key",
        ).start()
        cls.addClassCleanup(cls.service.kill)
        cls.env = cls.service.client_environment()
        cls.client = cls.service.client()

    def test_01_without_a_service(self):
        for scheme, store in self.stores.items():
            env = {**self.env, **store.environment()}
            place = f"{scheme}://volumebackups"
            listed = json.loads(self.ours("cinder-repo", "list", place, "-o", "json", env=env)[1])
            self.assertEqual([row["id"] for row in listed], [backup["backup_id"] for backup in self.set["backups"]])
            self.ours("cinder-repo", "verify", place, "--image", env=env)
            for backup in self.set["backups"]:
                out = self.room / f"{scheme}-{backup['label']}.img"
                self.ours("cinder-repo", "restore", place, backup["backup_id"], out, env=env)
                self.assertEqual(sha256(out, self.set["image_size"] + 1), backup["source_sha256"])
            status, _, err = self.ours("cinder-repo", "list", f"{scheme}://no-such-place", env=env, check=False)
            self.assertEqual(status, 3, err)

    def test_02_with_records(self):
        for scheme, driver in (("s3", "S3BackupDriver"), ("swift", "SwiftBackupDriver")):
            service = f"cinder.backup.drivers.{scheme}.{driver}"
            for backup in self.set["backups"]:
                new_id = str(uuid.uuid4())
                self.imported(service, changed(backup["record"], id=new_id))
                self.client.backup_settled(new_id, {"available"})
                got, _ = self.restored(new_id, self.set["image_size"])
                self.assertEqual(got, backup["source_sha256"], scheme)
                self.ours("backup", "adopt", new_id, "--wait")

    def test_03_a_store_that_is_gone(self):
        backup = self.set["backups"][0]
        new_id = str(uuid.uuid4())
        self.imported("cinder.backup.drivers.swift.SwiftBackupDriver", changed(backup["record"], id=new_id))
        self.client.backup_settled(new_id, {"available"})
        self.stores["swift"].stop()
        begun = time.monotonic()
        restored = self.client.restore(new_id, name="never")["volume_id"]
        self.client.volume_settled(restored, {"error"}, timeout=120)
        self.assertLess(time.monotonic() - begun, 120)
        seen = self.client.backup_settled(new_id, {"available"})
        self.assertTrue(seen["fail_reason"])
