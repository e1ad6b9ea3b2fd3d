"""The Rust SDK as its users have it: its example, and a program outside the workspace, against a service."""

import os
import pathlib
import random
import subprocess
import unittest

from support import MIB, ROOT, Service, clean_environment, scratch


def cargo(*arguments, env=None):
    """Runs cargo in the workspace and returns what it printed."""
    done = subprocess.run(
        [os.environ.get("CARGO", "cargo"), *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )
    if done.returncode:
        raise AssertionError(f"cargo {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def run_example(*arguments, env):
    """Runs the SDK's example: the one that is built already, or with cargo."""
    built = os.environ.get("EMBERKEEP_SDK_EXAMPLE")
    with_cargo = ("run", "--quiet", "--locked", "-p", "emberkeep-sdk", "--example", "checkpoint", "--")
    program = [built] if built else [os.environ.get("CARGO", "cargo"), *with_cargo]
    return subprocess.run([*program, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def example(*arguments, env):
    """Runs the example to a good end, and returns what it printed."""
    done = run_example(*arguments, env=env)
    if done.returncode:
        raise AssertionError(f"checkpoint {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Sdk(unittest.TestCase):
    """What the documentation shows is what works."""

    @classmethod
    def setUpClass(cls):
        cls.room = scratch("sdk", cls)
        cls.service = Service(cls.room / "data").start()
        cls.addClassCleanup(cls.service.kill)
        cls.client = cls.service.client()
        cls.volume = cls.client.create_volume("web")
        # The workspace's own settings for cargo stay; only what leads to a cloud is ours.
        cls.env = {**os.environ, **cls.service.client_environment()}

    def test_01_the_example_backs_up_and_restores(self):
        path = pathlib.Path(self.client.volume_path(self.volume))
        data = random.Random(7).randbytes(3 * MIB)
        with path.open("r+b") as volume:
            volume.seek(5 * MIB)
            volume.write(data)
        told = example("web", env=self.env)
        for words in ("vault ", "checkpoint ", " is available", f"is back in volume {self.volume}"):
            self.assertIn(words, told)
        with path.open("rb") as volume:
            volume.seek(5 * MIB)
            self.assertEqual(volume.read(len(data)), data)
        # A second time it finds the vault that the volume is in.
        self.assertIn(told.splitlines()[0], example("web", env=self.env))
        self.assertEqual(len(self.client.cbr("GET", "/backups").expect(200).json["backups"]), 2)

    def test_02_the_example_says_what_is_missing(self):
        done = run_example("nowhere", env=self.env)
        self.assertEqual((done.returncode, done.stderr), (1, "checkpoint: there is no such volume\n"))
        env = {**clean_environment(), "HOME": str(self.room)}
        for name in ("CARGO_HOME", "RUSTUP_HOME"):
            env.setdefault(name, str(pathlib.Path.home() / f".{name.split('_')[0].lower()}"))
        done = run_example("web", env=env)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("no cloud is named", done.stderr)

    def test_03_a_program_outside_the_workspace(self):
        told = cargo("xtask", "outside", env=self.env)
        print("        " + next(line for line in told.splitlines() if line.startswith("outside: ")), flush=True)
        self.assertIn(f"{self.volume}  1 GiB  web", told)
