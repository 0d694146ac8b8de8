#!/usr/bin/env python3
"""run.py MODE KILLER IMPORTER: kills imports and checks what is left; see README.md.

MODE is "each" (every stop of a three-block import in turn) or "random" ($KILLS random ones of larger
imports, 100 by default; $SEED makes them repeatable). $ANYIO_BACKEND chooses the backend.
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

mode, killer, importer = sys.argv[1:4]
if os.environ.get("ANYIO_BACKEND") == "uring":
    # Some containers forbid it; the runtime falls back, this test says so.
    probe = subprocess.run([importer, "import", tempfile.mkdtemp(), "1", "1", "1", "1"],
                           capture_output=True, text=True)
    if "NO_BACKEND" in probe.stderr:
        print("io_uring does not work here: skipped")
        sys.exit(77)

KILLED, ENDED = 0, 3
SMALL = ["1", "2", "3000"]  # one tree of two leaves and a root
LARGE = ["30", "9", "90000"]


class Repo:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="crash-")
        self.path = os.path.join(self.folder, "repo")
        self.model = os.path.join(self.folder, "model")
        open(self.model, "w").close()

    def killed(self, at, *command):
        """Runs the importer's command until the at-th stop. True when it was killed there."""
        with open(self.model, "ab") as out:
            done = subprocess.run([killer, str(at), importer, *command], stdout=out,
                                  stderr=subprocess.PIPE, text=True)
        if done.returncode not in (KILLED, ENDED):
            self.fail(at, command, done.stderr)
        self.stops = int(done.stderr.split()[-2])
        return done.returncode == KILLED

    def check(self, what):
        done = subprocess.run([importer, "check", self.path, self.model], capture_output=True,
                              text=True)
        if done.returncode != 0:
            self.fail(what, "check", done.stderr)

    def fail(self, *what):
        print("FAILED:", *what)
        print("kept:", self.folder)
        sys.exit(1)

    def remove(self):
        shutil.rmtree(self.folder)


def each():
    at = 0
    going = True
    while going:
        at += 1
        repo = Repo()
        going = repo.killed(at, "import", repo.path, "7", *SMALL)
        repo.check(at)
        repo.remove()
    print(f"killed at each of {at - 1} stops")


def at_random():
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    rng = random.Random(seed)
    print(f"SEED={seed}")
    kills = int(os.environ.get("KILLS", 100))
    repo = Repo()
    repo.killed(0, "import", repo.path, str(seed), *LARGE)
    total, again = repo.stops, 0
    for kill in range(kills):
        if kill % 15 == 14:
            repo.remove()
            repo = Repo()
        number = str(seed + 1 + kill)
        repo.killed(rng.randrange(1, total), "import", repo.path, number, *LARGE)
        while rng.random() < 0.3:
            again += repo.killed(rng.randrange(1, 700), "check", repo.path, repo.model)
        repo.check(f"kill {kill}")
    repo.remove()
    print(f"{kills} imports killed, {again} recoveries killed")


{"each": each, "random": at_random}[mode]()
