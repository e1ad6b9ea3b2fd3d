"""Volumes over NBD: backups served and used, exports of others backed up and restored to.

The other side is libnbd (nbdinfo, nbdcopy, nbdfuse), nbdkit and QEMU's tools.
"""

import contextlib
import itertools
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time
import unittest

from support import (
    GIB, MIB, Service, binary, clean_environment, command, emberkeep, fill_with_filesystem, http_request, same_bytes,
    scratch, sparse_copy, wait_until,
)

TIB = 1 << 40
# What opening a repository and reading one chunk takes (a tenth of it as measured), whatever the volume's size.
FIRST_BYTE_READS = 2 * MIB


def serving(path):
    """Whether somebody answers on a socket."""
    status, _, _ = command(["nbdinfo", "--size", f"nbd+unix:///?socket={path}"], check=False)
    return status == 0


def bytes_read(pid):
    """Bytes that a process has read, from wherever."""
    lines = pathlib.Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("rchar:")))


def whole(overlay):
    """Whether an overlay says of itself that it holds everything."""
    with open(f"{overlay}.map", "rb") as header:
        return os.pread(header.fileno(), 1, 24) == b"\1"


class Served:
    """One `emberkeep repo serve`."""

    def __init__(self, repository, backup, socket, *arguments):
        self.socket = socket
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [binary(), "repo", "serve", str(repository), backup, "--socket", str(socket), *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=clean_environment(),
        )
        line = self.process.stdout.readline()
        if not line.startswith("ready nbd"):
            raise AssertionError(f"said {line!r}: {self.process.stderr.read()}")
        self.uri = line.split()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        if self.process.returncode != 0:
            raise AssertionError(f"ended with {self.process.returncode}: {out}{err}")
        return err


@contextlib.contextmanager
def running(arguments, socket):
    """A program that serves on `socket`."""
    process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until(f"{arguments[0]} answers", socket.exists, 20, 0.02)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


class Exports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("nbd", cls)
        cls.repository = cls.room / "repository"
        cls.image = cls.room / "disk.img"
        cls.image.touch()
        os.truncate(cls.image, GIB)
        fill_with_filesystem(cls.image)
        emberkeep("repo", "init", cls.repository)
        emberkeep("repo", "backup", cls.repository, cls.image, "--name", "monday")

    def repo(self, verb, *arguments, check=True):
        return emberkeep("repo", verb, self.repository, *arguments, check=check)

    def repo_json(self, verb, *arguments):
        return json.loads(self.repo(verb, *arguments, "-o", "json")[1])

    def test_01_a_backup_is_read_by_everyone_byte_for_byte(self):
        socket = self.room / "monday.sock"
        with Served(self.repository, "monday", socket) as served:
            info = command(["nbdinfo", served.uri])[1]
            for words in ("export-size: 1073741824", "base:allocation", "is_read_only: true", "can_multi_conn: true"):
                self.assertIn(words, info)
            told = command(["nbdinfo", "--map", "--totals", served.uri])[1]
            self.assertIn("hole,zero", told)
            copy = self.room / "copy.img"
            command(["nbdcopy", served.uri, copy])
            self.assertIsNone(same_bytes(copy, self.image))
            command(["nbdcopy", "--no-extents", "--connections=8", served.uri, copy])
            self.assertIsNone(same_bytes(copy, self.image))
            command(["qemu-img", "compare", "-f", "raw", "-F", "raw", self.image, served.uri])
            command(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", served.uri, self.room / "copy.qcow2"])
            command(["qemu-img", "compare", "-F", "qcow2", "-f", "raw", self.image, self.room / "copy.qcow2"])
            command(["qemu-io", "-r", "-f", "raw", "-c", "read 777k 3M", served.uri])
            status, _, _ = command(["qemu-io", "-f", "raw", "-c", "write 0 4k", served.uri], check=False)
            self.assertNotEqual(status, 0, "nobody writes to a backup")
            served.stop()
        self.assertFalse(socket.exists())

    def test_02_it_is_mounted_as_a_file_and_as_a_file_system(self):
        socket = self.room / "fuse.sock"
        folder = self.room / "fuse"
        folder.mkdir()
        with Served(self.repository, "monday", socket) as served:
            fuse = subprocess.Popen(["nbdfuse", "-r", str(folder), served.uri], stdin=subprocess.DEVNULL)
            try:
                file = folder / "nbd"
                wait_until("nbdfuse has mounted", file.exists, 20, 0.05)
                self.assertIsNone(same_bytes(file, self.image))
                listed = command(["debugfs", "-R", "ls -l /", file])[1]
                self.assertEqual(listed, command(["debugfs", "-R", "ls -l /", self.image])[1])
            finally:
                command(["fusermount3", "-u", folder], check=False)
                fuse.wait(timeout=30)

    def test_03_the_first_byte_needs_as_little_whatever_the_size(self):
        vast = self.room / "vast.img"
        vast.touch()
        os.truncate(vast, 8 * TIB)
        with open(vast, "rb+") as file:
            for at in (0, 3 * TIB, 8 * TIB - MIB):
                os.pwrite(file.fileno(), b"emberkeep" * 1000, at)
        self.repo("backup", vast, "--name", "vast")
        # How fast it is, `cargo xtask bench first-byte` measures; that nothing grows with the size, what is read tells.
        for name in ("monday", "vast"):
            with Served(self.repository, name, self.room / f"{name}.sock") as served:
                import_nbd_read(served.socket, 0, 4096)
                read = bytes_read(served.process.pid)
            print(f"    before the first byte of {name}, {read / MIB:.1f} MiB are read", flush=True)
            self.assertGreater(read, 4096, name)
            self.assertLess(read, FIRST_BYTE_READS, name)

    def test_04_writes_go_to_the_overlay_and_stay_there(self):
        overlay = self.room / "writes.img"
        with Served(self.repository, "monday", self.room / "w.sock", "--overlay", overlay) as served:
            command(["qemu-io", "-f", "raw", "-c", "write -P 7 100k 300k", "-c", "write -z 1M 1M",
                     "-c", "discard 8M 1M", "-c", "flush", served.uri])
            served.kill()
        with Served(self.repository, "monday", self.room / "w.sock", "--overlay", overlay) as served:
            command(["qemu-io", "-r", "-f", "raw", "-c", "read -P 7 100k 300k", "-c", "read -P 0 1M 1M",
                     "-c", "read -P 0 8M 1M", served.uri])
            want = self.room / "want.img"
            sparse_copy(self.image, want)
            command(["qemu-io", "-f", "raw", "-c", "write -P 7 100k 300k", "-c", "write -z 1M 1M",
                     "-c", "write -z 8M 1M", want])
            command(["qemu-img", "compare", "-f", "raw", "-F", "raw", want, served.uri])
            code, _, err = self.repo("serve", "monday", "--socket", self.room / "x.sock", "--overlay", overlay,
                                     check=False)
            self.assertEqual((code, "in use" in err), (1, True), err)
        with Served(self.repository, "monday", self.room / "r.sock") as served:
            command(["qemu-img", "compare", "-f", "raw", "-F", "raw", self.image, served.uri])
        code, _, err = self.repo("serve", "vast", "--socket", self.room / "x.sock", "--overlay", overlay, check=False)
        self.assertEqual((code, "another volume" in err), (4, True), err)
        precious = self.room / "precious"
        precious.write_text("precious")
        code, _, err = self.repo("serve", "monday", "--socket", self.room / "x.sock", "--overlay", precious,
                                 check=False)
        self.assertEqual((code, precious.read_text()), (4, "precious"), err)

    def test_05_a_volume_is_used_before_it_is_there_and_survives_kills(self):
        overlay = self.room / "instant.img"
        want = self.room / "instant-want.img"
        with open(want, "wb") as noise:
            for at in range(0, 512 * MIB, 2 * MIB):
                os.pwrite(noise.fileno(), random.Random(at).randbytes(MIB), at)
            os.truncate(noise.fileno(), GIB)
        self.repo("backup", want, "--name", "noise")
        kills = interrupted = 0
        for attempt in range(40):
            socket = self.room / "instant.sock"
            with Served(self.repository, "noise", socket, "--overlay", overlay, "--fill") as served:
                at = (attempt * 37 + 3) % 1000
                for target in (served.uri, want):
                    command(["qemu-io", "-f", "raw", "-c", f"write -P {attempt + 1} {at}M 700k", "-c", "flush", target])
                command(["qemu-io", "-r", "-f", "raw", "-c", f"read -P {attempt + 1} {at}M 700k", served.uri])
                if kills < 3:
                    kills += 1
                    served.kill()
                    interrupted += not whole(overlay)
                    continue
                command(["qemu-img", "compare", "-f", "raw", "-F", "raw", want, served.uri])
                wait_until("it is filled", lambda: whole(overlay), 120)
                served.stop()
                break
        self.assertEqual(kills, 3)
        self.assertGreater(interrupted, 0, "one kill came in the middle")
        self.assertIsNone(same_bytes(overlay, want), "the overlay is the volume now")

    def test_06_what_others_serve_is_backed_up(self):
        socket = self.room / "qemu.sock"
        uri = f"nbd+unix:///disk?socket={socket}"
        with running(["qemu-nbd", "-t", "-r", "-e", "8", "-f", "raw", "-x", "disk", "-k", socket, self.image], socket):
            made = self.repo_json("backup", uri, "--name", "by-nbd")
            again = self.repo_json("backup", uri, "--name", "by-nbd-2")
        self.assertLess(made["read_bytes"], GIB, "holes are not read")
        self.assertEqual((made["new_bytes"], again["parent_id"]), (0, made["id"]), "the same data as monday's")
        self.repo("restore", "by-nbd", self.room / "by-nbd.img")
        self.assertIsNone(same_bytes(self.room / "by-nbd.img", self.image))
        code, _, err = self.repo("backup", uri, "--name", "never", check=False)
        self.assertEqual(code, 1 if "reached" in err else 3, err)
        code, _, err = self.repo("backup", "nbd+unix:///x", "--name", "never", check=False)
        self.assertEqual(code, 4, err)

    def test_07_what_others_serve_is_restored_to(self):
        target = self.room / "target.img"
        target.touch()
        os.truncate(target, GIB)
        with open(target, "rb+") as junk:
            for at in range(0, GIB, 64 * MIB):
                os.pwrite(junk.fileno(), b"\xa5" * MIB, at)
        socket = self.room / "target.sock"
        uri = f"nbd+unix:///?socket={socket}"
        with running(["qemu-nbd", "-t", "-e", "8", "-f", "raw", "-k", socket, target], socket):
            self.assertEqual(self.repo("restore", "monday", uri, check=False)[0], 4, "it may hold data")
            self.repo("restore", "monday", uri, "--force")
            command(["qemu-img", "compare", "-f", "raw", "-F", "raw", self.image, uri])
            kept = self.repo_json("restore", "monday", uri, "--force")
        self.assertEqual(kept["written_bytes"], 0, "nothing differed")
        self.assertIsNone(same_bytes(target, self.image))

    def test_08_a_source_that_fails_makes_no_backup(self):
        socket = self.room / "error.sock"
        with running(["nbdkit", "--foreground", "--unix", socket, "--filter=error", "file", self.image,
                      "error-pread=EIO", "error-pread-rate=20%"], socket):
            code, _, err = self.repo("backup", f"nbd+unix:///?socket={socket}", "--name", "broken", "--full",
                                     check=False)
        self.assertEqual(code, 1, err)
        self.assertIn("input/output error", err)
        names = json.dumps(self.repo_json("list"))
        self.assertNotIn("broken", names)

    def test_09_bitmaps_of_qemu_are_hints(self):
        disk = self.room / "live.qcow2"
        command(["qemu-img", "create", "-f", "qcow2", disk, "256M"])
        with Daemon(self.room, disk) as daemon:
            write = lambda *what: command(["qemu-io", "-f", "raw", *sum((["-c", w] for w in what), []), daemon.uri("live")])
            write("write -P 1 0 64M", "write -P 2 100M 20M", "flush")
            first = self.frozen_backup(daemon, "one", None, "b1", [])
            self.assertEqual(first["read_bytes"], 84 * MIB)
            write("write -P 3 10M 1M", "write -z 100M 1M", "flush")
            # Written while the backup is being made; belongs to the next one.
            second = self.frozen_backup(daemon, "two", "b1", "b2", ["write -P 9 50M 3M", "write -P 9 200M 1M"])
            self.assertLess(second["read_bytes"], 12 * MIB, "what the bitmap names, and a sample")
            third = self.frozen_backup(daemon, "three", "b2", "b3", [])
            self.assertLess(third["read_bytes"], 14 * MIB)
        want = self.room / "live-want.img"
        want.touch()
        os.truncate(want, 256 * MIB)
        steps = [["write -P 1 0 64M", "write -P 2 100M 20M"], ["write -P 3 10M 1M", "write -z 100M 1M"],
                 ["write -P 9 50M 3M", "write -P 9 200M 1M"]]
        for name, step in zip(("one", "two", "three"), steps):
            command(["qemu-io", "-f", "raw", *sum((["-c", w] for w in step), []), want])
            out = self.room / f"live-{name}.img"
            self.repo("restore", name, out)
            self.assertIsNone(same_bytes(out, want), name)

    def test_10_a_running_qemu_is_backed_up_while_its_guest_writes(self):
        disk = self.room / "running.qcow2"
        guest = self.room / "guest"
        guest.touch()
        command(["qemu-img", "create", "-f", "qcow2", disk, "256M"])
        with Daemon(self.room, disk, guest) as daemon:
            wait_until("the guest has its disk", lambda: guest.stat().st_size == 256 * MIB, 20, 0.05)
            uri = f"qmp+unix:///v?socket={daemon.qmp_path}"
            fd = os.open(guest, os.O_RDWR)
            try:
                os.pwrite(fd, b"\1" * (48 * MIB), 0)
                states, costs, stop = [], [], threading.Event()

                def restless():
                    # Only beyond 128 MiB: the part before is compared, this part is the noise.
                    for n in itertools.count():
                        if stop.is_set():
                            return
                        os.pwrite(fd, bytes([n % 255 + 1]) * 65536, 128 * MIB + n * 37 % 2000 * 65536)

                writer = threading.Thread(target=restless)
                writer.start()
                try:
                    for n in range(4):
                        os.pwrite(fd, bytes([n + 5]) * MIB, n * 7 * MIB)
                        states.append(os.pread(fd, 128 * MIB, 0))
                        costs.append(self.repo_json("backup", uri, "--name", f"running-{n}"))
                finally:
                    stop.set()
                    writer.join()
            finally:
                os.close(fd)
            self.assertEqual(list(self.room.glob("emberkeep-*")), [], "nothing is left of the freezes")
        for n, (state, cost) in enumerate(zip(states, costs)):
            out = self.room / f"running-{n}.img"
            self.repo("restore", f"running-{n}", out)
            with open(out, "rb") as file:
                self.assertTrue(file.read(128 * MIB) == state, f"backup {n}")
            if n:
                self.assertEqual(cost["parent_id"], costs[n - 1]["id"])

    def frozen_backup(self, daemon, name, changed, tracking, meanwhile):
        """Freezes the live disk at an instant, writes to it, and backs the instant up."""
        daemon.freeze(changed, tracking)
        try:
            if meanwhile:
                command(["qemu-io", "-f", "raw", *sum((["-c", w] for w in meanwhile), []), "-c", "flush",
                         daemon.uri("live")])
            more = ["--tracking", tracking] + (["--changed", changed] if changed else [])
            # The source is the same disk each time, whatever its export is called.
            return self.repo_json("backup", daemon.uri("frozen"), "--name", name, *more)
        finally:
            daemon.thaw(changed)


class ServiceExports(unittest.TestCase):
    """The same through the service: an address for whoever may read the backup."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("nbd-service", cls)
        cls.service = Service(cls.room / "data", nbd_listen="127.0.0.1:0").start()
        cls.addClassCleanup(cls.service.stop)
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("disk")
        cls.path = cls.client.volume_path(cls.volume)
        fill_with_filesystem(cls.path)
        cls.backup = cls.client.create_backup(cls.volume, "monday")
        cls.client.backup_settled(cls.backup, {"available"})

    def emberkeep(self, *arguments, check=True):
        return emberkeep(*arguments, env=self.service.client_environment(), check=check)

    def test_1_an_export_is_read(self):
        uri = self.emberkeep("export", "monday", "-o", "value")[1].strip()
        self.assertRegex(uri, r"^nbd://127\.0\.0\.1:\d+/[0-9a-f]{64}$")
        command(["qemu-img", "compare", "-f", "raw", "-F", "raw", self.path, uri])
        copy = self.room / "copy.img"
        command(["nbdcopy", uri, copy])
        self.assertIsNone(same_bytes(copy, self.path))
        listed = json.loads(self.emberkeep("export", "--list", "-o", "json")[1])
        self.assertEqual([(one["backup_id"], "uri" in one) for one in listed], [(self.backup, False)])
        self.emberkeep("export", "--end", listed[0]["id"])
        self.emberkeep("export", "--end", listed[0]["id"])
        self.assertNotEqual(command(["nbdinfo", uri], check=False)[0], 0, "it has ended")

    def test_1b_a_client_of_a_few_lines_reads_its_first_byte(self):
        made = json.loads(self.emberkeep("export", "monday", "-o", "json")[1])
        address, name = place_of(made["uri"])
        self.assertEqual(len(import_nbd_read(address, 0, 4096, name)), 4096)
        self.emberkeep("export", "--end", made["id"])

    def test_2_names_are_secret(self):
        made = self.client.native("POST", f"/exports?backup_id={self.backup}").expect(201).json
        server = made["uri"].rsplit("/", 1)[0]
        self.assertEqual(json.loads(command(["nbdinfo", "--json", "--list", server])[1])["exports"], [])
        for name in ("", "monday", self.backup, made["id"]):
            self.assertNotEqual(command(["nbdinfo", f"{server}/{name}"], check=False)[0], 0, name)
        http_request(self.service.url, "POST", f"/api/v1/exports?backup_id={self.backup}").expect(401)
        self.client.native("POST", "/exports?backup_id=00000000-0000-4000-8000-000000000000").expect(404)
        self.client.native("DELETE", f"/exports/{made['id']}").expect(204)

    def test_3_writes_are_taken_and_gone_with_the_export(self):
        made = self.client.native("POST", f"/exports?backup_id={self.backup}&writable=true").expect(201).json
        command(["qemu-io", "-f", "raw", "-c", "write -P 9 1M 3M", "-c", "flush", made["uri"]])
        command(["qemu-io", "-r", "-f", "raw", "-c", "read -P 9 1M 3M", made["uri"]])
        kept = self.service.data_dir / "exports"
        self.assertTrue(list(kept.iterdir()))
        self.client.native("DELETE", f"/exports/{made['id']}").expect(204)
        wait_until("the overlay is removed", lambda: not list(kept.iterdir()), 20)
        made = self.client.native("POST", f"/exports?backup_id={self.backup}").expect(201).json
        command(["qemu-img", "compare", "-f", "raw", "-F", "raw", self.path, made["uri"]])

    def test_4_a_service_that_does_not_listen_says_so(self):
        service = Service(self.room / "plain").start()
        try:
            client = service.client()
            backup = client.create_backup(client.create_volume("disk"), "b")
            client.backup_settled(backup, {"available"})
            said = client.native("POST", f"/exports?backup_id={backup}").expect(400)
            self.assertIn("nbd_listen", said.json["error"]["message"])
        finally:
            service.stop()

    def test_5_an_instant_restore_goes_on_after_kills_and_needs_its_backup_until_it_is_whole(self):
        socket = self.room / "instant.sock"
        service = Service(self.room / "instant", nbd_listen=f"unix:{socket}").start()
        self.addCleanup(service.stop)
        client = service.client()
        volume = client.create_volume("disk")
        want = self.room / "instant-want.img"
        with open(want, "wb") as noise:
            for at in range(0, 768 * MIB, 2 * MIB):
                os.pwrite(noise.fileno(), random.Random(at).randbytes(MIB), at)
            os.truncate(noise.fileno(), GIB)
        sparse_copy(want, client.volume_path(volume))
        backup = client.create_backup(volume, "monday")
        client.backup_settled(backup, {"available"})
        begun = time.monotonic()
        made = json.loads(emberkeep("export", "monday", "--instant", "-o", "json", env=service.client_environment())[1])
        import_nbd_read_named(socket, made["uri"], 0, 4096)
        print(f"    usable {1000 * (time.monotonic() - begun):.0f} ms after the command began")
        self.assertTrue(made["instant"] and made["writable"])
        listed = lambda: client.native("GET", "/exports").expect(200).json["exports"]
        middle = 0
        for attempt in range(4):
            at = (attempt * 237 + 500) % 1000
            for target in (made["uri"], want):
                command(["qemu-io", "-f", "raw", "-c", f"write -P {attempt + 1} {at}M 700k", "-c", "flush", target])
            self.assertEqual([one["id"] for one in listed()], [made["id"]], "the same export as before")
            if attempt == 3:
                break
            if not listed()[0]["complete"]:
                middle += 1
                said = client.cinder("DELETE", f"/backups/{backup}")
                self.assertEqual(said.status, 400, "it is needed still")
            service.kill()
            service.start()
            client = service.client()
        self.assertGreater(middle, 0, "one kill came in the middle")
        command(["qemu-img", "compare", "-f", "raw", "-F", "raw", want, made["uri"]])
        wait_until("it is filled", lambda: listed()[0]["complete"], 120)
        client.cinder("DELETE", f"/backups/{backup}").expect(202)
        wait_until("the backup goes", lambda: client.backup(backup) is None, 60)
        client.native("POST", "/sweep").expect(202)
        service.stop()
        service.start()
        client = service.client()
        command(["qemu-img", "compare", "-f", "raw", "-F", "raw", want, made["uri"]])
        self.assertIn("complete", emberkeep("export", "--list", env=service.client_environment())[1])
        client.native("DELETE", f"/exports/{made['id']}").expect(204)
        self.assertEqual((listed(), list((service.data_dir / "exports").iterdir())), ([], []))


def place_of(uri):
    """The address and the name in a URI like `nbd://HOST:PORT/NAME`."""
    host, rest = uri.removeprefix("nbd://").split(":", 1)
    port, name = rest.split("/", 1)
    return (host, int(port)), name


def import_nbd_read_named(socket_path, uri, offset, length):
    """The same of an export with a name."""
    return import_nbd_read(socket_path, offset, length, uri.split("///", 1)[1].split("?", 1)[0])


def import_nbd_read(socket_path, offset, length, name=""):
    """Reads bytes with a client of a few lines, which starts faster than any program."""
    import socket
    import struct

    family = socket.AF_INET if isinstance(socket_path, tuple) else socket.AF_UNIX
    with socket.socket(family) as stream:
        stream.connect(socket_path if isinstance(socket_path, tuple) else str(socket_path))

        def take(count):
            got = b""
            while len(got) < count:
                part = stream.recv(count - len(got))
                if not part:
                    raise AssertionError("the server hung up")
                got += part
            return got

        assert take(18)[:16] == b"NBDMAGICIHAVEOPT"
        stream.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, len(name)) + name.encode())
        take(10)
        stream.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, offset, length))
        magic, error, _ = struct.unpack(">IIQ", take(16))
        assert (magic, error) == (0x67446698, 0), (magic, error)
        return take(length)


class Daemon:
    """A qemu-storage-daemon with one writable disk, as a hypervisor has it."""

    def __init__(self, room, disk, guest=None):
        self.room = pathlib.Path(room)
        self.nbd = self.room / "daemon.sock"
        self.qmp_path = self.room / ("guest-qmp.sock" if guest else "qmp.sock")
        self.process = subprocess.Popen([
            "qemu-storage-daemon",
            "--blockdev", f"driver=file,node-name=f0,filename={disk}",
            "--blockdev", "driver=qcow2,node-name=v,file=f0",
            "--chardev", f"socket,id=c0,path={self.qmp_path},server=on,wait=off",
            "--monitor", "chardev=c0",
            *([
                "--export", f"type=fuse,id=live,node-name=v,mountpoint={guest},writable=on",
            ] if guest else [
                "--nbd-server", f"addr.type=unix,addr.path={self.nbd}",
                "--export", "type=nbd,id=live,node-name=v,name=live,writable=on",
            ]),
        ], stdin=subprocess.DEVNULL)
        wait_until("the daemon answers", self.qmp_path.exists, 20, 0.02)
        if guest:
            return
        import socket

        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(str(self.qmp_path))
        self.lines = self.stream.makefile("rw")
        self.events = []
        json.loads(self.lines.readline())
        self.ask("qmp_capabilities")
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)

    def uri(self, export):
        return f"nbd+unix:///{export}?socket={self.nbd}"

    def ask(self, execute, **arguments):
        self.lines.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            answer = json.loads(self.lines.readline())
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise AssertionError(f"{execute}: {answer['error']}")
            else:
                return answer["return"]

    def freeze(self, changed, tracking):
        """One instant: the old bitmap stops, the new one begins, and the fleecing image holds what was."""
        self.count += 1
        overlay = self.room / f"fleece-{self.count}.qcow2"
        command(["qemu-img", "create", "-f", "qcow2", overlay, "256M"])
        self.ask("blockdev-add", driver="qcow2", **{"node-name": "fl", "backing": "v",
                 "file": {"driver": "file", "filename": str(overlay)}})
        actions = [{"type": "block-dirty-bitmap-add",
                    "data": {"node": "v", "name": tracking, "persistent": True, "granularity": 65536}}]
        if changed:
            actions.append({"type": "block-dirty-bitmap-disable", "data": {"node": "v", "name": changed}})
        actions.append({"type": "blockdev-backup",
                        "data": {"job-id": "fleece", "device": "v", "target": "fl", "sync": "none"}})
        self.ask("transaction", actions=actions)
        bitmaps = [{"node": "v", "name": changed}] if changed else []
        self.ask("block-export-add", type="nbd", id="frozen", name="frozen", bitmaps=bitmaps, **{"node-name": "fl"})

    def thaw(self, changed):
        self.ask("block-export-del", id="frozen", mode="hard")
        wait_until("the export is gone", lambda: all(e["id"] != "frozen" for e in self.ask("query-block-exports")), 20)
        self.ask("job-cancel", id="fleece")
        wait_until("the job is gone", lambda: not self.ask("query-jobs"), 20)
        self.ask("blockdev-del", **{"node-name": "fl"})
        if changed:
            self.ask("block-dirty-bitmap-remove", node="v", name=changed)


if __name__ == "__main__":
    unittest.main()
