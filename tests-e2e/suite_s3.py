"""A repository in a bucket: what it costs in requests, and what it takes of a store that fails and of processes
that die at a request.

Between the client and moto stands a proxy that counts, refuses, loses answers, and kills. Here every fifth
request of each operation is died at; EMBERKEEP_S3_FAULTS=1 tries them all. `s3.py` runs the store's conformance
suite on whatever S3 servers are installed, s3s-fs among them, and on those that AWS_ENDPOINT_URL names.
"""

import collections
import http.client
import http.server
import json
import os
import random
import signal
import subprocess
import threading
import unittest

import stores
from support import MIB, binary, clean_environment, same_bytes, scratch

BUCKET = "emberkeep"
STRIDE = int(os.environ.get("EMBERKEEP_S3_FAULTS", "5"))
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Proxy:
    """Forwards to a store, and does what `fate(number, method, path)` says to a request."""

    def __init__(self, port):
        self.counts = collections.Counter()
        self.fate = lambda *_: None
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer.lock:
                    outer.counts[self.command] += 1
                    number = sum(outer.counts.values())
                fate = outer.fate(number, self.command, self.path)
                if fate == "refuse":
                    self.answer(503, {"Retry-After": "1", "Content-Type": "application/xml"}, SLOW_DOWN)
                    return
                if fate == "drop":
                    self.close_connection = True
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                try:
                    headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
                    upstream.request(self.command, self.path, body, headers)
                    reply = upstream.getresponse()
                    data = reply.read()
                finally:
                    upstream.close()
                if fate == "lose":
                    self.close_connection = True
                    return
                self.answer(reply.status, dict(reply.getheaders()), data, reply.getheader("Content-Length"))

            def answer(self, status, headers, data, length=None):
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("connection", "content-length", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                is_head = self.command == "HEAD"
                self.send_header("Content-Length", (length or "0") if is_head else str(len(data)))
                self.end_headers()
                if not is_head:
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                # Whoever was killed does not hear the answer.
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def begin(self, fate=None):
        """Counts anew."""
        self.counts.clear()
        self.fate = fate or (lambda *_: None)

    def total(self):
        return sum(self.counts.values())

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Bucket(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("s3", cls)
        cls.moto = stores.Moto(cls.room / "moto")
        cls.addClassCleanup(cls.moto.stop)
        cls.moto.put(BUCKET)
        cls.proxy = Proxy(cls.moto.port)
        cls.addClassCleanup(cls.proxy.stop)
        cls.env = dict(clean_environment(), **{**cls.moto.environment(), "AWS_ENDPOINT_URL": cls.proxy.url},
                       EMBERKEEP_KEY_FILE=str(cls.room / "master.key"))
        cls.chance = random.Random(5)
        cls.image = cls.room / "disk.img"
        cls.image.write_bytes(cls.chance.randbytes(5 * MIB))
        os.truncate(cls.image, 24 * MIB)

    def start(self, place, verb, *arguments):
        url = f"s3://{BUCKET}/{place}"
        return subprocess.Popen([binary(), "repo", verb, url, *map(str, arguments)], env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def repo(self, place, verb, *arguments, check=True):
        process = self.start(place, verb, *arguments)
        out, err = process.communicate(timeout=300)
        if check and process.returncode != 0:
            raise AssertionError(f"{verb} ended with {process.returncode}: {out}{err}")
        return process.returncode, out, err

    def names(self, place):
        listed = json.loads(self.repo(place, "list", "-o", "json")[1])
        return sorted(one["name"] for one in listed)

    def restores(self, place, name, image):
        out = self.room / "out.img"
        out.unlink(missing_ok=True)
        self.repo(place, "restore", name, out)
        self.assertIsNone(same_bytes(out, image), name)

    def sound(self, place):
        self.repo(place, "check", "--read-data")

    def test_1_requests_are_few(self):
        large = self.room / "large.img"
        with open(large, "wb") as out:
            for _ in range(24):
                out.write(self.chance.randbytes(16 * MIB))
        self.repo("few", "init")
        self.proxy.begin()
        self.repo("few", "backup", large, "--name", "full")
        full = dict(self.proxy.counts)
        self.proxy.begin()
        self.repo("few", "backup", large, "--name", "again")
        print(f"    384 MiB of noise: {full}; again, all read: {dict(self.proxy.counts)}")
        # One for 16 MiB, and what opening the repository and finding the parent takes.
        self.assertLessEqual(sum(full.values()), 384 // 16 + 16)
        self.assertLessEqual(self.proxy.total(), 30)
        self.restores("few", "again", large)
        large.unlink()

    def test_2_a_store_that_is_throttled_and_loses_answers_is_borne_with(self):
        def fate(number, method, _):
            return {0: "refuse", 3: "lose", 6: "drop"}.get(number % 9)

        self.proxy.begin(fate)
        self.repo("weak", "init")
        self.repo("weak", "backup", self.image, "--name", "one")
        self.repo("weak", "backup", self.image, "--name", "two", "--full")
        self.repo("weak", "delete", "one")
        self.repo("weak", "sweep")
        self.sound("weak")
        self.restores("weak", "two", self.image)
        self.assertGreater(self.proxy.total(), 60)
        self.proxy.begin()
        self.assertEqual(self.names("weak"), ["two"])

    def deaths(self, place, verb, *arguments, prepare=lambda: None):
        """Dies at requests of an operation, before and after the store does them, until it comes through."""
        at, died = 1, 0
        while True:
            prepare()
            running = {}

            def fate(number, *_):
                if number == at:
                    running["process"].send_signal(signal.SIGKILL)
                    # Whether the store still does it or not.
                    return "lose" if died % 2 else "drop"
                return None

            with self.proxy.lock:
                self.proxy.begin(fate)
                running["process"] = self.start(place, verb, *arguments)
            out, err = running["process"].communicate(timeout=300)
            code = running["process"].returncode
            self.proxy.begin()
            if code != -signal.SIGKILL:
                self.assertEqual(code, 0, out + err)
                print(f"    {verb}: died {died} times, {at - 1} requests")
                return
            died += 1
            yield at
            at += STRIDE

    def test_3_a_process_that_dies_at_any_request_breaks_no_promise(self):
        other = self.room / "other.img"
        other.write_bytes(self.image.read_bytes()[:2 * MIB] + self.chance.randbytes(3 * MIB))
        self.repo("dying", "init")
        self.repo("dying", "backup", self.image, "--name", "kept")
        self.repo("dying", "backup", other, "--name", "going", "--full")
        for at in self.deaths("dying", "backup", other, "--name", "made"):
            if at % (4 * STRIDE) == 1:
                for name, image in (("kept", self.image), ("going", other)):
                    self.restores("dying", name, image)
            if "made" in self.names("dying"):
                self.restores("dying", "made", other)
                self.repo("dying", "delete", "made")
        self.restores("dying", "made", other)
        for _ in self.deaths("dying", "delete", "going"):
            if "going" not in self.names("dying"):
                self.repo("dying", "backup", other, "--name", "going", "--full")

        def something_to_sweep():
            # What the dead left is taken away first, or each attempt would have more to do than the one before.
            self.repo("dying", "sweep")
            doomed = self.room / "doomed.img"
            doomed.write_bytes(self.chance.randbytes(MIB))
            self.repo("dying", "backup", doomed, "--name", "doomed", "--full")
            self.repo("dying", "delete", "doomed")

        for _ in self.deaths("dying", "sweep", prepare=something_to_sweep):
            self.sound("dying")
        self.sound("dying")
        for name, image in (("kept", self.image), ("made", other)):
            self.restores("dying", name, image)
        # Nothing is left that nobody needs: another sweep finds nothing.
        self.repo("dying", "sweep")
        swept = json.loads(self.repo("dying", "sweep", "-o", "json")[1])
        self.assertEqual((swept["dead_packs"], swept["deleted_packs"]), (0, 0), swept)


if __name__ == "__main__":
    unittest.main()
