"""A real Keystone for the tests: SQLite, on loopback, from its own virtual environment."""

import contextlib
import getpass
import grp
import os
import pathlib
import signal
import socket
import subprocess

from support import HERE, clean_environment, command, http_request, test_env, wait_until

CONFIG = """\
[DEFAULT]
log_file = {place}/keystone.log
[database]
connection = sqlite:///{place}/keystone.db
[token]
provider = fernet
expiration = 3600
[fernet_tokens]
key_repository = {place}/fernet
[credential]
key_repository = {place}/credential
[cache]
enabled = false
[identity]
password_hash_algorithm = bcrypt
password_hash_rounds = 4
[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
"""


def free_port():
    """A port that nobody listens on at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Keystone:
    """One Keystone with a database of its own."""

    def __init__(self, place):
        self.place = pathlib.Path(place)
        self.bin = test_env() / "keystone" / "bin"
        if not (self.bin / "keystone-manage").exists():
            raise AssertionError("there is no keystone in the test environment; `cargo xtask test` installs it")
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v3"
        self.process = None
        self.token = None
        self.ids = {}

    # ---- the process ----

    def environment(self):
        env = clean_environment()
        env["OS_KEYSTONE_CONFIG_FILES"] = str(self.place / "keystone.conf")
        env["EMBERKEEP_TEST_PORT"] = str(self.port)
        env["PYTHONWARNINGS"] = "ignore"
        return env

    def set_up(self):
        """Makes the database, the keys and the first administrator."""
        self.place.mkdir(parents=True, exist_ok=True)
        conf = self.place / "keystone.conf"
        conf.write_text(CONFIG.format(place=self.place))
        whose = ["--keystone-user", getpass.getuser(), "--keystone-group", grp.getgrgid(os.getgid()).gr_name]
        for arguments in (
            ["db_sync"],
            ["fernet_setup", *whose],
            ["credential_setup", *whose],
            [
                "bootstrap", "--bootstrap-password", "secret-admin", "--bootstrap-region-id", "RegionOne",
                "--bootstrap-public-url", self.url, "--bootstrap-internal-url", self.url,
                "--bootstrap-admin-url", self.url,
            ],
        ):
            command([self.bin / "keystone-manage", "--config-file", conf, *arguments], env=self.environment())
        return self

    def start(self):
        """Starts it, always on the same port, and waits until it answers."""
        with open(self.place / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "python"), "-B", str(HERE / "keystone_server.py")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(),
            )

        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"keystone ended: {(self.place / 'server.log').read_text()[-2000:]}")
            with contextlib.suppress(OSError):
                return http_request(self.root, "GET", "/v3").status == 200

        wait_until("keystone answers", answers, timeout=120)
        return self

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=60)

    # ---- what an administrator does ----

    def sign_in(self, user="admin", project="admin", password=None):
        """Returns a token."""
        domain = {"id": "default"}
        identity = {"methods": ["password"], "password": {"user": {
            "name": user, "domain": domain, "password": password or f"secret-{user}",
        }}}
        body = {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": domain}}}}
        return http_request(self.root, "POST", "/v3/auth/tokens", body).expect(201).headers["X-Subject-Token"]

    def request(self, method, path, body=None):
        """As the administrator."""
        if self.token is None:
            self.token = self.sign_in()
        return http_request(self.root, method, f"/v3{path}", body, {"X-Auth-Token": self.token})

    def make(self, kind, **fields):
        """Makes a thing of a kind, say `project`, and returns its id."""
        made = self.request("POST", f"/{kind}s", {kind: fields}).expect(201).json[kind]["id"]
        self.ids[kind, fields.get("name")] = made
        return made

    def role(self, name):
        return self.request("GET", f"/roles?name={name}").expect(200).json["roles"][0]["id"]

    def grant(self, user, project, role, method="PUT"):
        user, project = self.ids["user", user], self.ids["project", project]
        self.request(method, f"/projects/{project}/users/{user}/roles/{self.role(role)}").expect(204)

    def populate(self, base):
        """Projects, people and the catalogue of a service at `base`. A password is `secret-NAME`."""
        for name in ("service", "alpha", "beta"):
            self.make("project", name=name, domain_id="default")
        for name in ("ember", "alice", "bob", "carol", "dora"):
            self.make("user", name=name, domain_id="default", password=f"secret-{name}")
        self.ids["user", "admin"] = self.request("GET", "/users?name=admin").json["users"][0]["id"]
        for user, project, role in (
            ("ember", "service", "service"),
            ("admin", "alpha", "admin"),
            ("alice", "alpha", "member"),
            ("carol", "alpha", "reader"),
            ("dora", "alpha", "manager"),
            ("bob", "beta", "member"),
        ):
            self.grant(user, project, role)
        for kind, path in (("volumev3", "volume"), ("block-storage", "volume"), ("cbr", "cbr")):
            service = self.make("service", type=kind, name=kind, enabled=True)
            for interface in ("public", "internal", "admin"):
                self.make(
                    "endpoint", service_id=service, interface=interface, region_id="RegionOne",
                    url=f"{base}/{path}/v3/$(project_id)s",
                )

    def client_environment(self, user, project="alpha", **more):
        """What somebody sets to use the real clients."""
        env = clean_environment()
        env.update(
            OS_AUTH_URL=self.url, OS_USERNAME=user, OS_PASSWORD=f"secret-{user}", OS_PROJECT_NAME=project,
            OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default", OS_REGION_NAME="RegionOne",
            OS_IDENTITY_API_VERSION="3",
        )
        env.update(more)
        return env
