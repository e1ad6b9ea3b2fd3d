"""One full backup of a disk by Cinder's own posix driver with its defaults: what it costs, as JSON.

Run by `cargo xtask bench peers --cinder yes`. The times are of the driver's call alone.
"""

import json
import os
import resource
import sys
import time

from cinder_real import RealCinder


def main(disk, place):
    cinder = RealCinder(place)
    driver = cinder.driver("zlib")
    volume = cinder.volume((os.path.getsize(disk) + (1 << 30) - 1) >> 30)
    begun, cpu = time.monotonic(), time.process_time()
    cinder.backup(driver, volume, disk)
    told = {
        "wall_secs": time.monotonic() - begun,
        "cpu_secs": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(told))


main(*sys.argv[1:])
