"""A service whose disk fills up: nothing is lost, what frees space works, and no restart is needed.

The data directory is a small tmpfs. Where nothing may be mounted, this says so and is skipped.
"""

import contextlib
import os
import subprocess
import unittest

from support import MIB, Service, command, digest, http_request, scratch, wait_until

SIZE, LOW_WATER, RESERVE = 192, 48, 8


def free(place):
    facts = os.statvfs(place)
    return facts.f_bavail * facts.f_frsize


class FullDisk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        room = scratch("full-disk", cls)
        # The log lies beside the data directory, on another file system.
        cls.place = room / "data"
        cls.place.mkdir(mode=0o700)
        try:
            command(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m,mode=700", "tmpfs", cls.place])
        except (AssertionError, OSError, subprocess.SubprocessError) as why:
            raise unittest.SkipTest(f"tmpfs cannot be mounted here: {why}") from None
        cls.addClassCleanup(command, ["umount", "-l", cls.place])
        cls.service = Service(cls.place, low_water_mib=LOW_WATER, reserve_mib=RESERVE, sweep_delay_secs=3600).start()
        cls.addClassCleanup(cls.service.stop)
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("source")
        cls.content, cls.backups = {}, []
        for name in ("kept", "dropped"):
            with open(cls.client.volume_path(cls.volume), "rb+") as file:
                os.pwrite(file.fileno(), os.urandom(8 * MIB), 0)
                os.fsync(file.fileno())
            backup = cls.client.create_backup(cls.volume, name)
            cls.client.backup_settled(backup, {"available"})
            cls.content[backup] = digest(cls.client.volume_path(cls.volume))
            cls.backups.append(backup)
        cls.pid = cls.service.process.pid

    def ballast(self, leave):
        """Takes all space but `leave` bytes."""
        with open(self.place / f"ballast-{leave}-{len(os.listdir(self.place))}", "wb") as file:
            room = free(self.place) - leave
            if room > 0:
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), 0, room)
            if leave == 0:
                with contextlib.suppress(OSError):
                    while True:
                        os.write(file.fileno(), b"x" * 4096)

    def make_room(self):
        for one in self.place.glob("ballast-*"):
            one.unlink()

    def ready(self):
        return http_request(self.service.url, "GET", "/readyz")

    def test_1_below_the_low_water_mark_nothing_is_stored(self):
        self.assertTrue((self.place / "reserve").exists())
        self.ballast((LOW_WATER - 8) * MIB)
        body = {"backup": {"volume_id": self.volume, "name": "refused"}}
        refused = self.client.cinder("POST", "/backups", body).expect(507)
        self.assertIn("low_water_mib", refused.json["insufficientStorage"]["message"])
        refused = self.client.cinder("POST", f"/backups/{self.backups[0]}/restore", {"restore": {"name": "new"}}).expect(507)
        self.assertIn("must stay free", refused.json["insufficientStorage"]["message"])
        made = self.client.cinder("POST", "/volumes", {"volume": {"name": "refused", "size": 1}})
        made.expect(507)
        self.assertEqual(len(self.client.backups()), 2, "no row was left")
        self.assertEqual(len(self.client.volumes()), 1)
        told = self.ready().expect(200).body.decode()
        self.assertIn("nearly full", told)

    def test_2_a_full_disk_releases_the_reserve_for_what_frees_space(self):
        self.ballast(0)
        wait_until("the reserve is released", lambda: not (self.place / "reserve").exists(), 30)
        self.assertGreater(free(self.place), RESERVE * MIB // 2)
        client = self.service.client()
        self.assertEqual(len(client.backups()), 2)
        before = free(self.place)
        client.cinder("DELETE", f"/backups/{self.backups[1]}").expect(202)
        wait_until("it goes", lambda: client.backup(self.backups[1]) is None, 60)
        client.sweep()
        self.assertGreater(free(self.place), before, "space came back")

    def test_3_with_no_byte_left_the_answer_says_so(self):
        self.ballast(0)

        def refused():
            self.ballast(0)
            who = self.service.credentials()
            body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {
                "name": who["username"], "domain": {"id": "default"}, "password": who["password"]}}}}}
            answer = http_request(self.service.url, "POST", "/identity/v3/auth/tokens", body)
            answer.expect(201, 507, 503)
            return answer if answer.status != 201 else None

        answer = wait_until("a sign-in meets the full disk", refused, 60, 0.01)
        self.assertEqual(answer.status, 507, answer)
        self.assertIn("no space is left", answer.json["error"]["message"])
        # A write as small as the probe's may still find room in the log; then the space alone is reported.
        ready = self.ready()
        self.assertTrue(ready.status == 503 or b"nearly full" in ready.body, ready)
        self.assertEqual(len(self.client.backups()), 1, "reading goes on")
        self.assertIn("ENOSPC", self.service.log(200))

    def test_4_all_works_again_without_a_restart(self):
        self.make_room()
        self.assertEqual(self.ready().expect(200).body, b"ready")
        client = self.service.client()
        wait_until("the reserve is made again", lambda: (self.place / "reserve").exists(), 30)
        backup = client.create_backup(self.volume, "after")
        client.backup_settled(backup, {"available"})
        self.content[backup] = digest(client.volume_path(self.volume))
        for one in client.backups():
            self.assertEqual(one["status"], "available")
            made = client.restore(one["id"], name="again")["volume_id"]
            client.volume_settled(made, {"available"})
            self.assertEqual(digest(client.volume_path(made)), self.content[one["id"]], one["name"])
            client.cinder("DELETE", f"/volumes/{made}").expect(202)
        self.assertEqual(self.service.process.pid, self.pid)
        self.assertTrue(self.service.alive())
