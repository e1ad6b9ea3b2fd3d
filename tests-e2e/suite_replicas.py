"""Copies of backups in a second region's store, as Huawei's and OTC's clients ask for them.

The second region is a store of its own, under a key of its own. What is measured are the
bytes that the store takes, against the bytes that changed.
"""

import contextlib
import datetime
import os
import pathlib
import random
import re
import sqlite3
import unittest
import urllib.request

from stores import Moto
from support import MIB, Service, digest, scratch, wait_until

DISK = "OS::Cinder::Volume"
REGION = "RegionTwo"
MISSING = "00000000-0000-4000-8000-000000000000"


def stored(place):
    """Bytes of all objects in a store."""
    return sum(path.stat().st_size for path in pathlib.Path(place).rglob("*") if path.is_file())


def write(path, at, data):
    with open(path, "rb+") as file:
        os.pwrite(file.fileno(), data, at)
        os.fsync(file.fileno())


class SecondRegion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("replicas", cls)
        cls.away = cls.room / "region-two"
        cls.service = Service(cls.room / "data", replicas=f"{REGION}={cls.away}", sweep_delay_secs=1).start()
        cls.addClassCleanup(lambda: cls.service.kill())
        cls.client = cls.service.client()
        cls.env = cls.service.client_environment()
        cls.volume = cls.client.create_volume("disk-1")
        cls.path = cls.client.volume_path(cls.volume)
        cls.rng = random.Random(6)
        write(cls.path, 0, cls.rng.randbytes(48 * MIB))
        cls.seen = {}

    def vault(self, name, protect_type, **more):
        billing = {"object_type": "disk", "protect_type": protect_type, "consistent_level": "crash_consistent", "size": 100}
        body = {"vault": {"name": name, "resources": [], "billing": billing, **more}}
        return self.client.cbr("POST", "/vaults", body).expect(200).json["vault"]["id"]

    def checkpoint(self, name):
        body = {"checkpoint": {"vault_id": self.seen["vault"], "parameters": {"name": name}}}
        made = self.client.cbr("POST", "/checkpoints", body).expect(200).json["checkpoint"]["id"]

        def ended():
            shown = self.client.cbr("GET", f"/checkpoints/{made}").expect(200).json["checkpoint"]
            return shown if shown["status"] != "protecting" else None

        self.assertEqual(wait_until("the checkpoint ends", ended, 120)["status"], "available")
        backups = self.client.cbr("GET", f"/backups?checkpoint_id={made}").expect(200).json["backups"]
        return backups[0]["id"]

    def backup(self, backup_id):
        return self.client.cbr("GET", f"/backups/{backup_id}").expect(200).json["backup"]

    def to(self, **more):
        return {"replicate": {
            "destination_region": REGION, "destination_project_id": self.client.project,
            "destination_vault_id": self.seen["copies"], **more,
        }}

    def record_settled(self, backup_id):
        def probe():
            records = self.backup(backup_id)["replication_records"]
            if records and records[0]["status"] not in ("waiting_replicate", "replicating"):
                return records[0]
            return None

        return wait_until("the copying ends", probe, 120)

    def refused(self, code, answer):
        self.assertEqual((answer.status, answer.json["error_code"]), (400, code), answer)

    def test_01_what_can_be_done_is_told(self):
        regions = self.client.cbr("GET", "/replication-capabilities").expect(200).json["regions"]
        self.assertEqual(regions, [{"name": "RegionOne", "replication_destinations": [REGION]}])
        features = self.client.cbr("GET", "/cbr-features").expect(200).json
        self.assertEqual((features["replication.enable"], features["replication.destination_regions"]), (True, [REGION]))
        self.assertFalse(self.away.exists(), "nothing is made there before it is needed")

    def test_02_a_backup_is_copied(self):
        self.seen["vault"] = self.vault("here", "backup")
        self.seen["copies"] = self.vault("there", "replication")
        body = {"resources": [{"id": self.volume, "type": DISK}]}
        self.client.cbr("POST", f"/vaults/{self.seen['vault']}/addresources", body).expect(200)
        self.seen["first"] = self.checkpoint("first")
        self.seen["first_digest"] = digest(self.path)
        answer = self.client.cbr("POST", f"/backups/{self.seen['first']}/replicate", self.to(name="first-away"))
        shown = answer.expect(200).json["replication"]
        self.assertEqual(
            (shown["backup_id"], shown["source_region"], shown["destination_region"], shown["destination_vault_id"]),
            (self.seen["first"], "RegionOne", REGION, self.seen["copies"]),
        )
        record = self.record_settled(self.seen["first"])
        self.assertEqual((record["status"], record["id"]), ("success", shown["replication_record_id"]))
        self.assertEqual((record["source_backup_id"], record["extra_info"]["progress"]), (self.seen["first"], 100))
        copy = self.backup(record["destination_backup_id"])
        self.assertEqual(
            (copy["name"], copy["status"], copy["image_type"], copy["vault_id"], copy["resource_id"]),
            ("first-away", "available", "replication", self.seen["copies"], self.volume),
        )
        self.seen["first_copy"] = copy["id"]
        self.seen["full"] = stored(self.away)
        self.assertGreater(self.seen["full"], 48 * MIB)
        point = self.client.cbr("GET", f"/checkpoints/{copy['checkpoint_id']}").expect(200).json["checkpoint"]
        self.assertEqual((point["status"], point["vault"]["id"]), ("available", self.seen["copies"]))
        listed = self.client.cbr("GET", "/backups?image_type=replication").expect(200).json["backups"]
        self.assertEqual([found["id"] for found in listed], [copy["id"]])

    def test_03_the_task_tells_both_ends(self):
        logs = self.client.cbr("GET", "/operation-logs?operation_type=replication").expect(200).json["operation_logs"]
        self.assertEqual([log["status"] for log in logs], ["success"])
        detail = logs[0]["extra_info"]["replication"]
        self.assertEqual(
            (detail["source_backup_id"], detail["source_region"], detail["source_backup_name"]),
            (self.seen["first"], "RegionOne", "first"),
        )
        self.assertEqual(
            (detail["destination_backup_id"], detail["destination_region"], detail["destination_backup_name"]),
            (self.seen["first_copy"], REGION, "first-away"),
        )
        self.assertEqual(logs[0]["extra_info"]["resource"]["id"], self.volume)

    def test_04_only_what_has_changed_travels(self):
        changed = 2 * MIB
        write(self.path, 20 * MIB, self.rng.randbytes(changed))
        self.seen["second"] = self.checkpoint("second")
        self.seen["second_digest"] = digest(self.path)
        before = stored(self.away)
        body = self.to(vault_id=self.seen["vault"])
        shown = self.client.cbr("POST", "/checkpoints/replicate", body).expect(200).json["replication"]
        # The first one is there already.
        self.assertEqual([one["backup_id"] for one in shown["backups"]], [self.seen["second"]])
        self.seen["second_copy"] = self.record_settled(self.seen["second"])["destination_backup_id"]
        sent = stored(self.away) - before
        print(f"        sent {sent / MIB:.2f} MiB for {changed / MIB:.0f} MiB changed of 48 MiB", flush=True)
        self.assertGreater(sent, changed)
        self.assertLess(sent, changed + MIB)
        again = self.client.cbr("POST", "/checkpoints/replicate", body).expect(200).json["replication"]
        self.assertEqual(again["backups"], [])

    def test_05_refusals(self):
        first, post = self.seen["first"], lambda path, body: self.client.cbr("POST", path, body)
        replicate = f"/backups/{first}/replicate"
        self.refused("BackupService.1009", post(replicate, self.to()))
        self.refused("BackupService.1002", post(f"/backups/{self.seen['first_copy']}/replicate", self.to()))
        self.refused("BackupService.1005", post(replicate, self.to(destination_region="RegionNine")))
        self.refused("BackupService.6120", post(replicate, self.to(destination_vault_id=MISSING)))
        self.refused("BackupService.6119", post(replicate, self.to(destination_vault_id=self.seen["vault"])))
        body = self.to(vault_id=self.seen["copies"])
        self.refused("BackupService.6128", post("/checkpoints/replicate", body))
        self.refused("BackupService.9900", post(replicate, {"replicate": {"destination_region": REGION}}))
        self.refused("BackupService.9900", post(replicate, self.to(destination_region="no spaces")))
        answer = post("/checkpoints", {"checkpoint": {"vault_id": self.seen["copies"]}})
        self.refused("BackupService.6124", answer)
        self.refused("BackupService.6119", post("/checkpoints/sync", {"sync": {"vault_id": self.seen["vault"]}}))

    def test_06_a_copy_outlives_its_source_and_is_restored(self):
        self.client.cbr("DELETE", f"/backups/{self.seen['first']}").expect(204)
        wait_until("the source goes", lambda: self.client.backup(self.seen["first"]) is None)
        self.client.sweep()
        # What is at home is damaged beyond use: the copies do not need it.
        for pack in (self.room / "data" / "repository").rglob("packs/**/*"):
            if pack.is_file():
                pack.rename(self.room / f"moved-{pack.name}")
                self.seen.setdefault("moved", []).append((self.room / f"moved-{pack.name}", pack))
        for name in ("first", "second"):
            made = self.client.restore(self.seen[f"{name}_copy"], name=f"back-{name}")
            self.client.volume_settled(made["volume_id"], {"available"})
            self.assertEqual(digest(self.client.volume_path(made["volume_id"])), self.seen[f"{name}_digest"], name)
        for moved, pack in self.seen.pop("moved"):
            moved.rename(pack)

    def test_07_a_kill_in_mid_copy(self):
        write(self.path, 100 * MIB, self.rng.randbytes(160 * MIB))
        third = self.checkpoint("third")
        wanted = digest(self.path)
        before = stored(self.away)
        self.client.cbr("POST", f"/backups/{third}/replicate", self.to()).expect(200)
        wait_until("half of it is there", lambda: stored(self.away) - before > 60 * MIB, 120, 0.01)
        self.service.kill()
        record = None
        self.service.start()
        self.client.url = self.service.url
        record = self.record_settled(third)
        self.assertEqual(record["status"], "success")
        made = self.client.restore(record["destination_backup_id"], name="back-third")
        self.client.volume_settled(made["volume_id"], {"available"})
        self.assertEqual(digest(self.client.volume_path(made["volume_id"])), wanted)
        self.seen["third"], self.seen["third_copy"] = third, record["destination_backup_id"]

    def test_08_a_policy_copies_and_keeps_its_own_number(self):
        post = lambda path, body: self.client.cbr("POST", path, body)
        for copy in (self.seen["first_copy"], self.seen["second_copy"], self.seen["third_copy"]):
            self.client.cbr("DELETE", f"/backups/{copy}").expect(204)
        wait_until("the copies go", lambda: not self.copies())
        # All are copied at one time: of what was made last the copy is to stay.
        last = [self.checkpoint(name) for name in ("fourth", "fifth", "sixth")][-1]
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=65)
        policy = post("/policies", {"policy": {
            "name": "away", "operation_type": "replication",
            "operation_definition": {
                "max_backups": 1, "destination_region": REGION, "destination_project_id": self.client.project,
            },
            "trigger": {"properties": {"pattern": [f"FREQ=DAILY;INTERVAL=1;BYHOUR={soon.hour};BYMINUTE={soon.minute}"]}},
        }}).expect(200).json["policy"]["id"]
        bind = f"/vaults/{self.seen['vault']}/associatepolicy"
        self.refused("BackupService.9900", post(bind, {"policy_id": policy}))
        body = {"policy_id": policy, "destination_vault_id": self.seen["copies"]}
        for _ in range(2):
            bound = post(bind, body).expect(200).json["associate_policy"]
            self.assertEqual(bound["destination_vault_id"], self.seen["copies"])
        # The rules are kept by the copies: of those that it makes one stays, and the sources stay too.
        wait_until("one copy is left", lambda: [copy["status"] for copy in self.copies()] == ["available"], 180)
        copy = self.copies()[0]
        self.assertTrue(copy["extend_info"]["auto_trigger"])
        self.assertEqual(copy["replication_records"][0]["source_backup_id"], last)
        for source in ("second", "third"):
            self.assertEqual(self.backup(self.seen[source])["status"], "available")
        logs = self.client.cbr("GET", "/operation-logs?operation_type=replication").expect(200).json["operation_logs"]
        self.assertEqual({log["policy_id"] for log in logs[:2]}, {policy})
        self.seen["kept"] = copy["id"]

    def copies(self):
        return self.client.cbr("GET", f"/backups?vault_id={self.seen['copies']}").expect(200).json["backups"]

    def sync(self, vault):
        answer = self.client.cbr("POST", "/checkpoints/sync", {"sync": {"vault_id": vault}}).expect(200)
        log = answer.json["sync"]["operation_log_id"]

        def probe():
            shown = self.client.cbr("GET", f"/operation-logs/{log}").expect(200).json["operation_log"]
            return shown if shown["status"] not in ("waiting", "running") else None

        shown = wait_until("the sync ends", probe, 60)
        self.assertEqual((shown["status"], shown["operation_type"]), ("success", "sync"), shown)
        return shown["extra_info"]["sync"]

    def test_09_copies_that_the_catalogue_does_not_know_are_taken_in(self):
        nothing = {"sync_backup_num": 0, "delete_backup_num": 0, "err_sync_backup_num": 0}
        self.assertEqual(self.sync(self.seen["copies"]), nothing)
        before = self.backup(self.seen["kept"])
        self.assertEqual(self.service.stop(), 0)
        with contextlib.closing(sqlite3.connect(self.room / "data" / "catalogue.db")) as rows, rows:
            self.assertEqual(rows.execute("DELETE FROM backups WHERE id = ?", (before["id"],)).rowcount, 1)
        self.service.start()
        self.client.url = self.service.url
        self.client.cbr("GET", f"/backups/{before['id']}").expect(404)
        self.assertEqual(self.sync(self.seen["copies"]), {**nothing, "sync_backup_num": 1})
        after = self.backup(before["id"])
        for key in ("name", "status", "image_type", "resource_id", "resource_size", "vault_id", "replication_records"):
            if key != "replication_records":
                self.assertEqual(after[key], before[key], key)
        self.assertEqual(
            after["replication_records"][0]["source_backup_id"], before["replication_records"][0]["source_backup_id"],
        )
        body = {"sync": [{"backup_id": before["id"]}]}
        shown = self.client.cbr("POST", "/backups/sync", body).expect(200).json["sync"]
        self.assertEqual([one["backup_id"] for one in shown], [before["id"]])
        made = self.client.restore(before["id"], name="back-kept")
        self.client.volume_settled(made["volume_id"], {"available"})
        # Gone there: the row says so and does not pretend.
        manifests = [path for path in self.away.rglob("manifests/**/*") if path.is_file()]
        self.assertEqual(len(manifests), 1)
        manifests[0].unlink()
        self.assertEqual(self.sync(self.seen["copies"]), {**nothing, "delete_backup_num": 1})
        self.assertEqual(self.backup(before["id"])["status"], "error")

    def test_10_a_region_out_of_reach_keeps_nothing_from_starting(self):
        self.assertEqual(self.service.stop(), 0)
        self.away.rename(self.room / "unplugged")
        self.away.write_text("no directory")
        self.service.start()
        self.client.url = self.service.url
        self.client.cbr("POST", f"/backups/{self.seen['second']}/replicate", self.to()).expect(200)
        record = self.record_settled(self.seen["second"])
        self.assertEqual(record["status"], "fail")
        self.assertIn("region-two", record["extra_info"]["fail_reason"])
        # Plugged in again, it is asked for again: a failed copy is no copy.
        self.away.unlink()
        (self.room / "unplugged").rename(self.away)
        self.client.cbr("POST", f"/backups/{self.seen['second']}/replicate", self.to()).expect(200)
        self.assertEqual(self.record_settled(self.seen["second"])["status"], "success")


class ABucketAsRegion(unittest.TestCase):
    """A region that is an S3 bucket, and a server's backup in it, with the children that it has."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("replicas-s3", cls)
        cls.store = Moto(cls.room / "s3")
        cls.addClassCleanup(cls.store.stop)
        cls.store.put("copies")
        kept = {name: os.environ.get(name) for name in cls.store.environment()}
        os.environ.update(cls.store.environment())
        cls.addClassCleanup(lambda: [os.environ.pop(name, None) for name in kept])
        cls.service = Service(cls.room / "data", replicas=f"{REGION}=s3://copies/two", sweep_delay_secs=1).start()
        cls.addClassCleanup(lambda: cls.service.kill())
        cls.client = cls.service.client()
        cls.volumes = [cls.client.create_volume(name) for name in ("root", "data")]
        cls.paths = [cls.client.volume_path(volume) for volume in cls.volumes]
        cls.rng = random.Random(66)
        for path in cls.paths:
            write(path, 0, cls.rng.randbytes(24 * MIB))
        server = cls.client.native("POST", "/servers", {"name": "web", "volumes": cls.volumes}).expect(201).json
        cls.server = server["id"]
        cls.seen = {}

    def stored(self):
        """Bytes of all objects in the bucket."""
        with urllib.request.urlopen(f"{self.store.url}/copies?list-type=2&max-keys=10000", timeout=30) as answer:
            listed = answer.read().decode()
        self.assertIn("<IsTruncated>false</IsTruncated>", listed)
        return sum(int(size) for size in re.findall(r"<Size>(\d+)</Size>", listed))

    def vault(self, name, protect_type, resources):
        billing = {"object_type": "server", "protect_type": protect_type, "consistent_level": "crash_consistent", "size": 100}
        body = {"vault": {"name": name, "resources": resources, "billing": billing}}
        return self.client.cbr("POST", "/vaults", body).expect(200).json["vault"]["id"]

    def checkpoint(self, name):
        body = {"checkpoint": {"vault_id": self.seen["vault"], "parameters": {"name": name}}}
        made = self.client.cbr("POST", "/checkpoints", body).expect(200).json["checkpoint"]["id"]

        def ended():
            shown = self.client.cbr("GET", f"/checkpoints/{made}").expect(200).json["checkpoint"]
            return shown["status"] if shown["status"] != "protecting" else None

        self.assertEqual(wait_until("the checkpoint ends", ended, 120), "available")
        return self.client.cbr("GET", f"/backups?checkpoint_id={made}").expect(200).json["backups"][0]["id"]

    def copy(self, source):
        body = {"replicate": {
            "vault_id": self.seen["vault"], "destination_region": REGION,
            "destination_project_id": self.client.project, "destination_vault_id": self.seen["copies"],
        }}
        begun = self.client.cbr("POST", "/checkpoints/replicate", body).expect(200).json["replication"]["backups"]
        self.assertEqual([one["backup_id"] for one in begun], [source])
        record = begun[0]["replication_record_id"]

        def settled():
            shown = self.client.cbr("GET", f"/backups/{record}").expect(200).json["backup"]
            return shown if shown["status"] not in ("waiting_protect", "protecting") else None

        shown = wait_until("the copying ends", settled, 240)
        self.assertEqual((shown["status"], shown["image_type"]), ("available", "replication"), shown)
        return shown

    def back(self, copy):
        """Restores a copy to the server, whose disks hold something else by then."""
        for path in self.paths:
            write(path, 8 * MIB, self.rng.randbytes(2 * MIB))
        body = {"restore": {"server_id": self.server}}
        job = self.client.cbr("POST", f"/backups/{copy}/restore", body).expect(202).json["job_id"]

        def ended():
            log = self.client.cbr("GET", f"/operation-logs/{job}").expect(200).json["operation_log"]
            return log if log["status"] not in ("waiting", "running") else None

        log = wait_until("the restore ends", ended, 240)
        self.assertEqual(log["status"], "success", log)
        return [digest(path) for path in self.paths]

    def test_01_a_checkpoint_of_a_server_is_copied(self):
        self.seen["vault"] = self.vault("here", "backup", [{"id": self.server, "type": "OS::Nova::Server"}])
        self.seen["copies"] = self.vault("there", "replication", [])
        source = self.checkpoint("first")
        self.seen["digests"] = [digest(path) for path in self.paths]
        copy = self.copy(source)
        self.assertEqual((copy["resource_id"], len(copy["children"])), (self.server, 2))
        self.assertEqual({child["image_type"] for child in copy["children"]}, {"replication"})
        full = self.stored()
        self.assertGreater(full, 48 * MIB)
        self.assertLess(full, 50 * MIB)
        self.seen["first"], self.seen["full"] = copy, full

    def test_02_only_what_has_changed_travels(self):
        changed = 2 * MIB
        write(self.paths[1], 4 * MIB, self.rng.randbytes(changed))
        self.seen["digests_2"] = [digest(path) for path in self.paths]
        source = self.checkpoint("second")
        before = self.stored()
        self.seen["second"] = self.copy(source)
        sent = self.stored() - before
        print(f"        sent {sent / MIB:.2f} MiB for {changed / MIB:.0f} MiB changed of 48 MiB", flush=True)
        self.assertGreater(sent, changed)
        self.assertLess(sent, changed + MIB)

    def test_03_it_comes_back_from_the_bucket(self):
        for backup in self.client.cbr("GET", f"/backups?vault_id={self.seen['vault']}").expect(200).json["backups"]:
            self.client.cbr("DELETE", f"/backups/{backup['id']}").expect(204)
        sources = f"/backups?vault_id={self.seen['vault']}"
        wait_until("the sources go", lambda: not self.client.cbr("GET", sources).expect(200).json["backups"])
        self.client.sweep()
        self.assertEqual(self.back(self.seen["first"]["id"]), self.seen["digests"])
        self.assertEqual(self.back(self.seen["second"]["id"]), self.seen["digests_2"])

    def test_04_a_sync_makes_the_rows_of_whole_and_parts_anew(self):
        lost = self.seen["second"]
        self.assertEqual(self.service.stop(), 0)
        ids = [lost["id"], *(child["id"] for child in lost["children"])]
        with contextlib.closing(sqlite3.connect(self.room / "data" / "catalogue.db")) as rows, rows:
            for gone in ids:
                self.assertEqual(rows.execute("DELETE FROM backups WHERE id = ?", (gone,)).rowcount, 1)
        self.service.start()
        self.client.url = self.service.url
        self.client.cbr("GET", f"/backups/{lost['id']}").expect(404)
        body = {"sync": {"vault_id": self.seen["copies"]}}
        log = self.client.cbr("POST", "/checkpoints/sync", body).expect(200).json["sync"]["operation_log_id"]

        def ended():
            shown = self.client.cbr("GET", f"/operation-logs/{log}").expect(200).json["operation_log"]
            return shown if shown["status"] not in ("waiting", "running") else None

        shown = wait_until("the sync ends", ended, 60)
        self.assertEqual((shown["status"], shown["extra_info"]["sync"]["sync_backup_num"]), ("success", 3), shown)
        again = self.client.cbr("GET", f"/backups/{lost['id']}").expect(200).json["backup"]
        for key in ("name", "status", "image_type", "resource_id", "resource_type", "resource_size", "vault_id"):
            self.assertEqual(again[key], lost[key], key)
        self.assertEqual({child["id"] for child in again["children"]}, set(ids[1:]))
        self.assertEqual(self.back(lost["id"]), self.seen["digests_2"])
        self.assertEqual(self.service.stop(), 0)
