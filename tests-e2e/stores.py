"""Object stores for the suites: moto for S3, and a real Swift, each for one suite and gone with it."""

import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

from support import http_request, test_env, wait_until


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def programs():
    """Where the stores' programs lie."""
    return test_env() / "stores" / "bin"


class Processes:
    """What was started, to be stopped in the other order."""

    def __init__(self, room):
        self.room = pathlib.Path(room)
        self.room.mkdir(parents=True, exist_ok=True)
        self.running = []

    def start(self, name, *command, env=None):
        log = open(self.room / f"{name}.log", "wb")
        try:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
            )
        finally:
            log.close()
        self.running.append((name, process))

    def stop(self):
        for _, process in reversed(self.running):
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()

    def answers(self, port):
        for name, process in self.running:
            if process.poll() is not None:
                log = (self.room / f"{name}.log").read_text(errors="replace")
                raise AssertionError(f"{name} ended with {process.returncode}:\n{log[-4000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False


class Moto(Processes):
    """An S3 in memory."""

    def __init__(self, room):
        super().__init__(room)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start("moto", programs() / "moto_server", "-H", "127.0.0.1", "-p", self.port)
        wait_until("moto answers", lambda: self.answers(self.port))

    def environment(self):
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest",
            "AWS_REGION": "us-east-1",
        }

    def put(self, bucket, name=None, content=b""):
        """Makes a bucket, or an object in one."""
        path = f"{self.url}/{bucket}" + (f"/{name}" if name else "")
        kind = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(path, data=content if name else None, method="PUT", headers=kind)
        urllib.request.urlopen(request, timeout=30).close()


class Swift(Processes):
    """Swift, all of it on this machine, with users of its own."""

    USER, KEY = "test:tester", "testing"

    def __init__(self, room):
        super().__init__(room)
        ports = {name: free_port() for name in ("proxy", "account", "container", "object", "memcached")}
        self.url = f"http://127.0.0.1:{ports['proxy']}"
        self.auth_url = f"{self.url}/auth/v1.0"
        etc, devices = self.room / "etc", self.room / "devices"
        etc.mkdir()
        (devices / "d1").mkdir(parents=True)
        (etc / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_prefix = p\nswift_hash_path_suffix = s\n"
            "[storage-policy:0]\nname = gold\ndefault = yes\n"
        )
        for kind in ("account", "container", "object"):
            self.ring(etc, kind, ports[kind])
            (etc / f"{kind}.conf").write_text(
                f"[DEFAULT]\nswift_dir = {etc}\ndevices = {devices}\nmount_check = false\nworkers = 0\n"
                f"bind_ip = 127.0.0.1\nbind_port = {ports[kind]}\nuser = root\n"
                f"[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
            )
        filters = "catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo " \
                  "versioned_writes symlink"
        names = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in filters.split()
                        if name not in ("cache", "s3api", "tempauth"))
        (etc / "proxy.conf").write_text(
            f"[DEFAULT]\nswift_dir = {etc}\nworkers = 0\nbind_ip = 127.0.0.1\nbind_port = {ports['proxy']}\n"
            f"user = root\n[pipeline:main]\npipeline = {filters} proxy-server\n"
            "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
            f"[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:{ports['memcached']}\n"
            "[filter:s3api]\nuse = egg:swift#s3api\nlocation = us-east-1\n"
            f"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = {self.KEY} .admin\n{names}"
        )
        env = dict(os.environ, SWIFT_TEST_CONFIG_FILE="", PYTHONWARNINGS="ignore")
        self.start("memcached", "memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", ports["memcached"], "-m", "16")
        for kind in ("object", "container", "account", "proxy"):
            self.start(kind, programs() / f"swift-{kind}-server", etc / f"{kind}.conf", env=env)
        wait_until("Swift answers", self.healthy)
        self.sign_in()

    def ring(self, etc, kind, port):
        builder = etc / f"{kind}.builder"
        for words, fine in (
            (("create", "4", "1", "1"), (0,)),
            (("add", f"r1z1-127.0.0.1:{port}/d1", "1"), (0,)),
            (("rebalance",), (0, 1)),
        ):
            done = subprocess.run(
                [programs() / "swift-ring-builder", builder, *words], capture_output=True, text=True, check=False,
            )
            if done.returncode not in fine:
                raise AssertionError(done.stdout + done.stderr)

    def healthy(self):
        port = int(self.url.rsplit(":", 1)[1])
        if not self.answers(port):
            return False
        try:
            return urllib.request.urlopen(f"{self.url}/healthcheck", timeout=5).status == 200
        except OSError:
            return False

    def sign_in(self):
        headers = {"X-Auth-User": self.USER, "X-Auth-Key": self.KEY}
        answer = http_request(self.url, "GET", "/auth/v1.0", None, headers).expect(200, 204)
        self.token, self.account = answer.headers["X-Auth-Token"], answer.headers["X-Storage-Url"]

    def s3_environment(self):
        """What a client of its s3api wants to know."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": self.USER, "AWS_SECRET_ACCESS_KEY": self.KEY,
            "AWS_REGION": "us-east-1",
        }

    def environment(self):
        return {"ST_AUTH": self.auth_url, "ST_USER": self.USER, "ST_KEY": self.KEY}

    def put(self, container, name=None, content=b""):
        """Makes a container, or an object in one."""
        path = f"{self.account}/{container}" + (f"/{name}" if name else "")
        headers = {"X-Auth-Token": self.token, "Content-Type": "application/octet-stream"}
        deadline = time.monotonic() + 60
        while True:
            request = urllib.request.Request(path, data=content, method="PUT", headers=headers)
            try:
                urllib.request.urlopen(request, timeout=30).close()
                return
            except urllib.error.HTTPError as error:
                # Its servers come up one after the other.
                if error.code < 500 or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
