"""The power goes at any moment: whatever a disk may hold then, nothing that was reported done is lost.

Programs run under strace; `power_loss.py` makes of each trace the states that a disk may hold. Each is opened by
the program as it is: what had been acknowledged by then must be there, byte for byte, before and after a sweep.
EMBERKEEP_POWER_LOSS_STATES says how many states each test tries, EMBERKEEP_POWER_LOSS_SEED which ones, and with
EMBERKEEP_POWER_LOSS_KEEP those that fail are kept.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
import unittest

import power_loss
from support import MIB, Service, binary, clean_environment, command, digest, scratch, wait_until

STATES = int(os.environ.get("EMBERKEEP_POWER_LOSS_STATES", "40"))
SEED = int(os.environ.get("EMBERKEEP_POWER_LOSS_SEED", "1"))
SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def picture(path, seed, size=8 * MIB):
    """A small image whose pieces are alike from one seed to the next, but for some."""
    with open(path, "wb") as file:
        file.truncate(size)
        for piece in range(12):
            content = random.Random(piece if piece % 4 else f"{seed}/{piece}").randbytes(150_000)
            file.seek(piece * 600_000)
            file.write(content)


class Promises:
    """What was acknowledged, and when: backups that are there with their content until somebody begins to delete them."""

    def __init__(self):
        self.backups = []

    def made(self, backup, content):
        self.backups.append([backup, content, time.time(), float("inf")])

    def deleting(self, backup):
        next(one for one in self.backups if one[0] == backup)[3] = time.time()

    def at(self, moment):
        return {one[0]: one[1] for one in self.backups if one[2] <= moment < one[3]}


class PowerLoss:
    """Tries states of a history, several side by side."""

    def try_states(self, history, promises, begin, judge):
        self.assertEqual(history.differences(), [], "the model and the disk disagree")
        moments = sorted({moment for moment in history.moments if moment > begin})
        self.assertGreater(len(moments), 20, "hardly anything was recorded")
        chance = random.Random(SEED)
        cases = [(chance.choice(moments), power_loss.KINDS[number % len(power_loss.KINDS)], f"{SEED}/{number}") for number in range(STATES)]
        # The model keeps what it has computed last, and is not shared between threads.
        cases.sort()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            running = []
            for at, kind, seed in cases:
                place = pathlib.Path(tempfile.mkdtemp(prefix="power-loss-", dir=SHM))
                power_loss.lay(history.state(at, kind, seed), place)
                running.append(pool.submit(self.one, place, promises.at(at), judge, f"{kind} at {at:.6f}, seed {seed}"))
                if len(running) > 4:
                    running.pop(0).result()
            for one in running:
                one.result()

    def one(self, place, promised, judge, what):
        try:
            judge(place, promised)
        except AssertionError as error:
            kept = ""
            if os.environ.get("EMBERKEEP_POWER_LOSS_KEEP"):
                kept = tempfile.mkdtemp(prefix="power-loss-failed-")
                shutil.copytree(place, kept, dirs_exist_ok=True)
            raise AssertionError(f"state {what} {kept}: {error}") from error
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def repo(self, place, verb, *arguments):
        return command([binary(), "repo", verb, place / "repository", *arguments], env=self.environment(place))

    @staticmethod
    def environment(place):
        """What this machine remembers of a repository lies on the same disk."""
        return clean_environment() | {"EMBERKEEP_STATE_DIR": str(place / "state")}

    def restores(self, place, promised, *more):
        """Restores and compares all that was promised."""
        for backup, content in promised.items():
            with tempfile.TemporaryDirectory(dir=SHM) as folder:
                out = os.path.join(folder, "restored")
                self.repo(place, "restore", backup, out, *more)
                if content:
                    self.assertEqual(digest(out), content, f"backup {backup} has another content")

    def holds(self, place, promised, *more):
        """All that was promised is there, is in order, and still is after a sweep."""
        self.restores(place, promised, *more)
        self.repo(place, "check", "--read-data", *more)
        self.repo(place, "sweep", *more)
        self.restores(place, promised, *more)


def may_trace():
    """Whether programs may be traced here: containers may forbid it."""
    return shutil.which("strace") and subprocess.run(["strace", "-f", "true"], capture_output=True).returncode == 0


@unittest.skipUnless(may_trace(), "programs cannot be traced with strace here")
class OfflineRepository(PowerLoss, unittest.TestCase):
    def test_a_repository_keeps_what_was_reported(self):
        room = scratch("power-loss", type(self))
        disk = room / "disk"
        (disk / "state").mkdir(parents=True)
        repository = disk / "repository"
        self.repo(disk, "init")
        history = power_loss.History(disk)
        promises = Promises()
        begin = time.time()
        number = 0

        def traced(*arguments):
            nonlocal number
            number += 1
            trace = room / f"trace-{number}"
            out = power_loss.record(trace, [binary(), "repo", *arguments], env=self.environment(disk))
            return trace, out

        traces, made = [], {}
        for seed in ("a", "b", "c"):
            image = room / f"{seed}.img"
            picture(image, seed)
            trace, out = traced("backup", repository, image, "--name", seed, "-o", "json")
            traces.append(trace)
            made[seed] = json.loads(out)["id"]
            promises.made(made[seed], digest(image))
        promises.deleting(made["a"])
        traces.append(traced("delete", repository, made["a"])[0])
        traces.append(traced("sweep", repository)[0])
        picture(room / "d.img", "d")
        trace, out = traced("backup", repository, room / "d.img", "--name", "d", "-o", "json")
        traces.append(trace)
        promises.made(json.loads(out)["id"], digest(room / "d.img"))
        traces.append(traced("check", repository, "--read-data")[0])
        for trace in traces:
            history.read(trace)
            trace.unlink()
        self.try_states(history, promises, begin, self.holds)
        # The states are hard enough: had nothing been synced, they would find it.
        history.forget_syncs()
        with self.assertRaisesRegex(AssertionError, "^state "):
            self.try_states(history, promises, max(one[2] for one in promises.backups), self.holds)


@unittest.skipUnless(may_trace(), "programs cannot be traced with strace here")
class ServiceDataDirectory(PowerLoss, unittest.TestCase):
    def test_the_service_keeps_what_it_reported(self):
        room = scratch("power-loss-service", type(self))
        data = room / "data"
        service = Service(data, sweep_delay_secs=1)
        service.start()
        volumes = {}
        client = service.client()
        for seed in ("a", "b", "c"):
            volume = client.create_volume(seed)
            path = client.volume_path(volume)
            picture(room / "picture", seed)
            with open(path, "rb+") as file, open(room / "picture", "rb") as source:
                file.write(source.read())
                os.fsync(file.fileno())
            volumes[volume] = digest(path)
        service.stop()
        # Volumes and their frozen copies are the tenants' disks; their content is not what is tried here.
        history = power_loss.History(data, skip=("volumes", "snapshots", "frozen", "unfinished", "catalogue.db-shm"))
        promises = Promises()
        trace = room / "trace"
        begin = time.time()
        service.start(prefix=power_loss.tracer(trace, "-D"))
        client = service.client()
        backups = []
        for volume, content in volumes.items():
            backup = client.create_backup(volume, "kept")
            client.backup_settled(backup, {"available"})
            promises.made(backup, content)
            backups.append(backup)
        promises.deleting(backups[0])
        client.cinder("DELETE", f"/backups/{backups[0]}").expect(202)
        while client.backup(backups[0]) is not None:
            time.sleep(0.05)
        client.sweep()
        last = list(volumes)[-1]
        again = client.create_backup(last, "again", incremental=True)
        client.backup_settled(again, {"available"})
        promises.made(again, volumes[last])
        self.assertEqual(service.stop(), 0)
        wait_until("the trace is whole", lambda: power_loss.ended(trace))
        history.read(trace)

        def judge(place, promised):
            with contextlib.closing(sqlite3.connect(place / "catalogue.db")) as rows:
                self.assertEqual(rows.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
                available = {row[0] for row in rows.execute("SELECT id FROM backups WHERE state = 'available'")}
            self.assertLessEqual(set(promised), available, "the catalog has forgotten a backup")
            # What the catalog calls available can be read, whether somebody was told of it or not.
            every = {backup: promised.get(backup) for backup in available}
            self.holds(place, every, "--key-file", place / "master.key")

        self.try_states(history, promises, begin, judge)


if __name__ == "__main__":
    unittest.main()
