#!/usr/bin/env python3
"""A repo whose leaves lie in stores that nobody here wrote: versitygw and SeaweedFS (S3), Debian's sshd (SFTP).

    tiers.py [versitygw | sshd | seaweedfs | example]...

On both backends of the runtime: what is moved there is the same when it comes from there, by a command and through a daemon;
what lies there is a CAR that another repo takes in; a store that is killed in the middle of a move leaves everything
where it was, and its death holds up nobody who does not want what lies there; of SeaweedFS one volume server of two is
killed so, and what both had is there. The example is examples/tiers.sh, as README shows it. Exits 0, 1, or 77 as s3.py.
"""

import concurrent.futures
import json
import os
import random
import re
import subprocess
import sys
import time

import peers
import s3
import sftp
from peers import check

SIZE = 60_000_000


class Kit:
    """A repo with the settings of a tier, and the program on it."""

    def __init__(self, folder, backend, place, **env):
        self.repo = folder / "repo"
        self.program = peers.ROOT / os.environ.get("BUILD", "build") / "cli/ipfs-kit"
        if not self.program.exists():
            raise peers.Failed(f"{self.program} is not there: build it first")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.env.update(ANYIO_BACKEND=backend, **env)
        self("init", "--test")
        self("config", "tier.places", f"cold={place}")

    def run(self, *words, place=None, timeout=peers.COMMAND_SECONDS):
        return subprocess.run([self.program, "--repo", self.repo, *map(str, words)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env, timeout=timeout)

    def __call__(self, *words):
        done = self.run(*words)
        if done.returncode:
            raise peers.Failed(f"{words}: {done.stderr.decode()}")
        return done.stdout

    def json(self, *words):
        return [json.loads(line) for line in self(*words, "--json").splitlines()]

    def tier(self):
        (row,) = [row for row in self.json("tier", "stat") if row["Name"] == "cold"]
        return row

    def segments(self):
        return sum(path.stat().st_size for path in (self.repo / "segments").iterdir())


def there_and_back(kit, file, data):
    root = kit("add", "-Q", file).decode().strip()
    (moved,) = kit.json("tier", "move", root, "cold")
    check(moved["Bytes"] == SIZE, f"{moved['Blocks']} leaves moved")
    kit("repo", "gc", "--silent")
    check(kit.segments() < 1_000_000, "the repo has given the room back")
    check(kit("cat", root) == data, "what comes from there is the same")
    row = kit.tier()
    check((row["Objects"], row["Unwanted"], row["Errors"]) == (1, 0, 0), f"one object of {row['Bytes']} bytes")
    check(kit("repo", "verify", "--tiers").strip() == b"verify complete, all blocks validated.", "a verification has read all of it")
    return root


def through_a_daemon(kit, root, data):
    daemon = subprocess.Popen([kit.program, "--repo", kit.repo, "daemon", "--listen", "/ip4/127.0.0.1/tcp/0", "--api",
                               "/ip4/127.0.0.1/tcp/0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=kit.env)
    try:
        while b"ready" not in daemon.stdout.readline():
            if daemon.poll() is not None:
                raise peers.Failed("the daemon has ended")
        check(kit("cat", root) == data, "through a daemon, too")
        check(kit.tier()["ReadBytes"] >= SIZE, "which has read it there")
    finally:
        daemon.terminate()
        daemon.wait(peers.STOP_SECONDS)


def killed_under_a_move(kit, store, between, file):
    """The store dies in the middle of the object."""
    data = random.Random(7).randbytes(SIZE)
    file.write_bytes(data)
    root = kit("add", "-Q", file).decode().strip()
    places = kit("config", "tier.places").decode()
    kit("config", "tier.places", places.replace(f":{store.port}/", f":{between.port}/").strip())
    done = kit.run("tier", "move", root, "cold")
    said = done.stderr.decode()
    check(done.returncode != 0 and between.done.is_set() and "the tier cold fails" in said, f"a store killed under a move: {said.strip()}")
    check(kit("cat", root) == data, "everything is where it was")
    return root, data, places.strip()


def while_it_is_away(kit, first):
    began = time.monotonic()
    done = kit.run("--timeout=20s", "cat", first)
    check(done.returncode != 0 and b"tier cold" in done.stderr, f"what lies there cannot be had: {done.stderr.decode().strip()[-200:]}")
    waited = time.monotonic() - began
    for words in (["ls", first], ["stat", first], ["pin", "ls"], ["repo", "stat"], ["repo", "gc", "--silent"], ["repo", "verify"]):
        began = time.monotonic()
        kit(*words)
        if time.monotonic() - began > max(waited, 5):
            raise peers.Failed(f"{words} waits for it")
    check(True, "nothing else waits for it")
    done = kit.run("repo", "verify", "--tiers")
    check(done.returncode == 4 and b"could not be read" in done.stderr, f"a verification says so: {done.stderr.decode().strip()[-200:]}")


def try_store(kit, store, scratch):
    file = scratch / "file"
    data = random.Random(3).randbytes(SIZE)
    file.write_bytes(data)
    first = there_and_back(kit, file, data)
    through_a_daemon(kit, first, data)

    def kill(_):
        store.kill()
        return "cut"

    with store.between("up", SIZE // 3, kill) as between:
        if hasattr(store, "known_line"):
            with open(kit.repo / "tier-cold.known_hosts", "a") as hosts:
                hosts.write(store.known_line(store.host_keys[0], f"[127.0.0.1]:{between.port}"))
        root, other, places = killed_under_a_move(kit, store, between, file)
        while_it_is_away(kit, first)
    kit("config", "tier.places", places)
    store.start()
    check(kit("cat", first) == data, "it is back, and so is what lies there")
    kit("tier", "move", root, "cold")
    row = kit.tier()
    check((row["Objects"], row["Unwanted"]) == (2, 0), "the move is made, and what the first one left has gone")
    kit("repo", "gc", "--silent")
    for cid in (first, root):
        kit("tier", "move", cid, "fast")
    kit("repo", "gc", "--silent")
    check(kit("cat", first) == data and kit("cat", root) == other, "everything comes back")
    check(kit.json("tier", "move", first, "cold")[0]["Bytes"] == SIZE and kit.tier()["Objects"] == 1, "and leaves nothing there")
    return first


def try_versitygw(scratch, backend):
    with s3.Versitygw(scratch / "store") as store:
        place = f"s3+http://127.0.0.1:{store.port}/{s3.BUCKET}/node"
        kit = Kit(scratch, backend, place, AWS_ACCESS_KEY_ID=s3.KEY, AWS_SECRET_ACCESS_KEY=s3.SECRET)
        first = try_store(kit, store, scratch)
        objects = list((store.folder / "data" / s3.BUCKET / "node").glob("*.car"))
        other = Kit(scratch / "other", backend, place)
        check(len(objects) == 1 and other("dag", "import", "--pin-roots=false", objects[0]) is not None, "another repo takes it in as it is")
        kit.env["AWS_SECRET_ACCESS_KEY"] = "not-the-secret-of-it"
        said = kit.run("cat", first).stderr
        check(b"AWS_SECRET_ACCESS_KEY" in said and b"not-the-secret" not in said, "a wrong secret is said to be so")


def try_sshd(scratch, backend):
    with sftp.Sshd(scratch / "store") as store:
        kit = Kit(scratch, backend, f"sftp://{sftp.USER}@127.0.0.1:{store.port}{store.data}")
        for name, path in (("key", store.key), ("known_hosts", store.known_hosts)):
            (kit.repo / f"tier-cold.{name}").write_bytes(path.read_bytes())
            (kit.repo / f"tier-cold.{name}").chmod(0o600)
        try_store(kit, store, scratch)


def until_moved(kit, root):
    """A volume server that is back has to be found again first; what the move takes then."""
    until = time.monotonic() + peers.READY_SECONDS
    while (done := kit.run("tier", "move", root, "cold")).returncode:
        if time.monotonic() > until:
            raise peers.Failed(f"no move: {done.stderr.decode()}")


def one_of_two_dies(kit, store, file, first):
    """One volume server of two is killed in the middle of the object."""
    data = random.Random(7).randbytes(SIZE)
    file.write_bytes(data)
    root = kit("add", "-Q", file).decode().strip()
    places = kit("config", "tier.places").decode().strip()
    with store.between("up", SIZE // 3, lambda _: store.kill_volume(1)) as between:
        kit("config", "tier.places", places.replace(f":{store.port}/", f":{between.port}/"))
        done = kit.run("tier", "move", root, "cold", timeout=2 * peers.COMMAND_SECONDS)
        said = done.stderr.decode().strip()
        check(between.done.is_set() and store.volumes[1].child.poll() is not None, "a volume server is killed under a move")
        check(done.returncode == 0 or ("the tier cold fails" in said and "is where it was" in said),
              f"which says so: {said}" if done.returncode else "which is made all the same")
    kit("config", "tier.places", places)
    check(kit("cat", root) == data, "what was to be moved is there")
    check(kit("cat", first) == random.Random(3).randbytes(SIZE), "and what lay there already, from the other")
    kit("repo", "verify")
    return root, data


def try_seaweedfs(scratch, backend):
    with s3.SeaweedfsPair(scratch / "store") as store:
        place = f"s3+http://127.0.0.1:{store.port}/{s3.BUCKET}/node"
        kit = Kit(scratch, backend, place, AWS_ACCESS_KEY_ID=s3.KEY, AWS_SECRET_ACCESS_KEY=s3.SECRET)
        file, data = scratch / "file", random.Random(3).randbytes(SIZE)
        file.write_bytes(data)
        first = there_and_back(kit, file, data)
        root, other = one_of_two_dies(kit, store, file, first)
        store.start_volume(1)
        until_moved(kit, root)
        kit("repo", "gc", "--silent")
        row = kit.tier()
        check((row["Objects"], row["Unwanted"]) == (2, 0) and kit.segments() < 1_000_000, "with both, the move is made, and nothing is left of the first one")
        store.kill_volume(0)
        check(kit("cat", first) == data and kit("cat", root) == other, "each of them has all of it")


def masked(text):
    """Without what differs from run to run: numbers, and the room they take."""
    return re.sub(r" +", " ", re.sub(r"[0-9]+(?:[.][0-9]+)?", "N", text)).strip()


def try_example(scratch, backend):
    program = peers.ROOT / os.environ.get("BUILD", "build") / "cli/ipfs-kit"
    done = subprocess.run([peers.ROOT / "examples/tiers.sh", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=dict(os.environ, ANYIO_BACKEND=backend, TMPDIR=str(scratch)), timeout=2 * peers.COMMAND_SECONDS)
    if done.returncode or done.stderr or "the same, byte for byte" not in done.stdout:
        raise peers.Failed(f"the example: {done.returncode} {done.stdout[-1000:]} {done.stderr[-2000:]}")
    readme = (peers.ROOT / "README.md").read_text()
    shown = re.search(r"^```\n(# a repo of at most.*?)^```", readme, re.M | re.S)[1]
    check(masked(shown) == masked(done.stdout), "the example does what README shows")
    check(list(scratch.glob("tmp.*")) == [], "it leaves nothing behind")


def run_one(scratch, part, attempt, backend):
    folder = scratch / f"{part}-{backend}"
    (folder / "other").mkdir(parents=True)
    folder.chmod(0o755)
    attempt(folder, backend)


def run(scratch, parts):
    scratch.chmod(0o755)
    for part, attempt in (("versitygw", try_versitygw), ("sshd", try_sshd), ("example", try_example)):
        for backend in ("uring", "uv"):
            if part in parts:
                print(f"-- {part}, {backend}", flush=True)
                run_one(scratch, part, attempt, backend)
    if "seaweedfs" in parts:
        # Half a minute passes before it gives up a write for which it has one server, and it is asked five times.
        print("-- seaweedfs, uring and uv at the same time", flush=True)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda backend: run_one(scratch, "seaweedfs", try_seaweedfs, backend), ("uring", "uv")))


if __name__ == "__main__":
    sys.exit(peers.main("tiers", run, sys.argv[1:] or ["versitygw", "sshd", "seaweedfs", "example"]))
