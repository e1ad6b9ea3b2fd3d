"""The console page, in a real browser where one is installed."""

import re
import shutil
import unittest

from support import Service, command, scratch


class Console(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("console", cls)
        cls.service = Service(cls.room / "data").start()
        cls.addClassCleanup(cls.service.kill)
        cls.client = cls.service.client()

    def test_01_the_page_stands_alone(self):
        page = self.client.request("GET", "/console").expect(200)
        self.assertIn("text/html", page.headers["Content-Type"])
        self.assertIn("default-src", page.headers["Content-Security-Policy"])
        # Nothing is fetched from elsewhere.
        self.assertEqual(re.findall(rb"""(?:src|href)=["']?(?:https?:)?//""", page.body), [])
        root = self.client.request("GET", "/")
        self.assertIn(root.status, (302, 303, 307, 308))
        self.assertEqual(root.headers["Location"], "/console")

    def test_02_a_browser_renders_it(self):
        browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if browser is None:
            self.skipTest("no chromium is installed")
        _, dom, _ = command([
            browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self.room / 'profile'}",
            "--virtual-time-budget=5000", "--dump-dom", f"{self.service.url}/console",
        ])
        self.assertIn("Emberkeep", dom)
        self.assertRegex(dom, r"type=.?password")
