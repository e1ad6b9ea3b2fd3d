#!/usr/bin/env python3
"""Reads an Emberkeep repository with nothing but docs/format.md: lists its backups and restores them.

    read_repository.py DIRECTORY --key-file FILE                      lists
    read_repository.py DIRECTORY --key-file FILE BACKUP IMAGE         restores a backup, by id or name

Written from the document alone, as a second opinion on it. Slow, and careful: every seal, checksum of
a chunk, length and order that the document promises is checked. Needs blake3, zstandard and cryptography.
"""

import argparse
import json
import os
import struct
import sys
import uuid

import blake3
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refused(Exception):
    """Something is not as the document says."""


def expect(condition, what):
    if not condition:
        raise Refused(what)


def derive(context, material):
    return blake3.blake3(material, derive_key_context=f"emberkeep 2026 v1 {context}").digest()


def keyed(key, data):
    return blake3.blake3(data, key=key).digest()


class MasterKey:
    """Section 3: a master key, whole or with what is left of its ring."""

    def __init__(self, identity, wrap, nodes):
        self.id, self.wrap, self.nodes = identity, wrap, nodes

    @classmethod
    def whole(cls, identity, key):
        expect(len(key) == 32 and derive("master key id", key)[:16].hex() == identity, "the key does not fit its id")
        return cls(identity, derive("master wrap", key), {(0, 0): derive("ring", key)})

    def secret(self, tag):
        """The secret of a tag, or None where it was destroyed."""
        bits = int.from_bytes(tag, "big")
        for length in range(65):
            seed = self.nodes.get((length, bits >> (64 - length) << (64 - length)))
            if seed is not None:
                for depth in range(length, 64):
                    seed = derive("ring right" if bits >> (63 - depth) & 1 else "ring left", seed)
                return seed
        return None


def unseal(keys, nonce, sealed, data, what):
    for key in keys:
        try:
            return AESGCM(key).decrypt(nonce, sealed, data)
        except InvalidTag:
            continue
    raise Refused(f"{what}: no key opens it")


def read_key_file(path):
    """Section 3: the master key file; the current key, then those that it is replacing."""
    text = open(path, encoding="utf-8").read()
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    expect(lines and lines[0] in ("emberkeep-master-key 1", "emberkeep-master-key 2"), "not a master key file")
    if lines.pop(0).endswith("2"):
        before = text[: text.rindex(lines[-1])]
        expect(lines.pop() == f"sum {derive('master key file', before.encode())[:16].hex()}", "the file's checksum")
    keys = []
    while lines:
        word, identity = lines.pop(0).split(" ", 1)
        expect(word == "id" and lines, "a key's id")
        word, value = lines.pop(0).split(" ", 1)
        if word == "key":
            keys.append(MasterKey.whole(identity, bytes.fromhex(value)))
            continue
        expect(word == "wrap", "a key")
        nodes = {}
        while lines and lines[0].startswith("node "):
            _, length, prefix, seed = lines.pop(0).split(" ")
            nodes[int(length), int(prefix, 16)] = bytes.fromhex(seed)
        keys.append(MasterKey(identity, bytes.fromhex(value), nodes))
    return keys


class Repository:
    def __init__(self, directory, masters):
        self.directory = directory
        described = self.get("format")
        self.descriptor = json.loads(described)
        expect(self.descriptor["format"] == "emberkeep-repository" and self.descriptor["version"] == 1, "format")
        self.id = uuid.UUID(self.descriptor["id"]).bytes
        self.window = 1 << self.descriptor["window_log2"]
        self.masters = masters
        wrapped = [key for key in masters if os.path.exists(os.path.join(directory, "keys", "master", key.id))]
        expect(wrapped, "no wrapped secret of this master key")
        self.secret = self.open(f"keys/master/{wrapped[0].id}", 1, [wrapped[0].wrap])
        expect(len(self.secret) in (32, 64), "the repository secret's length")
        expect(self.secret[32:] in (b"", derive("descriptor", described)), "the descriptor was changed")
        self.secret = self.secret[:32]

    def get(self, name):
        with open(os.path.join(self.directory, *name.split("/")), "rb") as file:
            return file.read()

    def list(self, prefix):
        """Names of objects below a prefix that ends in a slash."""
        top = os.path.join(self.directory, *prefix.rstrip("/").split("/"))
        found = []
        for directory, _, files in os.walk(top):
            relative = os.path.relpath(directory, self.directory).replace(os.sep, "/")
            found.extend(f"{relative}/{name}" for name in files)
        return sorted(found)

    def open(self, name, kind, keys, stored=None):
        """Section 4: an envelope, under any of some keys."""
        stored = self.get(name) if stored is None else stored
        head, nonce, sealed = stored[:8], stored[8:20], stored[20:]
        expect(head == b"EMKE" + bytes([1, kind, 0, 0]), f"{name}: its head")
        return unseal(keys, nonce, sealed, head + self.id + name.encode(), name)

    def projects(self):
        for name in self.list("keys/projects/"):
            yield Project(self, name.rsplit("/", 1)[1])


class Project:
    def __init__(self, repository, space):
        self.repository = repository
        self.root = f"p/{space}/"
        name = f"keys/projects/{space}"
        stored = repository.get(name)
        if stored[:4] == b"EMKR":
            expect(stored[4:8] == b"\1\0\0\0", f"{name}: its head")
            secrets = [secret for secret in (key.secret(stored[8:16]) for key in repository.masters) if secret]
            wraps = [derive("bound project key wrap", repository.secret + secret) for secret in secrets]
            plain = repository.open(name, 2, wraps, stored[16:])
            count = plain[0]
            expect(count > 0 and plain[1] in (0, 1), f"{name}: its head")
            keys = [plain[2 + 32 * n : 34 + 32 * n] for n in range(count)]
            self.name = plain[2 + 32 * count :].decode()
        else:
            plain = repository.open(name, 2, [derive("project key wrap", repository.secret)], stored)
            keys, self.name = [plain[:32]], plain[32:].decode()
        expect(keyed(derive("key space", repository.secret), self.name.encode())[:16].hex() == space, "key space")
        self.ids = derive("chunk id", keys[0])
        self.packs, self.index_keys, self.manifest_keys = (
            [derive(purpose, key) for key in reversed(keys)] for purpose in ("pack root", "index", "manifest")
        )
        self._index = None
        self._pack = (None, None)

    def manifests(self):
        for name in self.repository.list(self.root + "manifests/"):
            manifest = json.loads(self.repository.open(name, 4, self.manifest_keys))
            expect(manifest["version"] == 1, f"{name}: its version")
            expect(manifest["backup_id"] == name.rsplit("/", 1)[1], f"{name}: its backup")
            yield manifest

    def index(self):
        """Section 7: all runs together, as chunk id -> list of (pack, offset, sealed, plain, encoding)."""
        if self._index is None:
            self._index = {}
            for name in self.repository.list(self.root + "index/"):
                run = self.repository.open(name, 3, self.index_keys)
                version, packs, entries, reserved = struct.unpack_from("<4I", run)
                expect((version, reserved) == (1, 0), f"{name}: its version")
                expect(len(run) == 16 + 24 * packs + 48 * entries, f"{name}: its length")
                table = [run[16 + 24 * n : 32 + 24 * n] for n in range(packs)]
                before = b""
                for n in range(entries):
                    entry = run[16 + 24 * packs + 48 * n :][:48]
                    pack, offset, sealed, plain = struct.unpack_from("<4I", entry, 32)
                    expect(before < entry[:32] + struct.pack(">4I", pack, offset, sealed, plain), f"{name}: its order")
                    before = entry[:32] + struct.pack(">4I", pack, offset, sealed, plain)
                    place = (table[pack], offset, sealed, plain & 0xFFFFFFF, plain >> 28)
                    self._index.setdefault(entry[:32], []).append(place)
        return self._index

    def pack(self, pack):
        """Section 6: a whole pack, with header, checksum and table of contents checked; one is kept."""
        if self._pack[0] != pack:
            name = f"{self.root}packs/{pack[:1].hex()}/{pack.hex()}"
            stored = self.repository.get(name)
            expect(stored[:5] == b"EMKP\1" and stored[5] in (1, 2) and stored[6:8] == bytes(2), f"{name}: its head")
            expect(stored[8:24] == self.repository.id and stored[24:40] == pack, f"{name}: it belongs elsewhere")
            expect(stored[40:48] == bytes(8), f"{name}: reserved bytes")
            offset, length, version, reserved = struct.unpack_from("<4I", stored, len(stored) - 56)
            expect((version, reserved) == (1, 0) and stored[-8:] == b"EMKPTAIL", f"{name}: its trailer")
            expect(offset + length == len(stored) - 56, f"{name}: its trailer")
            expect(blake3.blake3(stored[:-40]).digest() == stored[-40:-8], f"{name}: its checksum")
            keys = [derive("pack", root + pack) for root in self.packs]
            nonce = struct.pack("<I", offset) + bytes(8)
            toc = unseal(keys, nonce, stored[offset : offset + length], stored[:48], name)
            expect(len(toc) % 45 == 0, f"{name}: its table")
            at, known = 48, set()
            for n in range(0, len(toc), 45):
                start, sealed, plain, encoding = struct.unpack_from("<3IB", toc, n + 32)
                expect(start == at, f"{name}: a gap")
                at += sealed
                known.add((toc[n : n + 32], start, sealed, plain, encoding))
            expect(at == offset, f"{name}: its end")
            self._pack = (pack, (stored, keys, known))
        return self._pack[1]

    def chunk(self, chunk):
        """Section 5: a chunk's plaintext."""
        places = self.index().get(chunk)
        expect(places, f"no pack holds chunk {chunk.hex()}")
        pack, offset, sealed, plain, encoding = places[0]
        stored, keys, known = self.pack(pack)
        expect((chunk, offset, sealed, plain, encoding) in known, "the index and a pack disagree")
        data = chunk + struct.pack("<IB", plain, encoding)
        nonce = struct.pack("<I", offset) + bytes(8)
        opened = unseal(keys, nonce, stored[offset : offset + sealed], data, f"chunk {chunk.hex()}")
        if encoding == 1:
            opened = zstandard.ZstdDecompressor().decompress(opened, max_output_size=plain)
        expect(len(opened) == plain and keyed(self.ids, opened) == chunk, f"chunk {chunk.hex()}")
        return opened

    def pages(self, root, size):
        """Section 8: the pages of a map, as (window, page)."""
        windows = -(-size // self.repository.window)
        depth = 1
        while 256**depth < windows:
            depth += 1
        expect(root["depth"] == depth, "the depth of a map")
        todo = [(bytes.fromhex(root["node"]), depth - 1, 0)]
        while todo:
            node, level, number = todo.pop()
            if level < 0:
                yield number, self.chunk(node)
                continue
            plain = self.chunk(node)
            expect(plain[0] == 1 and plain[1] == level and len(plain) % 33 == 2, "a node")
            children = [(plain[at + 1 : at + 33], level - 1, number << 8 | plain[at]) for at in range(2, len(plain), 33)]
            slots = [plain[at] for at in range(2, len(plain), 33)]
            expect(slots and slots == sorted(set(slots)), "a node's slots")
            todo.extend(reversed(children))

    def entries(self, page):
        """The chunks of a page, as (offset in the window, length, id)."""
        expect(page[0] == 1 and len(page) > 1, "a page")
        at, end = 1, 0
        while at < len(page):
            gap, at = varint(page, at)
            length, at = varint(page, at)
            expect(length > 0 and end + gap + length <= self.repository.window, "a page's chunk")
            yield end + gap, length, page[at : at + 32]
            at, end = at + 32, end + gap + length

    def restore(self, manifest, image):
        with open(image, "wb") as out:
            out.truncate(manifest["size"])
            if manifest["root"] is None:
                return
            wanted = []
            for window, page in self.pages(manifest["root"], manifest["size"]):
                for offset, length, chunk in self.entries(page):
                    expect(chunk in self.index(), f"no pack holds chunk {chunk.hex()}")
                    wanted.append((self.index()[chunk][0][:2], window * self.repository.window + offset, length, chunk))
            # Pack by pack, since one is kept at a time.
            for _, start, length, chunk in sorted(wanted):
                plain = self.chunk(chunk)
                expect(len(plain) == length and start + length <= manifest["size"], "a chunk's place")
                out.seek(start)
                out.write(plain)


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            expect(byte or not shift, "a number in its shortest form")
            expect(value < 1 << 32, "a number of 32 bits")
            return value, at
        shift += 7


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("repository")
    options.add_argument("--key-file", required=True)
    options.add_argument("backup", nargs="?")
    options.add_argument("image", nargs="?")
    given = options.parse_intermixed_args()
    repository = Repository(given.repository, read_key_file(given.key_file))
    found = 0
    for project in repository.projects():
        for manifest in project.manifests():
            if given.backup is None:
                print(manifest["backup_id"], manifest["size"], manifest["name"])
            elif given.backup in (manifest["backup_id"], manifest["name"]):
                found += 1
                project.restore(manifest, given.image)
    if given.backup is not None and found != 1:
        sys.exit(f"{found} backups are called {given.backup}")


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(f"not as the document says: {refused}")
