"""How long it takes until the first byte of a backup can be read: `cargo xtask bench first-byte`.

Small and vast volumes, offline and through the service; all counts: starting, opening, finding, reading. Give it an
otherwise idle machine.
"""

import json
import os
import sys
import time

from suite_nbd import TIB, Served, import_nbd_read, place_of
from support import GIB, MIB, Service, discard, emberkeep, fill_with_filesystem, scratch

ATTEMPTS = 9
# The median is to be below this.
GOAL_MS = 200


def offline(room):
    """Seconds of each attempt by volume, with `repo serve`."""
    repository = room / "repository"
    emberkeep("repo", "init", repository)
    for name, size in (("1 GiB", GIB), ("8 TiB", 8 * TIB)):
        image = room / "disk.img"
        with open(image, "wb") as file:
            file.truncate(size)
            for at in (0, size // 3, size - MIB):
                os.pwrite(file.fileno(), b"emberkeep" * 1000, at)
        if size == GIB:
            fill_with_filesystem(image)
        emberkeep("repo", "backup", repository, image, "--name", name)
        times = []
        for attempt in range(ATTEMPTS):
            with Served(repository, name, room / f"{attempt}.sock") as served:
                import_nbd_read(served.socket, 0, 4096)
                times.append(time.monotonic() - served.begun)
        yield f"repo serve, {name}", times


def through_the_service(room):
    """The same with `export`: a command, and a service that runs."""
    service = Service(room / "data", nbd_listen="127.0.0.1:0").start()
    try:
        client = service.client()
        volume = client.create_volume("disk")
        fill_with_filesystem(client.volume_path(volume))
        client.backup_settled(client.create_backup(volume, "monday"), {"available"})
        env = service.client_environment()
        times = []
        for _ in range(ATTEMPTS):
            begun = time.monotonic()
            made = json.loads(emberkeep("export", "monday", "-o", "json", env=env)[1])
            address, name = place_of(made["uri"])
            import_nbd_read(address, 0, 4096, name)
            times.append(time.monotonic() - begun)
            emberkeep("export", "--end", made["id"], env=env)
        yield "export, 1 GiB", times
    finally:
        service.stop()


def main():
    room = scratch("first-byte")
    slow = []
    try:
        print(f"{'first byte':<24}{'best ms':>10}{'median ms':>12}", flush=True)
        for rows in (offline(room), through_the_service(room)):
            for name, times in rows:
                times.sort()
                median = 1000 * times[ATTEMPTS // 2]
                print(f"{name:<24}{1000 * times[0]:>10.0f}{median:>12.0f}", flush=True)
                if median >= GOAL_MS:
                    slow.append(name)
    finally:
        discard(room)
    if slow:
        sys.exit(f"not within {GOAL_MS} ms: {', '.join(slow)}")


if __name__ == "__main__":
    main()
