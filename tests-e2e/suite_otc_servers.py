"""Servers and file systems with the unmodified otcextensions SDK: one instant, restores with mappings, kill -9.

Runs in the `otc` environment: openstacksdk and otcextensions are imported here.
"""

import fcntl
import json
import os
import pathlib
import socket
import struct
import threading
import unittest

import openstack
from otcextensions import sdk

from support import Service, emberkeep, scratch, wait_until

SERVER = "OS::Nova::Server"
FILES = "OS::Sfs::Turbo"
MIB = 1 << 20
# Where a counter stands in each volume: at its beginning and near its end.
PLACES = (0, 900 * MIB)


class Lockstep(threading.Thread):
    """Writes one counter to two volumes, over and over, as docs/cbr.md asks of who wants both or neither."""

    def __init__(self, paths):
        super().__init__(daemon=True)
        self.paths = sorted(paths)
        self.count = 0
        self.over = threading.Event()

    def run(self):
        files = [open(path, "r+b", buffering=0) for path in self.paths]
        try:
            while not self.over.is_set():
                for file in files:
                    fcntl.flock(file, fcntl.LOCK_SH)
                for file in files:
                    for place in PLACES:
                        os.pwrite(file.fileno(), struct.pack("<Q", self.count + 1), place)
                self.count += 1
                for file in files:
                    fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            for file in files:
                file.close()

    def stop(self):
        self.over.set()
        self.join()


def beginning(path):
    with open(path, "rb") as file:
        return file.read(2 * MIB)


def counters(path):
    with open(path, "rb") as file:
        return [struct.unpack("<Q", os.pread(file.fileno(), 8, place))[0] for place in PLACES]


class ServerSession(unittest.TestCase):
    """A server from the inventory to its restore, and a file system beside it."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("otc-servers", cls)
        cls.share = cls.room / "shares" / "team"
        cls.share.mkdir(parents=True)
        # Slow enough that what is under way can be seen under way, however fast the machine.
        pace = {"store_write_mib_s": 40, "store_read_mib_s": 100}
        cls.service = Service(cls.room / "data", turbo_roots=cls.room / "shares", **pace).start()
        cls.addClassCleanup(lambda: cls.service.kill())
        cls.env = cls.service.client_environment()
        for name in [key for key in os.environ if key.startswith("OS_")]:
            del os.environ[name]
        os.environ["OS_CLIENT_CONFIG_FILE"] = cls.env["OS_CLIENT_CONFIG_FILE"]
        cls.connect()
        client = cls.service.client()
        cls.ids = [client.create_volume(name) for name in ("root", "data")]
        cls.paths = [pathlib.Path(emberkeep("volume", "path", id, env=cls.env)[1].strip()) for id in cls.ids]
        cls.fill()
        cls.seen = {}

    @classmethod
    def fill(cls):
        """Puts a hundred MiB that were nowhere before into each volume."""
        for path in cls.paths:
            with open(path, "r+b") as file:
                for place in range(MIB, 500 * MIB, 5 * MIB):
                    os.pwrite(file.fileno(), os.urandom(MIB), place)

    @classmethod
    def connect(cls):
        cls.conn = openstack.connect(cloud="emberkeep")
        sdk.register_otc_extensions(cls.conn)

    def cli(self, *arguments):
        return json.loads(emberkeep(*arguments, "-o", "json", env=self.env)[1])

    def task_ends(self, job):
        task = wait_until(
            f"task {job} ends",
            lambda: (lambda t: t if t.status not in ("waiting", "running") else None)(self.conn.cbr.get_task(job)),
            timeout=240,
        )
        self.assertEqual(task.status, "success", task.error_info)
        return task

    def restore(self, backup, **target):
        """By the SDK's own session: its `restore_data` does not hand the task on."""
        answer = self.conn.cbr.post(f"/backups/{backup.id}/restore", json={"restore": target})
        self.assertEqual(answer.status_code, 202, answer.text)
        return self.task_ends(answer.json()["job_id"])

    def run_over(self, vault, **parameters):
        checkpoint = self.conn.cbr.create_checkpoint(vault_id=vault.id, parameters=parameters)
        done = self.conn.cbr.wait_for_checkpoint(checkpoint, interval=1, wait=240)
        self.assertEqual(done.status, "available")
        backups = list(self.conn.cbr.backups(checkpoint_id=checkpoint.id))
        self.assertEqual(len(backups), 1)
        return done, backups[0]

    def test_01_a_server_is_put_into_a_vault(self):
        server = self.cli(
            "server", "create", "web", "--volume", "root", "--volume", "data", "--architecture", "x86_64",
            "--os-type", "Linux",
        )
        self.seen["server"] = server["id"]
        self.assertEqual([disk["id"] for disk in server["volumes"]], self.ids)
        vault = self.conn.cbr.create_vault(
            name="servers",
            billing={
                "object_type": "server", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 100,
            },
            resources=[],
        )
        self.seen["vault"] = vault
        self.conn.cbr.associate_resources(vault.id, [{"id": server["id"], "type": SERVER}])
        found = self.conn.cbr.get_vault(vault.id)
        self.assertEqual([(r.id, r.name, r.type, r.size) for r in found.resources], [(server["id"], "web", SERVER, 2)])
        self.assertEqual((found.billing.allocated, found.billing.spec_code), (2, "vault.backup.server.normal"))
        shown = self.conn.cbr.get("/protectables/server/instances").json()
        self.assertEqual(shown["instances"][0]["protectable"]["vault"]["id"], vault.id)

    def test_02_a_checkpoint_has_one_backup_with_children(self):
        checkpoint, backup = self.run_over(self.seen["vault"], name="first")
        self.seen["first"] = backup
        resource = checkpoint.vault.resources[0]
        self.assertEqual((resource.id, resource.type), (self.seen["server"], SERVER))
        self.assertEqual((backup.resource_type, backup.resource_id), (SERVER, self.seen["server"]))
        self.assertEqual(backup.extend_info.architecture, "x86_64")
        self.assertEqual({child["resource_id"] for child in backup.children}, set(self.ids))
        for child in backup.children:
            self.assertEqual((child["status"], child["parent_id"]), ("available", backup.id))
        shown = {shown.id for shown in self.conn.block_storage.backups()}
        self.assertEqual(shown, {child["id"] for child in backup.children})

    def test_03_a_restore_with_mappings(self):
        backup = self.seen["first"]
        before = [beginning(path) for path in self.paths]
        other = dict(zip(self.ids, reversed(self.ids)))
        mappings = [
            {"backup_id": child["id"], "volume_id": other[child["resource_id"]]} for child in backup.children
        ]
        task = self.restore(backup, server_id=self.seen["server"], mappings=mappings, power_on=True)
        self.assertEqual(task.extra_info.restore.target_resource_id, self.seen["server"])
        self.assertEqual([beginning(path) for path in self.paths], before[::-1])
        self.restore(backup, server_id=self.seen["server"])
        self.assertEqual([beginning(path) for path in self.paths], before)

    def test_04_killed_in_the_middle_it_completes_with_one_instant(self):
        self.fill()
        writer = Lockstep(self.paths)
        writer.start()
        try:
            wait_until("the writer writes", lambda: writer.count > 20)
            least = writer.count
            checkpoint = self.conn.cbr.create_checkpoint(
                vault_id=self.seen["vault"].id, parameters={"name": "killed", "incremental": False}
            )
            # Frozen and being copied: the children are, once the volumes have been let go.
            wait_until(
                "the copying begins",
                lambda: any(
                    child["status"] == "protecting"
                    for backup in self.conn.cbr.backups(checkpoint_id=checkpoint.id)
                    for child in backup.children
                )
                and all(self.conn.block_storage.get_volume(id).status == "available" for id in self.ids),
                120,
                0.01,
            )
            most = writer.count + 1
            self.service.kill()
            wait_until("the writer goes on", lambda: writer.count > most + 50)
            self.service.start()
            self.connect()
            done = self.conn.cbr.wait_for_checkpoint(
                self.conn.cbr.get_checkpoint(checkpoint.id), interval=1, wait=240
            )
            self.assertEqual(done.status, "available")
        finally:
            writer.stop()
        backup = next(self.conn.cbr.backups(checkpoint_id=checkpoint.id))
        self.restore(backup, server_id=self.seen["server"])
        found = {count for path in self.paths for count in counters(path)}
        self.assertEqual(len(found), 1, f"one instant: {found}")
        self.assertLessEqual(least, found.pop())
        self.assertLess(max(counters(self.paths[0])), most + 1, "the instant is that of before the kill")

    def test_05_the_whole_is_deleted_with_its_children(self):
        backup = self.seen["first"]
        self.conn.cbr.delete_backup(backup.id)
        wait_until(
            "the children go",
            lambda: not any(shown.name.startswith("first") for shown in self.conn.block_storage.backups()),
        )

    def test_06_a_file_system_there_and_back(self):
        (self.share / "a" / "b").mkdir(parents=True)
        odd = os.fsencode(self.share / "a") + b"/\xff odd"
        with open(odd, "wb") as file:
            file.write(b"odd")
        (self.share / "one").write_bytes(os.urandom(3 * MIB))
        (self.share / "link").symlink_to("/etc/passwd")
        os.chmod(self.share / "one", 0o640)
        os.utime(self.share / "one", (1_000_000_000, 1_000_000_000))
        one = (self.share / "one").read_bytes()
        system = self.cli("filesystem", "create", "team", "--path", str(self.share))
        vault = self.conn.cbr.create_vault(
            name="files",
            billing={
                "object_type": "turbo", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 100,
            },
            resources=[{"id": system["id"], "type": FILES}],
        )
        _, backup = self.run_over(vault, name="files")
        self.assertEqual((backup.resource_type, backup.resource_id), (FILES, system["id"]))
        (self.share / "one").write_bytes(b"lost")
        (self.share / "later").write_bytes(b"later")
        os.unlink(odd)
        self.restore(backup, resource_id=system["id"])
        self.assertEqual((self.share / "one").read_bytes(), one)
        status = (self.share / "one").stat()
        self.assertEqual((status.st_mode & 0o7777, status.st_mtime), (0o640, 1_000_000_000))
        self.assertFalse((self.share / "later").exists())
        self.assertEqual(os.readlink(self.share / "link"), "/etc/passwd")
        with open(odd, "rb") as file:
            self.assertEqual(file.read(), b"odd")
        refused = self.conn.cbr.post(
            f"/backups/{backup.id}/restore", json={"restore": {"volume_id": self.ids[0]}}
        )
        self.assertEqual(refused.json()["error_code"], "BackupService.2009")

    def raw(self, path):
        answer = self.conn.cbr.get(path)
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer.json()

    def tree(self):
        """Every file of the share with its content."""
        return {path.relative_to(self.share): path.read_bytes() for path in self.share.rglob("*") if path.is_file()}

    def restarted(self):
        self.service.kill()
        self.service.start()
        self.connect()

    def test_07_a_file_system_with_a_kill_in_either_direction(self):
        for number in range(12):
            (self.share / f"large-{number}").write_bytes(os.urandom(20 * MIB))
        pipe = socket.socket(socket.AF_UNIX)
        self.addCleanup(pipe.close)
        pipe.bind(str(self.share / "a-socket"))
        (link := self.share / "link").unlink()
        link.symlink_to("one")
        before = self.tree()
        vault = next(vault for vault in self.conn.cbr.vaults() if vault.name == "files")
        checkpoint = self.conn.cbr.create_checkpoint(vault_id=vault.id, parameters={"name": "killed-files"})
        backup = next(self.conn.cbr.backups(checkpoint_id=checkpoint.id))

        def under_way(status):
            def probe():
                found = self.conn.cbr.get_backup(backup.id)
                self.assertNotEqual(found.status, "error")
                return found.status == status and (found.extend_info.progress or 0) > 0
            return probe

        wait_until("the copying is under way", under_way("protecting"), 120, 0.01)
        self.restarted()
        done = self.conn.cbr.wait_for_checkpoint(self.conn.cbr.get_checkpoint(checkpoint.id), interval=1, wait=240)
        self.assertEqual(done.status, "available")
        # What a tree cannot hold is told, and not only in the log.
        logs = self.raw(f"/operation-logs?operation_type=backup&resource_id={backup.resource_id}")["operation_logs"]
        notes = logs[0]["extra_info"]["resource"]["extra_info"]["notes"]
        self.assertEqual(len(notes), 1, notes)
        self.assertIn("a-socket", notes[0])
        task = self.cli("task", "show", logs[0]["id"])
        self.assertEqual(task["notes"], notes)

        for number in range(12):
            (self.share / f"large-{number}").write_bytes(os.urandom(3 * MIB))
        answer = self.conn.cbr.post(
            f"/backups/{backup.id}/restore", json={"restore": {"resource_id": backup.resource_id}}
        )
        self.assertEqual(answer.status_code, 202, answer.text)
        wait_until("the restore is under way", under_way("restoring"), 120, 0.01)
        self.restarted()
        self.task_ends(answer.json()["job_id"])
        after = self.tree()
        self.assertEqual(after.keys(), before.keys())
        self.assertEqual([str(name) for name in before if before[name] != after[name]], [])
        leftovers = [path for path in (self.room / "shares").rglob("*") if "emberkeep" in path.name]
        self.assertEqual(leftovers, [])

    def test_08_what_a_servers_backup_is_stands_in_the_store(self):
        _, backup = self.run_over(self.seen["vault"], name="told")
        known = self.raw(f"/backups/{backup.id}/metadata")
        self.assertEqual(json.loads(known["server"])["architecture"], "x86_64")
        self.assertEqual(len(known["volumes"]), 2)
        place = str(self.service.data_dir / "repository")
        key = str(self.service.data_dir / "master.key")
        found = json.loads(emberkeep("repo", "recover", place, "--key-file", key, "-o", "json", env=self.env)[1])
        servers = [server for server in found["servers"] if server["id"] == backup.id]
        self.assertEqual(len(servers), 1, found["servers"])
        server = servers[0]
        self.assertEqual(
            (server["server_id"], server["server_name"], server["name"], server["complete"]),
            (self.seen["server"], "web", "told", True),
        )
        self.assertEqual(server["server"], {"os_type": "Linux", "architecture": "x86_64"})
        self.assertEqual(set(server["backups"]), {child["id"] for child in backup.children})
