#!/usr/bin/env python3
"""Content between our node, Kubo and Helia: peer by direction by case, on both backends.

    matrix.py [--harness] [--pairs A:B,...] [--parts transfers,rpc,cids]

A column "A > B" means that B fetched from A what A had added, and that every byte is the same. Nodes
are named kubo, helia, kit-uring and kit-uv. --harness tries the peers on each other, without our own
node, to show that the drivers work. FULL in the environment takes the large cases. Exits 0, 1, or 77
when a toolchain is missing (with KIT_REQUIRE_ALL=1 that too is a failure).
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import peers
import trees

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "cids"))
import cids  # noqa: E402
from cases import all_cases  # noqa: E402

KITS = ("kit-uring", "kit-uv")
OTHERS = ("kubo", "helia")
FULL = bool(os.environ.get("FULL"))
PROFILE = "unixfs-v1-2025"

# Every name is one of cases.py, so that the CID is known beforehand.
TRANSFERS = ["file-1024-links" if FULL else "file-64m",
             "dir-20000-sharded" if FULL else "dir-2000-sharded",
             "symlink", "file-empty", "dir-empty", "mixed-hidden", "deep-40", "file-1m-x3-above"]
# Over the second connection, with blocks that are still on their way into the fetcher's store when they
# are wanted again.
DIALLED_BACK = ["mixed-hidden", "shared-100"]

# Kubo answers a want for an empty raw block with HAVE and never sends it (the engine of boxo takes
# size 0 for unknown), so Helia cannot fetch these from it but with leaves wrapped in dag-pb. Ours can:
# it knows the empty block without asking.
HOLD_EMPTY_FILES = {"file-empty", "mixed-hidden", "deep-40"}
WRAPPED = "unixfs-v0-2015"
WRAPPED_OPTIONS = ["--cid-version=0", "--raw-leaves=false", "--chunker=size-262144",
                   "--max-file-links=174"]


class Report:
    """What passed and failed, by row and column, in the order first seen."""

    def __init__(self):
        self.cells = {}
        self.counts = {True: 0, False: 0}

    def set(self, row, column, problem, count=1):
        self.cells[row, column] = "FAIL" if problem else "ok" if count == 1 else f"{count} ok"
        self.counts[not problem] += 1 if problem else count
        print(f"{'FAIL' if problem else 'ok  '} {column}: {row}" +
              (f"\n     {problem}" if problem else ""), flush=True)

    def print_matrix(self):
        rows = list(dict.fromkeys(row for row, _ in self.cells))
        columns = list(dict.fromkeys(column for _, column in self.cells))
        width = max(map(len, rows), default=0)
        print()
        for start in range(0, len(columns), 5):
            part = columns[start:start + 5]
            used = [row for row in rows if any((row, column) in self.cells for column in part)]
            print(" " * width, *(f"{column:>21}" for column in part))
            for row in used:
                print(f"{row:<{width}}",
                      *(f"{self.cells.get((row, column), '-'):>21}" for column in part))
            print()


def problem_of(action):
    """Runs action and returns None, or what went wrong in one text."""
    try:
        return action()
    except (peers.Failed, subprocess.SubprocessError, OSError) as error:
        return f"{type(error).__name__}: {error}"


class Matrix:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.report = Report()
        self.expected = cids.read_table()
        self.gen = cids.build_generator(folder)
        self.cases = {case[0]: case for case in all_cases()}
        self.inputs = {}
        self.serial = 0
        self.minutes = {}

    def input(self, name):
        if name not in self.inputs:
            folder = self.folder / "inputs"
            folder.mkdir(exist_ok=True)
            self.inputs[name] = cids.make_input(self.gen, self.cases[name], folder)
        return self.inputs[name]

    @contextlib.contextmanager
    def timed(self, piece):
        """Adds the time of what happens inside to the piece's."""
        began = time.monotonic()
        yield
        self.minutes[piece] = self.minutes.get(piece, 0) + (time.monotonic() - began) / 60

    def place(self):
        """A name in the temporary folder that nothing has yet."""
        self.serial += 1
        return self.folder / f"place-{self.serial}"

    def transfer(self, name, provider, fetcher):
        path, dest = self.input(name), self.place()
        wrapped = (provider.name, fetcher.name) == ("kubo", "helia") and name in HOLD_EMPTY_FILES
        cid = provider.add(path, *(WRAPPED_OPTIONS if wrapped else []))
        expected = self.expected[name, WRAPPED if wrapped else PROFILE]
        if cid != expected:
            return f"{provider.name} made {cid}, expected {expected}"
        fetcher.get(cid, dest)
        different = trees.difference(path, dest)
        cids.remove_input(dest)
        return different

    def pair(self, provider_name, fetcher_name):
        """All transfers over one connection that the fetcher made, then one that it was given."""
        column = f"{provider_name} > {fetcher_name}"
        for names, provider_dials in ((TRANSFERS, False), (DIALLED_BACK, True)):
            with contextlib.ExitStack() as stack:
                folder = pathlib.Path(stack.enter_context(
                    tempfile.TemporaryDirectory(dir=self.folder)))

                def start():
                    nodes.append(stack.enter_context(
                        peers.make_node(provider_name, folder / "provider")))
                    nodes.append(stack.enter_context(
                        peers.make_node(fetcher_name, folder / "fetcher")))
                    dialler, dialled = nodes if provider_dials else nodes[::-1]
                    dialler.connect(dialled.addrs[0])
                    if provider_dials:
                        nodes[1].slow_store()

                nodes = []
                broken = problem_of(start)
                for name in names:
                    row = f"{name} (dialled back)" if provider_dials else name
                    self.report.set(row, column, broken or
                                    problem_of(lambda: self.transfer(name, *nodes)))

    def rpc(self, name):
        """The stock kubo-rpc-client against one node, which it tells to connect to a Helia."""
        def run():
            with tempfile.TemporaryDirectory(dir=self.folder) as folder, \
                    peers.make_node(name, pathlib.Path(folder) / "node") as node, \
                    peers.HeliaNode(pathlib.Path(folder) / "helia") as helia:
                _, _, host, _, port = node.api.split("/")
                programs = peers.js_programs()
                done = subprocess.run(
                    [programs / "node", programs / "rpc-client.mjs", f"http://{host}:{port}",
                     helia.addrs[0]], stdout=subprocess.PIPE, text=True, timeout=120)
                answer = json.loads(done.stdout or '{"error": "no answer"}')
                return None if done.returncode == 0 else f"{answer.get('failed')}: {answer['error']}"

        self.report.set("kubo-rpc-client", name, problem_of(run))

    def same_cids(self, name):
        """`add --only-hash` of our node against every row of expected.tsv."""
        counts = dict.fromkeys(cids.PROFILES, 0)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            node = peers.make_node(name, folder)
            node.init()
            for case in self.cases.values():
                if case[3] and not FULL:
                    continue
                path = self.input(case[0])
                for profile in cids.profiles_of(case):
                    problem = problem_of(lambda: self.one_cid(node, case, profile, path))
                    if problem:
                        self.report.set(f"CID {case[0]}, {profile}", name, problem)
                    else:
                        counts[profile] += 1
                if case[3]:
                    cids.remove_input(self.inputs.pop(case[0]))
        for profile, count in counts.items():
            self.report.set(f"CIDs, {profile}", name, None if count else "none is right", count)

    def one_cid(self, node, case, profile, path):
        cid = node.command("add", "-Q", "--only-hash", "--profile", profile, *case[2], "--", path)
        if cid != self.expected[case[0], profile]:
            return f"{cid}, expected {self.expected[case[0], profile]}"
        return None


def default_pairs():
    pairs = [pair for kit in KITS for other in OTHERS for pair in ((other, kit), (kit, other))]
    return pairs + [KITS, KITS[::-1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness", action="store_true", help="the peers among themselves")
    parser.add_argument("--pairs", help="A:B,... instead of all of ours")
    parser.add_argument("--parts", default="transfers,rpc,cids", help="which of the three to run")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, peers.end_by_signal)
    try:
        peers.kubo_program()
        peers.js_programs()
    except peers.Missing as missing:
        print(f"interop: {missing}")
        return 1 if os.environ.get("KIT_REQUIRE_ALL") == "1" else 77

    pairs = [OTHERS, OTHERS[::-1]] if arguments.harness else default_pairs()
    if arguments.pairs:
        pairs = [tuple(pair.split(":")) for pair in arguments.pairs.split(",")]
    parts = arguments.parts.split(",")
    with tempfile.TemporaryDirectory(prefix="kit-interop-") as folder:
        matrix = Matrix(folder)
        for provider, fetcher in pairs if "transfers" in parts else ():
            with matrix.timed(f"{provider} > {fetcher}"):
                matrix.pair(provider, fetcher)
        for name in (("kubo",) if arguments.harness else KITS) if "rpc" in parts else ():
            with matrix.timed("kubo-rpc-client"):
                matrix.rpc(name)
        for name in KITS if "cids" in parts and not arguments.harness else ():
            with matrix.timed("CIDs"):
                matrix.same_cids(name)
        matrix.report.print_matrix()
    for piece, minutes in matrix.minutes.items():
        print(f"  {piece:<22} {minutes:5.1f} min")
    print(f"{matrix.report.counts[True]} passed, {matrix.report.counts[False]} failed")
    return 1 if matrix.report.counts[False] else 0


if __name__ == "__main__":
    sys.exit(main())
