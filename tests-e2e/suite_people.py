"""Who may come in: users, projects, roles and passwords, with our command, with `openstack`, with and without a service."""

import json
import subprocess
import unittest

from support import Client, Service, binary, clean_environment, emberkeep, http_request, scratch, wait_until
from warm import OpenStack


class People(unittest.TestCase):
    """The built-in identity, as scripts and administrators use it."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("people", cls)
        cls.service = Service(cls.room / "data").start()
        cls.addClassCleanup(cls.service.kill)
        # The first call of each of these starts the command itself; the others are forks (`warm.py`).
        cls.command = OpenStack("cli", ("role list", "user set", "token issue"))
        cls.addClassCleanup(cls.command.stop)

    # ---- commands ----

    def create_user(self, name, *options, env=None, password=None):
        done = subprocess.run(
            [binary(), *options, "user", "create", name, "--password-stdin"],
            input=f"{password or f'secret-{name}'}\n", env=env or clean_environment(), capture_output=True, text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def openstack(self, *arguments, env=None, check=True):
        env = env or self.service.client_environment()
        return self.command(arguments, env, check)

    def sign_in(self, user, project, password=None):
        who = {"username": user, "password": password or f"secret-{user}", "project_name": project}
        return Client(self.service.url, who)

    def sign_in_status(self, user, password):
        identity = {"methods": ["password"], "password": {"user": {
            "name": user, "domain": {"id": "default"}, "password": password,
        }}}
        body = {"auth": {"identity": identity, "scope": "unscoped"}}
        return http_request(self.service.url, "POST", "/identity/v3/auth/tokens", body).status

    def environment_of(self, user, project, password=None):
        env = clean_environment()
        env.update(
            OS_AUTH_URL=f"{self.service.url}/identity/v3", OS_USERNAME=user, OS_PASSWORD=password or f"secret-{user}",
            OS_PROJECT_NAME=project, OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default",
            OS_IDENTITY_API_VERSION="3",
        )
        return env

    # ---- the contracts of scripts ----

    def test_01_against_a_running_service_by_the_cloud_s_name(self):
        env = clean_environment()
        env["OS_CLIENT_CONFIG_FILE"] = str(self.service.data_dir / "clouds.yaml")
        env["OS_CLOUD"] = "emberkeep"
        emberkeep("project", "create", "alpha", env=env)
        self.create_user("alice", env=env)
        emberkeep("role", "add", "--user", "alice", "--project", "alpha", "member", env=env)
        self.create_user("carol", "--os-cloud", "emberkeep", env=env)
        emberkeep("--os-cloud", "emberkeep", "role", "add", "--user", "carol", "--project", "alpha", "reader", env=env)
        self.assertEqual(self.sign_in("alice", "alpha").cinder("GET", "/backups").status, 200)

    def test_01b_a_project_s_backups_are_erased_for_ever(self):
        admin = {**clean_environment(), "OS_CLOUD": "emberkeep",
                 "OS_CLIENT_CONFIG_FILE": str(self.service.data_dir / "clouds.yaml")}
        emberkeep("project", "create", "doomed", env=admin)
        self.create_user("dora", env=admin)
        emberkeep("role", "add", "--user", "dora", "--project", "doomed", "member", env=admin)
        dora = self.sign_in("dora", "doomed")
        volume = dora.create_volume("disk")
        with open(self.service.client().volume_path(volume), "rb+") as disk:
            disk.write(b"precious" * 50000)
        backup = dora.create_backup(volume, "monday")
        dora.backup_settled(backup, {"available"})
        self.assertEqual(dora.native("POST", f"/erase?project_id={dora.project}&confirm={dora.project}").status, 403)
        said = json.loads(emberkeep("project", "erase", "doomed", "--dry-run", "-o", "json", env=admin)[1])
        self.assertEqual((said["backups"], said["done"]), (1, False))
        self.assertEqual(emberkeep("project", "erase", "doomed", env=admin, check=False)[0], 4, "unconfirmed")
        self.assertEqual(emberkeep("project", "erase", "doomed", "--confirm", "alpha", env=admin, check=False)[0], 4)
        self.assertEqual(dora.backup(backup)["status"], "available", "nothing happened so far")
        emberkeep("project", "erase", "doomed", "--confirm", "doomed", env=admin)
        wait_until("its backups go", lambda: dora.backup(backup) is None, 30)
        # The project itself goes on, with a key of its own.
        again = dora.create_backup(volume, "tuesday")
        dora.backup_settled(again, {"available"})
        restored = dora.restore(again, name="back")["volume_id"]
        wait_until("it is restored", lambda: dora.volume(restored)["status"] == "available", 60)
        with open(self.service.client().volume_path(restored), "rb") as disk:
            self.assertEqual(disk.read(400000), b"precious" * 50000)
        repository = self.service.data_dir / "repository"
        key = self.service.data_dir / "master.key"
        emberkeep("repo", "check", repository, "--key-file", key, "--read-data")

    def test_02_against_a_stopped_one_in_its_directory(self):
        place = ["--data-dir", self.service.data_dir]
        self.assertEqual(self.service.stop(), 0)
        emberkeep(*place, "project", "create", "beta")
        self.create_user("bob", *map(str, place))
        emberkeep(*place, "role", "add", "--user", "bob", "--project", "beta", "manager")
        status, _, err = emberkeep(*place, "project", "create", "beta", check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("beta", err)
        self.service.start()
        bob = self.sign_in("bob", "beta")
        self.assertEqual(bob.cinder("GET", "/backups").status, 200)
        # And again through the service that has the directory now.
        emberkeep(*place, "role", "add", "--user", "alice", "--project", "beta", "reader")
        self.assertEqual(self.sign_in("alice", "beta").cinder("GET", "/backups").status, 200)

    def test_03_roles_include_those_below(self):
        for user, project, want in (
            ("bob", "beta", ["manager", "member", "reader"]),
            ("alice", "alpha", ["member", "reader"]),
            ("carol", "alpha", ["reader"]),
        ):
            client = self.sign_in(user, project)
            headers = {"X-Auth-Token": client.token, "X-Subject-Token": client.token}
            shown = http_request(self.service.url, "GET", "/identity/v3/auth/tokens", headers=headers).expect(200)
            self.assertEqual([role["name"] for role in shown.json["token"]["roles"]], want)
        roles = json.loads(self.openstack("role", "list", "-f", "json")[1])
        self.assertEqual({role["Name"] for role in roles}, {"admin", "manager", "member", "reader"})
        # A manager makes things; what is the administrator's is not theirs.
        bob = self.sign_in("bob", "beta")
        bob.create_volume("bobs")
        self.assertEqual(bob.cinder("GET", "/os-services").status, 403)
        carol = self.sign_in("carol", "alpha")
        self.assertEqual(carol.cinder("POST", "/volumes", {"volume": {"size": 1}}).status, 403)

    # ---- passwords ----

    def test_04_a_user_changes_the_own_password(self):
        before = self.sign_in("alice", "alpha")
        env = self.environment_of("alice", "alpha")
        self.openstack(
            "user", "password", "set", "--original-password", "secret-alice", "--password", "other-alice", env=env,
        )
        self.assertEqual(self.sign_in_status("alice", "secret-alice"), 401)
        self.sign_in("alice", "alpha", "other-alice")
        # Whoever held a token of before is out.
        self.assertEqual(before.cinder("GET", "/backups").status, 401)
        wrong = self.environment_of("alice", "alpha", "other-alice")
        status, _, _ = self.openstack(
            "user", "password", "set", "--original-password", "guess", "--password", "mine", env=wrong, check=False,
        )
        self.assertNotEqual(status, 0)
        self.sign_in("alice", "alpha", "other-alice")

    def test_05_an_administrator_sets_one(self):
        carol = self.sign_in("carol", "alpha")
        refused = carol.identity("PATCH", f"/users/{self.user_id('alice')}", {"user": {"password": "stolen"}})
        self.assertEqual(refused.status, 403)
        self.openstack("user", "set", "--password", "third-alice", "alice")
        self.assertEqual(self.sign_in_status("alice", "other-alice"), 401)
        self.assertEqual(self.sign_in_status("alice", "third-alice"), 201)

    def user_id(self, name):
        users = self.service.client().identity("GET", f"/users?name={name}").expect(200).json["users"]
        return users[0]["id"]

    def test_06_guessing_is_stopped(self):
        for _ in range(10):
            self.assertEqual(self.sign_in_status("carol", "guess"), 401)
        # Even the right one, for half a minute; others are not held up.
        self.assertEqual(self.sign_in_status("carol", "secret-carol"), 401)
        self.assertEqual(self.sign_in_status("alice", "third-alice"), 201)

    # ---- coming and going ----

    def test_07_a_disabled_user_is_out_at_once(self):
        alice = self.sign_in("alice", "alpha", "third-alice")
        self.openstack("user", "set", "--disable", "alice")
        self.assertEqual(alice.cinder("GET", "/backups").status, 401)
        self.assertEqual(self.sign_in_status("alice", "third-alice"), 401)
        self.openstack("user", "set", "--enable", "alice")
        # The old token stays taken back.
        self.assertEqual(alice.cinder("GET", "/backups").status, 401)
        self.sign_in("alice", "alpha", "third-alice")

    def test_08_a_token_is_taken_back(self):
        alice = self.sign_in("alice", "alpha", "third-alice")
        env = self.environment_of("alice", "alpha", "third-alice")
        token = json.loads(self.openstack("token", "issue", "-f", "json", env=env)[1])["id"]
        self.openstack("token", "revoke", token, env=env)
        self.assertEqual(
            http_request(
                self.service.url, "GET", f"/volume/v3/{alice.project}/backups", headers={"X-Auth-Token": token},
            ).status,
            401,
        )
        self.assertEqual(alice.cinder("GET", "/backups").status, 200)

    def test_09_a_project_with_something_in_it_stays(self):
        status, _, err = self.openstack("project", "delete", "beta", check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("still holds volumes or backups", err)
        self.openstack("project", "create", "gamma", "--description", "for a moment")
        self.openstack("role", "add", "--user", "alice", "--project", "gamma", "member")
        self.openstack("project", "set", "--disable", "gamma")
        self.openstack("project", "delete", "gamma")
        listed = json.loads(self.openstack("project", "list", "-f", "json")[1])
        self.assertNotIn("gamma", [row["Name"] for row in listed])

    def test_10_a_deleted_user_is_gone(self):
        alice = self.sign_in("alice", "alpha", "third-alice")
        self.openstack("user", "delete", "alice")
        self.assertEqual(alice.cinder("GET", "/backups").status, 401)
        self.assertEqual(self.sign_in_status("alice", "third-alice"), 401)
        listed = json.loads(self.openstack("user", "list", "-f", "json")[1])
        self.assertNotIn("alice", [row["Name"] for row in listed])

    def test_11_it_stops_when_asked(self):
        self.assertEqual(self.service.stop(), 0, self.service.log())
