#!/usr/bin/env python3
"""Restores what the binary backed up with tools/read_repository.py, which knows docs/format.md alone.

    tests-e2e/format.py target/debug/emberkeep       needs blake3, zstandard and cryptography
"""

import filecmp
import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
READER = os.path.join(ROOT, "tools", "read_repository.py")


def image(path, chance, size):
    """Text, noise and holes, in runs of all sizes, to an odd size."""
    with open(path, "r+b" if os.path.exists(path) else "wb") as out:
        for _ in range(size >> 20):
            out.seek(chance.randrange(size))
            length = chance.randrange(1, 1 << 20)
            kind = chance.randrange(3)
            if kind == 0:
                out.write(chance.randbytes(length))
            elif kind == 1:
                out.write(b"".join(b"line %d\n" % chance.randrange(1000) for _ in range(length // 9)))
            else:
                out.write(bytes(length))
        out.truncate(size)


def main():
    binary = sys.argv[1]
    chance = random.Random(11)
    with tempfile.TemporaryDirectory() as scratch:
        repository, key = f"{scratch}/repository", f"{scratch}/master.key"
        disk = f"{scratch}/disk.img"

        def repo(*words):
            subprocess.run([binary, "repo", *words, "--key-file", key], check=True)

        repo("init", repository)
        kept = {}
        # The second is larger than 256 windows, so that its map has two levels.
        for name, size in [("small", 40_000_123), ("grown", (4 << 30) + 70_000_001), ("shrunk", 33_000_000), ("zeroes", 1_000_003)]:
            if name == "zeroes":
                open(disk, "wb").close()
            else:
                image(disk, chance, min(size, 60 << 20))
            os.truncate(disk, size)
            if size > 4 << 30:
                with open(disk, "r+b") as out:
                    out.seek(size - 5_000_000)
                    out.write(chance.randbytes(4_999_999))
            kept[name] = f"{scratch}/{name}.img"
            subprocess.run(["cp", "--sparse=always", disk, kept[name]], check=True)
            repo("backup", repository, disk, "--name", name)
        repo("delete", repository, "small")
        repo("sweep", repository)
        repo("rotate-key", repository)
        del kept["small"]
        reader = [sys.executable, READER, repository, "--key-file", key]
        listed = subprocess.run(reader, check=True, capture_output=True, text=True).stdout
        assert len(listed.splitlines()) == len(kept), listed
        for name, want in kept.items():
            out = f"{scratch}/out.img"
            subprocess.run([*reader, name, out], check=True)
            assert filecmp.cmp(out, want, shallow=False), f"{name} came back changed"
            print(f"{name}: equal")


if __name__ == "__main__":
    main()
