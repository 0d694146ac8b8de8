"""Nodes that the tests and benchmarks drive: Kubo, Helia, and our own, behind one set of methods.

A node lives in a folder of its own, listens on a loopback port that the system chooses, and talks
to nobody it was not told to connect to. Use it in a `with` block: leaving it ends the process by its own
handle. `make_node` makes one by name: kubo, helia, kit-uring, kit-uv.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

READY_SECONDS = 60
COMMAND_SECONDS = 900 if os.environ.get("FULL") else 120
STOP_SECONDS = 20


class Missing(Exception):
    """A toolchain that a peer is built with is not on this machine."""


class Failed(Exception):
    """A node or a command of one did not do what it was asked; the text says what it printed."""


def check(condition, text):
    """One thing that a test shows."""
    if not condition:
        raise Failed(text)
    print(f"ok: {text}", flush=True)


def main(name, run, *arguments):
    """A test program: run(scratch, *arguments) in a folder of its own. Returns the exit code: 0, 1, or 77 when a toolchain
    is missing (with KIT_REQUIRE_ALL=1 that too is a failure)."""
    signal.signal(signal.SIGTERM, end_by_signal)
    with tempfile.TemporaryDirectory(prefix=f"kit-{name}-") as scratch:
        try:
            run(pathlib.Path(scratch), *arguments)
        except Missing as missing:
            print(f"skipped: {missing}")
            return 1 if os.environ.get("KIT_REQUIRE_ALL") == "1" else 77
        except Failed as failed:
            print(f"FAILED: {failed}")
            return 1
    return 0


reserved = []  # sockets that are bound and never listen, until the program ends


def reserve_ports(count):
    """Ports that a server started here can listen on, and whose number plus 10,000 is one too: SeaweedFS takes that for
    itself. Until this program ends nobody else is given them, neither another test nor a connection, whose port the system
    chooses (from 32768 on, by default). A server asks for SO_REUSEADDR, which lets it in beside one that does not listen."""
    ports = []
    while len(ports) < count:
        port = random.randrange(10000, 22000)
        pair = [socket.socket(), socket.socket()]
        try:
            for held, number in zip(pair, (port, port + 10000)):
                held.bind(("127.0.0.1", number))  # not yet with SO_REUSEADDR: of two tests, one is refused
        except OSError:
            for held in pair:
                held.close()
            continue
        for held in pair:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.extend(pair)
        ports.append(port)
    return ports


def run_builder(script):
    """Runs build.sh or install.sh and returns the path that it prints last."""
    done = subprocess.run([HERE / script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode == 77:
        raise Missing(done.stderr.strip())
    if done.returncode != 0:
        raise Failed(f"{script}: {done.stderr[-2000:]}")
    return pathlib.Path(done.stdout.splitlines()[-1])


def kubo_program():
    return run_builder("kubo/build.sh")


def js_programs():
    return run_builder("js/install.sh")


def kit_program():
    program = pathlib.Path(os.environ.get("IPFS_KIT", ROOT / os.environ.get("BUILD", "build") / "ipfs-kit"))
    if not program.exists():
        raise Failed(f"{program} is not there: build it first")
    return program.resolve()


class Process:
    """A child whose standard output is read by lines; its standard error goes to a log file."""

    def __init__(self, words, log, env=None, stdin=subprocess.DEVNULL):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as errors:
            self.child = subprocess.Popen([str(word) for word in words], stdin=stdin,
                                          stdout=subprocess.PIPE, stderr=errors, env=env, text=True)

    def line(self, seconds):
        """The next line without its end; Failed when the child ends or the time passes."""
        watch = threading.Timer(seconds, self.child.kill)
        watch.start()
        line = self.child.stdout.readline()
        watch.cancel()
        if not line:
            self.child.wait()
            raise Failed(f"{self.child.args[0]} ended with {self.child.returncode}: {self.tail()}")
        return line.rstrip("\n")

    def drain(self):
        """Reads the rest of the output in the background, so that the child never blocks on it."""
        threading.Thread(target=self.child.stdout.read, daemon=True).start()

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def peak_memory(self):
        """The child's peak resident memory in bytes."""
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise Failed("no VmHWM in /proc")

    def stop(self):
        """Asks the child to end, insists after a while, and returns its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
        code = self.child.wait()
        if self.child.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.child.stdin.close()
        return code


class Node:
    """What every peer can do. `addrs` are multiaddrs that end in /p2p/ID, known once started."""

    name = "node"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.addrs = []

    def __enter__(self):
        try:
            self.init()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def log(self):
        return self.folder / "log"

    def slow_store(self):
        """From now on blocks take a while to be stored, in a node that can be told so."""


class CommandNode(Node):
    """A node with a command line: a daemon, and commands that find it through the repo."""

    program = None
    env = None

    def command(self, *words, **options):
        """Runs one command and returns what it printed, without the final newline."""
        try:
            done = subprocess.run([str(self.program), *map(str, words)], env=self.env, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=COMMAND_SECONDS, **options)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} {' '.join(map(str, words))}: no end in {COMMAND_SECONDS} s")
        if done.returncode != 0:
            raise Failed(f"{self.name} {' '.join(map(str, words))}: exit {done.returncode}: "
                         f"{done.stderr.strip()[-1000:]}")
        return done.stdout.rstrip("\n")

    def get(self, cid, dest):
        """Fetches cid to dest and returns the seconds that the command took."""
        began = time.monotonic()
        self.command("get", "-o", dest, cid)
        return time.monotonic() - began

    def fetch(self, cid):
        """Fetches cid into the node's own store and returns the seconds that it took."""
        return self.get(cid, "/dev/null")

    def connect(self, addr):
        self.command("swarm", "connect", addr)

    def peers(self):
        return self.command("swarm", "peers").splitlines()

    def pinned(self):
        return set(self.command("pin", "ls", "--type=recursive", "--quiet").splitlines())


class KuboNode(CommandNode):
    """The real Kubo, as it comes but for being on its own: no bootstrap, no routing, no telemetry.

    sync_store turns on Datastore.Spec's sync, which is off as shipped. profile is one of Kubo's
    config profiles to apply; without it Kubo adds as shipped. datastore is the profile of a store other
    than flatfs.
    """

    name = "kubo"

    def __init__(self, folder, sync_store=False, profile=None, datastore=None):
        super().__init__(folder)
        self.program = kubo_program()
        self.env = dict(os.environ, IPFS_PATH=str(self.folder / "repo"), IPFS_TELEMETRY="off")
        self.sync_store = sync_store
        self.profile = profile
        self.datastore = datastore
        self.api = None

    def init(self):
        if (self.folder / "repo" / "config").exists():
            return
        self.command("init", f"--profile=test,{self.datastore}" if self.datastore else "--profile=test")
        self.command("config", "--json", "Provide.Enabled", "false")
        self.command("config", "Routing.Type", "none")
        if self.profile:
            self.command("config", "profile", "apply", self.profile)
        if self.sync_store:
            self.set_sync()

    def set_sync(self):
        config = self.folder / "repo" / "config"
        settings = json.loads(config.read_text())
        spec = settings["Datastore"]["Spec"]
        for mount in spec.get("mounts", ()):
            mount["sync"] = True
        if spec["type"] == "badgerds":
            spec["syncWrites"] = True
        config.write_text(json.dumps(settings))

    def start(self):
        self.process = Process([self.program, "daemon"], self.log(), self.env)
        while "Daemon is ready" not in (line := self.process.line(READY_SECONDS)):
            if line.startswith("RPC API server listening on "):
                self.api = line.split()[-1]
        self.process.drain()
        self.addrs = self.command("id", "-f", "<addrs>").splitlines()

    def add(self, path, *options):
        return self.command("add", "-Q", "-r", "--hidden", *options, "--", path)

    def get(self, cid, dest):
        """`ipfs get` asks for one file after the other; pinning first fetches many at once."""
        began = time.monotonic()
        self.command("pin", "add", cid)
        self.command("get", "-o", dest, cid)
        return time.monotonic() - began

    def id(self):
        return self.command("id", "-f", "<id>")

    def fetch(self, cid):
        began = time.monotonic()
        subprocess.run([self.program, "cat", cid], env=self.env, stdout=subprocess.DEVNULL,
                       check=True, timeout=COMMAND_SECONDS)
        return time.monotonic() - began


class KitNode(CommandNode):
    """Our own node, on the backend it is told to use."""

    def __init__(self, folder, backend="uring"):
        super().__init__(folder)
        self.name = f"kit-{backend}"
        self.program = kit_program()
        self.env = dict(os.environ, IPFS_KIT_PATH=str(self.folder / "repo"), ANYIO_BACKEND=backend)
        self.api = None

    def init(self):
        if not (self.folder / "repo").exists():
            self.command("init")

    def start(self, *options):
        words = [self.program, "daemon", "--listen", "/ip4/127.0.0.1/tcp/0",
                 "--api", "/ip4/127.0.0.1/tcp/0", *options]
        self.process = Process(words, self.log(), self.env)
        self.addrs = []
        while (line := self.process.line(READY_SECONDS)) != "daemon is ready":
            last = line.split()[-1]
            if line.startswith("API"):
                self.api = last
            elif last.startswith("/"):
                self.addrs.append(last)
        self.process.drain()
        peer = self.id()
        self.addrs = [addr if "/p2p/" in addr else f"{addr}/p2p/{peer}" for addr in self.addrs]

    def add(self, path, *options):
        return self.command("add", "-Q", "-r", "--hidden", *options, "--", path)

    def id(self):
        return self.command("id").splitlines()[0].split()[-1]


class HeliaNode(Node):
    """Helia with bitswap over TCP, Noise and Yamux; its blocks are in files."""

    name = "helia"

    def __init__(self, folder):
        super().__init__(folder)
        self.programs = js_programs()

    def init(self):
        pass

    def start(self):
        words = [self.programs / "node", self.programs / "helia-node.mjs", self.folder / "blocks"]
        self.process = Process(words, self.log(), stdin=subprocess.PIPE)
        self.addrs = json.loads(self.process.line(READY_SECONDS))["addrs"]

    def ask(self, **request):
        """Sends one request to helia-node.mjs and returns its answer."""
        request["seconds"] = COMMAND_SECONDS
        self.process.child.stdin.write(json.dumps(request) + "\n")
        self.process.child.stdin.flush()
        answer = json.loads(self.process.line(COMMAND_SECONDS + STOP_SECONDS))
        if "error" in answer:
            raise Failed(f"helia {request}: {answer['error'][:1000]}")
        return answer

    def add(self, path, profile="unixfs-v1-2025"):
        return self.ask(do="add", path=str(path), profile=profile)["cid"]

    def get(self, cid, dest):
        return self.ask(do="fetch", cid=cid, dest=str(dest))["seconds"]

    def fetch(self, cid):
        return self.ask(do="fetch", cid=cid, dest="")["seconds"]

    def connect(self, addr):
        self.ask(do="connect", addr=addr)

    def slow_store(self):
        self.ask(do="slow", milliseconds=100)


def end_by_signal(*_):
    """For SIGTERM: leaves every `with` block, so that nodes end and their folders go."""
    raise SystemExit(143)


def make_node(name, folder):
    """A node by name, all adding with the profile unixfs-v1-2025."""
    if name == "kubo":
        return KuboNode(folder, profile="unixfs-v1-2025")
    if name == "helia":
        return HeliaNode(folder)
    return KitNode(folder, name.removeprefix("kit-"))
