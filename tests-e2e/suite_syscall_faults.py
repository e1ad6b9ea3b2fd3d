"""System calls of the running service fail, stall or are interrupted, and then do not: it goes on without a restart.

strace is attached to the service and makes calls of one kind fail by count while backups, restores, deletions and a
sweep run; then it is detached. Afterwards every task has ended, the service is ready and takes and restores a backup,
and every backup that it calls available is what was backed up, byte for byte.
EMBERKEEP_FAULTS=all tries every call with every fault and three counts; without it each call gets one fault.
Short writes and `write` itself are not among them: strace can only pretend a short write, and `write` wakes the
service's own threads, which no disk makes fail. Suites log and full_disk have the real thing.
"""

import contextlib
import http.client
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from support import MIB, Service, binary, clean_environment, command, digest, http_request, scratch, wait_until

LOST = (ConnectionError, http.client.HTTPException, TimeoutError, OSError, AssertionError)
STALL = "delay_enter=10000000"
# The calls of one kind, as strace names them.
CALLS = {
    "open": "openat", "pwrite": "pwrite64", "writev": "writev", "fsync": "fsync", "fdatasync": "fdatasync",
    "rename": "/^rename", "link": "/^link", "unlink": "/^unlink", "mkdir": "/^mkdir", "truncate": "ftruncate",
    "fallocate": "fallocate", "copy": "copy_file_range", "read": "pread64", "accept": "accept4", "receive": "recvfrom",
}
ERRORS = {
    "open": ("EMFILE", "EIO", "ENOSPC", "EDQUOT", "EINTR"), "pwrite": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "writev": ("ENOSPC", "EIO", "EDQUOT", "EINTR"), "fsync": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "fdatasync": ("ENOSPC", "EIO", "EDQUOT", "EINTR"), "rename": ("EIO", "ENOSPC", "EDQUOT"), "link": ("EDQUOT", "EIO", "ENOSPC"),
    "unlink": ("EIO",), "mkdir": ("ENOSPC", "EIO", "EDQUOT"), "truncate": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "fallocate": ("ENOSPC", "EIO", "EDQUOT", "EINTR"), "copy": ("EIO", "ENOSPC", "EDQUOT", "EINTR"), "read": ("EIO", "EINTR"),
    "accept": ("EMFILE", "EINTR"), "receive": ("ECONNRESET", "EINTR"),
}
EVERY = os.environ.get("EMBERKEEP_FAULTS") == "all"
COUNTS = ("1", "2+3", "1+1") if EVERY else ("2+3",)


def cells():
    """The faults to try: a call, what becomes of it, and which of them."""
    for call, errors in ERRORS.items():
        for error in errors if EVERY else errors[:1]:
            for count in COUNTS:
                yield call, f"error={error}", count
    for call in ("fsync", "pwrite", "rename", "open") if EVERY else ("fsync",):
        yield call, STALL, "2"


def may_attach():
    """Whether a running program may be traced here: containers may forbid it."""
    if not shutil.which("strace"):
        return False
    with subprocess.Popen(["sleep", "60"]) as idle:
        tried = subprocess.run(["timeout", "-s", "INT", "1", "strace", "-p", str(idle.pid)], capture_output=True)
        idle.kill()
    return b"attached" in tried.stderr


@unittest.skipUnless(may_attach(), "a running program cannot be traced with strace here")
class SyscallFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("syscall-faults", cls)
        cls.service = Service(cls.room / "data", sweep_delay_secs=3600).start()
        cls.addClassCleanup(cls.service.stop)
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("source")
        cls.path = cls.client.volume_path(cls.volume)
        cls.random = random.Random(5)
        cls.content = {}
        cls.pid = cls.service.process.pid
        cls.back_up(cls.client)

    @classmethod
    def back_up(cls, client):
        """Changes the volume and asks for a backup of it; says its id if one was taken on."""
        with open(cls.path, "rb+") as file:
            os.pwrite(file.fileno(), cls.random.randbytes(300_000), cls.random.randrange(8) * MIB)
            os.fsync(file.fileno())
        content = digest(cls.path)
        backup = client.create_backup(cls.volume, f"backup {len(cls.content)}", force=True)
        cls.content[backup] = content
        return backup

    @contextlib.contextmanager
    def failing(self, call, fault, count):
        """While this lasts, calls fail."""
        trace = self.room / "trace"
        what = CALLS[call]
        tracer = subprocess.Popen(["strace", "-f", "-p", str(self.pid), "-o", trace, "-e", f"trace={what}",
                                   "-e", f"inject={what}:{fault}:when={count}"], stderr=subprocess.PIPE)
        try:
            self.assertIn(b"attached", tracer.stderr.readline())
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(timeout=60)
            tracer.stderr.close()
            self.injected += trace.read_bytes().count(b"INJECTED") + trace.read_bytes().count(b"DELAYED")

    def attempt(self, act, *arguments):
        """Does what the fault may forbid."""
        with contextlib.suppress(*LOST):
            return act(*arguments)
        return None

    def busy(self):
        # A deletion asks for a sweep that waits for its time.
        return [task for task in self.client.tasks() if task["status"] in ("waiting", "running") and task["kind"] != "sweep"]

    def test_the_service_goes_on_when_a_fault_ends(self):
        hit = 0
        for call, fault, count in cells():
            with self.subTest(call=call, fault=fault, count=count):
                self.injected = 0
                self.one(call, fault, count)
                hit += bool(self.injected)
        self.assertGreater(hit, 8, "too few faults came about")

    def one(self, call, fault, count):
        client = self.client
        with self.failing(call, fault, count):
            backup = self.attempt(self.back_up, client)
            known = [one for one in self.content if one != backup]
            self.attempt(client.restore, known[-1])
            if len(known) > 3:
                self.attempt(lambda: client.cinder("DELETE", f"/backups/{known[0]}").expect(202))
            self.attempt(lambda: client.native("POST", "/sweep"))
            until = time.monotonic() + (4 if fault != STALL else 12)
            while time.monotonic() < until and (self.attempt(self.busy) or [None]):
                time.sleep(0.1)
        self.assertTrue(self.service.alive(), self.service.log())
        wait_until("the service is ready", lambda: http_request(self.service.url, "GET", "/readyz").status == 200, 60)
        wait_until("every task ends", lambda: not self.busy(), 120)
        # It works again, in the same process.
        again = self.back_up(client)
        client.backup_settled(again, {"available"})
        self.tidy(client)
        self.compare(again)

    def tidy(self, client):
        """Forgets what is gone or failed, removes restored volumes, and checks that the rest is available or in error."""
        rows = {row["id"]: row["status"] for row in client.backups()}
        for backup in list(self.content):
            if rows.get(backup) == "available":
                continue
            self.assertIn(rows.get(backup), (None, "error", "error_deleting"))
            if rows.get(backup):
                client.cinder("POST", f"/backups/{backup}/action", {"os-force_delete": {}}).expect(202)
            del self.content[backup]
        unknown = [backup for backup, status in rows.items() if status == "available" and backup not in self.content]
        for backup in unknown:
            client.cinder("DELETE", f"/backups/{backup}").expect(202)
        for volume in client.volumes():
            if volume["id"] != self.volume:
                client.cinder("POST", f"/volumes/{volume['id']}/action", {"os-force_delete": {}}).expect(202)
        wait_until("what failed is gone", lambda: not self.busy(), 120)

    def compare(self, newest):
        """Reads the newest and an older backup as they lie in the repository."""
        data = self.service.data_dir
        for backup in {newest, next(iter(self.content))}:
            with tempfile.TemporaryDirectory(dir=self.room) as folder:
                out = os.path.join(folder, "restored")
                command([binary(), "repo", "restore", data / "repository", backup, out, "--key-file", data / "master.key"],
                        env=clean_environment())
                self.assertEqual(digest(out), self.content[backup], f"backup {backup} has another content")

    def test_z_every_available_backup_is_right(self):
        for backup in list(self.content):
            self.compare(backup)
        self.assertEqual(self.service.process.pid, self.pid)
        self.assertNotIn("panicked", self.service.log(100_000))


if __name__ == "__main__":
    unittest.main()
