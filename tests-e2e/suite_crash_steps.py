"""Dies at every step of a backup's life, one after the other, and comes back: what is counted is what exists.

A step is a call that makes something durable (an fsync, a rename, an unlink …): `crash_steps.c` is preloaded
into the service and kills it, as `kill -9` does, in the place of the N-th such call. Between two of them nothing
changes that a crash would keep. N grows until the operation comes through.

Here every third step is tried, each operation beginning at another one; EMBERKEEP_CRASH_STEPS=1 tries them all.
"""

import http.client
import os
import shutil
import signal
import subprocess
import time
import unittest

import support

STRIDE = int(os.environ.get("EMBERKEEP_CRASH_STEPS", "3"))
LOST = (ConnectionError, http.client.HTTPException, TimeoutError, OSError)
MOST_STEPS = 400


@unittest.skipUnless(shutil.which("cc"), "there is no C compiler")
class CrashSteps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = support.scratch("crash-steps", cls)
        cls.shim = cls.place / "steps.so"
        source = support.HERE / "crash_steps.c"
        support.command(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", cls.shim, source, "-ldl"])
        # Sweeps are asked for; none may come in between by itself.
        cls.service = support.Service(cls.place / "data", sweep_delay_secs=3600)
        cls.addClassCleanup(cls.service.kill)
        cls.start()
        cls.volume = cls.client.create_volume("source")
        path = cls.client.volume_path(cls.volume)
        with open(path, "rb+") as file:
            for index in range(24):
                file.seek(index * 37 * support.MIB)
                file.write(os.urandom(256 * 1024))
            os.fsync(file.fileno())
        cls.content = support.digest(path)
        cls.crashes = 0

    @classmethod
    def start(cls, crash_at=0):
        """Starts the service; it is to die at a step once it is armed."""
        os.environ["LD_PRELOAD"] = str(cls.shim)
        os.environ["CRASH_AT"] = str(crash_at)
        try:
            cls.service.start()
        finally:
            del os.environ["LD_PRELOAD"], os.environ["CRASH_AT"]
        cls.client = cls.service.client()

    def every_step(self, prepare, act, settled, judge, first):
        """Lets `act` die at its first step, the next one …, until it has no more."""
        step = first
        while True:
            self.assertLess(step, MOST_STEPS, "it never comes to its end")
            self.service.kill()
            self.start(step)
            facts = prepare()
            self.service.process.send_signal(signal.SIGUSR1)
            answered = False
            try:
                facts = act(facts)
                answered = True
                while self.service.alive() and not settled(facts):
                    time.sleep(0.02)
            except LOST:
                pass
            # What is tidied up once the outcome is there has steps too; refused connections come
            # a moment before the end of the process is seen.
            try:
                self.service.process.wait(timeout=1.5 if answered and self.service.alive() else 20)
                died = True
            except subprocess.TimeoutExpired:
                died = False
            if died:
                self.assertEqual(self.service.process.returncode, -signal.SIGKILL, self.service.log())
                type(self).crashes += 1
                self.start()
            else:
                self.service.process.send_signal(signal.SIGUSR2)
            try:
                self.at_rest()
                judge(facts, answered)
                self.usage_is_what_exists()
            except Exception as error:
                log = self.service.log(60)
                raise AssertionError(f"after death at step {step} (answered: {answered}): {error}\n{log}") from error
            if not died:
                print(f"    {step - 1} steps", flush=True)
                return
            step += STRIDE

    def at_rest(self):
        """Waits until nothing goes on any more: whatever stays as it is would be stuck."""
        def quiet():
            busy = [task["kind"] for task in self.client.tasks() if task["status"] in ("waiting", "running")]
            stuck = [v["status"] for v in self.client.volumes() if v["status"] in support.BUSY_VOLUME]
            stuck += [b["status"] for b in self.client.backups() if b["status"] in support.BUSY_BACKUP]
            # Only the sweep that follows a deletion an hour later may wait.
            return not stuck and all(kind == "sweep" for kind in busy)
        support.wait_until("all comes to rest", quiet, 60)

    def usage_is_what_exists(self):
        lines = self.client.cinder("GET", f"/os-quota-sets/{self.client.project}?usage=True").expect(200).json["quota_set"]
        volumes, backups = self.client.volumes(), self.client.backups()
        want = {
            "volumes": len(volumes), "gigabytes": sum(volume["size"] for volume in volumes),
            "backups": len(backups), "backup_gigabytes": sum(backup["size"] for backup in backups),
        }
        for name, number in want.items():
            self.assertEqual((lines[name]["in_use"], lines[name]["reserved"]), (number, 0), name)

    def drop(self, *backups):
        for backup in backups:
            self.client.cinder("DELETE", f"/backups/{backup}").expect(202)
        gone = lambda: all(self.client.backup(backup) is None for backup in backups)
        support.wait_until("backups go", gone, 60)

    def test_01_create(self):
        def judge(facts, answered):
            backups = self.client.backups()
            if answered:
                self.assertIn(facts, [backup["id"] for backup in backups], "what was accepted is there")
            for backup in backups:
                self.assertEqual(backup["status"], "available", backup)
            self.assertEqual(self.client.volume(self.volume)["status"], "available")
            self.drop(*[backup["id"] for backup in backups])

        self.every_step(
            prepare=lambda: None,
            act=lambda _: self.client.create_backup(self.volume, "made"),
            settled=lambda made: self.client.backup(made)["status"] == "available",
            judge=judge,
            first=1,
        )

    def test_02_restore(self):
        backup = self.client.create_backup(self.volume, "kept")
        self.client.backup_settled(backup, {"available"})

        def judge(facts, answered):
            self.assertEqual(self.client.backup(backup)["status"], "available")
            restored = [volume for volume in self.client.volumes() if volume["id"] != self.volume]
            if answered:
                self.assertIn(facts, [volume["id"] for volume in restored], "what was accepted is there")
            for volume in restored:
                self.assertEqual(volume["status"], "available", volume)
                self.assertEqual(support.digest(self.client.volume_path(volume["id"])), self.content)
                self.client.cinder("DELETE", f"/volumes/{volume['id']}").expect(202)
            gone = lambda: len(self.client.volumes()) == 1
            support.wait_until("restored volumes go", gone, 60)

        self.every_step(
            prepare=lambda: None,
            act=lambda _: self.client.restore(backup, name="restored")["volume_id"],
            settled=lambda made: self.client.volume(made)["status"] == "available",
            judge=judge,
            first=2 if STRIDE > 1 else 1,
        )
        self.drop(backup)

    def test_03_delete(self):
        def prepare():
            backup = self.client.create_backup(self.volume, "going")
            self.client.backup_settled(backup, {"available"})
            return backup

        def act(backup):
            self.client.cinder("DELETE", f"/backups/{backup}").expect(202)
            return backup

        def judge(backup, answered):
            left = self.client.backup(backup)
            if answered:
                self.assertIsNone(left, "what was accepted to be deleted is gone")
            if left is not None:
                self.assertEqual(left["status"], "available")
                self.drop(backup)

        self.every_step(
            prepare=prepare,
            act=act,
            settled=lambda backup: self.client.backup(backup) is None,
            judge=judge,
            first=3 if STRIDE > 1 else 1,
        )

    def test_04_what_is_left_is_sound(self):
        self.service.kill()
        self.start()
        backup = self.client.create_backup(self.volume, "last")
        self.client.backup_settled(backup, {"available"})
        # Two sweeps: the second one finds nothing that the first had to leave to the dead.
        self.client.sweep()
        self.client.sweep()
        restored = self.client.restore(backup, name="last")["volume_id"]
        self.client.volume_settled(restored, {"available"})
        self.assertEqual(support.digest(self.client.volume_path(restored)), self.content)
        self.assertGreater(self.crashes, 5)
        print(f"    {self.crashes} crashes", flush=True)
