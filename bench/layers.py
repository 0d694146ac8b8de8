"""Layers by themselves, for orientation; nothing is asked of them here."""

import os
import shutil

import peers
from rows import rounds

BACKENDS = ("uring", "uv")
CONNECTIONS = 64


def echo_rate(place, words, seconds, backend=None):
    """Thousands of echoes a second that a server on a port of its own gives the load."""
    env = dict(os.environ, ANYIO_BACKEND=backend) if backend else None
    server = peers.Process(words, place.folder / "echo.log", env)
    try:
        port = server.line(peers.READY_SECONDS)
        return place.number(place.program("bench/bench-echo"), "load", port, CONNECTIONS, seconds)
    finally:
        server.stop()


def runtime_rows(place, table):
    program = place.program("bench/bench-runtime")
    seconds = 2 if place.scale == 1 else 0.5
    took = rounds({
        "switch": lambda: place.number(program, "switch"),
        "contexts": lambda: place.number(program, "contexts"),
        "spawn": lambda: place.number(program, "spawn"),
        "threads": lambda: place.number(program, "threads"),
        "bare": lambda: echo_rate(place, [place.program("bench/bench-echo"), "serve"], seconds),
        **{name: lambda name=name: echo_rate(place, [program, "echo"], seconds, name) for name in BACKENDS},
    }, place.runs)
    table.compare("runtime: one switch through a checkpoint / swapcontext", "ns", took["switch"],
                  peer=took["contexts"], less_is_better=True)
    table.compare("runtime: spawn and join, 1,000 at a time / pthread", "ns", took["spawn"],
                  peer=took["threads"], less_is_better=True)
    for name in BACKENDS:
        table.compare(f"runtime: echo of 64 B, {CONNECTIONS} connections, {name} / bare epoll", "k/s", took[name],
                      limit=took["bare"])


def store_rows(place, table):
    program = place.program("bench/bench-store")
    for size, full, words in ((256 << 10, 2048, "256 KiB"), (1024, 65536, "1 KiB")):
        count = place.scaled(full)

        def once():
            with place.temporary() as ours, place.temporary() as bare:
                return [place.number(program, what, folder, count, size)
                        for what, folder in (("bare-puts", bare), ("puts", ours), ("bare-gets", bare),
                                             ("gets", ours))]

        took = list(zip(*rounds({"all": once}, place.runs)["all"]))
        table.compare(f"store: puts of {words}, synced every 64 / bare appends", "op/s", took[1], limit=took[0])
        table.compare(f"store: gets of {words}, one by one / pread and SHA-256", "op/s", took[3], limit=took[2])


def rows(place, table):
    runtime_rows(place, table)
    store_rows(place, table)
