"""The runtime by itself: against what was asked, the machine's bare limits, and the runtimes of others.

Every measure has one name everywhere: `bench-runtime NAME` is ours, `bench-bare NAME` the limit, and the
programs under peers/ take the same words. A peer whose toolchain is not here is said once and left out.
"""

import contextlib
import sys

import peers
from congestion import use_reno
from place import build_peer, run
from rows import rounds

BACKENDS = ("uring", "uv")
MILLION = 1000000
PYTHONS = ("asyncio", "Trio", "AnyIO")
TIMES_PYTHON = 50


class Programs:
    """Ours, the bare ones and the peers', each a function from words to a number."""

    def __init__(self, place):
        self.place = place
        self.runtime = place.program("bench/runtime/bench-runtime")
        self.bare = place.program("bench/bare/bench-bare")
        self.peers = {}
        for folder, names in (("go", ("Go, 1 thread", "Go, 2 threads")), ("tokio", ("tokio",)),
                              ("node", ("Node",)), ("python", PYTHONS), ("boost", ("Boost.Fiber",))):
            words = self.build(folder)
            for name in names if words else ():
                self.peers[name] = words + ([name.lower()] if name in PYTHONS else [])

    @staticmethod
    def build(folder):
        try:
            return build_peer(folder)
        except peers.Missing as why:
            print(f"bench: left out: {why}", file=sys.stderr)
            return None

    def ours(self, backend, *words):
        return ["env", f"ANYIO_BACKEND={backend}", self.runtime, *words]

    def limit(self, *words):
        return [self.bare, *words]

    def peer(self, name, *words):
        threads = ["env", f"GOMAXPROCS={name[4]}"] if name.startswith("Go") else []
        return [*threads, *self.peers[name], *words]

    def having(self, names):
        return [name for name in names if name in self.peers]


def numbers(words, cores):
    """The numbers on the last line that a command prints: what has a warm round prints that before."""
    return [float(number) for number in run(words, cores).splitlines()[-1].split()]


def first(words, cores):
    return numbers(words, cores)[0]


def measure(programs, words, limit=None, others=(), more=None, runs=None, cores="1"):
    """{label: [number a round]} of one measure: both backends, the bare limit, the peers, and more commands."""
    commands = {backend: programs.ours(backend, *words) for backend in BACKENDS}
    if limit:
        commands["bare"] = programs.limit(*limit)
    for name in programs.having(others):
        commands[name] = programs.peer(name, *words)
    commands.update(more or {})
    alone = {name: None if name == "Go, 2 threads" else cores for name in commands}
    return rounds({name: lambda name=name: first(commands[name], alone[name]) for name in commands},
                  runs or programs.place.runs)


def less(table, name, unit, took, asked=None, times=None):
    """The rows of a measure of which less is better; times is {peer: how many times faster was asked}."""
    for backend in BACKENDS:
        if asked is not None:
            table.compare(f"{name}, {backend} / asked", unit, took[backend], goal=1, less_is_better=True,
                          limit=[asked] * len(took[backend]), quartiles=True)
    table.compare(f"{name}, uring / uv", unit, took["uring"], peer=took["uv"], less_is_better=True,
                  quartiles=True)
    for other in took:
        if other not in BACKENDS:
            for backend in BACKENDS if (times or {}).get(other) else BACKENDS[:1]:
                kind = {"limit" if other == "bare" else "peer": took[other]}
                table.compare(f"{name}, {backend} / {other}", unit, took[backend], less_is_better=True,
                              goal=(times or {}).get(other), quartiles=True, **kind)


def task_rows(programs, table):
    compiled = ("Boost.Fiber", "tokio", "Go, 1 thread", "Go, 2 threads", "Node")
    faster = dict.fromkeys(PYTHONS, TIMES_PYTHON)
    context = {"Boost.Context, bare": programs.peer(name, "context") for name in programs.having(("Boost.Fiber",))}
    less(table, "switch to another task", "ns",
         measure(programs, ["switch"], ["switch"], (*compiled, *PYTHONS), context), 15)
    for count in ("1", "1000"):
        less(table, f"spawn and join, groups of {count}", "ns",
             measure(programs, ["spawn", count], ["spawn", count], (*compiled, *PYTHONS)), 60, faster)
    less(table, "item handed over", "ns",
         measure(programs, ["handover"], ["handover"], (*compiled, *PYTHONS)), 50, faster)
    less(table, "timeout that is over", "ns",
         measure(programs, ["timeout"], None, ("Go, 1 thread", "Go, 2 threads", *PYTHONS)), None, faster)
    less(table, "spawn, cancel, join, groups of 1000", "ns",
         measure(programs, ["cancel", "1000"], None, ("tokio", "Go, 1 thread", "Go, 2 threads", *PYTHONS)),
         None, faster)


def timer_rows(programs, table):
    count = str(programs.place.scaled(MILLION))
    less(table, f"set and cancel a timeout, {count} pending", "ns",
         measure(programs, ["timers", count], ["timers-uv", count],
                 ("tokio", "Go, 1 thread", "Go, 2 threads", "Node", "asyncio")), 100)
    less(table, f"move a random one of {count} timeouts", "ns",
         measure(programs, ["moved", count], ["touch", count]))
    count = str(programs.place.scaled(900000))  # a task each, and one that watches
    less(table, f"longest turn as {count} timeouts end in a second", "ms",
         measure(programs, ["fired", count], runs=min(3, programs.place.runs)))


def memory_rows(programs, table):
    """Numbers that hardly vary: three rounds."""
    runs, count = min(3, programs.place.runs), str(programs.place.scaled(MILLION))
    commands = {backend: programs.ours(backend, "parked", count) for backend in BACKENDS}
    for name in programs.having(("tokio", "Go, 1 thread", "Node")):
        commands[name] = programs.peer(name, "parked", count)
    for name in programs.having(("Boost.Fiber",)):  # its guards end near 32,000
        commands[f"{name}, 30,000"] = programs.peer(name, "parked", "30000")
    parked = rounds({label: lambda words=words: numbers(words, None) for label, words in commands.items()}, runs)
    took = {label: [size for size, _ in results] for label, results in parked.items()}
    less(table, f"memory of a parked task, {count} of them", "B", took, 4.3 * 1024)
    for backend in BACKENDS:
        table.compare(f"live tasks with guards, {backend} / asked", "tasks", [alive for _, alive in parked[backend]],
                      goal=1, limit=[float(count)] * runs, quartiles=True)


@contextlib.contextmanager
def server(programs, words):
    """A server on the first core; gives its port."""
    process = peers.Process(["taskset", "-c", "0", *words], programs.place.folder / "server.log")
    try:
        port = process.line(peers.READY_SECONDS)
        use_reno(process.child.pid)
        yield port
    finally:
        process.stop()


def echo_rate(programs, words, connections, size, seconds):
    with server(programs, words) as port:
        return first(programs.limit("load", port, connections, size, seconds), "1")


def echo_rows(programs, table):
    seconds = 0.5 if programs.place.scale == 1 else 0.2
    for connections in (1, 64, 1000):
        for size, name in ((64, "64 B"), (65536, "64 KiB")):
            commands = {"uring": programs.ours("uring", "echo"), "uv": programs.ours("uv", "echo"),
                        **{f"bare {loop}": programs.limit(f"echo-{loop}") for loop in ("uring", "uv", "epoll")}}
            if connections == 64:
                for other in programs.having(("tokio", "Go, 1 thread", "Node", "asyncio")):
                    commands[other] = programs.peer(other, "echo")
            took = rounds({label: lambda words=words: echo_rate(programs, words, connections, size, seconds)
                           for label, words in commands.items()}, programs.place.runs)
            title = f"echo {name}, {connections} connections"
            for backend in BACKENDS:
                table.compare(f"{title}, {backend} / bare {backend}", "k/s", took[backend], goal=0.95,
                              limit=took[f"bare {backend}"], quartiles=True)
            for other in took:
                if other not in ("uring", "bare uring", "bare uv"):
                    table.compare(f"{title}, uring / {other}", "k/s", took["uring"], peer=took[other],
                                  quartiles=True)


def bulk_rate(programs, sink, pour):
    seconds = 1 if programs.place.scale == 1 else 0.3
    with server(programs, sink) as port:
        return first([*pour, port, seconds], "1")


def bulk_rows(programs, table):
    commands = {backend: (programs.ours(backend, "sink"), programs.ours(backend, "pour")) for backend in BACKENDS}
    commands["blocking"] = (programs.limit("sink"), programs.limit("pour"))
    took = rounds({label: lambda pair=pair: bulk_rate(programs, *pair) for label, pair in commands.items()},
                  programs.place.runs)
    for backend in BACKENDS:
        table.compare(f"bulk TCP, {backend} / blocking sockets", "GB/s", took[backend], goal=0.95,
                      limit=took["blocking"], quartiles=True)
    table.compare("bulk TCP, uring / uv", "GB/s", took["uring"], peer=took["uv"], quartiles=True)


def thread_rows(programs, table):
    took = measure(programs, ["thread"], ["calls-uv"], ("tokio", *PYTHONS), cores=None)
    took["libuv's pool"] = took.pop("bare")
    for backend in BACKENDS:
        table.compare(f"call on a thread, {backend} / libuv's pool", "ns", took[backend], goal=1,
                      peer=took["libuv's pool"], less_is_better=True, quartiles=True)
    del took["libuv's pool"]
    less(table, "call on a thread", "ns", took)


def rows(place, table):
    programs = Programs(place)
    task_rows(programs, table)
    timer_rows(programs, table)
    memory_rows(programs, table)
    echo_rows(programs, table)
    bulk_rows(programs, table)
    thread_rows(programs, table)
