#!/usr/bin/env python3
"""A repo that Kubo made, taken over by `ipfs-kit migrate-from-kubo`.

    migrate.py

Kubo adds files, folders and pins, and stops. Then: a migration that is killed half-way and run
again takes everything, and not what it had already; every file reads back the same; the pins are
those of Kubo; a damaged block is reported and the others are taken; a running Kubo is refused; and
nothing in Kubo's folder has changed. Exits 0, 1, or 77 when Kubo cannot be built (with
KIT_REQUIRE_ALL=1 that too is a failure).
"""

import hashlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import peers
from peers import check

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "cids"))
import cids  # noqa: E402

LARGE = 300 << 20
FILES = 2000


def folder_state(folder):
    """The bytes of every file below a folder, as one digest."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(str(path.relative_to(folder)).encode() + b"\0")
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()


class Kubo:
    def __init__(self, folder):
        self.folder = folder
        self.program = peers.kubo_program()
        self.env = dict(os.environ, IPFS_PATH=str(folder))
        self("init", "--profile=test")

    def __call__(self, *words):
        return subprocess.run([self.program, *map(str, words)], env=self.env, check=True, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()

    def pins(self):
        return {tuple(line.split()[:2]) for kind in ("recursive", "direct")
                for line in self("pin", "ls", "--type", kind).splitlines()}


class Kit:
    def __init__(self, folder):
        self.words = [peers.kit_program(), "--repo", str(folder)]
        self.folder = folder
        self("init", "--test")

    def run(self, *words):
        return subprocess.run([*self.words, *map(str, words)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)

    def __call__(self, *words):
        done = self.run(*words)
        if done.returncode:
            raise peers.Failed(f"{words}: {done.stderr.decode()}")
        return done.stdout

    def pins(self):
        return {tuple(line.split()) for line in self("pin", "ls").decode().splitlines()}

    def stored(self):
        return sum(path.stat().st_size for path in (self.folder / "segments").glob("*.car"))


def make_content(kubo, gen, folder):
    """What Kubo holds: {CID: the file that it is}, and the root of its mutable files."""
    content = {}
    make = lambda *words: subprocess.run([gen, *map(str, words)], check=True)  # noqa: E731
    make("file", 1, LARGE, folder / "large")
    make("file", 2, 1000, folder / "small")
    make("file", 3, 0, folder / "empty")
    make("dir", 4, FILES, 8, 8, 3000, folder / "many")
    for name in ("large", "small", "empty"):
        content[kubo("add", "-Q", "--cid-version", int(name == "small"), folder / name)] = folder / name
    many = kubo("add", "-Q", "-r", folder / "many")
    for index in (0, 1, FILES - 1):
        content[f"{many}/{index:08}"] = folder / "many" / f"{index:08}"
    direct = kubo("add", "-Q", "--pin=false", "--raw-leaves", folder / "many" / f"{7:08}")
    kubo("pin", "add", "--recursive=false", direct)
    content[direct] = folder / "many" / f"{7:08}"
    kubo("pin", "add", "--name=a name", f"{many}/{8:08}")
    kubo("files", "cp", f"/ipfs/{many}/{9:08}", "/nine")
    return content, kubo("files", "stat", "--hash", "/")


def kill_half_way(kit, source):
    """Kills a migration once it has written a good part, and says how much that was."""
    child = subprocess.Popen([*kit.words, "migrate-from-kubo", str(source)], stderr=subprocess.DEVNULL)
    while kit.stored() < LARGE * 2 // 3 and child.poll() is None:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    return child.wait()


def run(scratch):
    kubo = Kubo(scratch / "kubo")
    content, files = make_content(kubo, cids.build_generator(scratch), scratch)
    pins, before = kubo.pins(), folder_state(scratch / "kubo")
    blocks = sum(1 for _ in (scratch / "kubo" / "blocks").glob("*/*.data"))

    kit = Kit(scratch / "kit")
    check(kill_half_way(kit, scratch / "kubo") == -signal.SIGKILL, "a migration was killed half-way")
    told = kit("migrate-from-kubo", scratch / "kubo").decode()
    taken, present = map(int, re.match(r"took (\d+) blocks \((\d+) were", told).groups())
    check(taken + present == blocks and present > 0, f"run again, it went on: {told.strip()}")
    check(kit.pins() == pins | {(files, "recursive")}, f"all {len(pins)} pins, and the mutable files")
    for cid, path in content.items():
        check(kit("cat", cid) == path.read_bytes(), f"{path.name} is the same")
    check(b"validated" in kit("repo", "verify"), "every block is whole and all that pins need is here")
    check(folder_state(scratch / "kubo") == before, "nothing in Kubo's folder has changed")

    victim = next(path for path in sorted((scratch / "kubo" / "blocks").glob("*/*.data"))
                  if path.stat().st_size > 2000)
    data = bytearray(victim.read_bytes())
    data[1000] ^= 1
    victim.write_bytes(data)
    other = Kit(scratch / "other")
    done = other.run("migrate-from-kubo", scratch / "kubo")
    check(done.returncode != 0 and victim.name in done.stderr.decode(), "a damaged block is reported")
    told = other("repo", "stat").decode()
    check(int(re.search(r"NumObjects: (\d+)", told).group(1)) >= blocks - 1, "and all others are taken")

    daemon = peers.Process([kubo.program, "daemon", "--offline"], scratch / "daemon.log", env=kubo.env)
    try:
        while "Daemon is ready" not in daemon.line(peers.READY_SECONDS):
            pass
        done = kit.run("migrate-from-kubo", scratch / "kubo")
        check(done.returncode != 0 and b"stop it first" in done.stderr, "a running Kubo is refused")
    finally:
        daemon.stop()
    done = kit.run("migrate-from-kubo", scratch)
    check(done.returncode != 0 and b"not a Kubo repo" in done.stderr, "another folder is refused")


if __name__ == "__main__":
    sys.exit(peers.main("migrate", run))
