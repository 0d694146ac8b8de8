"""Memory: an idle daemon, an idle connection, and reading a file larger than memory should ever be."""

import shutil
import time

import peers
from place import MIB, status
from rows import rounds

CONNECTIONS = 1000


def settled(pid, field):
    """The field once it has stopped falling: freed stacks and buffers go back a little later."""
    least, since = status(pid, field), time.monotonic()
    while time.monotonic() - since < 1:
        time.sleep(0.1)
        now = status(pid, field)
        if now < least:
            least, since = now, time.monotonic()
    return least


def idle_daemon(place):
    repo = place.new_repo()
    with place.daemon(repo) as (process, _):
        sizes = [settled(process.child.pid, field) / 1024 for field in ("VmRSS", "RssAnon")]
    shutil.rmtree(repo.parent)
    return sizes


def idle_connection(place, count):
    """KiB of RssAnon that a listening host grows by for each connection that has been identified."""
    peer = place.program("libp2p/tests/p2p-peer")
    server = peers.Process([peer, "listen", "/ip4/127.0.0.1/tcp/0"], place.folder / "idle-server.log")
    client = None
    try:
        address = server.line(peers.READY_SECONDS)
        server.drain()
        before = settled(server.child.pid, "RssAnon")
        client = peers.Process([peer, "idle", address, count], place.folder / "idle-client.log")
        client.line(600)
        return (settled(server.child.pid, "RssAnon") - before) / count
    finally:
        for process in (client, server):
            if process:
                process.stop()


def cat_peak(place, size):
    """Peak MiB of `cat` of a file of that size, and of the `add` before it."""
    limits = place.program("bench/bench-limits")
    repo = place.new_repo()
    path = place.file(size)
    add = place.number(limits, "peak", place.kit, "--repo", repo, "add", "-Q", path)
    cid, _ = place.kit_run(repo, "add", "-Q", "-n", path)
    cat = place.number(limits, "peak", place.kit, "--repo", repo, "cat", cid)
    path.unlink()
    shutil.rmtree(repo.parent)
    return add, cat


def rows(place, table):
    def limited(name, unit, values, limit, goal=1):
        table.compare(name, unit, values, goal, limit=[limit] * len(values), less_is_better=True)

    daemons = rounds({"idle": lambda: idle_daemon(place)}, place.runs)["idle"]
    limited("idle daemon, empty repo: VmRSS", "MiB", [each[0] for each in daemons], 10)
    limited("idle daemon, empty repo: RssAnon", "MiB", [each[1] for each in daemons], 4)
    count = place.scaled(CONNECTIONS)
    growth = rounds({"idle": lambda: idle_connection(place, count)}, place.runs)["idle"]
    limited(f"idle connection after identify: RssAnon, of {count}", "KiB", growth, 16)
    size = place.scaled(4096 * MIB)
    peaks = rounds({"peaks": lambda: cat_peak(place, size)}, place.runs)["peaks"]
    limited(f"cat {size // MIB} MiB: peak memory", "MiB", [each[1] for each in peaks], 64)
    limited(f"add {size // MIB} MiB: peak memory", "MiB", [each[0] for each in peaks], 64, goal=None)
