"""The unmodified `openstack` and `cinder` commands against the running service.

Most calls are forks of a process that has imported `openstack` (`warm.py`); those in `REAL` and all of `cinder` start
the command itself.
"""

import json
import os
import unittest

from support import (
    BUSY_BACKUP,
    BUSY_VOLUME,
    MIB,
    Service,
    change,
    command,
    digest,
    emberkeep,
    fill_with_filesystem,
    same_bytes,
    scratch,
    sparse_copy,
    test_env,
    wait_until,
)
from warm import OpenStack

REAL = (
    "volume create", "volume show", "volume list", "volume backup create", "volume backup show", "volume backup list",
    "volume backup restore", "volume backup delete", "project create",
)


class OpenStackSession(unittest.TestCase):
    """One session, as a person would type it."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("openstack", cls)
        cls.service = Service(cls.room / "data").start()
        cls.addClassCleanup(cls.service.kill)
        cls.env = cls.service.client_environment()
        cls.client = cls.service.client()
        cls.command = OpenStack("cli", REAL)
        cls.addClassCleanup(cls.command.stop)
        cls.ids = {}

    # ---- the two commands ----

    def openstack(self, *arguments, env=None, check=True):
        return self.command(arguments, env or self.env, check)

    def openstack_json(self, *arguments, env=None):
        return json.loads(self.openstack(*arguments, "-f", "json", env=env)[1])

    def cinder(self, *arguments):
        # The older command takes the variables, not the cloud's name.
        who = self.service.credentials()
        env = {key: value for key, value in self.env.items() if not key.startswith("OS_")}
        env.update(
            OS_AUTH_URL=who["auth_url"], OS_USERNAME=who["username"], OS_PASSWORD=who["password"],
            OS_PROJECT_NAME=who["project_name"], OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default",
            OS_IDENTITY_API_VERSION="3",
        )
        return command([test_env() / "cli" / "bin" / "cinder", *arguments], env=env)[1]

    def refused(self, words, *arguments, env=None):
        status, out, err = self.openstack(*arguments, env=env, check=False)
        self.assertNotEqual(status, 0, f"{arguments} was not refused: {out}")
        self.assertIn(words.lower(), err.lower())

    # ---- waiting, with the real client ----

    def rest(self, kind, name, busy, wanted):
        def probe():
            seen = self.openstack_json("volume", *kind, "show", name)
            return seen if seen["status"] not in busy else None

        seen = wait_until(f"{name} comes to rest", probe, timeout=180, interval=0.2)
        self.assertEqual(seen["status"], wanted, seen)
        return seen

    def volume_rests(self, name, wanted="available"):
        return self.rest((), name, BUSY_VOLUME, wanted)

    def backup_rests(self, name, wanted="available"):
        return self.rest(("backup",), name, BUSY_BACKUP, wanted)

    def path(self, name):
        return emberkeep("volume", "path", self.ids[name], env=self.env)[1].strip()

    def assert_same(self, one, other):
        self.assertIsNone(same_bytes(one, other))

    # ---- the session ----

    def test_01_a_volume_is_created(self):
        made = self.openstack_json("volume", "create", "--size", "1", "--description", "of real files", "data-1")
        self.ids["data-1"] = made["id"]
        seen = self.volume_rests("data-1")
        self.assertEqual((seen["name"], int(seen["size"]), seen["description"]), ("data-1", 1, "of real files"))
        self.assertEqual(os.path.getsize(self.path("data-1")), 1 << 30)
        by_name = emberkeep("volume", "path", "data-1", env=self.env)[1].strip()
        self.assertEqual(by_name, self.path("data-1"))

    def test_02_a_full_backup_of_a_real_file_system(self):
        fill_with_filesystem(self.path("data-1"))
        sparse_copy(self.path("data-1"), self.room / "first.img")
        made = self.openstack_json("volume", "backup", "create", "--name", "full", "--description", "first", "data-1")
        self.ids["full"] = made["id"]
        seen = self.backup_rests("full")
        self.assertEqual((int(seen["size"]), seen["volume_id"]), (1, self.ids["data-1"]))
        self.assertIs(self.client.backup(made["id"])["is_incremental"], False)
        self.volume_rests("data-1")

    def test_03_an_incremental_after_a_change(self):
        change(self.path("data-1"), seed=3)
        self.assertIsNotNone(same_bytes(self.path("data-1"), self.room / "first.img"))
        sparse_copy(self.path("data-1"), self.room / "second.img")
        made = self.openstack_json("volume", "backup", "create", "--name", "second", "--incremental", "data-1")
        self.ids["second"] = made["id"]
        self.backup_rests("second")
        seen = self.client.backup(made["id"])
        self.assertIs(seen["is_incremental"], True)
        # Any point may go: none needs another.
        self.assertIs(self.client.backup(self.ids["full"])["has_dependent_backups"], False)

    def test_04_list_and_show(self):
        listed = self.openstack_json("volume", "backup", "list", "--long")
        self.assertEqual({row["Name"]: row["Status"] for row in listed}, {"full": "available", "second": "available"})
        self.assertEqual(self.openstack_json("volume", "backup", "show", self.ids["full"])["name"], "full")
        volumes = self.openstack_json("volume", "list")
        self.assertEqual([row["Name"] for row in volumes], ["data-1"])
        self.openstack("volume", "backup", "set", "--name", "full-1", "full")
        self.openstack("volume", "backup", "set", "--name", "full", "full-1")
        first_page = self.openstack_json("volume", "backup", "list", "--limit", "1")
        self.assertEqual(len(first_page), 2, "the client follows pages of one to the end")
        self.assertTrue(self.openstack_json("volume", "type", "list"))

    def test_05_restore_to_a_new_volume(self):
        made = self.openstack_json("volume", "backup", "restore", "full", "restored-1")
        self.ids["restored-1"] = made["volume_id"]
        self.volume_rests("restored-1")
        self.backup_rests("full")
        self.assert_same(self.path("restored-1"), self.room / "first.img")

    def test_06_restore_to_volumes_that_hold_data(self):
        # data-1 holds the second state; zeroes of the first must replace its bytes too.
        self.openstack("volume", "backup", "restore", "--force", "full", "data-1")
        self.volume_rests("data-1")
        self.assert_same(self.path("data-1"), self.room / "first.img")
        self.backup_rests("full")
        with open(self.path("restored-1"), "rb+") as junk:
            for at in range(0, 1 << 30, 64 * MIB):
                os.pwrite(junk.fileno(), b"\xa5" * MIB, at)
        self.openstack("volume", "backup", "restore", "--force", "second", "restored-1")
        self.volume_rests("restored-1")
        self.assert_same(self.path("restored-1"), self.room / "second.img")

    def test_07_a_backup_of_a_snapshot(self):
        made = self.openstack_json("volume", "snapshot", "create", "--volume", "data-1", "frozen")
        wait_until(
            "the snapshot is made",
            lambda: self.openstack_json("volume", "snapshot", "show", "frozen")["status"] == "available",
        )
        change(self.path("data-1"), seed=7)
        self.openstack("volume", "backup", "create", "--snapshot", "frozen", "--name", "of-snapshot", "data-1")
        seen = self.backup_rests("of-snapshot")
        self.assertEqual(seen["snapshot_id"], made["id"])
        made = self.openstack_json("volume", "backup", "restore", "of-snapshot", "restored-2")
        self.ids["restored-2"] = made["volume_id"]
        self.volume_rests("restored-2")
        self.assert_same(self.path("restored-2"), self.room / "first.img")
        self.openstack("volume", "snapshot", "delete", "frozen")
        wait_until("the snapshot goes", lambda: not self.openstack_json("volume", "snapshot", "list"))

    def test_08_the_older_command(self):
        self.assertIn("data-1", self.cinder("list"))
        listed = self.cinder("backup-list")
        self.assertIn(self.ids["full"], listed)
        self.assertIn(self.ids["second"], listed)
        self.assertIn("available", self.cinder("backup-show", self.ids["second"]))

    def test_09_a_volume_too_small_is_refused(self):
        made = self.openstack_json("volume", "create", "--size", "2", "big")
        self.ids["big"] = made["id"]
        self.volume_rests("big")
        before = digest(self.path("data-1"))
        self.openstack("volume", "backup", "create", "--name", "of-big", "big")
        self.backup_rests("of-big")
        self.refused("too small to restore backup", "volume", "backup", "restore", "--force", "of-big", "data-1")
        self.volume_rests("data-1")
        self.assertEqual(digest(self.path("data-1")), before)

    def test_10_what_is_not_there(self):
        missing = "00000000-0000-4000-8000-000000000000"
        self.refused("no backup found", "volume", "backup", "show", missing)
        self.refused("no volume found", "volume", "show", "no-such-volume")
        self.refused("no volume found", "volume", "backup", "create", "--name", "x", missing)
        self.refused("no backup found", "volume", "backup", "delete", missing)

    def test_11_another_project_sees_nothing(self):
        project = self.openstack_json("project", "create", "other")
        self.openstack("user", "create", "--project", project["id"], "--password", "secret-bob", "bob")
        self.openstack("role", "add", "--user", "bob", "--project", project["id"], "member")
        env = {key: value for key, value in self.env.items() if key not in ("OS_CLOUD", "OS_CLIENT_CONFIG_FILE")}
        env.update(
            OS_AUTH_URL=self.service.credentials()["auth_url"], OS_USERNAME="bob", OS_PASSWORD="secret-bob",
            OS_PROJECT_NAME="other", OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default",
            OS_IDENTITY_API_VERSION="3",
        )
        self.assertEqual(self.openstack_json("volume", "backup", "list", env=env), [])
        self.refused("no backup found", "volume", "backup", "show", self.ids["full"], env=env)
        self.refused("no volume found", "volume", "show", self.ids["data-1"], env=env)
        self.refused("no backup found", "volume", "backup", "restore", self.ids["full"], "mine-now", env=env)
        self.refused("no backup found", "volume", "backup", "delete", self.ids["full"], env=env)
        self.assertEqual(self.client.backup(self.ids["full"])["status"], "available")

    def test_12_what_is_in_use_cannot_go(self):
        # With the plain client: the real one is slower than the restore it would race.
        asked = self.client.restore(self.ids["second"], volume_id=self.ids["data-1"])
        self.assertEqual(asked["volume_id"], self.ids["data-1"])
        backup = self.client.cinder("DELETE", f"/backups/{self.ids['second']}").expect(400)
        self.assertEqual(
            backup.json,
            {"badRequest": {"code": 400, "message": "Invalid backup: Backup status must be available or error"}},
        )
        volume = self.client.cinder("DELETE", f"/volumes/{self.ids['data-1']}").expect(400)
        self.assertIn("Invalid volume", volume.json["badRequest"]["message"])
        again = self.client.cinder("POST", f"/backups/{self.ids['full']}/restore", {
            "restore": {"volume_id": self.ids["data-1"]},
        }).expect(400)
        self.assertIn("must be available", again.json["badRequest"]["message"])
        self.volume_rests("data-1")
        self.backup_rests("second")
        self.assert_same(self.path("data-1"), self.room / "second.img")

    def test_13_deleting_the_full_one_keeps_the_incremental(self):
        self.openstack("volume", "backup", "delete", "full")
        wait_until("full goes", lambda: self.client.backup(self.ids["full"]) is None)
        self.client.sweep()
        self.openstack("volume", "backup", "restore", "--force", "second", "restored-1")
        self.volume_rests("restored-1")
        self.assert_same(self.path("restored-1"), self.room / "second.img")

    def test_14_the_repository_can_be_read_without_the_service(self):
        place = [self.room / "data" / "repository", "--key-file", self.room / "data" / "master.key"]
        self.assertIn(self.ids["second"], emberkeep("repo", "list", *place, "-o", "json")[1])
        repository, *key = place
        emberkeep("repo", "restore", repository, self.ids["second"], self.room / "offline.img", *key)
        self.assert_same(self.room / "offline.img", self.room / "second.img")

    def test_15_everything_can_be_deleted(self):
        for row in self.openstack_json("volume", "backup", "list"):
            self.openstack("volume", "backup", "delete", row["ID"])
        wait_until("the backups go", lambda: not self.client.backups())
        for row in self.openstack_json("volume", "list"):
            self.openstack("volume", "delete", row["ID"])
        wait_until("the volumes go", lambda: not self.client.volumes())
        left = [str(path) for path in (self.room / "data" / "volumes").iterdir()]
        self.assertEqual(left, [])

    def test_16_it_stops_when_asked(self):
        self.assertEqual(self.service.stop(), 0, self.service.log())
