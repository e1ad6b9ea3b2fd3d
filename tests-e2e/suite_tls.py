"""TLS, several listeners, proxies in front: how clients reach the service."""

import json
import shutil
import signal
import socket
import ssl
import unittest
import urllib.parse

from cryptography import x509

from certificates import Authority
from support import NotReady, Service, clean_environment, command, emberkeep, http_request, scratch, test_env, wait_until


class Listeners(unittest.TestCase):
    """One service that listens plain and with TLS."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("tls", cls)
        cls.authority = Authority(cls.room)
        cls.trust = ssl.create_default_context(cafile=cls.authority.file)
        # What the service reads; renewed by putting others in their place.
        cls.certificate, cls.key = cls.room / "served.pem", cls.room / "served.key"
        cls.serial = cls.put("first")
        cls.service = Service(
            cls.room / "data", listen=["127.0.0.1:0", "https://127.0.0.1:0"],
            tls_certificate=cls.certificate, tls_key=cls.key, idle_secs=2,
        ).start()
        cls.addClassCleanup(cls.service.kill)
        cls.plain, cls.secure = cls.service.urls

    @classmethod
    def put(cls, name):
        certificate, key, serial = cls.authority.vouch(name)
        shutil.copy(certificate, cls.certificate)
        shutil.copy(key, cls.key)
        return serial

    def shown(self):
        """The serial number of the certificate that new connections see."""
        parts = urllib.parse.urlsplit(self.secure)
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as plain:
            with self.trust.wrap_socket(plain, server_hostname="localhost") as tls:
                return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True)).serial_number

    def environment(self, **more):
        env = clean_environment()
        who = self.service.credentials()
        env.update(
            OS_AUTH_URL=f"{self.secure}/identity/v3", OS_USERNAME=who["username"], OS_PASSWORD=who["password"],
            OS_PROJECT_NAME=who["project_name"], OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default",
            OS_IDENTITY_API_VERSION="3", **more,
        )
        return env

    def test_01_each_address_has_its_line(self):
        self.assertTrue(self.plain.startswith("http://127.0.0.1:"), self.plain)
        self.assertTrue(self.secure.startswith("https://127.0.0.1:"), self.secure)
        for url in (self.plain, self.secure):
            answer = http_request(url, "GET", "/volume/", tls=self.trust).expect(300)
            href = [link["href"] for link in answer.json["versions"][0]["links"] if link["rel"] == "self"]
            self.assertEqual(href, [f"{url}/volume/v3/"])
        # Commands on this machine go the plain way.
        self.assertEqual(self.service.credentials()["auth_url"], f"{self.plain}/identity/v3")

    def test_02_openstack_trusts_whom_it_is_told(self):
        program = test_env() / "cli" / "bin" / "openstack"
        env = self.environment(OS_CACERT=str(self.authority.file))
        command([program, "volume", "create", "--size", "1", "over-tls"], env=env)
        listed = json.loads(command([program, "volume", "list", "-f", "json"], env=env)[1])
        self.assertEqual([row["Name"] for row in listed], ["over-tls"])
        status, _, err = command([program, "volume", "list"], env=self.environment(), check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("certificate", err.lower())

    def test_03_so_does_the_older_command(self):
        env = self.environment(OS_CACERT=str(self.authority.file))
        self.assertIn("over-tls", command([test_env() / "cli" / "bin" / "cinder", "list"], env=env)[1])

    def test_04_so_does_our_own_command(self):
        arguments = ["volume", "list", "-o", "json"]
        told = emberkeep("--os-cacert", self.authority.file, *arguments, env=self.environment())[1]
        self.assertIn("over-tls", told)
        from_variable = emberkeep(*arguments, env=self.environment(OS_CACERT=str(self.authority.file)))[1]
        self.assertEqual(told, from_variable)
        status, _, err = emberkeep(*arguments, env=self.environment(), check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("certificate", err.lower())

    def test_05_a_renewed_certificate_is_shown_after_sighup(self):
        self.assertEqual(self.shown(), self.serial)
        serial = self.put("second")
        self.assertEqual(self.shown(), self.serial)
        self.service.process.send_signal(signal.SIGHUP)
        wait_until("the new certificate is shown", lambda: self.shown() == serial, timeout=30)
        # One that cannot be used changes nothing.
        self.key.write_text("no key\n")
        self.service.process.send_signal(signal.SIGHUP)
        wait_until("the mistake is told", lambda: "stays in use" in self.service.log(100), timeout=30)
        self.assertEqual(self.shown(), serial)
        self.assertTrue(self.service.alive())

    def test_06_tls_of_both_versions(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            trust = ssl.create_default_context(cafile=self.authority.file)
            trust.minimum_version = trust.maximum_version = version
            http_request(self.secure, "GET", "/healthz", tls=trust).expect(200)

    def test_07_who_speaks_no_tls_or_nothing_is_cut_off(self):
        for url, sent in ((self.secure, b"GET / HTTP/1.1\r\n\r\n"), (self.plain, b"GET / HTTP/1.1\r\nHost: x"), (self.plain, b"")):
            parts = urllib.parse.urlsplit(url)
            with socket.create_connection((parts.hostname, parts.port), timeout=30) as half:
                half.sendall(sent)
                seen = b"".join(iter(lambda: half.recv(4096), b""))
                self.assertNotIn(b"200", seen)
        http_request(self.secure, "GET", "/healthz", tls=self.trust).expect(200)

    def test_08_mistakes_are_told_at_the_start(self):
        first, other = self.authority.vouch("one"), self.authority.vouch("other")
        missing = self.room / "missing.pem"
        for what, certificate, key, words in (
            ("no such file", missing, first[1], "missing.pem cannot be read as PEM"),
            ("a key for another", first[0], other[1], "cannot be used together"),
            ("a key in place of the certificate", first[1], first[1], "holds no certificate"),
        ):
            with self.subTest(what), self.assertRaises(NotReady) as refused:
                Service(
                    self.room / "never", listen=["https://127.0.0.1:0"], tls_certificate=certificate, tls_key=key,
                ).start()
            self.assertIn(words, refused.exception.log)
            self.assertEqual(refused.exception.code, 1)


class Behind(unittest.TestCase):
    """What a proxy says counts if the operator knows the proxy."""

    said = {
        "Host": "inner:1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "backup.example.org",
        "X-Forwarded-Prefix": "/ember", "X-Forwarded-For": "192.0.2.7",
    }

    def link(self, service):
        answer = http_request(service.url, "GET", "/identity/v3", headers=self.said).expect(200)
        return answer.json["version"]["links"][0]["href"]

    def test_headers_of_strangers_are_not_believed(self):
        room = scratch("proxy", type(self))
        for what, proxies, want in (
            ("nobody is known", "", "http://inner:1/identity/v3/"),
            ("another is known", "192.0.2.0/24", "http://inner:1/identity/v3/"),
            ("this one is known", "192.0.2.0/24, 127.0.0.0/8", "https://backup.example.org/ember/identity/v3/"),
        ):
            with self.subTest(what):
                service = Service(room / "data", trusted_proxies=proxies).start()
                self.addCleanup(service.kill)
                self.assertEqual(self.link(service), want)
                self.assertEqual(service.stop(), 0)
