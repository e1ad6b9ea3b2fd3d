"""A policy at work in real time: a run each minute, one of them after kill -9, and retention by number.

Policies of CBR run an hour apart at least; `policy_min_gap_minutes` is for whoever wants to see them work.
"""

import datetime
import random
import unittest

from support import MIB, Service, digest, scratch, wait_until

RUNS = 4
KEPT = 2


class Minutes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("minutes", cls)
        cls.service = Service(cls.room / "data", policy_min_gap_minutes=1).start()
        cls.addClassCleanup(lambda: cls.service.kill())
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("busy")
        cls.path = cls.client.volume_path(cls.volume)
        cls.rng = random.Random(6)
        cls.digests = {}

    def overwrite(self):
        with open(self.path, "rb+") as file:
            file.seek(self.rng.randrange(64) * MIB)
            file.write(self.rng.randbytes(MIB))

    def get(self, path, key):
        return self.client.cbr("GET", path).expect(200).json[key]

    def runs(self):
        """The runs of the policy that ended well, the first one first."""
        logs = self.get("/operation-logs?operation_type=backup&status=success", "operation_logs")
        return [log for log in reversed(logs) if log["policy_id"] == self.policy]

    def backups(self):
        return self.get(f"/backups?vault_id={self.vault}", "backups")

    def test_01_a_policy_is_bound(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        if now.second > 50:
            # Not so near to the next minute that the first run passes before the policy is bound.
            now += datetime.timedelta(minutes=1)
        Minutes.times = [(now + datetime.timedelta(minutes=n + 1)).replace(second=0, microsecond=0) for n in range(RUNS)]
        body = {"policy": {
            "name": "each-minute", "operation_type": "backup", "operation_definition": {"max_backups": KEPT},
            "trigger": {"properties": {"pattern": [
                f"FREQ=DAILY;INTERVAL=1;BYHOUR={at.hour};BYMINUTE={at.minute:02}" for at in self.times
            ]}},
        }}
        Minutes.policy = self.client.cbr("POST", "/policies", body).expect(200).json["policy"]["id"]
        self.overwrite()
        billing = {"object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 10}
        resources = [{"id": self.volume, "type": "OS::Cinder::Volume"}]
        body = {"vault": {"name": "minutes", "resources": resources, "billing": billing, "backup_policy_id": self.policy}}
        Minutes.vault = self.client.cbr("POST", "/vaults", body).expect(200).json["vault"]["id"]
        preview = self.client.native("GET", f"/policies/{self.policy}/preview").expect(200).json
        shown = [datetime.datetime.fromisoformat(at.replace("Z", "+00:00")) for at in preview["next_runs"]]
        self.assertEqual(shown[:RUNS], self.times)

    def test_02_it_runs_each_minute_and_keeps_its_number(self):
        made = {}
        for number in range(1, RUNS + 1):
            wait_until(f"run {number} ends", lambda: len(self.runs()) >= number, 120, 0.5)
            for log in self.runs():
                made.setdefault(log["extra_info"]["backup"]["backup_id"], log)
            newest = self.runs()[-1]["extra_info"]["backup"]["backup_id"]
            self.digests[newest] = digest(self.path)
            self.overwrite()
            if number == 2:
                self.service.kill()
                self.service.start()
                self.client.url = self.service.url
        self.assertEqual(len(made), RUNS)
        begun = [datetime.datetime.fromisoformat(log["created_at"]).replace(tzinfo=datetime.timezone.utc) for log in made.values()]
        late = [(at - due).total_seconds() for at, due in zip(begun, self.times)]
        print(f"        {RUNS} runs, each so many seconds after its minute: {[round(secs, 1) for secs in late]}", flush=True)
        for secs in late:
            self.assertGreaterEqual(secs, 0)
            self.assertLess(secs, 30)
        # By number: the last ones are there, and the others are gone.
        wait_until("retention is done", lambda: len(self.backups()) == KEPT, 60)
        self.assertEqual({backup["id"] for backup in self.backups()}, set(list(made)[-KEPT:]))
        for backup in self.backups():
            self.assertEqual((backup["status"], backup["extend_info"]["auto_trigger"]), ("available", True))
        gone = self.get("/operation-logs?operation_type=delete&status=success", "operation_logs")
        self.assertEqual(len(gone), RUNS - KEPT)

    def test_03_what_is_kept_is_what_was_there(self):
        for backup in self.backups():
            made = self.client.restore(backup["id"], name="back")
            self.client.volume_settled(made["volume_id"], {"available"})
            self.assertEqual(digest(self.client.volume_path(made["volume_id"])), self.digests[backup["id"]])

    def test_04_no_sooner_than_the_configuration_says(self):
        self.assertEqual(self.service.stop(), 0)
        del self.service.settings["EMBERKEEP_POLICY_MIN_GAP_MINUTES"]
        self.service.start()
        self.client.url = self.service.url
        patterns = ["FREQ=DAILY;BYHOUR=1;BYMINUTE=00", "FREQ=DAILY;BYHOUR=1;BYMINUTE=59"]
        body = {"policy": {
            "name": "soon", "operation_type": "backup", "operation_definition": {"max_backups": 1},
            "trigger": {"properties": {"pattern": patterns}},
        }}
        answer = self.client.cbr("POST", "/policies", body).expect(400)
        self.assertEqual(answer.json["error_code"], "BackupService.9900")
        # The one that was allowed goes on, and can be changed in what is allowed.
        rename = {"policy": {"name": "as-before"}}
        self.client.cbr("PUT", f"/policies/{self.policy}", rename).expect(200)
