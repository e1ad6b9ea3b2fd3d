"""What the end-to-end suites share: a service to talk to, clients, and bytes to compare.

Only the standard library is used, so that any interpreter of the test
environment can import this file.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
GIB = 1 << 30
MIB = 1 << 20

# What a task, a backup or a volume shows while something is going on with it.
BUSY_BACKUP = {"creating", "restoring", "deleting"}
BUSY_VOLUME = {"creating", "deleting", "backing-up", "restoring-backup", "extending"}


def binary():
    """The emberkeep binary under test."""
    given = os.environ.get("EMBERKEEP_BIN")
    path = pathlib.Path(given) if given else ROOT / "target" / "debug" / "emberkeep"
    if not path.is_file():
        sys.exit(f"no emberkeep binary at {path}: build it, or set EMBERKEEP_BIN")
    return str(path)


def test_env():
    """Where the virtual environments with the real clients lie."""
    return pathlib.Path(os.environ.get("EMBERKEEP_TEST_ENV") or ROOT / "target" / "test-env")


def clean_environment():
    """Our environment without anything that would point a client elsewhere."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("OS_", "EMBERKEEP_")) and not key.lower().endswith("_proxy")
    }


def wait_until(what, probe, timeout=60.0, interval=0.1):
    """Asks `probe` until it answers something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: did not come about in {timeout:.0f} s")
        time.sleep(interval)


class NotReady(Exception):
    """The service ended, or said nothing, before it was ready."""

    def __init__(self, message, code, log):
        super().__init__(f"{message}; its log ends:\n{log}")
        self.code = code
        self.log = log


class Service:
    """One `emberkeep serve` on a data directory."""

    def __init__(self, data_dir, listen=("127.0.0.1:0",), **settings):
        self.data_dir = pathlib.Path(data_dir)
        self.listen = list(listen)
        self.settings = {f"EMBERKEEP_{key.upper()}": str(value) for key, value in settings.items()}
        # Beside the data directory, which may be unwritable or full on purpose.
        self.log_path = pathlib.Path(f"{data_dir}.log")
        self.process = None
        self.url = None
        self.urls = []

    def spawn(self, prefix=(), flags=(), **popen):
        """Starts the process, behind the words of `prefix` and with more `flags`, and returns at once."""
        log = open(self.log_path, "ab")
        env = clean_environment()
        env["EMBERKEEP_LOG"] = os.environ.get("EMBERKEEP_LOG", "info")
        env.update(self.settings)
        try:
            self.process = subprocess.Popen(
                [*prefix, binary(), "serve", "--data-dir", str(self.data_dir), *(f"--listen={one}" for one in self.listen), *flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                env=env,
                **({"stderr": log} | popen),
            )
        finally:
            log.close()
        self.url = None
        return self

    def start(self, timeout=60.0, **popen):
        """Starts the process and waits for its `ready` lines, one for each address."""
        self.spawn(**popen)
        lines = queue.Queue()
        pipe = self.process.stdout

        def pump():
            with contextlib.suppress(ValueError, OSError):
                for line in pipe:
                    lines.put(line.decode(errors="replace"))
            lines.put(None)

        threading.Thread(target=pump, daemon=True).start()
        self.urls = []
        for _ in self.listen:
            try:
                line = lines.get(timeout=timeout)
            except queue.Empty:
                self.kill()
                raise NotReady("not ready in time", None, self.log()) from None
            if line is None:
                code = self.process.wait(timeout=30)
                raise NotReady(f"ended with status {code} before it was ready", code, self.log())
            match = re.fullmatch(r"ready (https?://\S+)\n", line)
            if not match:
                self.kill()
                raise NotReady(f"said {line!r} instead of `ready http://…`", None, self.log())
            self.urls.append(match.group(1))
        self.url = self.urls[0]
        return self

    def kill(self):
        """kill -9, as a power cut would."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=60)

    def stop(self, timeout=60.0):
        """Asks it to stop, and returns its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop in {timeout:.0f} s; log:\n{self.log()}") from None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self, lines=30):
        """The last lines it logged."""
        try:
            text = self.log_path.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def credentials(self):
        """User, password and project from DIR/clouds.yaml."""
        return read_cloud((self.data_dir / "clouds.yaml").read_text())

    def client(self):
        return Client(self.url, self.credentials())

    def client_environment(self):
        """What a stranger sets to use the service with real clients."""
        env = clean_environment()
        env["OS_CLIENT_CONFIG_FILE"] = str(self.data_dir / "clouds.yaml")
        env["OS_CLOUD"] = "emberkeep"
        env["EMBERKEEP_DATA_DIR"] = str(self.data_dir)
        return env


def read_cloud(text):
    """Reads what we need of a clouds.yaml, without a YAML library."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s+(username|password|project_name|auth_url)\s*:\s*(.+?)\s*$", line)
        if match:
            found[match.group(1)] = match.group(2).strip("'\"")
    missing = {"username", "password", "project_name", "auth_url"} - set(found)
    if missing:
        raise AssertionError(f"clouds.yaml lacks {', '.join(sorted(missing))}")
    return found


class Answer:
    """One HTTP answer."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def expect(self, *statuses):
        if self.status not in statuses:
            raise AssertionError(f"expected {statuses}, got {self.status}: {self.body[:600]!r}")
        return self

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def http_request(url, method, path, body=None, headers=None, timeout=60.0, tls=None):
    """One request on a connection of its own; `tls` says whom to trust."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=tls)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class Client:
    """A plain client of all the service's wires: fast, where the real ones take seconds."""

    def __init__(self, url, credentials):
        self.url = url
        self.credentials = credentials
        self.token = None
        self.project = None
        self.sign_in()

    def sign_in(self):
        who = self.credentials
        answer = http_request(self.url, "POST", "/identity/v3/auth/tokens", {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": {
                    "name": who["username"], "domain": {"id": "default"}, "password": who["password"],
                }}},
                "scope": {"project": {"name": who["project_name"], "domain": {"id": "default"}}},
            },
        }).expect(201)
        self.token = answer.headers["X-Subject-Token"]
        self.project = answer.json["token"]["project"]["id"]

    def request(self, method, path, body=None, headers=None, timeout=60.0):
        headers = {"X-Auth-Token": self.token, **(headers or {})}
        return http_request(self.url, method, path, body, headers, timeout)

    def identity(self, method, path, body=None):
        return self.request(method, f"/identity/v3{path}", body)

    def cinder(self, method, path, body=None, version="3.64"):
        headers = {"OpenStack-API-Version": f"volume {version}"}
        return self.request(method, f"/volume/v3/{self.project}{path}", body, headers)

    def cbr(self, method, path, body=None):
        return self.request(method, f"/cbr/v3/{self.project}{path}", body)

    def native(self, method, path, body=None, headers=None):
        return self.request(method, f"/api/v1{path}", body, headers)

    # ---- the few calls every suite makes ----

    def create_volume(self, name, size=1):
        made = self.cinder("POST", "/volumes", {"volume": {"name": name, "size": size}}).expect(202).json
        return self.volume_settled(made["volume"]["id"], {"available"})["id"]

    def volume(self, volume_id):
        """The volume, or None if there is none."""
        answer = self.cinder("GET", f"/volumes/{volume_id}").expect(200, 404)
        return answer.json["volume"] if answer.status == 200 else None

    def backup(self, backup_id):
        """The backup, or None if there is none."""
        answer = self.cinder("GET", f"/backups/{backup_id}").expect(200, 404)
        return answer.json["backup"] if answer.status == 200 else None

    def volumes(self):
        return self.cinder("GET", "/volumes/detail").expect(200).json["volumes"]

    def backups(self):
        return self.cinder("GET", "/backups/detail").expect(200).json["backups"]

    def volume_path(self, volume_id):
        """Where the bytes of a file-backed volume lie."""
        return self.native("GET", f"/volumes/{volume_id}/path").expect(200).json["path"]

    def create_backup(self, volume_id, name, incremental=False, **more):
        body = {"backup": {"volume_id": volume_id, "name": name, "incremental": incremental, **more}}
        return self.cinder("POST", "/backups", body).expect(202).json["backup"]["id"]

    def restore(self, backup_id, **target):
        return self.cinder("POST", f"/backups/{backup_id}/restore", {"restore": target}).expect(202).json["restore"]

    def settled(self, what, fetch, busy, wanted, timeout):
        def probe():
            seen = fetch()
            if seen is None:
                raise AssertionError(f"{what} is gone")
            return seen if seen["status"] not in busy else None

        seen = wait_until(f"{what} comes to rest", probe, timeout, 0.05)
        if wanted and seen["status"] not in wanted:
            raise AssertionError(f"{what} ended as {seen['status']}, not {wanted}: {seen}")
        return seen

    def volume_settled(self, volume_id, wanted=None, timeout=120.0):
        return self.settled(f"volume {volume_id}", lambda: self.volume(volume_id), BUSY_VOLUME, wanted, timeout)

    def backup_settled(self, backup_id, wanted=None, timeout=120.0):
        return self.settled(f"backup {backup_id}", lambda: self.backup(backup_id), BUSY_BACKUP, wanted, timeout)

    def tasks(self):
        """All the project's tasks, newest first, also the kinds that only the native API shows."""
        return self.native("GET", "/tasks?limit=1000").expect(200).json["tasks"]

    def sweep(self, timeout=120.0):
        """Asks for a sweep, and waits until it has ended well."""
        task_id = self.native("POST", "/sweep").expect(200, 202).json["task_id"]

        def ended():
            task = self.native("GET", f"/tasks/{task_id}").expect(200).json
            task = task.get("task", task)
            return task if task["status"] not in ("waiting", "running") else None

        task = wait_until("the sweep ends", ended, timeout)
        if task["status"] != "succeeded":
            raise AssertionError(f"the sweep ended as {task['status']}: {task['reason']}")


def command(arguments, env=None, check=True, timeout=300.0):
    """Runs a program, and returns (status, stdout, stderr) as text."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=timeout, check=False,
    )
    if check and done.returncode != 0:
        shown = " ".join(str(argument) for argument in arguments)
        raise AssertionError(f"{shown}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.returncode, done.stdout, done.stderr


def emberkeep(*arguments, env=None, check=True):
    """Runs our own command line."""
    return command([binary(), *arguments], env=env or clean_environment(), check=check)


# ---- bytes ----

def data_extents(fd, size):
    """The ranges of a sparse file that may hold data."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, min(end, size)
        at = end


_ZERO = bytes(64 * 1024)


def digest(path):
    """A digest of a file's size and of every byte, which holes do not change or slow down."""
    hasher = hashlib.sha256()
    step = len(_ZERO)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        hasher.update(size.to_bytes(8, "little"))
        seen = -1
        for start, end in data_extents(file.fileno(), size):
            # Whole blocks, so that the same bytes give the same digest whatever the holes are.
            for index in range(max(start // step, seen + 1), (end + step - 1) // step):
                block = os.pread(file.fileno(), step, index * step)
                seen = index
                if block.strip(b"\0"):
                    hasher.update(index.to_bytes(8, "little"))
                    hasher.update(block)
    return hasher.hexdigest()


def same_bytes(one, other):
    """Compares two files by every byte; tells where they differ first, or None."""
    command_line = ["cmp", "--", str(one), str(other)]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip()


def sparse_copy(source, target):
    """Keeps a copy to compare with later."""
    command(["cp", "--sparse=always", "--", str(source), str(target)])


def real_files(target, limit, source=None):
    """Copies real files (by default of the Python library) into a tree of at most `limit` bytes."""
    source = pathlib.Path(source or pathlib.Path(os.__file__).parent)
    total = 0
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        size = path.stat().st_size
        if total + size > limit:
            continue
        place = pathlib.Path(target) / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        total += size
        if total > limit * 95 // 100:
            break
    return total


def fill_with_filesystem(path, limit=48 * MIB):
    """Makes the file an ext4 file system of real files, keeping its size."""
    with tempfile.TemporaryDirectory(prefix="emberkeep-tree-") as tree:
        real_files(tree, limit)
        mkfs = shutil.which("mkfs.ext4") or "/usr/sbin/mkfs.ext4"
        command([mkfs, "-q", "-F", "-E", "lazy_itable_init=0,nodiscard", "-d", tree, path])
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def change(path, seed, changes=24, zeroed=4, within=None):
    """Overwrites scattered ranges, and zeroes some that held data."""
    rng = random.Random(seed)
    with open(path, "rb+") as file:
        size = os.fstat(file.fileno()).st_size
        extents = list(data_extents(file.fileno(), size)) or [(0, min(size, 16 * MIB))]
        for index in range(changes + zeroed):
            start, end = rng.choice(extents)
            at = rng.randrange(start, end)
            length = min(rng.choice([512, 4096, 65536, 262144]), size - at)
            block = rng.randbytes(length) if index < changes else bytes(length)
            os.pwrite(file.fileno(), block, at)
        os.fsync(file.fileno())


def scratch(prefix, test_class=None):
    """A new directory; removed after the class's last test unless EMBERKEEP_KEEP is set."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"emberkeep-{prefix}-"))
    if test_class is not None:
        test_class.addClassCleanup(discard, path)
    return path


def discard(path):
    """Removes what `scratch` made."""
    if os.environ.get("EMBERKEEP_KEEP"):
        print(f"kept: {path}", flush=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
