"""Other people's suites against a running service: `conformance.py SUITE`, by the interpreter of their environment.

They are run as they are. Which tests are chosen, what is claimed about the service and which tests cannot
pass, with the reason, stands here.
"""

import pathlib
import re
import subprocess
import sys
import sysconfig

from support import Service, binary, clean_environment, discard, emberkeep, scratch

BIN = pathlib.Path(sys.executable).parent
LINE = re.compile(r"^\{\d+\} (?P<test>\S.*?)(?: \[[\d.]+s\])? \.\.\. (?P<end>ok|FAILED|SKIPPED)(?:: (?P<why>.*))?$")

TEMPEST_CONF = """\
[DEFAULT]
log_dir = {room}
log_file = tempest.log
[oslo_concurrency]
lock_path = {room}/locks
[auth]
{auth}
[identity]
uri_v3 = {url}/identity/v3
auth_version = v3
region = RegionOne
default_domain_id = default
catalog_type = identity
[identity-feature-enabled]
api_v3 = true
application_credentials = true
# Credentials with rules of access are refused: rules that are not kept to would be worse than none.
access_rules = false
external_idp = false
trust = false
[service_available]
cinder = true
# Nothing chosen here calls these two; some classes do not begin without the claim.
neutron = {claimed}
glance = {claimed}
nova = false
swift = false
horizon = false
[volume]
catalog_type = volumev3
volume_size = 1
vendor_name = Emberkeep
storage_protocol = file
min_microversion = 3.0
max_microversion = 3.71
build_interval = 1
build_timeout = 60
[volume-feature-enabled]
backup = true
snapshot = true
clone = true
extend_attached_volume = false
manage_volume = false
manage_snapshot = false
multi_backend = false
volume_revert = false
concurrency_tests = true
api_extensions = backups, encryption, os-admin-actions, os-availability-zone, os-extended-services, os-extended-snapshot-attributes,
    os-quota-class-sets, os-quota-sets, os-services, os-snapshot-actions, os-types-extra-specs, os-types-manage,
    os-used-limits, os-vol-host-attr, os-vol-image-meta, os-vol-mig-status-attr, os-vol-tenant-attr,
    os-volume-actions, os-volume-type-access, scheduler-stats
[compute-feature-enabled]
attach_encrypted_volume = false
[enforce_scope]
cinder = {scoped}
"""

# Whom the suites act as: user, project, roles. The order matters: "alt" is the first that is no admin.
OTHERS = [
    ("bob", "beta", "member"), ("alice", "alpha", "member"), ("carol", "alpha", "reader"), ("root", "staff", "admin"),
]
SAME = [
    ("alice", "alpha", "member"), ("carol", "alpha", "reader"), ("boss", "alpha", "admin"),
]

VOLUME_TESTS = [
    r"tempest\.api\.volume\.test_volumes_backup",
    r"tempest\.api\.volume\.admin\.test_volumes_backup",
    r"tempest\.api\.volume\.test_volumes_snapshots",
    r"tempest\.api\.volume\.test_snapshot_metadata",
    r"tempest\.api\.volume\.admin\.test_snapshots_actions",
    r"tempest\.api\.volume\.test_volumes_(get|list|actions|clone|extend|metadata|negative)",
    r"tempest\.api\.volume\.test_volume_(delete_cascade|metadata)",
    r"tempest\.api\.volume\.admin\.test_volumes_(actions|list)",
    r"tempest\.api\.volume\.admin\.test_volume_(types|type_access|types_extra_specs|retype|quotas|quotas_negative|quota_classes|services|services_negative|snapshot_quotas_negative|pools|hosts)",
    r"tempest\.api\.volume\.(test_versions|test_availability_zone|test_extensions)",
    r"cinder_tempest_plugin\.api\.volume\.test_volume_backup",
    r"cinder_tempest_plugin\.api\.volume\.admin\.test_volume_backup",
    r"cinder_tempest_plugin\.api\.volume\.test_create_from_backup",
    r"cinder_tempest_plugin\.scenario\.test_volume_concurrency.*backups_and_restores",
]
ROLE_TESTS = [r"cinder_tempest_plugin\.rbac\.v3\.test_backups"]
# They count what a project of their own holds, and make it themselves.
FRESH_TESTS = [r"tempest\.api\.volume\.test_volume_absolute_limits"]
IDENTITY_TESTS = [
    r"tempest\.api\.identity\.v3\.test_(api_discovery|tokens|catalog|projects|application_credentials|users)",
]

# Tests that are not run, each with the reason.
NOT_RUN = {
    "groups of volumes": r"test_group\.TestGroup",
    "a type for each project": r"test_default_type",
    "what a driver can do": r"test_capabilities",
    "it makes a server": r"test_attachment\.TestAttachment",
    "volumes are not handed from project to project, either": r"test_transfer\.|VolumeTransferTests",
    "they want servers or images to be there": (
        r"\[[^]]*\b(compute|image)\b[^]]*\]"
        r"|cinder_tempest_plugin.*test_volume_backup\.VolumesBackupsTest\.test_incremental_backup\["
        r"|test_volumes_extend\.VolumesExtendTest\.test_volume_extend\["
    ),
    "hosts are Cinder's own affair: there is no /os-hosts": r"test_volume_hosts",
    "volumes are not handed from project to project": r"test_quota_usage_after_volume_transfer",
    "types of encryption: every backup is encrypted, and no volume": r"test_volume_type_encryption",
}


class Suite:
    """One service with people in it, and a place for what a suite writes."""

    def __init__(self, name):
        self.room = scratch(f"conformance-{name}")
        # The suites hold more at once than a project may have unless somebody says so.
        kinds = ("volumes", "snapshots", "gigabytes", "backups", "backup_gigabytes")
        quotas = {f"quota_{kind}": 1000 for kind in kinds}
        self.service = Service(self.room / "data", sweep_delay_secs=5, count_dependents="true", **quotas).start()
        self.passed = self.failed = 0
        self.skipped = {}
        self.made = set()

    def people(self, accounts):
        """Makes projects and users with our own command; a password is `secret-NAME`."""
        env = self.service.client_environment()
        for user, project, role in accounts:
            if project not in self.made:
                emberkeep("project", "create", project, env=env)
            if user not in self.made:
                subprocess.run(
                    [binary(), "user", "create", user, "--password-stdin"],
                    input=f"secret-{user}\n", env=env, text=True, stdout=subprocess.DEVNULL, check=True,
                )
            self.made |= {project, user}
            emberkeep("role", "add", "--user", user, "--project", project, role, env=env)

    def follow(self, command, env=None, cwd=None):
        """Runs a suite in view, and counts how its tests end."""
        print("$", " ".join(str(word) for word in command), flush=True)
        process = subprocess.Popen(
            [str(word) for word in command], env=env, cwd=cwd or self.room, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )
        seen = 0
        for line in process.stdout:
            match = LINE.match(line.rstrip())
            if not match:
                print(line, end="", flush=True)
                continue
            seen += 1
            test, end, why = match["test"], match["end"], match["why"] or ""
            if end == "ok":
                self.passed += 1
            elif end == "FAILED":
                self.failed += 1
            else:
                self.skipped[test] = why
            print(f"  {end.lower():<7} {test}{f': {why}' if why else ''}", flush=True)
        process.wait()
        if not seen:
            print("  FAILED  no test was run", flush=True)
            self.failed += 1
        elif process.returncode and not self.failed:
            print(f"  FAILED  the suite ended with {process.returncode}", flush=True)
            self.failed += 1

    def end(self):
        status = self.service.stop()
        if status:
            print(f"  FAILED  the service ended with {status}", flush=True)
            self.failed += 1
        if "panicked" in self.service.log(100_000):
            print("  FAILED  the service panicked", flush=True)
            self.failed += 1
        discard(self.room)

    # ---- tempest ----

    def tempest(self, accounts, tests, scoped, claimed=True):
        """Runs tests as people who are there; without any, tempest makes its own as the administrator."""
        self.people(accounts)
        with open(self.room / "accounts.yaml", "w", encoding="utf-8") as file:
            for user, project, role in accounts:
                kind = f"roles: [{role}]" + (", types: [admin]" if role == "admin" else "")
                file.write(
                    f"- {{username: {user}, password: secret-{user}, project_name: {project}, "
                    f"user_domain_name: Default, project_domain_name: Default, domain_name: Default, {kind}}}\n"
                )
        env = clean_environment()
        env["HOME"] = str(self.room)
        env["PATH"] = f"{BIN}:{env.get('PATH', '')}"
        place = self.room / "tempest"
        if not place.exists():
            subprocess.run([BIN / "tempest", "init", place], env=env, check=True, capture_output=True)
        auth = f"use_dynamic_credentials = false\ntest_accounts_file = {self.room}/accounts.yaml"
        if not accounts:
            who = self.service.credentials()
            auth = (
                "use_dynamic_credentials = true\n"
                f"admin_username = {who['username']}\nadmin_password = {who['password']}\n"
                f"admin_project_name = {who['project_name']}\nadmin_domain_name = Default\ntempest_roles = member"
            )
        words = {
            "room": self.room, "url": self.service.url, "auth": auth,
            "scoped": str(scoped).lower(), "claimed": str(claimed).lower(),
        }
        (place / "etc" / "tempest.conf").write_text(TEMPEST_CONF.format(**words))
        exclude = self.room / "exclude"
        exclude.write_text("".join(f"{pattern}\n" for pattern in NOT_RUN.values()))
        regex = f"^({'|'.join(tests)})"
        command = [BIN / "tempest", "run", "--serial", "--exclude-list", exclude, "--regex", regex]
        self.follow(command, env=env, cwd=place)

    # ---- the clients' own ----

    def stestr(self, folder, env):
        site = pathlib.Path(sysconfig.get_paths()["purelib"])
        (self.room / "stestr").mkdir()
        command = [
            BIN / "stestr", "--test-path", site / folder, "--top-dir", site,
            "--repo-url", self.room / "stestr", "run", "--serial", "--exclude-regex", "|".join(NOT_RUN.values()),
        ]
        self.follow(command, env=env)

    def clouds(self):
        """The clouds by the names that openstacksdk's tests ask for."""
        accounts = [("demo", "demo", "member"), ("other", "other", "member"), ("root", "staff", "admin")]
        self.people(accounts)
        entries = [
            ("devstack", "demo", "demo"), ("devstack-alt", "other", "other"),
            ("devstack-admin", "root", "staff"), ("devstack-system-admin", "root", "staff"),
        ]
        text = "clouds:\n"
        for cloud, user, project in entries:
            text += (
                f"  {cloud}:\n    auth:\n      auth_url: {self.service.url}/identity/v3\n      username: {user}\n"
                f"      password: secret-{user}\n      project_name: {project}\n      user_domain_id: default\n"
                "      project_domain_id: default\n    region_name: RegionOne\n"
                # The backup tests want such a service to be there, and never call it.
                "    object_store_endpoint_override: http://127.0.0.1:9/\n"
            )
        (self.room / "clouds.yaml").write_text(text)
        env = clean_environment()
        env["OS_CLIENT_CONFIG_FILE"] = str(self.room / "clouds.yaml")
        # The default is five seconds, and one look at a status takes two.
        env["OS_TEST_TIMEOUT"] = "120"
        return env

    def cinder_variables(self):
        who = self.service.credentials()
        env = clean_environment()
        env.update(
            OS_AUTH_URL=who["auth_url"], OS_USERNAME=who["username"], OS_PASSWORD=who["password"],
            OS_PROJECT_NAME=who["project_name"], OS_TENANT_NAME=who["project_name"],
            OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default", OS_USER_DOMAIN_NAME="Default",
            OS_PROJECT_DOMAIN_NAME="Default", OS_IDENTITY_API_VERSION="3", OS_REGION_NAME="RegionOne",
            OS_CINDERCLIENT_EXEC_DIR=str(BIN), PATH=f"{BIN}:{env.get('PATH', '')}",
        )
        return env


def main():
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    suite = Suite(name)
    try:
        if name == "tempest":
            suite.tempest(OTHERS, VOLUME_TESTS, scoped=False)
            suite.tempest(SAME, ROLE_TESTS, scoped=True)
            suite.tempest([], FRESH_TESTS, scoped=False, claimed=False)
        elif name == "tempest-identity":
            suite.tempest(OTHERS, IDENTITY_TESTS, scoped=False, claimed=False)
        elif name == "openstacksdk":
            suite.stestr("openstack/tests/functional/block_storage", suite.clouds())
        elif name == "cinderclient":
            suite.stestr("cinderclient/tests/functional", suite.cinder_variables())
        else:
            sys.exit("usage: conformance.py tempest|tempest-identity|openstacksdk|cinderclient")
    finally:
        suite.end()
    print(f"suite {name}: {len(suite.skipped)} skipped")
    print(f"{name}: {suite.passed} passed, {suite.failed} failed", flush=True)
    sys.exit(1 if suite.failed else 0)


if __name__ == "__main__":
    main()
