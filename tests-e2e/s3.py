#!/usr/bin/env python3
"""Runs the store's conformance suite, and the offline commands, on S3 servers that are installed.

    tests-e2e/s3.py [--binary target/debug/emberkeep]

Servers tried: moto (pip install 'moto[server]'), s3s-fs (cargo install s3s-fs --features binary), the s3api of
the Swift in the tests' own environment (made by `cargo xtask test --only e2e --suite s3`; wants memcached), and
whatever AWS_ENDPOINT_URL and EMBERKEEP_TEST_BUCKET name, e.g. a Ceph RGW.
"""

import argparse
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import stores

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUCKET = "emberkeep-test"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(port, server):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not answer")


def run(env, *command):
    print("+", " ".join(command), flush=True)
    done = subprocess.run(command, env=env, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed with {done.returncode}")


def offline(env, binary, url):
    """Backs an image up to the bucket and brings it back."""
    with tempfile.TemporaryDirectory() as scratch:
        env = dict(env, EMBERKEEP_KEY_FILE=f"{scratch}/master.key")
        image = f"{scratch}/disk.img"
        chance = random.Random(7)
        with open(image, "wb") as out:
            out.write(chance.randbytes(40 << 20))
            out.truncate(96 << 20)
        run(env, binary, "repo", "init", url)
        run(env, binary, "repo", "backup", url, image, "--name", "first")
        with open(image, "r+b") as out:
            out.seek(11 << 20)
            out.write(chance.randbytes(1 << 20))
        run(env, binary, "repo", "backup", url, image, "--name", "second")
        run(env, binary, "repo", "delete", url, "first")
        run(env, binary, "repo", "sweep", url)
        run(env, binary, "repo", "check", url, "--read-data")
        run(env, binary, "repo", "restore", url, "second", f"{scratch}/out.img")
        run(env, "cmp", image, f"{scratch}/out.img")


def suite(name, env, bucket, binary):
    print(f"== {name}", flush=True)
    example = ["cargo", "run", "-q", "-p", "emberkeep-store", "--features", "s3,testing", "--example", "s3_conformance"]
    run(env, *example, "--", f"s3://{bucket}/conformance")
    if binary:
        offline(env, binary, f"s3://{bucket}/repository-{os.getpid()}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", help="the emberkeep binary, to try its repo commands too")
    binary = options.parse_args().binary
    tried = 0
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest", "AWS_REGION": "us-east-1"}
    with tempfile.TemporaryDirectory() as data:
        os.mkdir(os.path.join(data, BUCKET))
        servers = [
            ("moto", "moto_server", lambda port: ["moto_server", "-H", "127.0.0.1", "-p", str(port)]),
            (
                "s3s-fs",
                "s3s-fs",
                lambda port: ["s3s-fs", "--host", "127.0.0.1", "--port", str(port), "--access-key", "test",
                              "--secret-key", "testtest", data],
            ),
        ]
        for name, program, command in servers:
            if not shutil.which(program):
                print(f"== {name} is not installed")
                continue
            port = free_port()
            log = open(os.path.join(data, f"{name}.log"), "wb")
            server = subprocess.Popen(command(port), stdout=log, stderr=log)
            try:
                wait_for(port, server)
                url = f"http://127.0.0.1:{port}"
                if name == "moto":
                    urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT"))
                suite(name, dict(os.environ, **keys, AWS_ENDPOINT_URL=url), BUCKET, binary)
                tried += 1
            finally:
                server.terminate()
                server.wait()
        if (stores.programs() / "swift-proxy-server").exists() and shutil.which("memcached"):
            swift = stores.Swift(os.path.join(data, "swift"))
            try:
                swift.put(BUCKET)
                suite("Swift's s3api", dict(os.environ, **swift.s3_environment()), BUCKET, binary)
                tried += 1
            finally:
                swift.stop()
        else:
            print("== Swift is not installed")
    bucket = os.environ.get("EMBERKEEP_TEST_BUCKET")
    if bucket:
        suite("the given server", dict(os.environ), bucket, binary)
        tried += 1
    if tried == 0:
        sys.exit("no S3 server to try")
    print(f"{tried} server(s) passed")


if __name__ == "__main__":
    main()
