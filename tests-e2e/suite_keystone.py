"""A real Keystone as the identity, and the unmodified clients that get their tokens there."""

import json
import os
import pathlib
import unittest

from real_keystone import Keystone
from support import (
    BUSY_BACKUP,
    BUSY_VOLUME,
    MIB,
    Service,
    command,
    emberkeep,
    http_request,
    same_bytes,
    scratch,
    sparse_copy,
    test_env,
    wait_until,
)
from warm import OpenStack

# How long the service believes what Keystone said.
KEEP = 3

SDK = """
import sys
import openstack
conn = openstack.connect()
api = conn.block_storage
volume = api.create_volume(size=1, name="by-sdk")
api.wait_for_status(volume, "available", interval=0.2, wait=60)
backup = api.create_backup(volume_id=volume.id, name="by-sdk", metadata={"one": "1"})
api.wait_for_status(backup, "available", interval=0.2, wait=60)
api.set_backup_metadata(backup, two="2")
assert api.get_backup(backup.id).metadata == {"one": "1", "two": "2"}, api.get_backup(backup.id).metadata
assert [one.id for one in api.backups(name="by-sdk")] == [backup.id]
restored = api.restore_backup(backup, name="by-sdk-again")
target = api.get_volume(restored.volume_id)
api.wait_for_status(target, "available", interval=0.2, wait=60)
api.wait_for_status(api.get_backup(backup.id), "available", interval=0.2, wait=60)
api.delete_backup(backup)
api.wait_for_delete(backup, interval=0.2, wait=60)
for one in (volume, target):
    api.delete_volume(one)
print("done")
"""


class KeystoneSession(unittest.TestCase):
    """One service, one Keystone, several people."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("keystone", cls)
        cls.keystone = Keystone(cls.room / "keystone").set_up().start()
        cls.addClassCleanup(cls.keystone.kill)
        cls.password_file = cls.room / "password"
        cls.password_file.write_text("secret-ember\n")
        cls.service = Service(
            cls.room / "data",
            identity="keystone",
            keystone_auth_url=cls.keystone.url,
            keystone_username="ember",
            keystone_password_file=cls.password_file,
            keystone_project_name="service",
            keystone_user_domain_name="Default",
            keystone_project_domain_name="Default",
            keystone_token_cache_secs=KEEP,
        ).start()
        cls.addClassCleanup(cls.service.kill)
        cls.keystone.populate(cls.service.url)
        cls.alpha = cls.keystone.ids["project", "alpha"]
        cls.ids = {}
        # The first call of each of these starts the command itself; the others are forks (`warm.py`).
        cls.command = OpenStack("cli", ("volume backup create", "volume backup list", "application credential create"))
        cls.addClassCleanup(cls.command.stop)

    # ---- clients ----

    def run_client(self, program, *arguments, user="alice", project="alpha", env=None, check=True):
        env = env or self.keystone.client_environment(user, project)
        if program == "openstack":
            return self.command(arguments, env, check)
        return command([test_env() / "cli" / "bin" / program, *arguments], env=env, check=check)

    def openstack(self, *arguments, **how):
        return json.loads(self.run_client("openstack", *arguments, "-f", "json", **how)[1])

    def refused(self, words, *arguments, **how):
        status, out, err = self.run_client("openstack", *arguments, check=False, **how)
        self.assertNotEqual(status, 0, f"{arguments} was not refused: {out}")
        self.assertIn(words.lower(), err.lower())

    def ask(self, token, method="GET", path="/backups", body=None, project=None, service=None):
        place = f"/volume/v3/{project or self.alpha}{path}"
        headers = {"X-Auth-Token": token} if token else {}
        return http_request((service or self.service).url, method, place, body, headers)

    def token(self, user="alice", project="alpha"):
        return self.keystone.sign_in(user, project)

    def rests(self, kind, thing, busy, wanted="available"):
        token = self.token()

        def probe():
            seen = self.ask(token, path=f"/{kind}s/{thing}").expect(200).json[kind]
            return seen if seen["status"] not in busy else None

        seen = wait_until(f"{kind} {thing} comes to rest", probe, timeout=120)
        self.assertEqual(seen["status"], wanted, seen)

    def volume_path(self, volume):
        answer = http_request(
            self.service.url, "GET", f"/api/v1/volumes/{volume}/path", headers={"X-Auth-Token": self.token("admin")},
        )
        return answer.expect(200).json["path"]

    # ---- the main job ----

    def test_01_openstack_does_the_main_job(self):
        volume = self.openstack("volume", "create", "--size", "1", "data")["id"]
        self.rests("volume", volume, BUSY_VOLUME)
        with open(self.volume_path(volume), "rb+") as file:
            file.write(os.urandom(3 * MIB))
        sparse_copy(self.volume_path(volume), self.room / "first.img")
        backup = self.openstack("volume", "backup", "create", "--name", "one", "data")["id"]
        self.rests("backup", backup, BUSY_BACKUP)
        self.rests("volume", volume, BUSY_VOLUME)
        with open(self.volume_path(volume), "rb+") as file:
            file.write(os.urandom(MIB))
        second = self.openstack("volume", "backup", "create", "--name", "two", "--incremental", "data")["id"]
        self.rests("backup", second, BUSY_BACKUP)
        listed = self.openstack("volume", "backup", "list")
        self.assertEqual({row["Name"]: row["Status"] for row in listed}, {"one": "available", "two": "available"})
        made = self.openstack("volume", "backup", "restore", "one", "again")
        self.rests("volume", made["volume_id"], BUSY_VOLUME)
        difference = same_bytes(self.volume_path(made["volume_id"]), self.room / "first.img")
        self.assertIsNone(difference)
        self.rests("backup", backup, BUSY_BACKUP)
        self.run_client("openstack", "volume", "backup", "delete", "two")
        wait_until("two goes", lambda: self.ask(self.token(), path=f"/backups/{second}").status == 404)
        self.ids.update(volume=volume, backup=backup)

    def test_02_the_older_command(self):
        listed = self.run_client("cinder", "backup-list")[1]
        self.assertIn(self.ids["backup"], listed)
        self.assertIn("available", self.run_client("cinder", "backup-show", self.ids["backup"])[1])

    def test_03_the_sdk(self):
        env = self.keystone.client_environment("alice")
        self.assertIn("done", self.run_client("python", "-c", SDK, env=env)[1])

    def test_04_our_own_command_and_cbr(self):
        env = self.keystone.client_environment("alice")
        _, out, _ = emberkeep("backup", "list", "-o", "json", env=env)
        self.assertIn(self.ids["backup"], out)
        # The same with a token in place of a password.
        env = {key: value for key, value in env.items() if key not in ("OS_USERNAME", "OS_PASSWORD", "OS_USER_DOMAIN_NAME")}
        env.update(OS_AUTH_TYPE="token", OS_TOKEN=self.token())
        _, out, _ = emberkeep("backup", "list", "-o", "json", env=env)
        self.assertIn(self.ids["backup"], out)
        answer = http_request(
            self.service.url, "GET", f"/cbr/v3/{self.alpha}/vaults", headers={"X-Auth-Token": self.token()},
        )
        self.assertEqual(answer.expect(200).json["vaults"], [])

    # ---- who may do what ----

    def test_05_a_reader_reads(self):
        token = self.token("carol")
        self.assertEqual(len(self.ask(token).expect(200).json["backups"]), 1)
        body = {"backup": {"volume_id": self.ids["volume"], "name": "no"}}
        fault = self.ask(token, "POST", "/backups", body).expect(403).json
        self.assertEqual(fault["forbidden"]["message"], "Policy doesn't allow backup:create to be performed.")
        self.ask(token, "DELETE", f"/backups/{self.ids['backup']}").expect(403)
        self.refused("policy doesn't allow", "volume", "backup", "delete", "one", user="carol")

    def test_06_a_manager_is_a_member_and_no_admin(self):
        token = self.token("dora")
        self.ask(token, "PUT", f"/backups/{self.ids['backup']}", {"backup": {"description": "d"}})
        reset = {"os-reset_status": {"status": "error"}}
        self.ask(token, "POST", f"/backups/{self.ids['backup']}/action", reset).expect(403)
        shown = self.ask(token, path=f"/backups/{self.ids['backup']}").expect(200).json["backup"]
        self.assertNotIn("os-backup-project-attr:project_id", shown)

    def test_07_an_admin_sees_all_projects(self):
        token = self.token("admin", "admin")
        admin = self.keystone.request("GET", "/projects?name=admin").json["projects"][0]["id"]
        self.assertEqual(self.ask(token, project=admin).expect(200).json["backups"], [])
        seen = self.ask(token, path="/backups?all_tenants=1", project=admin).expect(200).json["backups"]
        self.assertEqual([one["id"] for one in seen], [self.ids["backup"]])

    def test_08_another_project_sees_nothing(self):
        beta = self.keystone.ids["project", "beta"]
        token = self.token("bob", "beta")
        self.assertEqual(self.ask(token, project=beta).expect(200).json["backups"], [])
        self.ask(token, path=f"/backups/{self.ids['backup']}", project=beta).expect(404)
        # The project is the token's, whatever the path says.
        self.ask(token, path=f"/backups/{self.ids['backup']}").expect(400)

    def test_09_application_credentials(self):
        # The client's own spelling of the keys changes from release to release.
        made = self.openstack("application", "credential", "create", "robot")
        made = {key.lower(): value for key, value in made.items()}
        env = {
            key: value
            for key, value in self.keystone.client_environment("alice").items()
            if key in ("OS_AUTH_URL", "OS_REGION_NAME", "OS_IDENTITY_API_VERSION") or not key.startswith("OS_")
        }
        env.update(
            OS_AUTH_TYPE="v3applicationcredential", OS_APPLICATION_CREDENTIAL_ID=made["id"],
            OS_APPLICATION_CREDENTIAL_SECRET=made["secret"],
        )
        listed = self.openstack("volume", "backup", "list", env=env)
        self.assertEqual([row["Name"] for row in listed], ["one"])
        self.assertIn(self.ids["backup"], emberkeep("backup", "list", "-o", "json", env=env)[1])
        body = {"auth": {"identity": {"methods": ["application_credential"], "application_credential": {
            "id": made["id"], "secret": made["secret"],
        }}}}
        answer = http_request(self.keystone.root, "POST", "/v3/auth/tokens", body).expect(201)
        token = answer.headers["X-Subject-Token"]
        self.ask(token).expect(200)
        self.run_client("openstack", "application", "credential", "delete", "robot")
        wait_until("the credential's token ends", lambda: self.ask(token).status == 401, timeout=KEEP + 10)

    # ---- tokens ----

    def test_10_without_a_good_token(self):
        for token in (None, "no-such-token", "x" * 5000):
            answer = self.ask(token).expect(401)
            self.assertEqual(answer.headers["WWW-Authenticate"], f'Keystone uri="{self.keystone.url}"')
            self.assertEqual(answer.json["error"]["code"], 401)

    def test_11_no_identity_of_our_own(self):
        for method, path in (("GET", "/identity/v3"), ("GET", "/identity"), ("POST", "/identity/v3/auth/tokens")):
            http_request(self.service.url, method, path, body={} if method == "POST" else None).expect(404)
        self.assertFalse((self.service.data_dir / "clouds.yaml").exists())

    def test_12_what_is_taken_back_is_noticed(self):
        token = self.token()
        self.ask(token).expect(200)
        http_request(
            self.keystone.root, "DELETE", "/v3/auth/tokens", headers={"X-Auth-Token": token, "X-Subject-Token": token},
        ).expect(204)
        wait_until("the revocation is noticed", lambda: self.ask(token).status == 401, timeout=KEEP + 10)
        self.ask(self.token()).expect(200)

    def test_13_a_role_that_is_taken_away_is_noticed(self):
        self.keystone.grant("bob", "alpha", "member")
        token = self.token("bob", "alpha")
        self.ask(token).expect(200)
        self.keystone.grant("bob", "alpha", "member", method="DELETE")
        wait_until("the lost role is noticed", lambda: self.ask(token).status == 401, timeout=KEEP + 10)

    # ---- a Keystone that is not there ----

    def test_14_a_keystone_that_is_gone_is_not_a_bad_token(self):
        cached, fresh = self.token(), self.token()
        self.ask(cached).expect(200)
        self.keystone.kill()
        # What is known still holds for a moment; what is not cannot be found out.
        answer = self.ask(fresh).expect(503)
        self.assertEqual(answer.json["serviceUnavailable"]["code"], 503)
        wait_until("what was known ends", lambda: self.ask(cached).status == 503, timeout=KEEP + 10)
        headers = {"X-Auth-Token": fresh}
        cbr = http_request(self.service.url, "GET", f"/cbr/v3/{self.alpha}/vaults", headers=headers)
        native = http_request(self.service.url, "GET", "/api/v1/tasks", headers=headers)
        self.assertEqual((cbr.status, native.status), (503, 503))
        # Who shows nothing is told to sign in, as always.
        self.ask(None).expect(401)
        self.keystone.start()
        self.ask(fresh).expect(200)
        self.ask(cached).expect(200)

    def test_15_a_service_user_that_may_not_ask(self):
        wrong = self.room / "wrong-password"
        wrong.write_text("not-the-password\n")
        settings = {**self.settings(), "keystone_password_file": wrong}
        service = Service(self.room / "other", **settings).start()
        self.addCleanup(service.kill)
        self.ask(self.token(), service=service).expect(503)
        self.assertIn("does not let the service user in", service.log(200))

    def test_16_the_same_in_the_file(self):
        settings = self.settings()
        del settings["identity"]
        keys = "".join(f'{key.removeprefix("keystone_")} = "{value}"\n' for key, value in settings.items())
        config = self.room / "emberkeep.toml"
        config.write_text(f'identity = "keystone"\n[keystone]\n{keys}token_cache_secs = {KEEP}\n')
        service = Service(self.room / "filed", config=config).start()
        self.addCleanup(service.kill)
        self.assertEqual(self.ask(self.token(), service=service).expect(200).json["backups"], [])

    def settings(self):
        return {
            "identity": "keystone",
            "keystone_auth_url": self.keystone.root,
            "keystone_username": "ember",
            "keystone_password_file": pathlib.Path(self.password_file),
            "keystone_project_name": "service",
            "keystone_user_domain_name": "Default",
            "keystone_project_domain_name": "Default",
        }

    def test_17_it_stops_when_asked(self):
        self.assertEqual(self.service.stop(), 0, self.service.log())
