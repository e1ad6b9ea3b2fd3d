"""What a disk may hold after the power went: a recorder of a program's file operations, and the states that follow from them.

`record` runs a program under strace and `History` reads its trace. A power loss may happen at any moment. What was made
durable by then (fsync or fdatasync of the file, fsync of the directory, begun after the operation had ended and ended
before the loss) is there. Anything else may be there or not: each write for itself, in parts of a block, and each change
of a directory, either as a journal keeps them (any beginning of their common order) or every directory for itself.
"""

import bisect
import dataclasses
import os
import pathlib
import random
import re
import subprocess

BLOCK = 4096
CALLS = (
    "openat,open,creat,close,write,pwrite64,pwritev,pwritev2,writev,fsync,fdatasync,sync_file_range,rename,renameat,"
    "renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,ftruncate,truncate,fallocate,copy_file_range,sendfile,"
    "lseek,dup,dup2,dup3,symlink,symlinkat,sync,syncfs"
)
LINE = re.compile(rb"(\d+) +(\d+\.\d+) (.*)", re.DOTALL)
RESUMED = re.compile(rb"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
CALL = re.compile(rb"(\w+)\((.*)\) += (-?\d+|\?)(?:<[^>]*>)?[^<]*<(\d+\.\d+)>$", re.DOTALL)
FD = re.compile(rb"(\d+|AT_FDCWD)<([^>]*)>(?:\(deleted\))?")
STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
LONGEST_STRING = 1 << 28


def tracer(trace, *options):
    """The words that go before a command so that its file operations are written to `trace`."""
    return ["strace", "-f", "-q", "--seccomp-bpf", *options, "-ttt", "-T", "-y", "-xx", "-s", str(LONGEST_STRING), "-o", str(trace),
            "-e", f"trace={CALLS}", "-e", "signal=none"]


def record(trace, arguments, **popen):
    """Runs a command to its end, writing its file operations to `trace`, and returns what it printed."""
    return subprocess.run([*tracer(trace), *arguments], check=True, capture_output=True, **popen).stdout


def ended(trace):
    """Whether a program traced beside its parent (`-D`) has ended and its trace is whole."""
    with open(trace, "rb") as file:
        file.seek(max(0, os.path.getsize(trace) - 200))
        return b"+++ exited with" in file.read().rsplit(b"\n", 2)[-2]


def text(escaped):
    """The bytes behind strace's `-xx` notation."""
    return bytes.fromhex(escaped.replace(b"\\x", b"").decode())


@dataclasses.dataclass
class Write:
    """A change of a file's content: `data` at `offset`, or with no data a new size."""

    start: float
    end: float
    offset: int
    data: bytes | None = None


@dataclasses.dataclass
class Entry:
    """A change of directories: `node` gets the name, or with no node the name goes."""

    start: float
    end: float
    removed: tuple | None
    added: tuple | None
    node: object


class Node:
    """A file or directory, whatever its name is."""

    def __init__(self, is_dir, content=b""):
        self.is_dir = is_dir
        self.base = content
        self.writes = []
        self.syncs = []
        self.names = {}
        self.size = len(content)
        self.kept = {}

    def must(self, op, at):
        """Whether a change of this node is durable at that moment."""
        first = bisect.bisect_left(self.syncs, (op.end, 0.0))
        return any(end <= at for _, end in self.syncs[first:])

    def content(self, chosen):
        """The content after the chosen changes, each an index and the blocks of it that were kept (`None`: all)."""
        if chosen in self.kept:
            return self.kept[chosen]
        out = bytearray(self.base)
        for index, blocks in chosen:
            op = self.writes[index]
            if op.data is None:
                del out[op.offset:]
                out.extend(bytes(op.offset - len(out)))
                continue
            out.extend(bytes(max(0, op.offset + len(op.data) - len(out))))
            if blocks is None:
                out[op.offset:op.offset + len(op.data)] = op.data
                continue
            for block in blocks:
                at = block * BLOCK
                part = op.data[at:at + BLOCK]
                out[op.offset + at:op.offset + at + len(part)] = part
        self.kept = {chosen: bytes(out)}
        return self.kept[chosen]


class Unknown(Exception):
    """The trace has an operation that this model does not know, so that its states would not be true."""


class History:
    """The operations of one or several traced programs on the files below `root`, which held `root`'s content before."""

    def __init__(self, root, skip=()):
        self.root = pathlib.Path(root).resolve()
        self.skip = tuple(skip)
        self.top = Node(True)
        self.entries = []
        self.moments = []
        self.load(self.top, self.root)

    def forget_syncs(self):
        """Makes of this the history of a program that never syncs anything."""
        nodes = [self.top, *(slot[0] for entry in self.entries for slot in (entry.removed, entry.added) if slot),
                 *(entry.node for entry in self.entries if entry.node)]
        for node in nodes:
            node.syncs.clear()

    def load(self, node, path):
        for child in sorted(path.iterdir()):
            if self.skipped(child) or child.is_symlink() or not (child.is_dir() or child.is_file()):
                continue
            made = Node(child.is_dir(), b"" if child.is_dir() else child.read_bytes())
            node.names[child.name] = made
            if made.is_dir:
                self.load(made, child)
        node.first = dict(node.names)

    def skipped(self, path):
        return path.relative_to(self.root).parts[:1] in [(name,) for name in self.skip]

    # Reading a trace.

    def read(self, trace):
        """Adds what a trace says."""
        self.open = {}
        waiting = {}
        calls = []
        for line in pathlib.Path(trace).read_bytes().split(b"\n"):
            found = LINE.fullmatch(line)
            if not found:
                continue
            thread, moment, rest = found[1], float(found[2]), found[3]
            if rest.endswith(b"<unfinished ...>"):
                waiting[thread] = (moment, rest[: -len(b"<unfinished ...>")].rstrip())
                continue
            resumed = RESUMED.fullmatch(rest)
            if resumed:
                if thread not in waiting:
                    raise Unknown(f"a call goes on that never began: {resumed[1]!r}")
                moment, first = waiting.pop(thread)
                rest = first + resumed[2]
            call = CALL.fullmatch(rest)
            if call:
                took = float(call[4])
                calls.append((moment + took, moment, call[1].decode(), call[2], call[3]))
            elif not rest.startswith((b"+++", b"---")) and b") = ?" not in rest:
                raise Unknown(f"not understood: {rest[:120]!r}")
        for end, start, name, arguments, result in sorted(calls, key=lambda call: call[0]):
            if result != b"?" and int(result) >= 0:
                self.apply(name, arguments, int(result), start, end)

    def place(self, base, name):
        """The path below the root that `name` means in a folder, or nothing."""
        path = pathlib.PurePosixPath(os.fsdecode(base)) / os.fsdecode(name)
        path = pathlib.Path(os.path.normpath(path))
        if not path.is_relative_to(self.root) or path == self.root or self.skipped(path):
            return None
        return path.relative_to(self.root)

    def find(self, path):
        node = self.top
        for part in path.parts:
            node = node.names[part]
        return node

    def slot(self, path):
        return self.find(path.parent), path.name

    def enter(self, start, end, removed=None, added=None, node=None):
        """Notes a change of names and makes it."""
        if removed:
            removed[0].names.pop(removed[1], None)
        if added:
            added[0].names[added[1]] = node
        self.entries.append(Entry(start, end, removed, added, node))
        self.moments += [start, end]

    def write(self, node, start, end, offset, data):
        node.writes.append(Write(start, end, offset, data))
        node.size = offset if data is None else max(node.size, offset + len(data))
        self.moments += [start, end]

    def apply(self, name, arguments, result, start, end):
        """Makes one call's change. Calls about files elsewhere change nothing here."""
        fds = FD.findall(arguments)
        strings = [text(one) for one in STRING.findall(arguments)]
        cwd = os.fsencode(os.getcwd())

        def named(index):
            """The index-th path of the call."""
            return self.place(text(fds[index][1]) if index < len(fds) else cwd, strings[index])

        if name in ("openat", "open", "creat"):
            place = self.place(text(fds[0][1]) if name == "openat" else cwd, strings[0])
            if place is None:
                self.open.pop(result, None)
                return
            if b"O_TMPFILE" in arguments:
                raise Unknown("O_TMPFILE")
            folder, last = self.slot(place)
            if last not in folder.names:
                if b"O_CREAT" not in arguments:
                    self.open.pop(result, None)
                    return
                self.enter(start, end, added=(folder, last), node=Node(False))
            node = folder.names[last]
            if b"O_TRUNC" in arguments and node.size:
                self.write(node, start, end, 0, None)
            self.open[result] = [node, 0, b"O_APPEND" in arguments]
        elif name == "close":
            self.open.pop(int(fds[0][0]), None) if fds else None
        elif name in ("dup", "dup2", "dup3"):
            source = self.open.get(int(fds[0][0])) if fds else None
            if source:
                self.open[result] = source
        elif name == "lseek":
            held = self.open.get(int(fds[0][0]))
            if held:
                held[1] = result
        elif name in ("write", "writev"):
            held = self.open.get(int(fds[0][0])) if fds else None
            if held:
                data = b"".join(strings)[:result]
                at = held[0].size if held[2] else held[1]
                self.write(held[0], start, end, at, data)
                held[1] = at + result
        elif name in ("pwrite64", "pwritev", "pwritev2"):
            held = self.open.get(int(fds[0][0]))
            if held:
                words = arguments.rsplit(b", ", 2)
                at = words[-2] if name == "pwritev2" else words[-1]
                self.write(held[0], start, end, int(at), b"".join(strings)[:result])
        elif name == "ftruncate":
            held = self.open.get(int(fds[0][0]))
            if held:
                self.write(held[0], start, end, int(arguments.rsplit(b", ", 1)[1]), None)
        elif name == "fallocate":
            held = self.open.get(int(fds[0][0]))
            if held:
                _, mode, offset, length = arguments.rsplit(b", ", 3)
                if b"PUNCH" in mode or b"ZERO" in mode or b"COLLAPSE" in mode or b"INSERT" in mode:
                    raise Unknown(f"fallocate with {mode!r}")
                if b"KEEP_SIZE" not in mode and int(offset) + int(length) > held[0].size:
                    self.write(held[0], start, end, int(offset) + int(length), None)
        elif name in ("copy_file_range", "sendfile"):
            target = self.open.get(int(fds[1 if name == "copy_file_range" else 0][0]))
            if target:
                raise Unknown(f"{name} into a recorded file: {text(fds[-1][1])!r}")
        elif name in ("fsync", "fdatasync"):
            held = self.open.get(int(fds[0][0])) if fds else None
            if held:
                bisect.insort(held[0].syncs, (start, end))
                self.moments += [start, end]
            elif fds and self.root == pathlib.Path(os.fsdecode(text(fds[0][1]))):
                bisect.insort(self.top.syncs, (start, end))
        elif name in ("rename", "renameat", "renameat2"):
            if b"RENAME_EXCHANGE" in arguments:
                raise Unknown("RENAME_EXCHANGE")
            one, two = named(0), named(1)
            if (one is None) != (two is None):
                raise Unknown("a rename across the border of what is recorded")
            if one:
                source, target = self.slot(one), self.slot(two)
                self.enter(start, end, removed=source, added=target, node=source[0].names[source[1]])
        elif name in ("link", "linkat"):
            two = named(1)
            if two:
                source = self.slot(named(0))
                self.enter(start, end, added=self.slot(two), node=source[0].names[source[1]])
        elif name in ("unlink", "unlinkat", "rmdir"):
            place = named(0)
            if place:
                self.enter(start, end, removed=self.slot(place))
        elif name in ("mkdir", "mkdirat"):
            place = named(0)
            if place:
                made = Node(True)
                made.first = {}
                self.enter(start, end, added=self.slot(place), node=made)
        elif name == "truncate":
            place = self.place(cwd, strings[0])
            if place:
                self.write(self.find(place), start, end, int(arguments.rsplit(b", ", 1)[1]), None)
        elif name in ("symlink", "symlinkat"):
            if self.place(cwd, strings[1]):
                raise Unknown("symlink")

    # States after a loss.

    def differences(self):
        """Where the content of the folder now is not what this history ends in: nothing, if the model is true."""
        state = self.state(float("inf"), "all", 0)
        found = []
        for path in self.root.rglob("*"):
            if self.skipped(path) or path.is_dir():
                continue
            content = state.pop(str(path.relative_to(self.root)), b"no such file")
            if content != path.read_bytes():
                found.append(f"{path}: {len(content)} bytes, not {path.stat().st_size}")
        return found + [f"{name}: should not exist" for name, content in state.items() if content is not None]

    def durable(self, entry, at):
        return any(slot[0].must(entry, at) for slot in (entry.removed, entry.added) if slot)

    def state(self, at, kind, seed):
        """Returns one state that a disk may hold if the power goes at that moment: paths and contents; `None` is a folder.

        The kind says what of the undurable is there: "all", "none", "names" (no content), "contents" (no names),
        "journal" and "folders" (a random part, names as a journal keeps them or every folder for itself).
        """
        chance = random.Random(seed)
        begun = [entry for entry in self.entries if entry.start < at]
        firm = [self.durable(entry, at) for entry in begun]
        last_firm = max((index for index, yes in enumerate(firm) if yes), default=-1)
        if kind in ("all", "names"):
            wanted = [True] * len(begun)
        elif kind in ("none", "contents"):
            wanted = [index <= last_firm for index in range(len(begun))]
        elif kind == "journal":
            cut = chance.randint(last_firm + 1, len(begun))
            wanted = [index < cut for index in range(len(begun))]
        else:
            wanted = self.each_folder(begun, firm, chance)
        names = {}

        def of(folder):
            return names.setdefault(id(folder), dict(getattr(folder, "first", {})))

        for entry, yes in zip(begun, wanted):
            if not yes:
                continue
            if entry.removed:
                of(entry.removed[0]).pop(entry.removed[1], None)
            if entry.added:
                of(entry.added[0])[entry.added[1]] = entry.node
        out = {}

        def walk(folder, path):
            for name, node in of(folder).items():
                inner = f"{path}{name}"
                if node.is_dir:
                    out[inner] = None
                    walk(node, inner + "/")
                else:
                    out[inner] = node.content(self.kept(node, at, kind, chance))

        walk(self.top, "")
        return out

    @staticmethod
    def each_folder(begun, firm, chance):
        """Every folder keeps a beginning of its own changes, one that reaches over all that is durable."""
        mine = {}
        for index, entry in enumerate(begun):
            mine.setdefault(id((entry.added or entry.removed)[0]), []).append(index)
        wanted = [False] * len(begun)
        for indices in mine.values():
            least = max((place + 1 for place, index in enumerate(indices) if firm[index]), default=0)
            for index in indices[: chance.randint(least, len(indices))]:
                wanted[index] = True
        return wanted

    @staticmethod
    def kept(node, at, kind, chance):
        """Which of a file's changes are there."""
        chosen = []
        for index, op in enumerate(node.writes):
            if op.start >= at:
                continue
            if op.end <= at and node.must(op, at) or kind in ("all", "contents"):
                chosen.append((index, None))
            elif kind in ("journal", "folders"):
                fate = chance.random()
                if fate < 0.4:
                    chosen.append((index, None))
                elif fate < 0.7 and op.data is not None:
                    blocks = range((len(op.data) + BLOCK - 1) // BLOCK)
                    chosen.append((index, tuple(block for block in blocks if chance.random() < 0.5)))
        return tuple(chosen)


KINDS = ("all", "none", "names", "contents", "journal", "folders")


def lay(state, place):
    """Writes a state into an empty folder."""
    for name, content in state.items():
        path = place / name
        if content is None:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            continue
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            if not content.strip(b"\0"):
                file.truncate(len(content))
                continue
            file.write(content)
