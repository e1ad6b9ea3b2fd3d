"""The document of the API, and what a property-based run against it finds: no 500, no hang, no broken connection.

EMBERKEEP_OPENAPI_SECONDS sets how long requests are made up (60; a thorough run takes 3600), EMBERKEEP_OPENAPI_EXAMPLES
how many for each operation (8) and EMBERKEEP_OPENAPI_SEED which ones. A run of ten minutes or more also walks
through every constraint of every schema, in turn.
"""

import http.client
import json
import os
import pathlib
import sys
import time
import unittest

import support

EXAMPLES = os.environ.get("EMBERKEEP_OPENAPI_EXAMPLES", "8")
SECONDS = int(os.environ.get("EMBERKEEP_OPENAPI_SECONDS", "60"))
SEED = os.environ.get("EMBERKEEP_OPENAPI_SEED", "1")
METHODS = ("get", "put", "post", "delete", "patch")
# What no generator of valid JSON comes up with.
BAD_BODIES = {
    "no UTF-8": b'{"backup": {"name": "\xff\xfe\xc3\x28"}}',
    "cut short": b'{"backup": {"volume_id": "',
    "nothing": b"",
    "a null byte": b'{"backup": {"name": "a\\u0000b"}, "vault": {"name": "\\u0000"}}',
    "half a surrogate pair": b'{"backup": {"name": "\\ud800"}}',
    "deep": b'{"backup": ' * 20_000 + b"1" + b"}" * 20_000,
    "deep lists": b"[" * 200_000,
    "huge numbers": b'{"volume": {"size": 1' + b"0" * 5000 + b'}, "vault": {"billing": {"size": 1e999999}}}',
    "a key twice": b'{"backup": {}, "backup": {"volume_id": 1, "volume_id": null}}',
    "another type": b'"backup"',
    "null": b"null",
    "a list": b"[]",
    "not a number": b'{"volume": {"size": NaN}}',
    "negative zero": b'{"volume": {"size": -0}, "quota_set": {"volumes": -0.0}}',
    "a long word": b'{"backup": {"name": "' + b"x" * 900_000 + b'"}}',
}
BAD_QUERIES = [
    "limit=99999999999999999999999999", "limit=-1", "limit=%00", "marker=%ff%fe", "offset=18446744073709551616",
    "sort=" + "name:asc," * 300, "name=%F0%9F%92%A9%00", "status=" + "x" * 6000, "limit=1&limit=2", "&&&=", "%=%",
    "created_at=1%27%20OR%201=1", "name~=%25", "metadata={'a':", "start_time=9999999-01-01T00:00:00Z",
]
BAD_SEGMENTS = ["%00", "%ff", "..%2f..%2fetc%2fpasswd", "%2e%2e", "x" * 4000, "%F0%9F%92%A9", "'", "%20", "-1", "null"]


class OpenApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = support.scratch("openapi", cls)
        cls.service = support.Service(cls.place / "data").start()
        cls.addClassCleanup(cls.service.kill)
        cls.client = cls.service.client()
        cls.document = support.http_request(cls.service.url, "GET", "/openapi.json").expect(200).json
        cls.known = cls.things()

    @classmethod
    def things(cls):
        """Makes something of each kind, that requests can be about."""
        client = cls.client
        # Generated sizes are anything up to the largest number: quotas keep them out of the way.
        quotas = {"volumes": 40, "gigabytes": 100, "backups": 40, "backup_gigabytes": 100, "snapshots": 20}
        client.cinder("PUT", f"/os-quota-sets/{client.project}", {"quota_set": quotas}).expect(200)
        volumes = [client.create_volume(f"v{index}") for index in range(3)]
        backups = [client.create_backup(volume, f"b-{index}") for index, volume in enumerate(volumes)]
        for backup in backups:
            client.backup_settled(backup, {"available"})
        body = {"snapshot": {"volume_id": volumes[0], "name": "s", "force": True}}
        snapshot = client.cinder("POST", "/snapshots", body).expect(202).json["snapshot"]["id"]
        billing = {"object_type": "disk", "protect_type": "backup", "size": 50, "consistent_level": "crash_consistent"}
        vault = client.cbr("POST", "/vaults", {"vault": {"name": "v", "billing": billing, "resources": [
            {"id": volumes[1], "type": "OS::Cinder::Volume"}]}}).expect(200).json["vault"]["id"]
        run = client.cbr("POST", "/checkpoints", {"checkpoint": {"vault_id": vault}}).expect(200).json
        policy = client.cbr("POST", "/policies", {"policy": {
            "name": "p", "operation_type": "backup", "operation_definition": {"max_backups": 3},
            "trigger": {"properties": {"pattern": ["FREQ=DAILY;INTERVAL=1;BYHOUR=14;BYMINUTE=0"]}},
        }}).expect(200).json["policy"]["id"]
        # Somebody else, whose roles may be taken away without harm to the run.
        other = client.identity("POST", "/projects", {"project": {"name": "other"}}).expect(201).json["project"]["id"]
        user = client.identity("POST", "/users", {"user": {"name": "u", "password": "secret-enough-1"}})
        user = user.expect(201).json["user"]["id"]
        # The generator learns ids from answers, that of the run's own user too.
        users = client.identity("GET", "/users").expect(200).json["users"]
        own = [one["id"] for one in users if one["id"] != user]
        roles = [role["id"] for role in client.identity("GET", "/roles").expect(200).json["roles"]]
        # Another type than the default one, which could be renamed and then be missed.
        kind = client.cinder("POST", "/types", {"volume_type": {"name": "t"}}).expect(200).json["volume_type"]["id"]
        return {
            "project": [client.project], "target_project": [other], "user": [user], "own_user": own, "role": roles,
            "volume": volumes, "backup": backups, "snapshot": [snapshot], "vault": [vault], "policy": [policy],
            "checkpoint": [run["checkpoint"]["id"]], "type": [kind], "resource": volumes,
            "task": [task["id"] for task in client.tasks()[:5]],
        }

    def test_01_everybody_may_read_the_document(self):
        self.assertEqual(self.document["openapi"], "3.1.0")
        operations = [(path, method) for path, item in self.document["paths"].items() for method in item]
        print(f"    {len(operations)} operations on {len(self.document['paths'])} paths", flush=True)
        for path in ("/identity/v3/auth/tokens", "/volume/v3/{project_id}/backups/{backup_id}/restore",
                     "/cbr/v3/{project}/checkpoints", "/api/v1/tasks", "/healthz", "/openapi.json"):
            self.assertIn(path, self.document["paths"])

    def test_02_generated_requests(self):
        environment = support.clean_environment()
        environment["SCHEMATHESIS_HOOKS"] = "openapi_hooks"
        environment["PYTHONPATH"] = str(support.HERE)
        environment["EMBERKEEP_KNOWN_IDS"] = json.dumps(self.known)
        environment["EMBERKEEP_OPENAPI_SEED"] = SEED
        begun = time.monotonic()
        status, out, err = support.command([
            pathlib.Path(sys.executable).with_name("st"), "run", f"{self.service.url}/openapi.json",
            "--header", f"X-Auth-Token: {self.client.token}",
            "--header", "OpenStack-API-Version: volume 3.71",
            "--checks", "not_a_server_error", "--mode", "all", "--max-time", str(SECONDS),
            "--phases", "coverage,fuzzing" if SECONDS >= 600 else "fuzzing",
            "--max-examples", EXAMPLES, "--seed", SEED, "--workers", "2", "--continue-on-failure",
            "--request-timeout", "30", "--suppress-health-check", "all", "--warnings", "off", "--no-shrink",
            "--generation-database", "none", "--no-color",
            # Every path of Block Storage is there with and without the project: once is enough.
            "--exclude-path-regex", r"^/volume/v3/\{project_id\}|^/metrics|^/console",
            # It would end the run's own session.
            "--exclude-operation-id", self.operation_id("delete", "/identity/v3/auth/tokens"),
            # A stream of bytes, which no schema describes.
            "--exclude-operation-id", self.operation_id("post", "/api/v1/volumes/import"),
        ], env=environment, check=False, timeout=SECONDS + 300)
        tail = "\n".join(out.splitlines()[-25:])
        print(f"    {time.monotonic() - begun:.0f} s; {tail}", flush=True)
        self.assertEqual(status, 0, f"{out[-8000:]}\n{err[-2000:]}")
        # Had the run lost its token, all that came after would have been refused unread.
        self.client.cinder("GET", "/limits").expect(200)

    def operation_id(self, method, path):
        return self.document["paths"][path][method]["operationId"]

    def operations(self):
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method in METHODS and "{project_id}" not in path:
                    yield path, method, operation

    def filled(self, path, **given):
        import openapi_hooks
        parts = []
        for part in path.split("/"):
            if part.startswith("{"):
                name = part[1:-1]
                kind = openapi_hooks.kind_of(name, path)
                if kind == "project" and "/identity/" in path:
                    kind = "target_project"
                part = given.get(name) or (self.known.get(kind) or ["6f1c1f0c-0000-4000-8000-000000000001"])[0]
            parts.append(part)
        return "/".join(parts)

    def asked(self, method, target, body, kind="application/json"):
        """Sends exactly these bytes; the answer must come, and be no fault of ours."""
        connection = http.client.HTTPConnection(self.service.url.removeprefix("http://"), timeout=30)
        headers = {"X-Auth-Token": self.client.token, "OpenStack-API-Version": "volume 3.71"}
        if body is not None:
            headers["Content-Type"] = kind
        begun = time.monotonic()
        try:
            connection.request(method.upper(), target, body=body, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
        except OSError as error:
            raise AssertionError(f"{method} {target[:200]}, {len(body or b'')} bytes: {error}") from error
        finally:
            connection.close()
        what = f"{method} {target[:200]} {(body or b'')[:60]!r}: {answer.status} {text[:300]!r}"
        self.assertLess(answer.status, 500, what)
        self.assertLess(time.monotonic() - begun, 10, what)
        return answer.status

    def test_03_bodies_that_are_none(self):
        asked = 0
        for path, method, operation in self.operations():
            if "requestBody" in operation and "/import" not in path:
                for body in BAD_BODIES.values():
                    self.asked(method, self.filled(path), body)
                    asked += 1
        print(f"    {asked} requests", flush=True)

    def test_04_queries_and_paths_that_are_none(self):
        asked = 0
        for path, method, operation in self.operations():
            if method != "get":
                continue
            for query in BAD_QUERIES:
                self.asked(method, f"{self.filled(path)}?{query}", None)
                asked += 1
            places = [part[1:-1] for part in path.split("/") if part.startswith("{")]
            for segment in BAD_SEGMENTS:
                for name in places:
                    self.asked(method, self.filled(path, **{name: segment}), None)
                    asked += 1
        print(f"    {asked} requests", flush=True)

    def test_05_headers_that_are_none(self):
        for version in ("volume 9.9", "volume", "volume 3", "volume 3.x", ",,,", "volume 3." + "9" * 400, "\xff"):
            connection = http.client.HTTPConnection(self.service.url.removeprefix("http://"), timeout=30)
            headers = {"X-Auth-Token": self.client.token, "OpenStack-API-Version": version.encode("latin-1")}
            connection.request("GET", "/volume/v3/backups", headers=headers)
            self.assertLess(connection.getresponse().status, 500, version)
            connection.close()
        for token in ("", "x" * 7000, "\xff\xfe", "gAAAA"):
            connection = http.client.HTTPConnection(self.service.url.removeprefix("http://"), timeout=30)
            connection.request("GET", "/volume/v3/backups", headers={"X-Auth-Token": token.encode("latin-1")})
            self.assertEqual(connection.getresponse().status, 401, token[:20])
            connection.close()

    def test_06_the_service_has_come_through(self):
        volume = self.client.create_volume("afterwards")
        self.client.backup_settled(self.client.create_backup(volume, "afterwards"), {"available"})
        log = self.service.log_path.read_text(errors="replace")
        self.assertNotIn("panicked", log)
