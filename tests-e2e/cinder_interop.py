"""Proof with the released Cinder: what we write it takes, and what it writes we take.

Run by `cargo xtask cinder`, with the interpreter of Cinder's own environment. Objects and records go both ways, class
by class and version by version; the posix driver restores what our writer wrote, and our reader what it wrote.
"""

import hashlib
import json
import os
import random
import subprocess
import sys

from cinder_real import SERVICE, RealCinder, folder

from cinder import exception, objects
from cinder.objects import base
import iso8601
from oslo_versionedobjects import exception as ovo_exception

TOOLS = os.environ["EMBERKEEP_EXAMPLES"]
MIB = 1 << 20


class Checks:
    """Counts what went well and tells what did not."""

    def __init__(self):
        self.passed, self.failed = 0, 0
        self.counts = {}

    def that(self, group, what, fine, told=""):
        """Notes whether it is fine, under a heading."""
        passed, failed = self.counts.get(group, (0, 0))
        self.counts[group] = (passed + bool(fine), failed + (not fine))
        if fine:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {group}: {what}: {str(told)[:2000]}")


class Ours:
    """Our objects, in a process that answers line by line."""

    def __init__(self):
        self.process = subprocess.Popen(
            [os.path.join(TOOLS, "interchange")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


def plain(primitive):
    """A primitive without the order of sets."""
    if isinstance(primitive, dict):
        return {
            key: sorted(value) if key == "versioned_object.changes" else plain(value)
            for key, value in primitive.items()
        }
    return [plain(item) for item in primitive] if isinstance(primitive, list) else primitive


TEXTS = ["", "x", "nightly", "é☃😀", "a\"b\\c\n", "7", "None", "x" * 255, "2024-01-01"]


def value_of(field, dice, depth, of):
    """Something that a field takes."""
    if field.nullable and dice.random() < 0.2:
        return None
    kind = type(field).__name__
    if kind in ("IntegerField",):
        return dice.choice([0, 1, -1, 7, 2**31, 2**53 + 1])
    if kind == "BooleanField":
        return dice.random() < 0.5
    if kind == "DateTimeField":
        zone = dice.choice(["Z", "Z", "", "+02:30", "-05:30"])
        day = f"{dice.randint(1990, 2080)}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"
        return iso8601.parse_date(f"{day}T{dice.randint(0, 23):02}:{dice.randint(0, 59):02}:07.{dice.choice([0, 999999]):06}{zone}")
    if kind == "DictOfStringsField" or kind == "DictOfNullableStringsField":
        return {dice.choice(TEXTS): dice.choice(TEXTS) for _ in range(dice.randint(0, 3))}
    if kind == "UUIDField":
        return f"{dice.getrandbits(128):032x}"
    if kind == "ObjectField":
        name = field._type._obj_name
        if depth > 2 or name not in of:
            return None
        return made(name, dice, depth + 1, of)
    if kind == "ListOfObjectsField":
        return [made("Backup", dice, depth + 1, of) for _ in range(dice.randint(0, 3))]
    words = getattr(field._type, "_valid_values", None) or getattr(field, "ALL", None)
    if words:
        return dice.choice(list(words))
    assert kind == "StringField", f"what is a {kind}?"
    return dice.choice(TEXTS)


CLASSES = ("Backup", "BackupImport", "BackupDeviceInfo", "BackupList", "Volume", "Snapshot")
CONTEXT = None


def made(name, dice, depth=0, of=("Backup", "Volume", "Snapshot")):
    """A random object of the released Cinder, with some fields set."""
    cls = getattr(objects, name, None) or getattr(objects.backup, name)
    made = cls(CONTEXT)
    for field, type_ in cls.fields.items():
        if field in ("cluster", "consistencygroup", "group", "volume_attachment", "volume_type", "snapshots",
                     "glance_metadata", "cgsnapshot", "group_snapshot", "qos_specs"):
            continue
        if dice.random() < 0.75:
            value = value_of(type_, dice, depth, of)
            # Cinder itself cannot read a volume back whose metadata is null.
            if value is None and (not type_.nullable or field.endswith("metadata") and name in ("Volume", "Snapshot")):
                continue
            setattr(made, field, value)
    without = "metadata" in made.fields and made.obj_attr_is_set("metadata") and made.metadata is None
    if dice.random() < 0.5 and not without:
        made.obj_reset_changes()
    return made


def hydrated(value):
    """A plain value, objects in it made of their primitives."""
    if isinstance(value, list):
        return [hydrated(item) for item in value]
    if isinstance(value, dict) and "versioned_object.name" in value:
        return base.CinderObject.obj_from_primitive(value, CONTEXT)
    return value


def primitives(checks, ours, dice, rounds):
    """Every class at every version, both ways."""
    versions = {name: getattr(objects, name, getattr(objects.backup, name, None)).VERSION for name in CLASSES}
    for name in CLASSES:
        major, newest = versions[name].split(".")
        for minor in range(int(newest) + 1):
            version = f"{major}.{minor}"
            group = f"{name} {version}"
            for n in range(rounds):
                theirs = made(name, dice)
                manifest = dict(base.OBJ_VERSIONS["1.38"], Backup=f"1.{dice.randint(0, 7)}")
                try:
                    sent = json.loads(json.dumps(theirs.obj_to_primitive(version, manifest)))
                except ovo_exception.InvalidTargetVersion:
                    continue
                # What Cinder sends we take, and what we send of it Cinder takes for the same object.
                read = ours.ask(do="again", primitive=sent)
                checks.that(group, "ours takes theirs", "ok" in read, read)
                if "ok" not in read:
                    continue
                here = base.CinderObject.obj_from_primitive(sent, CONTEXT)
                want = plain(json.loads(json.dumps(here.obj_to_primitive())))
                checks.that(group, "ours says the same of theirs", plain(read["ok"]) == want, (plain(read["ok"]), want))
                there = base.CinderObject.obj_from_primitive(read["ok"], CONTEXT)
                checks.that(group, "theirs takes ours", plain(json.loads(json.dumps(there.obj_to_primitive()))) == want)
                # The same made by us from plain values.
                values = json.loads(json.dumps(theirs.obj_to_primitive()))["versioned_object.data"]
                fresh = type(theirs)(CONTEXT)
                for field, value in values.items():
                    setattr(fresh, field, hydrated(value))
                want = plain(json.loads(json.dumps(fresh.obj_to_primitive(version, manifest))))
                got = ours.ask(do="make", **{"class": name}, values=values, target=version, manifest=manifest)
                checks.that(group, "ours makes the same", plain(got.get("ok")) == want, (got, want))


def records(checks, ours, dice, rounds):
    """Records both ways, whole and spoiled."""
    for n in range(rounds):
        theirs = objects.Backup(CONTEXT)
        for field, type_ in objects.Backup.fields.items():
            if field != "parent":
                setattr(theirs, field, value_of(type_, dice, 0, ()))
        extra = {"driver_info": dice.choice([{}, {"a": [1, None, "é"]}])}
        want = theirs.encode_record(**extra)
        want = want.decode() if isinstance(want, bytes) else want
        got = ours.ask(do="encode", primitive=theirs.obj_to_primitive(), extra=extra)
        checks.that("records", "ours writes what theirs writes", got.get("ok") == want, (got, want))
        checks.that("records", "theirs reads ours", objects.Backup.decode_record(got["ok"])["id"] == theirs.id)
        checks.that("records", "ours reads theirs",
                    ours.ask(do="decode", record=want).get("ok") == objects.Backup.decode_record(want))
        spoiled = bytearray(want.encode())
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(spoiled))
            spoiled[at : at + dice.randint(0, 2)] = bytes(dice.choice(b"AZ09+/=-_*\n ~") for _ in range(dice.randint(0, 3)))
        spoiled = bytes(spoiled).decode()
        got = ours.ask(do="decode", record=spoiled)
        try:
            want = {"ok": objects.Backup.decode_record(spoiled)}
        except exception.CinderException as error:
            want = {"error": [type(error).__name__, str(error)]}
        checks.that("records", "a spoiled one is read or refused alike", got == want, (spoiled, got, want))


def images(place, dice):
    """Three images of one volume: data, its change with zeroes where there was data, and growth at the end."""
    size = 6 * MIB + 4321
    first = bytearray(size)
    for _ in range(30):
        at, length = dice.randrange(size), dice.randrange(200_000)
        first[at : at + length] = (dice.randbytes(length) if dice.random() < 0.5 else bytes([dice.randrange(256)]) * length)[: size - at]
    second = bytearray(first)
    second[1_000_000:1_700_000] = bytes(700_000)
    second[3_000_000:3_000_100] = dice.randbytes(100)
    third = bytearray(second)
    third[-5000:] = dice.randbytes(5000)
    third[1_200_000:1_300_000] = dice.randbytes(100_000)
    paths = []
    for n, image in enumerate((first, second, third)):
        assert len(image) == size
        paths.append(os.path.join(place, f"image-{n}"))
        with open(paths[-1], "wb") as file:
            file.write(image)
    return paths


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


COMPRESSIONS = ("none", "zlib", "bz2", "zstd")
SIZES = ((MIB, 32768), (65536, 4096))


def written_by_us(checks, cinder, ours, dice):
    """The posix driver restores what our writer wrote, from our records."""
    paths = images(cinder.folder, dice)
    for compression in COMPRESSIONS:
        for file_size, block_size in SIZES:
            out = subprocess.run(
                [os.path.join(TOOLS, "write_backup"), cinder.repository, compression, str(file_size), str(block_size), *paths],
                check=True, capture_output=True, text=True,
            ).stdout
            driver = cinder.driver(compression, file_size, block_size)
            for path, line in zip(paths, out.splitlines(), strict=True):
                facts = json.loads(line)
                row = objects.Backup(
                    CONTEXT, **facts, user_id="u" * 32, project_id="a" * 32, size=1, status="available", host="h",
                    service=SERVICE, display_name="ours", metadata={},
                )
                for field in objects.Backup.fields:
                    if field != "parent" and not row.obj_attr_is_set(field):
                        setattr(row, field, None)
                record = ours.ask(do="encode", primitive=row.obj_to_primitive(), extra={"driver_info": {}})["ok"]
                taken = cinder.take_up(record)
                what = f"{compression}, objects of {file_size}, {'incremental' if facts['parent_id'] else 'full'}"
                for junk, is_new in ((b"\xa5", False), (b"\0", True)):
                    target = os.path.join(cinder.folder, "restored")
                    with open(target, "wb") as file:
                        file.write(junk * os.path.getsize(path))
                    cinder.restore(driver, taken, target, is_new)
                    checks.that("PosixBackupDriver restores ours", f"{what} over {junk!r}", digest(target) == digest(path))


def written_by_them(checks, cinder, dice):
    """Our reader restores what the posix driver wrote."""
    paths = images(cinder.folder, dice)
    for compression in COMPRESSIONS:
        for file_size, block_size in SIZES:
            place = os.path.join(cinder.folder, f"theirs-{compression}-{file_size}")
            os.makedirs(place)
            cinder_conf = cinder.driver(compression, file_size, block_size)
            cinder_conf.backup_path = place
            volume, parent = cinder.volume(), None
            for n, path in enumerate(paths):
                parent = cinder.backup(cinder_conf, volume, path, parent)
                target = os.path.join(cinder.folder, f"restored-{n}")
                if os.path.exists(target):
                    os.unlink(target)
                done = subprocess.run(
                    [os.path.join(TOOLS, "restore_backup"), place, target], capture_output=True, text=True
                )
                same = done.returncode == 0 and digest(target) == digest(path)
                checks.that("we restore PosixBackupDriver's", f"{compression}, objects of {file_size}, number {n}", same, done)


def main():
    global CONTEXT
    seed = int(os.environ.get("EMBERKEEP_SEED", "1"))
    rounds = int(os.environ.get("EMBERKEEP_ROUNDS", "20"))
    dice, checks = random.Random(seed), Checks()
    with folder() as place:
        cinder, ours = RealCinder(place), Ours()
        CONTEXT = cinder.context
        primitives(checks, ours, dice, rounds)
        records(checks, ours, dice, 20 * rounds)
        written_by_us(checks, cinder, ours, dice)
        ours.close()
        written_by_them(checks, cinder, dice)
    for group, (passed, failed) in checks.counts.items():
        print(f"{group}: {passed} passed, {failed} failed")
    print(f"cinder: {checks.passed} passed, {checks.failed} failed")
    sys.exit(bool(checks.failed))


main()
