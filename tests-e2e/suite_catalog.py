"""The catalog is lost, damaged or too old, and comes back: the drill of docs/operations/catalog.md.

A life with users, vaults, policies, locks and shares; then `catalogue.db` goes. It comes back from its sealed copy, and
from manifests alone. Commands are killed at every step that makes something durable, and given again.
"""

import contextlib
import datetime
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import unittest

import support
from support import MIB, clean_environment, command, emberkeep, http_request, wait_until

DISK = "OS::Cinder::Volume"
REFUSED = 4
# Every third step of a command is tried; EMBERKEEP_CRASH_STEPS=1 tries them all.
STRIDE = int(os.environ.get("EMBERKEEP_CRASH_STEPS", "3"))


def pattern(minutes):
    """When a policy runs next, so many minutes from now."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return f"FREQ=DAILY;INTERVAL=1;BYHOUR={at.hour};BYMINUTE={at.minute:02}"


class Catalog(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.place = support.scratch("catalog", cls)
        cls.data = cls.place / "data"
        cls.service = support.Service(cls.data, sweep_delay_secs=1).start()
        cls.addClassCleanup(cls.service.kill)
        cls.client = cls.service.client()
        cls.live()
        cls.assertEqual(cls(), cls.service.stop(), 0)

    def runTest(self):
        """Only so that the class can be used before its tests run."""

    # ---- the life ----

    @classmethod
    def live(cls):
        """Users, projects, volumes, vaults, policies, a lock and a share."""
        client = cls.client
        for name in ("web", "other"):
            emberkeep("--data-dir", cls.data, "project", "create", name)
        for name in ("anna", "bert"):
            subprocess.run(
                [support.binary(), "--data-dir", str(cls.data), "user", "create", name, "--password-stdin"],
                input=f"secret-{name}\n", env=clean_environment(), check=True, text=True, capture_output=True,
            )
        emberkeep("--data-dir", cls.data, "role", "add", "--user", "anna", "--project", "web", "manager")
        emberkeep("--data-dir", cls.data, "role", "add", "--user", "bert", "--project", "other", "member")
        cls.anna = cls.sign_in("anna", "web")
        anna = cls.anna
        cls.volumes = [anna.create_volume(f"disk-{n}") for n in range(2)]
        for number, volume in enumerate(cls.volumes):
            anna.volume_settled(volume, {"available"})
            with open(client.volume_path(volume), "rb+") as file:
                for index in range(6):
                    file.seek((index * 31 + number) * MIB)
                    file.write(os.urandom(200_000))
        cls.contents = {volume: support.digest(client.volume_path(volume)) for volume in cls.volumes}
        billing = {"object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 50}
        vaults = {}
        for name, volume, locked in (("open", cls.volumes[0], False), ("locked", cls.volumes[1], True)):
            body = {"vault": {
                "name": name, "billing": billing, "resources": [{"id": volume, "type": DISK}], "locked": locked,
            }}
            vaults[name] = anna.cbr("POST", "/vaults", body).expect(200).json["vault"]["id"]
        cls.vaults = vaults
        body = {"policy": {
            "name": "nightly", "operation_type": "backup",
            "operation_definition": {"retention_duration_days": 30, "timezone": "UTC+00:00"},
            "trigger": {"properties": {"pattern": [pattern(-60)]}},
        }}
        cls.policy = anna.cbr("POST", "/policies", body).expect(200).json["policy"]["id"]
        for vault in vaults.values():
            bind = {"policy_id": cls.policy}
            anna.cbr("POST", f"/vaults/{vault}/associatepolicy", bind).expect(200)
            cls.checkpoint(vault, f"run-{vault[:4]}")
        cls.plain = anna.create_backup(cls.volumes[0], "plain")
        anna.backup_settled(cls.plain, {"available"})
        # The lock holds what retention would keep: an automatic backup with days left.
        body = {"checkpoint": {"vault_id": vaults["locked"], "parameters": {"auto_trigger": True, "name": "kept"}}}
        run = anna.cbr("POST", "/checkpoints", body).expect(200).json["checkpoint"]["id"]
        cls.run_ended(run)
        cls.shared = cls.in_vault("open")[0]["id"]
        projects = [project["id"] for project in client.identity("GET", "/projects").expect(200).json["projects"]
                    if project["name"] == "other"]
        anna.cbr("POST", f"/backups/{cls.shared}/members", {"members": projects}).expect(200)
        client.cinder("PUT", f"/os-quota-sets/{projects[0]}", {"quota_set": {"backups": 7}}).expect(200)
        cls.other = projects[0]
        cls.before = cls.picture()

    @classmethod
    def checkpoint(cls, vault, name):
        body = {"checkpoint": {"vault_id": vault, "parameters": {"name": name}}}
        cls.run_ended(cls.anna.cbr("POST", "/checkpoints", body).expect(200).json["checkpoint"]["id"])

    @classmethod
    def run_ended(cls, run):
        wait_until("the run ends", lambda: (
            cls.anna.cbr("GET", f"/checkpoints/{run}").expect(200).json["checkpoint"]["status"] == "available"
        ), 120)

    @classmethod
    def sign_in(cls, user, project):
        who = {"username": user, "password": f"secret-{user}", "project_name": project}
        return support.Client(cls.service.url, who)

    @classmethod
    def in_vault(cls, name):
        return cls.anna.cbr("GET", f"/backups?vault_id={cls.vaults[name]}").expect(200).json["backups"]

    @classmethod
    def picture(cls):
        """What people see, as far as a catalog must bring it back."""
        anna = cls.anna
        policy = anna.cbr("GET", f"/policies/{cls.policy}").expect(200).json["policy"]
        return {
            "backups": sorted((one["id"], one["name"], one["status"], one["size"]) for one in anna.backups()),
            "vaults": sorted(
                (one["id"], one["name"], one["locked"], one["billing"]["size"],
                 sorted(resource["id"] for resource in one["resources"]))
                for one in anna.cbr("GET", "/vaults").expect(200).json["vaults"]
            ),
            "in vaults": sorted(
                (one["id"], one["vault_id"], one["checkpoint_id"], one["expired_at"])
                for name in cls.vaults for one in cls.in_vault(name)
            ),
            "policy": (policy["name"], policy["enabled"], policy["operation_definition"],
                       sorted(one["vault_id"] for one in policy["associated_vaults"])),
            "volumes": sorted((one["id"], one["name"], one["status"], one["size"]) for one in anna.volumes()),
        }

    # ---- commands ----

    def catalog(self, *arguments, check=True, env=None):
        return emberkeep("catalog", *arguments, "--data-dir", self.data, check=check, env=env)

    def refused(self, *words):
        """A start is refused with these words and leaves everything as it is."""
        before = self.files()
        with self.assertRaises(support.NotReady) as caught:
            self.service.start()
        self.assertEqual(caught.exception.code, REFUSED, caught.exception)
        for word in words:
            self.assertIn(word, caught.exception.log)
        self.assertTrue(self.files() == before, "the refused start changed the catalog")

    def files(self):
        """The catalog's files and their bytes; what is in its log goes to the file first, where that can be read."""
        path = self.data / "catalogue.db"
        if path.exists():
            with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path)) as catalog:
                catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        names = [path for path in self.data.glob("catalogue.db*") if not path.name.endswith("-shm")]
        return {path.name: path.read_bytes() for path in names if path.stat().st_size}

    def lose(self):
        for path in self.data.glob("catalogue.db*"):
            path.unlink()

    def served(self):
        """Starts the service, and signs in."""
        self.service.start()
        type(self).client = self.service.client()
        type(self).anna = self.sign_in("anna", "web")

    def restores(self):
        """Every available backup comes back bit by bit."""
        for backup in self.anna.backups():
            self.assertEqual(backup["status"], "available", backup)
            volume = self.anna.backup(backup["id"])["volume_id"]
            target = self.anna.restore(backup["id"], name="drill")["volume_id"]
            self.assertEqual(self.anna.volume_settled(target)["status"], "available")
            self.anna.backup_settled(backup["id"], {"available"})
            self.assertEqual(support.digest(self.client.volume_path(target)), self.contents[volume], backup)
            self.anna.cinder("DELETE", f"/volumes/{target}").expect(202)
            wait_until("the target goes", lambda: self.anna.volume(target) is None, 60)

    def lock_holds(self):
        kept = next(one for one in self.in_vault("locked") if one["name"].startswith("kept"))
        self.assertIn(self.anna.cbr("DELETE", f"/backups/{kept['id']}").status, (400, 403, 409))
        vault = self.vaults["locked"]
        self.assertIn(self.anna.cbr("PUT", f"/vaults/{vault}", {"vault": {"locked": False}}).status, (400, 403, 409))

    def policy_runs(self):
        """It runs at the next minute, and its backups are where they belong."""
        before = {one["id"] for name in self.vaults for one in self.in_vault(name)}
        body = {"policy": {"trigger": {"properties": {"pattern": [pattern(2)]}}}}
        self.anna.cbr("PUT", f"/policies/{self.policy}", body).expect(200)

        def made():
            found = [one for name in self.vaults for one in self.in_vault(name) if one["id"] not in before]
            ended = [one for one in found if one["status"] == "available"]
            return {one["vault_id"] for one in ended} == set(self.vaults.values())

        wait_until("the policy runs over both vaults", made, 300)

    # ---- the tests ----

    def test_01_copies_are_there_and_whole(self):
        status, text, _ = self.catalog("list", "-o", "json")
        copies = json.loads(text)
        self.assertTrue(copies)
        self.assertEqual({copy["state"] for copy in copies}, {"whole"})
        self.assertIn("copied as", self.catalog("backup")[1])
        for path in (self.data / "repository" / "catalog").iterdir():
            self.assertNotIn(b"anna", path.read_bytes())

    def test_02_the_drill_with_a_copy(self):
        kept = self.files()
        self.lose()
        self.refused("4 backups of 1 project in the store are unknown to the missing catalog", "catalog rebuild", "--accept")
        self.assertIn("--yes", self.refuses_without_yes(kept))
        _, text, told = self.catalog("rebuild")
        self.assertIn("catalog restored from copy", text)
        self.assertIn("putting the catalog in its place", told)
        self.served()
        self.assertEqual(self.picture(), self.before)
        self.lock_holds()
        bert = self.sign_in("bert", "other")
        shared = bert.cbr("GET", "/backups?own_type=shared").expect(200).json["backups"]
        self.assertEqual([one["id"] for one in shared], [self.shared])
        quota = self.client.cinder("GET", f"/os-quota-sets/{self.other}").expect(200).json["quota_set"]
        self.assertEqual(quota["backups"], 7)
        self.restores()
        self.assertEqual(self.service.stop(), 0)

    def refuses_without_yes(self, kept):
        """A catalog that is there is replaced only on demand."""
        for name, content in kept.items():
            (self.data / name).write_bytes(content)
        status, _, words = self.catalog("rebuild", check=False)
        self.assertEqual(status, REFUSED)
        self.lose()
        return words

    def test_03_settings_are_copied_soon_and_tokens_never(self):
        self.served()
        old = self.anna

        def copies():
            return {path.name for path in (self.data / "repository" / "catalog").iterdir()}

        before = copies()
        quota = {"quota_set": {"backups": 7}}
        self.client.cinder("PUT", f"/os-quota-sets/{self.other}", quota).expect(200)
        wait_until("a copy is written", lambda: copies() - before, 60)
        self.assertEqual(self.service.stop(), 0)
        self.catalog("restore", "--yes")
        aside = list(self.data.glob("catalogue.db.aside-*"))
        self.assertTrue(aside)
        self.service.start()
        url, token = self.service.url, old.token
        answer = http_request(url, "GET", "/identity/v3/auth/projects", headers={"X-Auth-Token": token})
        self.assertEqual(answer.status, 401)
        self.assertEqual(self.service.stop(), 0)

    def test_04_an_older_catalog_is_refused_and_brought_up_to_date(self):
        older = self.files()
        self.served()
        later = self.anna.create_backup(self.volumes[0], "later")
        self.anna.backup_settled(later, {"available"})
        gone = self.anna.create_backup(self.volumes[0], "gone")
        self.anna.backup_settled(gone, {"available"})
        self.assertEqual(self.service.stop(), 0)
        middle = self.files()
        self.served()
        self.anna.cinder("DELETE", f"/backups/{gone}").expect(202)
        wait_until("it goes", lambda: self.anna.backup(gone) is None, 60)
        self.assertEqual(self.service.stop(), 0)
        self.lose()
        for name, content in older.items():
            (self.data / name).write_bytes(content)
        self.refused("1 backup of 1 project in the store is unknown", "is newer than it")
        # Accepted once, it is accepted for good.
        accepted = self.accept()
        self.assertNotIn(later, accepted)
        self.served()
        self.assertNotIn(later, [one["id"] for one in self.anna.backups()])
        self.assertEqual(self.service.stop(), 0)
        # One from in between shows a backup that was deleted since.
        self.lose()
        for name, content in middle.items():
            (self.data / name).write_bytes(content)
        self.refused("is newer than")
        self.catalog("rebuild", "--yes")
        self.served()
        backups = {one["id"]: one for one in self.anna.backups()}
        self.assertIn(later, backups)
        self.assertNotIn(gone, backups)
        self.restores()
        self.anna.cinder("DELETE", f"/backups/{later}").expect(202)
        wait_until("it goes", lambda: self.anna.backup(later) is None, 60)
        self.client.sweep()
        self.assertEqual(self.service.stop(), 0)

    def accept(self):
        """Starts with `--accept`; returns the backups that are listed."""
        process = subprocess.Popen(
            [support.binary(), "serve", "--accept", "--data-dir", str(self.data), "--listen", "127.0.0.1:0"],
            env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        try:
            self.service.url = process.stdout.readline().split()[1]
            return {one["id"] for one in self.sign_in("anna", "web").backups()}
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
            process.stdout.close()

    def test_05_damage_is_refused_with_words(self):
        whole = self.files()["catalogue.db"]
        path = self.data / "catalogue.db"
        backup = self.plain.encode()
        for what, damage in (
            ("an id", lambda data: data.replace(backup, b"x" + backup[1:], 1)),
            ("the head", lambda data: b"\0" * 16 + data[16:]),
            ("a page", lambda data: data[:4096 * 3] + os.urandom(4096) + data[4096 * 4:]),
            ("half of it", lambda data: data[:len(data) // 2]),
        ):
            with self.subTest(what):
                path.write_bytes(damage(whole))
                self.refused("is damaged and is not served", "catalog rebuild --yes")
        path.write_bytes(whole[:len(whole) // 2])
        self.catalog("rebuild", "--yes")
        self.served()
        self.assertEqual(self.picture(), self.before)
        self.assertEqual(self.service.stop(), 0)

    def test_06_a_damaged_copy_is_told_and_passed_over(self):
        self.catalog("backup")
        copies = sorted((self.data / "repository" / "catalog").iterdir())
        self.assertGreater(len(copies), 1)
        copies[-1].chmod(0o600)
        with open(copies[-1], "rb+") as file:
            file.seek(-40, os.SEEK_END)
            file.write(b"\0" * 8)
        status, text, words = self.catalog("list", check=False)
        self.assertEqual(status, 1)
        self.assertIn("damaged", text)
        self.lose()
        status, _, words = self.catalog("restore", check=False)
        self.assertEqual(status, 1, words)
        self.assertIn("cannot be read", self.catalog("rebuild")[1])
        copies[-1].unlink()
        self.served()
        self.assertEqual(self.picture(), self.before)
        self.assertEqual(self.service.stop(), 0)

    @unittest.skipUnless(shutil.which("cc"), "there is no C compiler")
    def test_07_commands_that_are_killed_at_any_step_can_be_given_again(self):
        shim = self.place / "steps.so"
        source = support.HERE / "crash_steps.c"
        command(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", shim, source, "-ldl"])
        kept = self.files()
        for verb in (("backup",), ("rebuild", "--yes"), ("rebuild", "--yes", "--from-manifests")):
            deaths = 0
            for step in range(1, 2000, STRIDE):
                env = clean_environment()
                env.update(LD_PRELOAD=str(shim), CRASH_AT=str(step), CRASH_ARMED="1")
                status, _, words = self.catalog(*verb, check=False, env=env)
                if status == 0:
                    break
                self.assertEqual(status, -signal.SIGKILL, f"{verb} {step}: {words}")
                deaths += 1
                # Nobody starts with half a catalog: it is whole, or it is missed.
                if not (self.data / "catalogue.db").exists():
                    self.assertTrue(list(self.data.glob("catalogue.db.aside-*")), f"{verb} {step}")
                status, text, _ = self.catalog("list", check=False)
                self.assertEqual(status, 0, text)
            self.assertGreater(deaths, 3, verb)
            self.catalog("rebuild", "--yes")
            self.service.start()
            type(self).client, type(self).anna = self.service.client(), self.sign_in("anna", "web")
            self.assertEqual(self.picture(), self.before, verb)
            self.assertEqual(self.service.stop(), 0)
            for path in self.data.glob("catalogue.db.aside-*"):
                path.unlink()

    def test_08_the_drill_from_manifests_alone(self):
        self.lose()
        shutil.rmtree(self.data / "repository" / "catalog")
        self.refused("unknown to the missing catalog")
        _, text, _ = self.catalog("rebuild")
        for words in ("rebuilt from the manifests", "2 vaults made again", "1 policies made again", "users made again"):
            self.assertIn(words, text)
        self.service.start()
        type(self).client = self.service.client()
        # Passwords are lost with the copies; the administrator gives new ones.
        users = {one["name"]: one["id"] for one in self.client.identity("GET", "/users").expect(200).json["users"]}
        self.assertEqual(set(users), {"admin", "anna"})
        with self.assertRaises(AssertionError):
            self.sign_in("anna", "web")
        self.client.identity("PATCH", f"/users/{users['anna']}", {"user": {"password": "secret-anna"}}).expect(200)
        type(self).anna = self.sign_in("anna", "web")
        self.assertEqual(self.picture(), self.before)
        self.lock_holds()
        self.restores()
        self.policy_runs()
        self.assertEqual(self.service.stop(), 0)
