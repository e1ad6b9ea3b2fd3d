"""A log that nobody can write to: backups go on, connections are served, and the lost lines are counted."""

import contextlib
import os
import re
import unittest

import support


def metric(service, name):
    """The value of a metric without labels; 0 while it has none."""
    text = support.http_request(service.url, "GET", "/metrics").expect(200).body.decode()
    found = re.search(rf"^{name} (\d+)", text, re.MULTILINE)
    return int(found.group(1)) if found else 0


class UnwritableLog(unittest.TestCase):
    @contextlib.contextmanager
    def served(self, name, **how):
        service = support.Service(support.scratch(f"log-{name}", type(self)) / "data", log="trace")
        service.start(**how)
        try:
            yield service
        finally:
            service.kill()

    def live(self, service):
        """A volume is backed up again and again and restored, on many connections."""
        client = service.client()
        volume = client.create_volume("data")
        client.volume_settled(volume, {"available"})
        path = client.volume_path(volume)
        for turn in range(3):
            with open(path, "rb+") as file:
                file.seek(turn * support.MIB)
                file.write(os.urandom(2 * support.MIB))
            backup = client.create_backup(volume, f"turn {turn}", incremental=turn > 0)
            self.assertEqual(client.backup_settled(backup)["status"], "available", turn)
        target = client.restore(backup, name="back")["volume_id"]
        self.assertEqual(client.volume_settled(target)["status"], "available")
        self.assertEqual(support.digest(client.volume_path(target)), support.digest(path))
        ready = support.http_request(service.url, "GET", "/readyz")
        self.assertEqual((ready.status, ready.body), (200, b"ready"))
        workers = {worker["name"]: worker for worker in client.native("GET", "/workers").expect(200).json["workers"]}
        for name in ("tasks", "scheduler", "auto-bind", "retention", "scrub", "damage"):
            self.assertEqual((workers[name]["restarts"], workers[name]["last_error"]), (0, None), name)
        self.assertTrue(any(name.startswith("listener http://") for name in workers), workers)
        self.assertEqual(service.stop(), 0)

    def test_01_a_full_disk(self):
        with open("/dev/full", "wb") as full, self.served("full", stderr=full) as service:
            self.assertGreater(metric(service, "emberkeep_log_lines_lost_total"), 0)
            self.live(service)

    def test_02_a_reader_that_left(self):
        reader, writer = os.pipe()
        try:
            with self.served("left", stderr=writer) as service:
                os.close(reader)
                reader = None
                self.assertEqual(support.http_request(service.url, "GET", "/healthz").status, 200)
                self.live_and_lossy(service)
        finally:
            os.close(writer)
            if reader is not None:
                os.close(reader)

    def test_03_a_reader_that_stands_still(self):
        reader, writer = os.pipe()
        try:
            with self.served("still", stderr=writer) as service:
                self.live_and_lossy(service)
        finally:
            os.close(writer)
            os.close(reader)

    def live_and_lossy(self, service):
        """The log is chatty enough to fill any pipe while requests are made."""
        support.wait_until(
            "lines are lost",
            lambda: metric(service, "emberkeep_log_lines_lost_total") > 0,
            60,
        )
        self.live(service)

    def test_04_a_standard_error_that_is_closed(self):
        with self.served("closed", preexec_fn=lambda: os.close(2)) as service:
            self.live(service)
