"""What goes wrong is said clearly, in each wire's own form, and changes nothing."""

import json
import os
import pathlib
import shutil
import subprocess
import unittest

from support import (
    GIB,
    MIB,
    Client,
    NotReady,
    Service,
    change,
    digest,
    discard,
    emberkeep,
    http_request,
    scratch,
    wait_until,
)

MISSING = "00000000-0000-4000-8000-000000000000"


def service_for(test_class, name):
    room = scratch(name, test_class)
    service = Service(room / "data").start()
    test_class.addClassCleanup(service.kill)
    return room, service


def write_random(path, mib, at=0):
    """Bytes that neither compress nor repeat."""
    with open(path, "rb+") as file:
        for index in range(mib):
            os.pwrite(file.fileno(), os.urandom(MIB), at + index * MIB)
        os.fsync(file.fileno())


class Requests(unittest.TestCase):
    """Requests that must be refused, through a plain HTTP connection."""

    @classmethod
    def setUpClass(cls):
        cls.room, cls.service = service_for(cls, "requests")
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("v")

    def tearDown(self):
        # Nothing changed, and the service lives.
        self.assertTrue(self.service.alive(), self.service.log())
        self.assertEqual([volume["id"] for volume in self.client.volumes()], [self.volume])
        self.assertEqual(self.client.backups(), [])
        self.assertEqual(self.client.cbr("GET", "/vaults").expect(200).json["vaults"], [])

    def post(self, path, body):
        return self.client.request("POST", path, body, {"Content-Type": "application/json"})

    def test_01_malformed_json(self):
        project = self.client.project
        for body in (b"{", b"", b"[]", b"null", b'{"backup": 7}', b"\xff\xfe"):
            answer = http_request(
                self.service.url, "POST", "/identity/v3/auth/tokens", body, {"Content-Type": "application/json"},
            ).expect(400)
            self.assertEqual(answer.json["error"]["code"], 400, body)
            answer = self.post(f"/volume/v3/{project}/backups", body).expect(400)
            self.assertEqual(answer.json["badRequest"]["code"], 400, body)
            answer = self.post(f"/cbr/v3/{project}/vaults", body).expect(400)
            self.assertEqual(answer.json["error_code"], "BackupService.9900", body)
            self.assertTrue(answer.json["error_msg"], body)

    def test_02_fields_a_wire_refuses(self):
        for what, body in [
            ("an unknown field", {"backup": {"volume_id": self.volume, "colour": "red"}}),
            ("no volume", {"backup": {"name": "x"}}),
            ("a volume that is no id", {"backup": {"volume_id": "x"}}),
            ("a name too long", {"backup": {"volume_id": self.volume, "name": "n" * 256}}),
            ("a word that is no boolean", {"backup": {"volume_id": self.volume, "incremental": "perhaps"}}),
        ]:
            answer = self.client.cinder("POST", "/backups", body)
            self.assertEqual(answer.status, 400, f"{what}: {answer}")
            self.assertEqual(answer.json["badRequest"]["code"], 400, what)
        billing = {"object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 100}
        for what, vault, code in [
            ("no billing", {"name": "v", "resources": []}, "9900"),
            ("a name with a space", {"name": "a b", "billing": billing, "resources": []}, "9900"),
            ("an unknown kind", {"name": "v", "billing": {**billing, "object_type": "tape"}, "resources": []}, "9900"),
            ("too small", {"name": "v", "billing": {**billing, "size": 9}, "resources": []}, "6101"),
            ("too large", {"name": "v", "billing": {**billing, "size": 10485761}, "resources": []}, "6101"),
            ("an unknown disk", {"name": "v", "billing": billing, "resources": [{"id": MISSING, "type": "OS::Cinder::Volume"}]}, "7000"),
            ("another kind", {"name": "v", "billing": billing, "resources": [{"id": self.volume, "type": "OS::Nova::Server"}]}, "6102"),
        ]:
            answer = self.client.cbr("POST", "/vaults", {"vault": vault})
            self.assertIn(answer.status, (400, 404), f"{what}: {answer}")
            self.assertEqual(answer.json["error_code"], f"BackupService.{code}", what)

    def test_03_sizes_out_of_range(self):
        for size in (0, -1, "x", 1.5, 10**12):
            answer = self.client.cinder("POST", "/volumes", {"volume": {"name": "bad", "size": size}})
            self.assertIn(answer.status, (400, 413), f"{size}: {answer}")

    def test_04_what_is_not_there(self):
        for method, path, body in [
            ("GET", f"/backups/{MISSING}", None),
            ("GET", "/backups/no-uuid", None),
            ("DELETE", f"/backups/{MISSING}", None),
            ("POST", f"/backups/{MISSING}/restore", {"restore": {}}),
            ("GET", f"/volumes/{MISSING}", None),
            ("DELETE", f"/snapshots/{MISSING}", None),
            ("POST", "/backups", {"backup": {"volume_id": MISSING}}),
        ]:
            answer = self.client.cinder(method, path, body).expect(404)
            self.assertEqual(answer.json["itemNotFound"]["code"], 404, path)
        for path, code in [
            (f"/vaults/{MISSING}", "6105"), (f"/backups/{MISSING}", "6200"),
            (f"/checkpoints/{MISSING}", "6217"), (f"/operation-logs/{MISSING}", "6500"),
        ]:
            answer = self.client.cbr("GET", path).expect(404)
            self.assertEqual(answer.json["error_code"], f"BackupService.{code}", path)
        self.client.cbr("GET", "/vaults/no-uuid").expect(400)
        self.client.native("GET", f"/tasks/{MISSING}").expect(404)
        self.client.native("GET", f"/volumes/{MISSING}/path").expect(404)

    def test_05_no_token_or_a_wrong_one(self):
        project = self.client.project
        for path in (f"/volume/v3/{project}/backups", f"/cbr/v3/{project}/vaults", "/api/v1/tasks"):
            for headers in ({}, {"X-Auth-Token": "gAAAAAB-not-a-token"}):
                answer = http_request(self.service.url, "GET", path, headers=headers)
                self.assertEqual(answer.status, 401, path)
        wrong = {**self.service.credentials(), "password": "not-the-password"}
        with self.assertRaisesRegex(AssertionError, "got 401"):
            Client(self.service.url, wrong)

    def test_06_a_body_too_large(self):
        answer = self.post(f"/volume/v3/{self.client.project}/backups", b'{"backup": "' + b"x" * (2 * MIB) + b'"}')
        self.assertIn(answer.status, (400, 413), answer)

    def test_07_an_import_that_is_no_extent_stream(self):
        kind = {"Content-Type": "application/x-emberkeep-extents"}
        size = 8 * MIB
        header = b"EKXS1\0" + size.to_bytes(8, "little")
        for what, body in [
            ("nothing", b""),
            ("another magic", b"QFI\xfb" + bytes(64)),
            ("a header alone", header),
            ("a frame cut short", header + bytes(8) + (4096).to_bytes(4, "little") + b"abc"),
            ("a frame past the end", header + size.to_bytes(8, "little") + (4).to_bytes(4, "little") + b"abcd"),
        ]:
            answer = self.client.request("POST", f"/api/v1/volumes/import?name=x&size_bytes={size}", body, kind)
            self.assertEqual(answer.status, 400, f"{what}: {answer}")
            self.assertTrue(answer.json["error"]["message"], what)
            wait_until(f"{what}: no half volume stays", lambda: len(self.client.volumes()) == 1)

    def test_08_image_files_that_cannot_be_read(self):
        env = self.service.client_environment()
        (self.room / "torn.qcow2").write_bytes(b"QFI\xfb\0\0\0\x03" + b"\xff" * 500)
        (self.room / "empty.raw").write_bytes(b"")
        for image in ("torn.qcow2", "empty.raw", "no-such-file.raw"):
            status, _, err = emberkeep("volume", "import", self.room / image, "--name", "x", env=env, check=False)
            self.assertNotEqual(status, 0, image)
            self.assertTrue(err.startswith("emberkeep: "), err)
            self.assertNotIn("panicked", err)


    def test_09_another_project(self):
        project = self.client.identity("POST", "/projects", {"project": {"name": "other"}}).expect(201).json["project"]
        user = {"name": "bob", "password": "secret-bob", "default_project_id": project["id"]}
        user = self.client.identity("POST", "/users", {"user": user}).expect(201).json["user"]
        roles = self.client.identity("GET", "/roles?name=member").expect(200).json["roles"]
        self.client.identity(
            "PUT", f"/projects/{project['id']}/users/{user['id']}/roles/{roles[0]['id']}",
        ).expect(204)
        bob = Client(self.service.url, {"username": "bob", "password": "secret-bob", "project_name": "other"})
        billing = {"object_type": "disk", "protect_type": "backup", "consistent_level": "crash_consistent", "size": 10}
        vault = {"vault": {"name": "ours", "billing": billing, "resources": []}}
        vault = self.client.cbr("POST", "/vaults", vault).expect(200).json["vault"]["id"]
        disk = {"id": self.volume, "type": "OS::Cinder::Volume"}
        for method, path, body, code in [
            ("GET", f"/vaults/{vault}", None, "6105"),
            ("PUT", f"/vaults/{vault}", {"vault": {"name": "mine"}}, "6105"),
            ("DELETE", f"/vaults/{vault}", None, "6105"),
            ("POST", f"/vaults/{vault}/addresources", {"resources": [disk]}, "6105"),
            ("POST", "/checkpoints", {"checkpoint": {"vault_id": vault}}, "6105"),
            ("POST", "/vaults", {"vault": {"name": "v", "billing": billing, "resources": [disk]}}, "7000"),
        ]:
            answer = bob.cbr(method, path, body)
            self.assertEqual(answer.status, 404, f"{method} {path}: {answer}")
            self.assertEqual(answer.json["error_code"], f"BackupService.{code}", path)
        bob.native("GET", f"/volumes/{self.volume}/path").expect(404)
        bob.native("GET", f"/volumes/{self.volume}/data").expect(404)
        # A token opens its own project only, whatever the path says.
        bob.request("GET", f"/cbr/v3/{self.client.project}/vaults").expect(403)
        self.assertEqual(bob.cbr("GET", "/vaults").expect(200).json["vaults"], [])
        self.assertEqual(self.client.cbr("GET", f"/vaults/{vault}").expect(200).json["vault"]["name"], "ours")
        self.client.cbr("DELETE", f"/vaults/{vault}").expect(204)
        wait_until("the vault goes", lambda: self.client.cbr("GET", f"/vaults/{vault}").status == 404)


class DataDirectory(unittest.TestCase):
    """A data directory that cannot be used is refused before anything is done."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("directory", cls)

    def refused(self, service, **popen):
        with self.assertRaises(NotReady) as refusal:
            service.start(**popen)
        self.addCleanup(service.kill)
        self.assertNotIn(refusal.exception.code, (None, 0))
        self.assertNotIn("panicked", refusal.exception.log)
        return refusal.exception.log

    def test_01_not_a_directory(self):
        (self.room / "file").write_text("not a directory\n")
        service = Service(self.room / "file" / "data")
        service.log_path = self.room / "file-service.log"
        log = self.refused(service)
        self.assertIn(str(self.room / "file"), log)

    def test_02_not_writable(self):
        place = self.room / "readonly"
        place.mkdir()
        place.chmod(0o555)
        self.room.chmod(0o755)
        popen = {}
        if os.geteuid() == 0:
            # Root may write anywhere, so the service runs as somebody else here.
            popen = {"user": 65534, "group": 65534, "extra_groups": []}
        service = Service(place)
        service.log_path = self.room / "readonly-service.log"
        try:
            log = self.refused(service, **popen)
        except PermissionError:
            self.skipTest("the binary lies where other users cannot reach it")
        self.assertIn(str(place), log)
        self.assertEqual(list(place.iterdir()), [])

    def test_03_in_use_by_another_process(self):
        first = Service(self.room / "shared").start()
        self.addCleanup(first.kill)
        second = Service(self.room / "shared")
        second.log_path = self.room / "second.log"
        self.assertIn("in use", self.refused(second))
        first.client().volumes()
        self.assertEqual(first.stop(), 0, first.log())

    def test_04_the_master_key(self):
        ours = Service(self.room / "ours").start()
        self.addCleanup(ours.kill)
        client = ours.client()
        volume = client.create_volume("v")
        write_random(client.volume_path(volume), 1)
        backup = client.create_backup(volume, "b")
        client.backup_settled(backup, {"available"})
        self.assertEqual(ours.stop(), 0, ours.log())
        other = Service(self.room / "other").start()
        self.addCleanup(other.kill)
        self.assertEqual(other.stop(), 0, other.log())

        key = ours.data_dir / "master.key"
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        kept = key.read_bytes()
        key.unlink()
        self.assertIn("master key", self.refused(Service(ours.data_dir)).lower())
        self.assertFalse(key.exists(), "a key file was made over existing data")
        for what, content in [
            ("another's key", (other.data_dir / "master.key").read_bytes()),
            ("a key cut short", kept[: len(kept) // 2]),
            ("an empty key", b""),
        ]:
            key.write_bytes(content)
            self.assertIn("key", self.refused(Service(ours.data_dir)).lower(), what)
            self.assertEqual(key.read_bytes(), content, what)
        key.write_bytes(kept)
        key.chmod(0o600)
        ours.start()
        client = ours.client()
        made = client.restore(backup)["volume_id"]
        client.volume_settled(made, {"available"})
        self.assertEqual(digest(client.volume_path(made)), digest(client.volume_path(volume)))
        self.assertEqual(ours.stop(), 0, ours.log())


class Damage(unittest.TestCase):
    """A flipped byte in a pack is found; it is never given back as data."""

    @classmethod
    def setUpClass(cls):
        cls.room, cls.service = service_for(cls, "damage")

    def test_01_a_flipped_byte(self):
        client = self.service.client()
        volume = client.create_volume("v")
        write_random(client.volume_path(volume), 4)
        backup = client.create_backup(volume, "hurt")
        client.backup_settled(backup, {"available"})
        other = client.create_volume("w")
        write_random(client.volume_path(other), 2, at=64 * MIB)
        whole = client.create_backup(other, "whole")
        client.backup_settled(whole, {"available"})
        before = digest(client.volume_path(other))
        self.assertEqual(self.service.stop(), 0, self.service.log())

        repository = self.service.data_dir / "repository"
        # The first backup's data: the pack that holds its 4 MiB of random bytes.
        packs = sorted(repository.glob("p/*/packs/*/*"), key=lambda path: path.stat().st_size)
        pack = packs[-1]
        self.assertGreater(pack.stat().st_size, 3 * MIB, "no data pack was found")
        pack.chmod(0o600)
        with open(pack, "rb+") as file:
            at = pack.stat().st_size // 2
            byte = os.pread(file.fileno(), 1, at)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), at)

        key = self.service.data_dir / "master.key"
        check = ["repo", "check", repository, "--read-data", "--key-file", key]
        status, out, err = emberkeep(*check, check=False)
        self.assertEqual(status, 1, out + err)
        self.assertIn(backup, out + err)
        self.assertNotIn(whole, out + err)
        status, out, _ = emberkeep(*check, "-o", "json", check=False)
        self.assertEqual(status, 1)
        self.assertIn(backup, json.dumps(json.loads(out)))

        self.service.start()
        client = self.service.client()
        target = client.restore(backup)["volume_id"]
        hurt = client.backup_settled(backup, {"error"})
        self.assertIn("damaged", hurt["fail_reason"])
        self.assertNotEqual(client.volume_settled(target)["status"], "available")
        reasons = [task for task in client.tasks() if task["kind"] == "restore" and task["status"] == "failed"]
        self.assertEqual(len(reasons), 1, client.tasks())
        self.assertIn(backup, reasons[0]["reason"], "the reason does not name the backup")
        made = client.restore(whole)["volume_id"]
        client.volume_settled(made, {"available"})
        self.assertEqual(digest(client.volume_path(made)), before)


class FullDisk(unittest.TestCase):
    """A task that finds no space fails with that reason; the service lives on."""

    @classmethod
    def setUpClass(cls):
        cls.room = pathlib.Path(scratch("full"))
        cls.addClassCleanup(discard, cls.room)
        place = cls.room / "data"
        place.mkdir()
        if os.geteuid() != 0:
            raise unittest.SkipTest("a small file system to fill can be mounted by root only")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=96m,mode=0700", "emberkeep-test", str(place)],
            capture_output=True, text=True, check=False,
        )
        if done.returncode != 0:
            raise unittest.SkipTest(f"a small file system could not be mounted: {done.stderr.strip()}")
        cls.addClassCleanup(subprocess.run, ["umount", "-l", str(place)], check=False)
        # Without a mark below which nothing is begun: what is met here is the full disk itself.
        cls.service = Service(place, low_water_mib=0, reserve_mib=0).start()
        cls.addClassCleanup(cls.service.kill)

    def test_01_a_backup_without_space(self):
        client = self.service.client()
        small = client.create_volume("small")
        write_random(client.volume_path(small), 2)
        good = client.create_backup(small, "good")
        client.backup_settled(good, {"available"})
        big = client.create_volume("big")
        write_random(client.volume_path(big), 60)
        failed = client.create_backup(big, "failed")
        seen = client.backup_settled(failed, {"error"}, timeout=180)
        self.assertIn("space", seen["fail_reason"].lower(), seen)
        client.volume_settled(big, {"available"})
        self.assertTrue(self.service.alive(), self.service.log())
        self.assertEqual(client.request("GET", "/healthz").status, 200)

        # What was there before is whole, and with room again work goes on.
        made = client.restore(good)["volume_id"]
        client.volume_settled(made, {"available"})
        self.assertEqual(digest(client.volume_path(made)), digest(client.volume_path(small)))
        client.cinder("DELETE", f"/backups/{failed}").expect(202)
        client.cinder("DELETE", f"/volumes/{big}").expect(202)
        wait_until("both go", lambda: client.volume(big) is None and client.backup(failed) is None)
        change(client.volume_path(small), seed=5)
        again = client.create_backup(small, "again", incremental=True)
        client.backup_settled(again, {"available"})
        left = list((self.service.data_dir / "frozen").iterdir())
        self.assertEqual(left, [], "a frozen copy was left behind")
        self.assertEqual(self.service.stop(), 0, self.service.log())


class Images(unittest.TestCase):
    """Import of both kinds of image, and export, through the command line."""

    @classmethod
    def setUpClass(cls):
        cls.room, cls.service = service_for(cls, "images")
        cls.env = cls.service.client_environment()

    def test_01_raw_and_qcow2_come_in_and_go_out_whole(self):
        raw = self.room / "disk.raw"
        raw.touch()
        os.truncate(raw, GIB)
        write_random(raw, 3, at=5 * MIB)
        images = [raw]
        if shutil.which("qemu-img"):
            qcow2 = self.room / "disk.qcow2"
            subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(qcow2)], check=True)
            images.append(qcow2)
        else:
            print("  (no qemu-img here: qcow2 is left out)")
        for image in images:
            name = image.suffix.strip(".")
            emberkeep("volume", "import", image, "--name", name, env=self.env)
            out = self.room / f"{name}.out"
            emberkeep("volume", "export", name, out, env=self.env)
            self.assertEqual(digest(out), digest(raw), name)
