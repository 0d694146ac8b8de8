#!/usr/bin/env python3
"""Documents, folders around files, paths and pins, as Kubo makes, names and prints them.

    documents.py

The same `dag put`, `dag get`, `add -w`, `cat` and `pin ls` is given to Kubo and to our program, each in a repo of its
own; CIDs and bytes are to be the same. Exits 0, 1, or 77 when Kubo cannot be built (with
KIT_REQUIRE_ALL=1 that too is a failure).
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import peers

VALUES = {"z": 1, "a": [1, 2.5, None, True, {"b": {"/": {"bytes": "aGVsbG8"}}}], "name": "x", "": {}}
CODECS = ("dag-cbor", "dag-json")


class Program:
    def __init__(self, words, env, *init):
        self.words, self.env = words, env
        if init:
            self.run(*init)

    def run(self, *words, stdin=b""):
        done = subprocess.run([*self.words, *map(str, words)], env=self.env, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.stdout if done.returncode == 0 else None


class Both:
    """Runs a command in both, compares what they print, and gives it."""

    def __init__(self, *programs):
        self.programs, self.failed, self.passed = programs, 0, 0

    def __call__(self, *words, stdin=b"", fails=False):
        kubo, kit = [program.run(*words, stdin=stdin) for program in self.programs]
        if kubo == kit and (kubo is None) == fails:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {' '.join(map(str, words))}: Kubo {kubo!r}, ours {kit!r}")
        return (kubo or b"").decode(errors="replace").strip()


def documents(both, folder):
    both("add", "-r", "--cid-version=1", folder)
    root = both("add", "-rQ", "--cid-version=1", folder)
    values = both("dag", "put", stdin=json.dumps(VALUES).encode())
    top = json.dumps({"link": {"/": values}, "n": -5, "dir": {"/": root}}).encode()
    for words in ([], ["--store-codec=dag-json"], ["--hash=blake2b-256"], ["--hash=sha2-512"]):
        both("dag", "put", *words, stdin=top)
    top = both("dag", "put", stdin=top)
    for path in ("", "link", "link/a", "link/a/1", "link/a/4", "link/a/4/b", "n", "dir", "dir/sub", "dir/sub/f"):
        for codec in CODECS:
            both("dag", "get", f"--output-codec={codec}", f"{top}/{path}".rstrip("/"))
    for path in ("", "/Links", "/Links/0", "/Links/0/Hash", "/Links/0/Name", "/Data"):
        both("dag", "get", f"/ipld/{root}{path}")
    for path in ("nope", "link/a/9", "dir/Links", "n/x"):
        both("dag", "get", f"{top}/{path}", fails=True)
    both("dag", "get", "--output-codec=raw", f"{root}/sub/f")
    plain = json.dumps({"Links": [{"Hash": {"/": values}, "Name": "other"}]}).encode()
    plain = both("dag", "put", "--store-codec=dag-pb", stdin=plain)
    both("dag", "get", f"{plain}/other/name")
    both("dag", "put", "--store-codec=dag-pb", stdin=both("dag", "get", root).encode())
    both("dag", "put", "--input-codec=dag-cbor", stdin=b"\xa1\x65hello\x65world")
    both("dag", "put", stdin=b"{", fails=True)


def wrapped(both, folder):
    both("add", "-w", "--cid-version=1", folder / "a")
    both("add", "-wr", "--cid-version=1", folder)
    for words in (["-w"], ["-Qw"]):
        both("add", *words, "--cid-version=1", folder / "a", folder / "sub/f")
    both("add", "-rQw", "--cid-version=1", folder / "a", folder / "sub")
    both("add", "-w", "--cid-version=1", folder / "a", folder / "twin/a", fails=True)
    both("add", "--cid-version=1", stdin=b"of no name")
    both("add", "-w", "--cid-version=1", stdin=b"of no name")


def habits(both, folder):
    """Reading by path, and what a pin above keeps."""
    (folder / "link").symlink_to("a")
    (folder / "alone").write_bytes(b"below one pin only")
    root = both("add", "-rQ", "--cid-version=1", folder)
    alone = both("add", "-nQ", "--cid-version=1", folder / "alone")
    both("cat", f"{root}/link")
    both("cat", "--offset=1", f"{root}/link")
    both("block", "get", f"{root}/alone")
    both("block", "stat", f"{root}/alone")
    for kind in ("all", "indirect"):
        both("pin", "ls", f"--type={kind}", alone)
    for kind, cid in (("direct", alone), ("recursive", alone), ("indirect", root)):
        both("pin", "ls", f"--type={kind}", cid, fails=True)
    both("add", "-r=true", "--cid-version=1", "-Q", folder)


def through_our_rpc(both, kubo, place):
    """Kubo's command line, adding through our daemon what it adds by itself: names come as they are."""
    folder = pathlib.Path(place, "awkward")
    folder.mkdir()
    for name in ("a+b", "a b", "100%", "%41", 'quo"te', "back\\slash", "semi;colon", "ä", "a&b=c", "C:\\dev", "%zz", " ", "+", "?#"):
        (folder / name).write_bytes(name.encode())
        (folder / f"d {name}").mkdir()
        (folder / f"l {name}").symlink_to(name)
    with peers.KitNode(f"{place}/node") as node:
        programs = both.programs
        both.programs = [programs[0], Program([kubo, "--api", node.api], programs[0].env)]
        both("add", "-r", "--cid-version=1", "--pin=false", folder)
        both("add", "-w", "--cid-version=1", folder / "a+b", folder / "100%")
        both.programs = programs


def main():
    try:
        kubo = peers.kubo_program()
    except peers.Missing as missing:
        print(missing, file=sys.stderr)
        return 1 if os.environ.get("KIT_REQUIRE_ALL") == "1" else 77
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place, "content")
        (folder / "sub").mkdir(parents=True)
        (folder / "a").write_bytes(b"first")
        (folder / "sub/f").write_bytes(b"second")
        (folder / "twin").mkdir()
        (folder / "twin/a").write_bytes(b"of the same name")
        repo = str(pathlib.Path(place, "kit"))
        both = Both(Program([kubo], dict(os.environ, IPFS_PATH=f"{place}/kubo"), "init", "--profile=test"),
                    Program([peers.kit_program(), "--repo", repo], None, "init", "--test"))
        documents(both, folder)
        wrapped(both, folder)
        habits(both, folder)
        through_our_rpc(both, kubo, place)
    print(f"documents: {both.passed} the same, {both.failed} not")
    return 1 if both.failed or not both.passed else 0


if __name__ == "__main__":
    sys.exit(main())
