#!/usr/bin/env python3
"""run.py MODE KILLER PROGRAM: kills imports, collections and moves, and checks what is left; see README.md.

MODE is "each": every stop of a three-block import in turn; or "random": random ones of larger imports; or "collect": every stop of a
collection in turn, and random ones of imports beside one that never ends; or "tier": every stop of a small move to a tier and back in
turn, and random ones of imports beside collections and moves that never end; or "rot": the index spoiled behind the back of its seal,
so that it is believed once; with the importer. Or "command": random stops of the real `init` and `add`, with ipfs-kit.
$KILLS is how many random ones there are, $SEED makes them repeatable, $ANYIO_BACKEND chooses the backend.

run.py all KILLER IMPORTER IPFS_KIT: all of them, on both backends, with $KILLS (1,000) random ones in all; then how many of what.
"""
import concurrent.futures
import itertools
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

KILLED, ENDED = 0, 3
SMALL = ["1", "2", "3000"]  # one tree of two leaves and a root
LARGE = ["30", "9", "90000"]
MOVED = ["12", "6", "30000"]
killer, importer = sys.argv[2:4]
ipfs_kit = sys.argv[-1]


class Repo:
    def __init__(self, program=importer, copied=None):
        self.program = program
        self.folder = tempfile.mkdtemp(prefix="crash-")
        self.path = os.path.join(self.folder, "repo")
        self.model = os.path.join(self.folder, "model")
        self.cold = os.path.join(self.folder, "cold")
        self.checked = False
        if copied:
            shutil.copytree(copied.folder, self.folder, dirs_exist_ok=True)
        else:
            os.mkdir(self.cold)
            open(self.model, "w").close()

    def killed(self, at, *command):
        """Runs the program's command until the at-th stop. True when it was killed there."""
        # What a look at the repo says is no promise: "rebuilt", when it was killed before it had an index.
        with open(os.devnull if command[0] in ("check", "settle") else self.model, "ab") as out:
            done = subprocess.run([killer, str(at), self.program, *command], stdout=out,
                                  stderr=subprocess.PIPE, text=True)
        if done.returncode not in (KILLED, ENDED) and "already" not in done.stderr:
            self.fail(at, command, done.stderr)
        self.stops = int(done.stderr.split()[-2])
        return done.returncode == KILLED

    def must(self, what, *command, rebuilt=False):
        """Runs the importer's command, which must find everything as it should be."""
        done = subprocess.run([self.program, *command], capture_output=True, text=True)
        if done.returncode != 0:
            self.fail(what, command, done.stderr)
        if self.checked and bool(done.stdout) != rebuilt:  # once there, no kill spoils the index
            self.fail(what, command, done.stdout)
        self.checked = True

    def check(self, what, *more):
        self.must(what, "check", self.path, self.model, *more)

    def settle(self, what, rebuilt=False):
        self.must(what, "settle", self.path, self.model, self.cold, rebuilt=rebuilt)

    def fail(self, *what):
        print("FAILED:", *what)
        print("kept:", self.folder)
        sys.exit(1)

    def remove(self):
        shutil.rmtree(self.folder)


def drawn(default):
    """How many random ones, and what draws them."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"SEED={seed}")
    return int(os.environ.get("KILLS", default)), seed, random.Random(seed)


def each_stop(first, command, look):
    """Kills the command at every stop in turn, each time on a copy of that repo: how often."""

    def kill(at):
        repo = Repo(copied=first)
        killed = repo.killed(at, *command(repo))
        look(repo, f"stop {at}")
        repo.remove()
        return killed

    workers, kills = 4 * (os.cpu_count() or 1), 0  # most of it waits for the disk
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for at in itertools.count(1, workers):
            going = list(pool.map(kill, range(at, at + workers)))
            kills += sum(going)
            if not all(going):
                break
    first.remove()
    print(f"killed at each of {kills} stops")
    return kills


def at_random(kills, seed, rng, size, beside, look, same=15):
    """Kills that many imports, as many of them as `same` on one repo: how many, and how many of what came after."""
    repo = Repo()
    repo.killed(0, "import", repo.path, str(seed), *size, *beside(repo))
    total, again, killed, turn = repo.stops, 0, 0, 0
    while killed < kills:
        turn += 1
        if turn % same == 0:
            look(repo, f"turn {turn}", rng, last=True)
            repo.remove()
            repo = Repo()
        killed += repo.killed(rng.randrange(1, total), "import", repo.path, str(seed + turn), *size, *beside(repo))
        again += look(repo, f"turn {turn}", rng)
    repo.remove()
    print(f"{killed} imports killed, {again} recoveries killed")
    return killed, again


def each():
    return each_stop(Repo(), lambda repo: ["import", repo.path, "7", *SMALL],
                     lambda repo, what: repo.check(what)), 0


def imports(default, *more):
    """Random ones, with that word for imports and checks."""

    def look(repo, what, rng, last=False):
        again = 0
        while not last and rng.random() < 0.3:
            again += repo.killed(rng.randrange(1, 700), "check", repo.path, repo.model, *checked)
        repo.check(what, *checked)
        return again

    checked = ["collected"] if more else []
    return at_random(*drawn(default), LARGE, lambda repo: more, look)


def collect():
    first = Repo()
    first.killed(0, "import", first.path, "3", "8", "4", "60000")
    kills = again = 0
    for scarce in False, True:  # as where the disk has little room: in parts
        os.environ.update({"SCARCE": "1"} if scarce else {})
        kills += each_stop(Repo(copied=first), lambda repo: ["collect", repo.path],
                           lambda repo, what: repo.check(what, "collected"))
        killed, more = imports(20, "collect")
        kills, again = kills + killed, again + more
    del os.environ["SCARCE"]
    first.remove()
    return kills, again


def tier():
    def small(repo, what):
        repo.check(what, "collected", repo.cold)
        repo.settle(what)

    def look(repo, what, rng, last=False):
        again = 0
        if last:  # without its index, too
            shutil.rmtree(os.path.join(repo.path, "index"))
            repo.settle(what, rebuilt=True)
        while not last and rng.random() < 0.5:
            again += repo.killed(rng.randrange(1, 2000), "settle", repo.path, repo.model, repo.cold)
        small(repo, what)
        return again

    first = Repo()
    first.killed(0, "import", first.path, "5", *SMALL)
    kills = each_stop(first, lambda repo: ["move", repo.path, repo.model, repo.cold], small)
    killed, again = at_random(*drawn(25), MOVED, lambda repo: ["move", repo.cold], look, same=8)
    return kills + killed, again


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
    return 0, 0


def stops_of_commands():
    """How many stops init has, and an add of a few hundred KiB."""
    repo = Repo(ipfs_kit)
    path = os.path.join(repo.folder, "file")
    with open(path, "wb") as file:
        file.write(bytes(300000))
    repo.killed(0, "--repo", repo.path, "init")
    init = repo.stops
    repo.killed(0, "--repo", repo.path, "add", "-Q", path)
    repo.remove()
    return init, repo.stops


def command():
    kills, _, rng = drawn(40)
    init, add = stops_of_commands()
    repo = Repo(ipfs_kit)
    kept, promised, killed, before = {}, 0, 0, 0  # CID: the file it was promised for

    def run(*words):
        return subprocess.run([ipfs_kit, "--repo", repo.path, *words], capture_output=True)

    while repo.killed(rng.randrange(1, init + init // 5), "--repo", repo.path, "init"):
        before += 1
    while killed < kills:
        data = rng.randbytes(rng.choice([1, 5000, 300000, 3000000]))
        path = os.path.join(repo.folder, "file")
        with open(path, "wb") as file:
            file.write(data)
        open(repo.model, "w").close()
        killed += repo.killed(rng.randrange(1, add + add // 5), "--repo", repo.path, "add", "-Q", path)
        with open(repo.model) as file:
            for line in file.read().split("\n")[:-1]:
                kept[line] = data
                promised += 1
        verify = run("repo", "verify")
        if verify.returncode != 0:
            repo.fail(f"kill {killed}", "repo verify", verify.stderr)
        pins = run("pin", "ls").stdout.decode()
        for cid, data in kept.items():
            if cid not in pins:
                repo.fail(f"kill {killed}", "pin ls lacks", cid)
            if run("cat", cid).stdout != data:
                repo.fail(f"kill {killed}", "cat", cid)
        if len(kept) > 12:
            kept.clear()
    repo.remove()
    print(f"{before + killed} commands killed, {promised} files promised and there")
    return before + killed, 0


MODES = {"each": each, "random": lambda: imports(100), "collect": collect, "tier": tier, "command": command, "rot": rot}


def every_mode():
    kills = int(os.environ.get("KILLS", 1000))
    os.environ["KILLS"] = str(-(-kills // 8))  # four modes have random ones
    lines, total = [], 0
    for backend in ("uring", "uv"):
        os.environ["ANYIO_BACKEND"] = backend
        for name, mode in MODES.items():
            began = time.monotonic()
            print(f"-- {name}, {backend}", flush=True)
            killed, again = mode()
            lines.append(f"{name:8} {backend:6} {killed:8,} {again:8,} {time.monotonic() - began:7.0f} s")
            total += killed + again
    print(f"{'mode':8} {'on':6} {'killed':>8} {'again':>8} {'took':>9}", *lines, f"{total:,} kills, and nothing lost", sep="\n")


every_mode() if sys.argv[1] == "all" else MODES[sys.argv[1]]()
