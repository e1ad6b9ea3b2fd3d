"""Restores of one real backup by Cinder's own posix driver and by us, in turn, on the same files.

Run by `cargo xtask cinder --size-gib 4`. Cinder's driver makes a full zlib backup with its default options (objects of
2 GB) and two incrementals; each side restores the full one and the chain to a new file. Peak memory is that of the
restoring process; Cinder's times are of its driver's call alone, ours of the whole process.
"""

import json
import os
import random
import subprocess
import sys
import time

from cinder_real import RealCinder

from cinder import objects

TOOLS = os.environ["EMBERKEEP_EXAMPLES"]
CHANGED = 0.02


def change(path, seed):
    """Writes over some of the image, in pieces as files change."""
    dice = random.Random(seed)
    size = os.path.getsize(path)
    left = int(size * CHANGED)
    with open(path, "r+b") as file:
        while left > 0:
            piece = dice.choice([4096, 65536, 1 << 20])
            file.seek(dice.randrange(size // 4096 - piece // 4096) * 4096)
            file.write(dice.randbytes(piece))
            left -= piece
        os.fsync(file.fileno())


# A process starts out with the peak of the one that started it, so that one must be small.
METER = """
import json, os, subprocess, sys, time
begun = time.monotonic()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
said = child.stdout.read()
_, status, usage = os.wait4(child.pid, 0)
seconds = time.monotonic() - begun
print(json.dumps([status, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said.decode()]))
"""


def measured(command):
    """Runs a command; seconds, processor seconds and peak memory in MiB."""
    meter = [sys.executable, "-I", "-S", "-c", METER, *command]
    told = subprocess.run(meter, check=True, stdout=subprocess.PIPE).stdout
    status, seconds, cpu, peak, said = json.loads(told)
    assert status == 0, (command, said)
    if said.startswith("{"):
        # Cinder's start and its database are not part of a restore.
        seconds, cpu = json.loads(said)["seconds"], json.loads(said)["cpu_seconds"]
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "peak_mib": round(peak, 1)}


def warm(folder):
    """Reads all of a folder once, so that each side finds it in memory."""
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                while file.read(1 << 22):
                    pass


def restore_with_driver(place, backup, target):
    cinder = RealCinder(place)
    row = objects.Backup.get_by_id(cinder.context, backup)
    driver = cinder.driver("zlib")
    begun, cpu = time.monotonic(), time.process_time()
    cinder.restore(driver, row, target, is_new=True)
    print(json.dumps({"seconds": time.monotonic() - begun, "cpu_seconds": time.process_time() - cpu}))


def main(disk, place):
    cinder = RealCinder(place)
    driver = cinder.driver("zlib")
    volume = cinder.volume((os.path.getsize(disk) + (1 << 30) - 1) >> 30)
    chain, images = [], []
    for n in range(3):
        if n:
            change(disk, n)
        image = os.path.join(place, f"image-{n}")
        subprocess.run(["cp", "--reflink=auto", "--sparse=always", disk, image], check=True)
        begun = time.monotonic()
        chain.append(cinder.backup(driver, volume, image, chain[-1] if chain else None))
        images.append(image)
        print(f"Cinder's driver made backup {n + 1} of 3 in {time.monotonic() - begun:.0f} s", flush=True)
    warm(cinder.repository)
    rows = []
    for what, backup, image in (("full", chain[0].id, images[0]), ("chain of three", chain[2].id, images[2])):
        for side in ("cinder", "emberkeep"):
            target = os.path.join(place, "restored")
            if side == "cinder":
                with open(target, "wb") as file:
                    file.truncate(os.path.getsize(disk))
                command = [sys.executable, "-B", "-W", "ignore", __file__, "--restore", place, backup, target]
            else:
                command = [os.path.join(TOOLS, "restore_backup"), cinder.repository, target, backup]
            cost = measured(command)
            subprocess.run(["cmp", image, target], check=True)
            os.unlink(target)
            rows.append({"restore": what, "by": side, **cost})
            print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"image_bytes": os.path.getsize(disk), "changed_each_time": CHANGED, "restores": "byte-exact", "rows": rows}))


if sys.argv[1] == "--restore":
    restore_with_driver(*sys.argv[2:])
else:
    main(*sys.argv[1:])
