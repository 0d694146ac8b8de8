"""Fetching over bitswap between two cold processes, and /perf/1.0.0."""

import json
import os
import shutil

import measure
import peers
from place import MIB, rates, run
from rows import rounds

# What is asked of a get, in MiB/s, of cores that do so much (the words: 2.2 and 1.15 GB/s).
ASKED_RATE, ASKED_CHACHA, ASKED_SHA256 = 400, 2.2e9 / MIB, 1.15e9 / MIB


def our_rate(place, path, size):
    """A daemon started afresh serves; a command with an empty repo fetches, from its start to its end."""
    provider, fetcher = place.new_repo(), place.new_repo()
    cid, _ = place.kit_run(provider, "add", "-Q", path)
    os.sync()
    with place.daemon(provider) as (_, address):
        _, seconds = place.kit_run(fetcher, "get", "--connect", address, "-o", "/dev/null", cid)
    for repo in (provider, fetcher):
        shutil.rmtree(repo.parent)
    return size / MIB / seconds


def peer_rate(place, name, path, size):
    took = measure.fetch_between(name, place.folder, path, 1)
    return size / MIB / took["seconds"][0]


def get_rows(place, table):
    size = place.scaled(1024 * MIB)
    small = place.scaled(128 * MIB)  # Helia takes its time; rates are compared
    path, small_path = place.file(size), place.file(small)
    wanted = {"kubo": (path, size, 3), "helia": (small_path, small, 8)}
    limits = place.program("bench/bench-limits")
    measures = {
        "ours": lambda: our_rate(place, path, size),
        "chacha": lambda: place.number(limits, "chacha", size),
        "sha256": lambda: place.number(limits, "sha256", 1, size),
    }
    missing = {}
    for name, program in (("kubo", peers.kubo_program), ("helia", peers.js_programs)):
        try:
            program()
        except (peers.Missing, peers.Failed) as why:
            missing[name] = why
            continue
        measures[name] = lambda name=name: peer_rate(place, name, *wanted[name][:2])
    took = rounds(measures, place.runs)
    get = f"get {size // MIB} MiB over bitswap, two processes"
    asked = [ASKED_RATE * min(1, chacha / ASKED_CHACHA, sha256 / ASKED_SHA256)
             for chacha, sha256 in zip(took["chacha"], took["sha256"])]
    table.compare(f"{get} / {ASKED_RATE} MiB/s", "MiB/s", took["ours"], limit=[ASKED_RATE] * place.runs)
    table.compare(f"{get} / what is asked of such cores", "MiB/s", took["ours"], 1, limit=asked)
    for name, (_, peer_size, goal) in wanted.items():
        row = f"get {size // MIB} MiB / {name.title()} to {name.title()}"
        if peer_size != size:
            row += f" of {peer_size // MIB} MiB"
        if name in missing:
            table.not_run(row, "MiB/s", goal, missing[name])
        else:
            table.compare(row, "MiB/s", took["ours"], goal, peer=took[name])


def our_perf(place, up, down):
    """MiB/s that our client says of one direction, against our server in another process."""
    peer = place.program("libp2p/tests/p2p-peer")
    server = peers.Process([peer, "listen", "/ip4/127.0.0.1/tcp/0"], place.folder / "perf-ours.log")
    try:
        address = server.line(peers.READY_SECONDS)
        server.drain()
        said = run([peer, "perf", address, up, down]).split()
        return float(said[1] if up else said[4]) * 1e9 / MIB
    finally:
        server.stop()


def perf_rows(place, table):
    size = place.scaled(2048 * MIB)
    js_size = place.scaled(512 * MIB)
    limits = place.program("bench/bench-limits")
    for word, way in (("up", (1, 0)), ("down", (0, 1))):
        measures = {
            "ours": lambda: our_perf(place, size * way[0], size * way[1]),
            "chacha": lambda: place.number(limits, "chacha", size),
        }
        why = None
        try:
            peers.js_programs()
            measures["js"] = lambda: rates(js_size, measure.js_perf_seconds(
                place.folder, js_size * way[0], js_size * way[1], 1))[0]
        except (peers.Missing, peers.Failed) as missing:
            why = missing
        took = rounds(measures, place.runs)
        name = f"/perf/1.0.0 {word}load"
        if why:
            table.not_run(f"{name} / js-libp2p", "MiB/s", 4, why)
        else:
            table.compare(f"{name} / js-libp2p", "MiB/s", took["ours"], 4, peer=took["js"])
        table.compare(f"{name} / one core's ChaCha20-Poly1305", "MiB/s", took["ours"], limit=took["chacha"])


def rows(place, table):
    get_rows(place, table)
    perf_rows(place, table)
