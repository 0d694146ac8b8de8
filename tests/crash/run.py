#!/usr/bin/env python3
"""run.py MODE KILLER PROGRAM: kills imports and checks what is left; see README.md.

MODE is "rot": the index spoiled behind the back of its seal, so that it is believed once; or "each" (every stop of a three-block import in turn) or "random" ($KILLS random ones of larger
imports, 100 by default), with the importer; or "collect": every stop of a collection in turn, and random ones of imports beside one that never ends; or "command": random ones ($KILLS, 40) of the real `init` and
`add`, with ipfs-kit. $SEED makes the random ones repeatable, $ANYIO_BACKEND chooses the backend.
"""
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

mode, killer, importer = sys.argv[1:4]
KILLED, ENDED = 0, 3
SMALL = ["1", "2", "3000"]  # one tree of two leaves and a root
LARGE = ["30", "9", "90000"]


class Repo:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="crash-")
        self.path = os.path.join(self.folder, "repo")
        self.model = os.path.join(self.folder, "model")
        self.checked = False
        open(self.model, "w").close()

    def killed(self, at, *command):
        """Runs the importer's command until the at-th stop. True when it was killed there."""
        with open(self.model, "ab") as out:
            done = subprocess.run([killer, str(at), importer, *command], stdout=out,
                                  stderr=subprocess.PIPE, text=True)
        if done.returncode not in (KILLED, ENDED) and "already" not in done.stderr:
            self.fail(at, command, done.stderr)
        self.stops = int(done.stderr.split()[-2])
        return done.returncode == KILLED

    def check(self, what, *more):
        done = subprocess.run([importer, "check", self.path, self.model, *more], capture_output=True,
                              text=True)
        if done.returncode != 0:
            self.fail(what, "check", done.stderr)
        if self.checked and done.stdout:  # once there, no kill spoils the index
            self.fail(what, "check", done.stdout)
        self.checked = True

    def fail(self, *what):
        print("FAILED:", *what)
        print("kept:", self.folder)
        sys.exit(1)

    def remove(self):
        shutil.rmtree(self.folder)


def each():
    at, going = 0, True
    while going:
        at += 1
        repo = Repo()
        going = repo.killed(at, "import", repo.path, "7", *SMALL)
        repo.check(at)
        repo.remove()
    print(f"killed at each of {at - 1} stops")


def collect():
    first = Repo()
    first.killed(0, "import", first.path, "3", "8", "4", "60000")
    at, going = 0, True
    while going:
        at += 1
        repo = Repo()
        shutil.copytree(first.path, repo.path)
        shutil.copy(first.model, repo.model)
        going = repo.killed(at, "collect", repo.path)
        repo.check(at, "collected")
        repo.remove()
    first.remove()
    print(f"killed at each of {at - 1} stops")
    at_random("collect")


def at_random(*more):
    checked = ["collected"] if more else []
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    rng = random.Random(seed)
    print(f"SEED={seed}")
    kills = int(os.environ.get("KILLS", 40 if more else 100))
    repo = Repo()
    repo.killed(0, "import", repo.path, str(seed), *LARGE, *more)
    total, again = repo.stops, 0
    for kill in range(kills):
        if kill % 15 == 14:
            repo.remove()
            repo = Repo()
        number = str(seed + 1 + kill)
        repo.killed(rng.randrange(1, total), "import", repo.path, number, *LARGE, *more)
        while rng.random() < 0.3:
            again += repo.killed(rng.randrange(1, 700), "check", repo.path, repo.model, *checked)
        repo.check(f"kill {kill}", *checked)
    repo.remove()
    print(f"{kills} imports killed, {again} recoveries killed")


def rot():
    rng = random.Random(int(os.environ.get("SEED", 1)))
    repo, crashed, noticed = Repo(), 0, 0
    repo.killed(0, "import", repo.path, "7", *LARGE)
    repo.check("import")
    data, seal = (os.path.join(repo.path, "index", name) for name in ("data.mdb", "sealed"))
    for turn in range(30):
        with open(data, "r+b") as file:
            pages = os.path.getsize(data) // 4096
            for _ in range(8):
                file.seek(4096 * rng.randrange(2, pages) + rng.choice([rng.randrange(40), rng.randrange(4096)]))
                file.write(bytes([rng.randrange(256)]))
        st = os.stat(data)
        with open(seal, "wb") as file:
            file.write(struct.pack("<6Q", st.st_ino, st.st_size, *divmod(st.st_mtime_ns, 10**9),
                                   *divmod(st.st_ctime_ns, 10**9)))
        code = subprocess.run(["timeout", "-s", "KILL", "60", importer, "check", repo.path, repo.model],
                              capture_output=True).returncode
        crashed += code < 0
        noticed += code != 0
        repo.checked = False
        repo.check(f"turn {turn}")
    repo.remove()
    print(f"{noticed} times noticed, {crashed} of them by a crash, and mended every time")


def command():
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    rng = random.Random(seed)
    print(f"SEED={seed}")
    repo = Repo()
    kept, promised = {}, 0  # CID: the file it was promised for

    def run(*words):
        return subprocess.run([importer, "--repo", repo.path, *words], capture_output=True)

    while repo.killed(rng.randrange(1, 900), "--repo", repo.path, "init"):
        pass
    for kill in range(int(os.environ.get("KILLS", 40))):
        data = rng.randbytes(rng.choice([1, 5000, 300000, 3000000]))
        path = os.path.join(repo.folder, "file")
        with open(path, "wb") as file:
            file.write(data)
        open(repo.model, "w").close()
        repo.killed(rng.randrange(1, 1100), "--repo", repo.path, "add", "-Q", path)
        with open(repo.model) as file:
            for line in file.read().split("\n")[:-1]:
                kept[line] = data
                promised += 1
        verify = run("repo", "verify")
        if verify.returncode != 0:
            repo.fail(f"kill {kill}", "repo verify", verify.stderr)
        pins = run("pin", "ls").stdout.decode()
        for cid, data in kept.items():
            if cid not in pins:
                repo.fail(f"kill {kill}", "pin ls lacks", cid)
            if run("cat", cid).stdout != data:
                repo.fail(f"kill {kill}", "cat", cid)
        if len(kept) > 12:
            kept.clear()
    repo.remove()
    print(f"{kill + 1} commands killed, {promised} files promised and there")


{"each": each, "random": at_random, "collect": collect, "command": command, "rot": rot}[mode]()
