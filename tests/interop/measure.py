#!/usr/bin/env python3
"""What the peers take for the work that `make bench` compares; the same functions time our own node.

    measure.py NAME... [--mib N] [--runs N]

prints one line of JSON for each measurement: {name, bytes, seconds: [...], and what else is known}.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import peers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "cids"))
import cids  # noqa: E402

SMALL_FILES, SMALL_SIZE = 10000, 4096


def big_file(folder, size):
    """A file of size bytes that no two runs of gen make differently, in the page cache."""
    path = pathlib.Path(folder) / f"file-{size}"
    if not path.exists():
        subprocess.run([cids.build_generator(folder), "file", "1", str(size), path], check=True)
    return path


def small_files(folder):
    """A folder of 10,000 different files of 4 KiB."""
    path = pathlib.Path(folder) / "small"
    if not path.exists():
        subprocess.run([cids.build_generator(folder), "dir", "1", str(SMALL_FILES), "8", "8",
                        str(SMALL_SIZE), path], check=True)
    return path


def add_seconds(node, path):
    """Seconds that `add` takes in a new repo of a CommandNode that has no daemon running."""
    node.init()
    began = time.monotonic()
    node.add(path)
    return time.monotonic() - began


def fetch_seconds(provider, fetcher, cid):
    """Seconds in which fetcher, started and connected but cold, has all of cid from provider.

    Returns (seconds, peak bytes of memory of provider, of fetcher).
    """
    fetcher.connect(provider.addrs[0])
    seconds = fetcher.fetch(cid)
    return seconds, provider.process.peak_memory(), fetcher.process.peak_memory()


def fetch_between(name, folder, path, runs):
    """A new pair of nodes of one kind for each run; returns a measurement."""
    results = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(dir=folder) as place, \
                peers.make_node(name, pathlib.Path(place) / "provider") as provider, \
                peers.make_node(name, pathlib.Path(place) / "fetcher") as fetcher:
            cid = provider.add(path)
            os.sync()  # what was added is not to be written out while it is fetched
            results.append(fetch_seconds(provider, fetcher, cid))
    return {"seconds": [result[0] for result in results],
            "provider_peak": max(result[1] for result in results),
            "fetcher_peak": max(result[2] for result in results)}


def js_perf_seconds(folder, up, down, runs):
    """Seconds of each run of /perf/1.0.0 between two js-libp2p processes, after one to warm up."""
    programs = peers.js_programs()
    node, perf = programs / "node", programs / "perf.mjs"
    server = peers.Process([node, perf, "serve"], pathlib.Path(folder) / "perf.log",
                           stdin=subprocess.PIPE)
    try:
        addr = json.loads(server.line(peers.READY_SECONDS))["addrs"][0]
        done = subprocess.run([node, perf, "dial", addr, str(up), str(down), str(runs + 1)],
                              check=True, stdout=subprocess.PIPE, text=True,
                              timeout=peers.COMMAND_SECONDS)
    finally:
        server.stop()
    return json.loads(done.stdout)["seconds"][1:]


def kubo_adds(folder, path, runs, sync_store):
    seconds = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            node = peers.KuboNode(place, sync_store=sync_store)
            seconds.append(add_seconds(node, path))
    return {"seconds": seconds}


def measurements(folder, size, runs):
    """{name: (bytes moved, function that measures it)}"""
    small = SMALL_FILES * SMALL_SIZE
    return {
        "kubo-add": (size, lambda: kubo_adds(folder, big_file(folder, size), runs, False)),
        "kubo-add-sync": (size, lambda: kubo_adds(folder, big_file(folder, size), runs, True)),
        "kubo-add-small": (small, lambda: kubo_adds(folder, small_files(folder), runs, False)),
        "kubo-add-small-sync": (small, lambda: kubo_adds(folder, small_files(folder), runs, True)),
        "kubo-fetch": (size, lambda: fetch_between("kubo", folder, big_file(folder, size), runs)),
        "helia-fetch": (size, lambda: fetch_between("helia", folder, big_file(folder, size), runs)),
        "js-perf-up": (size, lambda: {"seconds": js_perf_seconds(folder, size, 0, runs)}),
        "js-perf-down": (size, lambda: {"seconds": js_perf_seconds(folder, 0, size, runs)}),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, peers.end_by_signal)
    with tempfile.TemporaryDirectory(prefix="kit-measure-") as folder:
        known = measurements(folder, arguments.mib << 20, arguments.runs)
        for name in arguments.names or known:
            if name not in known:
                parser.error(f"no measurement is called {name}; there are {', '.join(known)}")
            size, measure = known[name]
            result = {"name": name, "bytes": size, **measure()}
            result["mb_per_second"] = round(size / 1e6 / statistics.median(result["seconds"]), 1)
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    try:
        main()
    except peers.Missing as missing:
        print(f"measure: {missing}", file=sys.stderr)
        sys.exit(77)
