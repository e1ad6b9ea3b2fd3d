"""Kills the service at random moments under load, over and over, and looks for what was lost.

`python3 crash.py [--rounds N] [--seed S]`. Each round starts the service on the
same data directory, lets several threads write, back up, restore, delete and sweep,
kills it with SIGKILL, starts it again, and then holds it to its word:

- it is ready again, and every backup, volume, snapshot and task comes to rest;
- what was seen available and not asked to be deleted is available and restores bit-exact;
- what was accepted is there, complete or failed with a reason; what was accepted
  to be deleted is gone; nothing is there that nobody asked for.
"""

import argparse
import http.client
import os
import pathlib
import random
import signal
import sys
import threading
import time
import traceback

from support import BUSY_BACKUP, BUSY_VOLUME, MIB, Service, digest, discard, emberkeep, scratch, wait_until

LOST = (ConnectionError, http.client.HTTPException, TimeoutError, OSError)
SETTLE_SECS = 90
KEEP_BACKUPS = 7
AREA = 24 * MIB
TEXT = pathlib.Path(__file__).read_bytes()


class Wrong(Exception):
    """The service broke its word."""


class Record:
    """What we know of one backup, from before it was asked for."""

    def __init__(self, name, volume, content):
        self.name = name
        self.volume = volume
        self.content = content
        self.id = None
        self.accepted = None  # None: asked, and the answer was lost
        self.available = False
        self.delete = None  # None, "asked", "accepted"


class World:
    """What survives the rounds on our side."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.lock = threading.Lock()
        self.records = {}
        self.sources = {}  # volume id -> path: written to and backed up
        self.target = None  # a volume restored over, again and again
        self.numbers = 0
        self.problems = []
        self.counts = dict.fromkeys(["backups", "restores", "deletes", "sweeps", "kills", "failed backups", "verified"], 0)

    def number(self):
        with self.lock:
            self.numbers += 1
            return self.numbers

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def restorable(self):
        with self.lock:
            return [r for r in self.records.values() if r.available and r.delete is None]


def scribble(path, rng):
    """Overwrites scattered places with noise, text or zeroes."""
    with open(path, "rb+") as file:
        for _ in range(rng.randrange(2, 14)):
            at = rng.randrange(0, AREA) & ~511
            length = rng.choice([512, 4096, 4096, 65536, 200_000])
            kind = rng.random()
            if kind < 0.5:
                block = rng.randbytes(length)
            elif kind < 0.8:
                block = (TEXT * (length // len(TEXT) + 1))[:length]
            else:
                block = bytes(length)
            os.pwrite(file.fileno(), block, at)
        os.fsync(file.fileno())


def junk(path):
    """Leaves old data wherever a restore must put zeroes."""
    with open(path, "rb+") as file:
        for at in range(0, AREA, 3 * MIB):
            os.pwrite(file.fileno(), b"\xa5" * MIB, at)


# ---- the load ----


class Round:
    """The threads of one round; they end when the service is killed."""

    def __init__(self, world, service):
        self.world = world
        self.service = service
        self.dying = threading.Event()

    def run(self, secs):
        seeds = random.Random(self.world.rng.random())
        jobs = [lambda c, r, v=volume: self.write_and_back_up(c, r, v) for volume in self.world.sources]
        jobs += [self.restore_new, self.restore_over, self.delete, self.sweep, self.churn]
        threads = [threading.Thread(target=self.guard, args=(job, random.Random(seeds.random()))) for job in jobs]
        for thread in threads:
            thread.start()
        time.sleep(secs)
        ended = not self.service.alive()
        self.dying.set()
        self.service.kill()
        self.world.count("kills")
        for thread in threads:
            thread.join(timeout=120)
            if thread.is_alive():
                raise Wrong("a client thread did not end")
        if ended:
            raise Wrong(f"the service ended by itself; log:\n{self.service.log()}")
        if self.world.problems:
            raise Wrong("\n".join(self.world.problems))

    def guard(self, job, rng):
        try:
            client = self.service.client()
            while not self.dying.is_set():
                job(client, rng)
        except LOST as error:
            if not self.dying.is_set():
                self.world.problems.append(f"connection lost before the kill: {error!r}")
        except Exception:
            # An answer may be torn by the kill; before it, everything must be well.
            if not self.dying.is_set():
                self.world.problems.append(traceback.format_exc())

    def pause(self, rng, longest=0.05):
        self.dying.wait(rng.uniform(0.005, longest))

    def write_and_back_up(self, client, rng, volume):
        # Only a volume at rest is written to: while it is backing up, its copy is being taken.
        if client.volume(volume)["status"] != "available":
            return self.pause(rng)
        path = self.world.sources[volume]
        scribble(path, rng)
        record = Record(f"b-{self.world.number()}", volume, digest(path))
        with self.world.lock:
            self.world.records[record.name] = record
        body = {"backup": {"volume_id": volume, "name": record.name, "incremental": rng.random() < 0.6}}
        answer = client.cinder("POST", "/backups", body)
        if answer.status == 400 and b"No backups available" in answer.body:
            body["backup"]["incremental"] = False
            answer = client.cinder("POST", "/backups", body)
        record.id = answer.expect(202).json["backup"]["id"]
        record.accepted = True
        self.world.count("backups")
        if rng.random() < 0.5:
            return None
        while not self.dying.is_set():
            seen = client.backup(record.id)
            if seen is None:
                if record.delete is None:
                    raise Wrong(f"backup {record.name} vanished")
                return None
            if seen["status"] == "available":
                record.available = True
                return None
            if seen["status"] == "error":
                raise Wrong(f"backup {record.name} failed without a crash: {seen['fail_reason']}")
            self.pause(rng)
        return None

    def restore_new(self, client, rng):
        choice = self.world.restorable()
        if not choice:
            return self.pause(rng)
        record = rng.choice(choice)
        target = {"name": f"r-{self.world.number()}"}
        return self.restore(client, rng, record, target)

    def restore_over(self, client, rng):
        choice = self.world.restorable()
        if not choice or client.volume(self.world.target)["status"] not in ("available",):
            return self.pause(rng)
        return self.restore(client, rng, rng.choice(choice), {"volume_id": self.world.target})

    def restore(self, client, rng, record, target):
        answer = client.cinder("POST", f"/backups/{record.id}/restore", {"restore": target})
        if answer.status in (400, 404, 409):
            # Busy with another restore, or deleted meanwhile.
            return self.pause(rng)
        volume = answer.expect(202).json["restore"]["volume_id"]
        self.world.count("restores")
        while not self.dying.is_set():
            status = client.volume(volume)["status"]
            if status == "available":
                if digest(client.volume_path(volume)) != record.content:
                    raise Wrong(f"backup {record.name} restored other bytes")
                if "name" in target:
                    client.cinder("DELETE", f"/volumes/{volume}").expect(202)
                return None
            if status not in BUSY_VOLUME:
                raise Wrong(f"a restore of {record.name} ended as {status} without a crash")
            self.pause(rng)
        return None

    def delete(self, client, rng):
        choice = self.world.restorable()
        if len(choice) < 3:
            return self.pause(rng, 0.3)
        record = rng.choice(choice)
        record.delete = "asked"
        answer = client.cinder("DELETE", f"/backups/{record.id}").expect(202, 400, 409)
        if answer.status == 202:
            record.delete = "accepted"
            self.world.count("deletes")
        else:
            record.delete = None
        return self.pause(rng, 0.4)

    def sweep(self, client, rng):
        client.native("POST", "/sweep").expect(200, 202)
        self.world.count("sweeps")
        self.pause(rng, 0.5)

    def churn(self, client, rng):
        """Volumes and snapshots that come and go."""
        body = {"volume": {"name": f"t-{self.world.number()}", "size": 1}}
        volume = client.cinder("POST", "/volumes", body).expect(202).json["volume"]["id"]
        self.rests(lambda: client.volume(volume)["status"], rng)
        if rng.random() < 0.5:
            body = {"snapshot": {"volume_id": volume, "name": f"t-{self.world.number()}"}}
            snapshot = client.cinder("POST", "/snapshots", body).expect(202).json["snapshot"]["id"]
            fetch = lambda: client.cinder("GET", f"/snapshots/{snapshot}")
            self.rests(lambda: fetch().expect(200).json["snapshot"]["status"], rng)
            client.cinder("DELETE", f"/snapshots/{snapshot}").expect(202)
            while fetch().status == 200 and not self.dying.is_set():
                self.pause(rng)
        client.cinder("DELETE", f"/volumes/{volume}").expect(202)
        self.pause(rng, 0.3)

    def rests(self, status, rng):
        while not self.dying.is_set():
            seen = status()
            if seen == "available":
                return
            if seen not in BUSY_VOLUME:
                raise Wrong(f"a volume or snapshot ended as {seen} without a crash")
            self.pause(rng)
        # The kill is near: whatever comes next may fail.


# ---- holding it to its word ----


def at_rest(client):
    """Tells what is still going on, or an empty list."""
    busy = [f"volume {v['name']} {v['status']}" for v in client.volumes() if v["status"] in BUSY_VOLUME]
    busy += [f"backup {b['name']} {b['status']}" for b in client.backups() if b["status"] in BUSY_BACKUP]
    snapshots = client.cinder("GET", "/snapshots/detail").expect(200).json["snapshots"]
    busy += [f"snapshot {s['name']} {s['status']}" for s in snapshots if s["status"] in BUSY_VOLUME]
    for task in client.tasks():
        # A sweep may wait for its time, without anybody waiting for it.
        if task["status"] == "running" or (task["status"] == "waiting" and task["kind"] != "sweep"):
            busy.append(f"task {task['kind']} {task['status']}")
    return busy


def settle(client, service):
    deadline = time.monotonic() + SETTLE_SECS
    while busy := at_rest(client):
        if not service.alive():
            raise Wrong(f"the service ended by itself; log:\n{service.log()}")
        if time.monotonic() > deadline:
            raise Wrong(f"stuck after {SETTLE_SECS} s: {'; '.join(busy)}\nlog:\n{service.log()}")
        time.sleep(0.1)


def audit(world, client):
    """Compares what is there with what was asked for."""
    there = {}
    for backup in client.backups():
        if backup["name"] in there:
            raise Wrong(f"backup {backup['name']} is there twice")
        if backup["name"] not in world.records:
            raise Wrong(f"backup {backup['name']} was asked for by nobody")
        there[backup["name"]] = backup
    for record in list(world.records.values()):
        backup = there.get(record.name)
        if backup is None:
            if record.delete is None and record.accepted:
                raise Wrong(f"backup {record.name} was accepted and is gone (seen available: {record.available})")
            del world.records[record.name]
            continue
        record.id = backup["id"]
        record.accepted = True
        status = backup["status"]
        if record.delete == "accepted":
            raise Wrong(f"backup {record.name} was to be deleted and is {status}")
        if record.available and status != "available":
            raise Wrong(f"backup {record.name} was available and is {status}: {backup['fail_reason']}")
        if status == "error":
            if not backup["fail_reason"]:
                raise Wrong(f"backup {record.name} failed without a reason")
            world.count("failed backups")
            record.delete = "asked"
            client.cinder("DELETE", f"/backups/{record.id}").expect(202)
            wait_until("a failed backup goes", lambda found=record.id: client.backup(found) is None)
            del world.records[record.name]
            continue
        record.delete = None
        record.available = True


def verify(world, client):
    """Restores every backup and compares every byte."""
    for index, record in enumerate(sorted(world.records.values(), key=lambda found: int(found.name[2:]))):
        target = {"name": f"r-{world.number()}"}
        if index % 2 == 0 and client.volume(world.target)["status"] == "available":
            junk(client.volume_path(world.target))
            target = {"volume_id": world.target}
        volume = client.restore(record.id, **target)["volume_id"]
        client.volume_settled(volume, {"available"}, timeout=SETTLE_SECS)
        client.backup_settled(record.id, {"available"}, timeout=SETTLE_SECS)
        if digest(client.volume_path(volume)) != record.content:
            raise Wrong(f"backup {record.name} restored other bytes")
        world.count("verified")


def clear(world, client):
    """Removes what the round left over, so that the next one begins small."""
    for snapshot in client.cinder("GET", "/snapshots/detail").expect(200).json["snapshots"]:
        client.cinder("DELETE", f"/snapshots/{snapshot['id']}").expect(202)
    wait_until("the snapshots go", lambda: not client.cinder("GET", "/snapshots").expect(200).json["snapshots"])
    for volume in client.volumes():
        if volume["id"] in world.sources:
            if volume["status"] != "available":
                raise Wrong(f"volume {volume['name']} is {volume['status']}, though nothing wrote to it but us")
        elif volume["id"] == world.target:
            if volume["status"] not in ("available", "error_restoring"):
                raise Wrong(f"the restore target is {volume['status']}")
        elif not volume["name"].startswith(("r-", "t-")):
            raise Wrong(f"volume {volume['name']} was asked for by nobody")
    mine = {*world.sources, world.target}
    if client.volume(world.target)["status"] != "available":
        mine.discard(world.target)
        world.target = client.create_volume("target")
        mine.add(world.target)
    for volume in client.volumes():
        if volume["id"] not in mine:
            client.cinder("DELETE", f"/volumes/{volume['id']}").expect(202)
    wait_until("the volumes go", lambda: {volume["id"] for volume in client.volumes()} == mine)
    oldest = sorted(world.records.values(), key=lambda found: int(found.name[2:]))
    for record in oldest[: max(0, len(oldest) - KEEP_BACKUPS)]:
        client.cinder("DELETE", f"/backups/{record.id}").expect(202)
        wait_until("a backup goes", lambda found=record.id: client.backup(found) is None)
        del world.records[record.name]


def one_round(world, service):
    Round(world, service).run(between(world.rng, 0.1, 3.0))
    while world.rng.random() < 0.25:
        # A second power cut, while the first one is being recovered from.
        service.spawn()
        time.sleep(world.rng.uniform(0.02, 0.6))
        service.kill()
        service.process.stdout.close()
        world.count("kills")
    service.start()
    client = service.client()
    settle(client, service)
    audit(world, client)
    verify(world, client)
    clear(world, client)
    settle(client, service)


def between(rng, least, most):
    """Short times are as likely as long ones, by ratio."""
    return least * (most / least) ** rng.random()


def at_the_end(world, service):
    """A graceful stop, a check of every byte, and a sweep of everything."""
    if (code := service.stop()) != 0:
        raise Wrong(f"a graceful stop ended with {code}")
    repository = service.data_dir / "repository"
    check = ["repo", "check", repository, "--read-data", "--key-file", service.data_dir / "master.key"]
    status, out, err = emberkeep(*check, check=False)
    if status != 0:
        raise Wrong(f"the repository's check found:\n{out}{err}")
    for place, want in [("frozen", 0), ("snapshots", 0), ("volumes", len(world.sources) + 1)]:
        found = sorted(path.name for path in (service.data_dir / place).iterdir())
        if len(found) != want:
            raise Wrong(f"{place}/ holds {len(found)} files, not {want}: {found}")
    service.start()
    client = service.client()
    for record in world.records.values():
        client.cinder("DELETE", f"/backups/{record.id}").expect(202)
    wait_until("the backups go", lambda: not client.backups())
    packs = []
    for _ in range(4):
        client.sweep()
        packs = [path for path in repository.glob("p/*/packs/*/*") if path.is_file()]
        if not packs:
            break
    if packs:
        raise Wrong(f"{len(packs)} packs stay though no backup is left")
    if (code := service.stop()) != 0:
        raise Wrong(f"a graceful stop ended with {code}")


def prepare(world, service):
    client = service.client()
    for index in range(3):
        volume = client.create_volume(f"source-{index}")
        path = client.volume_path(volume)
        scribble(path, world.rng)
        world.sources[volume] = path
    world.target = client.create_volume("target")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=30)
    options.add_argument("--seed", type=int, default=None)
    options = options.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"suite crash: {options.rounds} rounds, --seed {seed}", flush=True)
    world = World(seed)
    room = scratch("crash")
    service = Service(room / "data", sweep_delay_secs=1)
    # An interrupt must not leave a service behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    passed = failed = 0
    try:
        service.start()
        prepare(world, service)
        for number in range(1, options.rounds + 1):
            begun = time.monotonic()
            one_round(world, service)
            passed += 1
            print(f"  ok    round {number}: {len(world.records)} backups whole ({time.monotonic() - begun:.1f} s)", flush=True)
        at_the_end(world, service)
        passed += 1
        if world.counts["failed backups"] * 4 > world.counts["backups"]:
            raise Wrong(f"too many backups did not survive a restart: {world.counts}")
        print("  ok    at the end: every byte checks, and nothing is left over", flush=True)
    except Exception:
        failed = 1
        print(f"  FAIL  (seed {seed})\n{traceback.format_exc()}\nlog:\n{service.log(60)}", flush=True)
    finally:
        service.kill()
        discard(room)
    print("  " + ", ".join(f"{count} {what}" for what, count in world.counts.items()), flush=True)
    print(f"crash: {passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
