"""Connections that are slow, half-open, idle or too many, and bodies that are too large."""

import resource
import socket
import time
import unittest

import support

IDLE = 10_000
LIMIT = 1 << 20


class Connections(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = support.scratch("connections", cls)
        # Less patience than by default, or the suite would take minutes.
        cls.service = support.Service(cls.place / "data", idle_secs=8).start()
        cls.addClassCleanup(cls.service.kill)
        cls.client = cls.service.client()
        host, port = cls.service.url.removeprefix("http://").split(":")
        cls.address = (host, int(port))

    def setUpAgain(self):
        """Starts the service with patience for a busy machine: the idle ones shall stay."""
        service = support.Service(self.place / "data", idle_secs=600).start()
        self.addCleanup(service.kill)
        host, port = service.url.removeprefix("http://").split(":")
        type(self).service, type(self).address = service, (host, int(port))
        type(self).client = service.client()

    def dial(self):
        return socket.create_connection(self.address, timeout=60)

    def still_serves(self):
        begun = time.monotonic()
        self.client.cinder("GET", "/backups/detail").expect(200)
        self.assertLess(time.monotonic() - begun, 5)

    def cut_after(self, sent, most):
        """Sends something that is no whole request; returns how long the service waits for the rest."""
        with self.dial() as connection:
            begun = time.monotonic()
            connection.sendall(sent)
            connection.settimeout(most)
            while connection.recv(4096):
                pass
            return time.monotonic() - begun

    def test_01_bodies_over_the_limit(self):
        for path in (f"/volume/v3/{self.client.project}/backups", f"/cbr/v3/{self.client.project}/vaults",
                     "/identity/v3/auth/tokens"):
            head = (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    f"X-Auth-Token: {self.client.token}\r\n")
            for what, rest in {
                "said": f"Content-Length: {1 << 40}\r\n\r\n".encode(),
                "sent": b"Transfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 20,
            }.items():
                with self.subTest(path=path, what=what), self.dial() as connection:
                    begun = time.monotonic()
                    connection.sendall(head.encode() + rest)
                    status = connection.recv(4096).split(b"\r\n", 1)[0]
                    self.assertIn(b"413", status, path)
                    self.assertLess(time.monotonic() - begun, 5)
        self.still_serves()

    def test_02_heads_that_do_not_come(self):
        for what, sent in {"nothing": b"", "half a line": b"GET /volume/v3", "half a head": b"GET / HTTP/1.1\r\nHost: x\r\n"}.items():
            with self.subTest(what=what):
                self.cut_after(sent, 100)
        self.still_serves()

    def test_03_bodies_that_do_not_come(self):
        head = (f"POST /volume/v3/{self.client.project}/backups HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
                f"Content-Type: application/json\r\nX-Auth-Token: {self.client.token}\r\n\r\n")
        waited = self.cut_after(head.encode() + b'{"backup":', 60)
        self.assertLess(waited, 45)
        self.still_serves()

    def test_04_drips(self):
        """A byte a second keeps no connection open for ever."""
        with self.dial() as connection:
            begun = time.monotonic()
            with self.assertRaises(OSError):
                for byte in b"GET / HTTP/1.1\r\n" + b"X-Drip: 1\r\n" * 1000:
                    connection.sendall(bytes([byte]))
                    time.sleep(1)
                    self.assertLess(time.monotonic() - begun, 120)
                    connection.settimeout(0.001)
                    try:
                        if connection.recv(4096) == b"":
                            raise OSError("closed")
                    except TimeoutError:
                        pass
        self.still_serves()

    def test_05_ten_thousand_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(IDLE + 500, hard) if hard != resource.RLIM_INFINITY else IDLE + 500
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        if wanted < IDLE + 500:
            self.skipTest(f"only {hard} files may be open")
        self.service.stop()
        self.setUpAgain()
        connections = []
        try:
            begun = time.monotonic()
            for _ in range(IDLE):
                connections.append(self.dial())
            print(f"    {IDLE} connections in {time.monotonic() - begun:.1f} s", flush=True)
            # Requests by others are answered meanwhile, and by the idle ones when they wake up.
            for _ in range(20):
                self.still_serves()
            for connection in connections[::1000]:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertIn(b"200 OK", connection.recv(4096))
            with open(f"/proc/{self.service.process.pid}/status") as status:
                memory = next(line.split()[1] for line in status if line.startswith("VmRSS"))
            print(f"    the service holds {int(memory) // 1024} MiB", flush=True)
            self.assertLess(int(memory), 600 * 1024)
        finally:
            for connection in connections:
                connection.close()
        self.still_serves()
