"""A vault of fifty volumes: one checkpoint under load, and the service killed half way.

Short by default. `EMBERKEEP_FIFTY_MIB=512 python3 -B run.py fifty` gives each volume so many
MiB of data instead of 2, which takes minutes.
"""

import contextlib
import http.client
import os
import random
import threading
import unittest

from support import BUSY_VOLUME, MIB, Service, digest, scratch, wait_until

VOLUMES = 50
WORKERS = 3
DATA_MIB = int(os.environ.get("EMBERKEEP_FIFTY_MIB", "2"))
TIMEOUT = 120 + VOLUMES * DATA_MIB
WRITE_MIB_S = 8 * DATA_MIB
LOST = (ConnectionError, http.client.HTTPException, TimeoutError, OSError)


def scatter(path, seed, parts=DATA_MIB * 2):
    """Writes data all over a volume: noise, text that compresses, and a part that all have."""
    rng = random.Random(seed)
    with open(path, "rb+") as file:
        size = os.fstat(file.fileno()).st_size
        for part in range(parts):
            block = [rng.randbytes(MIB // 2), b"all the same " * (MIB // 26), f"{seed} {part} ".encode() * (MIB // 30)]
            os.pwrite(file.fileno(), block[part % 3], rng.randrange(size // MIB) * MIB)
        os.fsync(file.fileno())


class Fifty(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("fifty", cls)
        unlimited = ("volumes", "gigabytes", "backups", "backup_gigabytes")
        quotas = {f"quota_{what}": -1 for what in unlimited}
        # Each copy takes some time whatever the machine, so that whoever looks sees it.
        cls.service = Service(cls.room / "data", workers=WORKERS, store_write_mib_s=WRITE_MIB_S, **quotas).start()
        cls.addClassCleanup(lambda: cls.service.kill())
        cls.client = cls.service.client()
        cls.most = 0
        cls.over = []

    def backups(self):
        return self.client.cbr("GET", f"/backups?vault_id={self.vault}&limit=1000").expect(200).json["backups"]

    def test_01_fifty_volumes_in_a_vault(self):
        made = [
            self.client.cinder("POST", "/volumes", {"volume": {"name": f"v{number:02}", "size": 1}}).expect(202)
            for number in range(VOLUMES + 1)
        ]
        volumes = [answer.json["volume"]["id"] for answer in made]
        for volume in volumes:
            self.client.volume_settled(volume, {"available"})
        paths = {volume: self.client.volume_path(volume) for volume in volumes}
        for number, path in enumerate(paths.values()):
            scatter(path, number)
        # The last one is no part of the vault: the load is on it.
        Fifty.busy, Fifty.busy_path = volumes[-1], paths.pop(volumes[-1])
        Fifty.paths = paths
        Fifty.wanted = {volume: digest(path) for volume, path in paths.items()}
        self.assertEqual(len(set(self.wanted.values())), VOLUMES)
        billing = {"object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 100}
        resources = [{"id": volume, "type": "OS::Cinder::Volume"} for volume in paths]
        body = {"vault": {"name": "fifty", "resources": resources, "billing": billing}}
        Fifty.vault = self.client.cbr("POST", "/vaults", body).expect(200).json["vault"]["id"]

    def observe(self, stop):
        """Counts the copies that run at once, and overwrites each volume as soon as it may be."""
        spoilt = set()
        while not stop.is_set():
            with contextlib.suppress(*LOST, AssertionError):
                tasks = self.client.native("GET", "/tasks?limit=1000").expect(200).json["tasks"]
                running = [task for task in tasks if task["status"] == "running"]
                Fifty.most = max(self.most, len(running))
                if len(running) > WORKERS:
                    self.over.append(len(running))
                copied = {task["volume"]["id"] for task in tasks if task["volume"] and task["status"] in ("running", "succeeded")}
                for volume in self.client.volumes():
                    # Frozen: from here on the volume is free, and what is copied must not change.
                    free = volume["status"] not in BUSY_VOLUME
                    if volume["id"] in self.paths and volume["id"] in copied and free and volume["id"] not in spoilt:
                        spoilt.add(volume["id"])
                        # A little, so that whoever looks keeps up with what is copied.
                        scatter(self.paths[volume["id"]], f"spoilt {volume['id']}", 4)
        Fifty.spoilt = spoilt

    def load(self, stop):
        """Backs up and deletes a volume of its own, and reads, all the time."""
        round_number = 0
        while not stop.is_set():
            round_number += 1
            with contextlib.suppress(*LOST, AssertionError):
                scatter(self.busy_path, round_number)
                backup = self.client.create_backup(self.busy, f"load-{round_number}")
                self.client.backup_settled(backup)
                self.client.cbr("GET", "/vaults").expect(200)
                self.client.cinder("DELETE", f"/backups/{backup}")

    def test_02_one_checkpoint_with_a_kill_half_way(self):
        stop = threading.Event()
        threads = [threading.Thread(target=work, args=(stop,)) for work in (self.observe, self.load)]
        body = {"checkpoint": {"vault_id": self.vault, "parameters": {"name": "all"}}}
        made = self.client.cbr("POST", "/checkpoints", body).expect(200).json["checkpoint"]
        self.assertEqual(len(made["vault"]["resources"]), VOLUMES)
        self.assertEqual(made["vault"]["skipped_resources"], [])
        try:
            for thread in threads:
                thread.start()

            def half():
                """A third is done, and something is being copied at this very moment: between two copies nothing is."""
                states = [backup["status"] for backup in self.backups()]
                self.assertLess(states.count("available"), VOLUMES, "it was over before it could be killed")
                return states.count("available") >= VOLUMES // 3 and "protecting" in states

            wait_until("half of it is done", half, TIMEOUT, 0.02)
            self.service.kill()
            self.service.start()
            # The port is a new one; everybody goes on with it.
            self.client.url = self.service.url

            def ended():
                shown = self.client.cbr("GET", f"/checkpoints/{made['id']}").expect(200).json["checkpoint"]
                return shown if shown["status"] != "protecting" else None

            shown = wait_until("the checkpoint ends", ended, TIMEOUT)
            self.assertEqual(shown["status"], "available")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        done = self.backups()
        self.assertEqual({backup["status"] for backup in done}, {"available"})
        self.assertEqual({backup["resource_id"] for backup in done}, set(self.paths))
        self.assertEqual(len(done), VOLUMES)
        # As many as the configuration says, and never more.
        self.assertEqual((self.most, self.over), (WORKERS, []))
        self.assertGreater(len(self.spoilt), VOLUMES // 2)

    def test_03_every_backup_comes_back_as_it_was_at_its_instant(self):
        restores = {}
        for backup in self.backups():
            restores[backup["resource_id"]] = self.client.restore(backup["id"], name=f"back-{backup['name']}")["volume_id"]
        for volume, restored in restores.items():
            self.client.volume_settled(restored, {"available"}, TIMEOUT)
            self.assertEqual(digest(self.client.volume_path(restored)), self.wanted[volume], volume)
        spoilt = [volume for volume in self.spoilt if digest(self.paths[volume]) != self.wanted[volume]]
        self.assertEqual(len(spoilt), len(self.spoilt))

    def test_04_it_stops_in_good_order(self):
        self.assertEqual(self.service.stop(), 0)
