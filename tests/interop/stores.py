"""What the tests of `remote/` share: a store that is started and killed, our client, and a way between that breaks."""

import contextlib
import hashlib
import os
import pathlib
import random
import socket
import subprocess
import threading
import time

import peers
from peers import check

ODD = "x=1 +~*'()&%41!$,;:@\"<>#?[]{}|^`"


class Store:
    """A store in a folder; `with` starts it. kill ends it at once, start again goes on with the same folder. A kind
    has a name, a scheme, prepare (which chooses self.port), words and env, and client, which is our side of it."""

    scheme = "http"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.process = None
        self.prepare()

    def make_bucket(self):
        """What is to be there before anything is put; once it answers."""

    def __enter__(self):
        try:
            self.start()
            self.make_bucket()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.process = peers.Process(self.words(), self.folder / "log", env=self.env())
        self.process.drain()
        until = time.monotonic() + peers.READY_SECONDS
        while True:
            if self.process.child.poll() is not None or time.monotonic() > until:
                raise peers.Failed(f"{self.name} does not start: {self.process.tail()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)

    def kill(self):
        self.process.child.kill()
        self.process.child.wait()

    def stop(self):
        if self.process:
            self.process.stop()

    @property
    def endpoint(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def between(self, direction, count, fault):
        return Between(self.port, direction, count, fault, self.scheme)


class Try:
    """The client: `build/remote/tests/remote-try`, on one backend; place is a bucket or a folder. What secrets returns
    of its environment is shown nowhere."""

    def __init__(self, endpoint, backend, place, prefix, **env):
        program = peers.ROOT / os.environ.get("BUILD", "build") / "remote/tests/remote-try"
        if not program.exists():
            raise peers.Failed(f"{program} is not there: build it first, with libcurl, expat and libssh2")
        self.words = [str(program), endpoint, str(place), prefix]
        self.env = dict(os.environ, ANYIO_BACKEND=backend, TRY_TIMEOUT_MS="60000", **env)

    def secrets(self, env):
        return []

    def run(self, *words, **env):
        done = subprocess.run([*self.words, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=dict(self.env, **env), timeout=peers.COMMAND_SECONDS)
        done.stderr = done.stderr.decode()
        if any(secret in done.stderr for secret in self.secrets(dict(self.env, **env))):
            raise peers.Failed(f"a secret is shown: {done.stderr}")
        return done

    def __call__(self, *words, **env):
        done = self.run(*words, **env)
        if done.returncode:
            raise peers.Failed(f"{words}: {done.stderr}")
        return done.stdout

    def refused(self, error, *words, **env):
        """What it says, when it fails with that error."""
        done = self.run(*words, **env)
        if done.returncode != 1 or not done.stderr.startswith(f"{error}: "):
            raise peers.Failed(f"{words}: {done.returncode} {done.stderr}, not {error}")
        return done.stderr


def make_file(path, size, seed):
    path.write_bytes(random.Random(seed).randbytes(size))
    return path.read_bytes()


class Between:
    """Stands between client and store, passes bytes on, and does `fault` once, when that many have passed one way:
    "up" to the store, "down" from it. The connection that this falls on waits for it, and is cut if it says so."""

    def __init__(self, port, direction, count, fault, scheme):
        self.target, self.direction, self.count, self.fault = port, direction, count, fault
        self.passed = {"up": 0, "down": 0}
        self.done, self.left = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.endpoint = f"{scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.left.set()
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    store = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                for way in ((client, store, "up"), (store, client, "down")):
                    threading.Thread(target=self.pump, args=way, daemon=True).start()

    def pump(self, source, target, direction):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.passed[direction] += len(data)
                if direction == self.direction and self.passed[direction] > self.count and not self.done.is_set():
                    self.done.set()
                    if self.fault(self) == "cut":
                        break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


# ---- what every store must do ----

def contents(client, scratch):
    small, large = scratch / "small", scratch / "large"
    few, many = make_file(small, 300_000, 1), make_file(large, 30_000_001, 2)
    client("put", "small", small)
    check(client("get", "small", 0, 1 << 40) == few, "an object comes back")
    check(client("get", "small", 1000, 50) == few[1000:1050], "a range does")
    check(client("get", "small", 299_990, 50) == few[299_990:], "one beyond the end is cut there")
    check(client("get", "small", 300_000, 50) == b"", "one behind it is empty")
    check(client("head", "small").split()[0] == b"300000", "head says its size")
    client("put", "dir/large", large)
    check(client("get", "dir/large", 0, 1 << 40) == many, "an object sent in parts comes back")
    check(client("get", "dir/large", 16777200, 40) == many[16777200:16777240], "a range over two parts does")
    client("put", "small", large, TRY_PART_SIZE="6000000")
    check(client("get", "small", 29_000_000, 1 << 40) == many[29_000_000:], "it is replaced, by other parts")
    empty = scratch / "empty"
    empty.write_bytes(b"")
    client("put", "empty", empty)
    check(client("get", "empty", 0, 9) == b"" and client("head", "empty").split()[0] == b"0", "an empty one")
    check(client("sweep") == b"0\n", "no upload is left over")


def names(client, scratch):
    small = scratch / "small"
    make_file(small, 100, 3)
    wanted = {"a-b", "a.b", "ab", "a/b", "a/b.c", "a/b-", ODD}
    for name in wanted:
        client("put", f"names/{name}", small)
    listed = [line.split(" ", 1)[1] for line in client("list", "names/").decode().splitlines()]
    check(set(listed) == {f"names/{name}" for name in wanted}, "every name is listed as it was given")
    check(listed == sorted(listed), "in their order")
    check(client("get", f"names/{ODD}", 0, 200) == small.read_bytes(), "an odd one can be read")
    after = [line.split(" ", 1)[1] for line in client("list", "names/", "names/a.b").decode().splitlines()]
    check(after == [name for name in listed if name > "names/a.b"], "and from any of them on")
    for bad in ("", "/a", "a//b", "../a", "a/./b", "a\\b", "a\n", "ä", "a/", "x" * 1020):
        client.refused("EINVAL", "put", bad, small)
    for name in wanted:
        client("delete", f"names/{name}")
    client("delete", "names/a-b")
    check(client("list", "names/") == b"", "they are deleted, twice is no error")


# ---- faults ----

def killed(store, backend, scratch):
    """The store dies in the middle of the second part."""
    large = scratch / "large"
    make_file(large, 20_000_000, 4)

    def kill(_):
        store.kill()
        return "cut"

    with store.between("up", 9_000_000, kill) as between:
        client = store.client(backend, between.endpoint, TRY_PART_SIZE="6000000", TRY_ATTEMPTS="3")
        done = client.run("put", "killed", large)
        check(done.returncode == 1 and between.done.is_set() and
              done.stderr.split(":")[0] in ("ECONNRESET", "EHOSTUNREACH"),
              f"a store killed under an upload is an error: {done.stderr.strip()}")
    store.start()
    client = store.client(backend)
    for _ in range(100):  # SeaweedFS has to find its volumes again
        if client.run("list", "").returncode == 0:
            break
    check(client("list", "killed") == b"", "once it is back, there is no such object")
    check(int(client("sweep")) == 1, "a sweep removes the upload that was left")
    check(client("sweep") == b"0\n", "and then there is none")


def stalled(store, backend, scratch):
    """The connection stands still in the middle of the second part, and the caller's time is over."""
    large = scratch / "large"
    make_file(large, 20_000_000, 4)
    with store.between("up", 9_000_000, lambda between: between.left.wait() and "cut") as between:
        client = store.client(backend, between.endpoint, TRY_PART_SIZE="6000000")
        client.refused("ETIMEDOUT", "put", "stalled", large, TRY_TIMEOUT_MS="3000")
        check(between.done.is_set(), "an upload is cut off by its caller's deadline")
    client = store.client(backend)
    check(client("sweep") == b"0\n" and client("list", "stalled") == b"", "and leaves no parts")


def silent(store, backend, scratch):
    """The same, but nobody has a deadline: the silence is noticed, and the part sent again."""
    large = scratch / "large"
    sent = make_file(large, 20_000_000, 5)
    with store.between("up", 9_000_000, lambda between: between.left.wait() and "cut") as between:
        client = store.client(backend, between.endpoint, TRY_PART_SIZE="6000000", TRY_SILENCE_S="2")
        client("put", "silent", large)
        check(between.done.is_set() and hashlib.sha256(client("get", "silent", 0, 1 << 40)).digest() ==
              hashlib.sha256(sent).digest(), "a connection gone silent is given up, and the part sent again")


def dropped(store, backend, scratch):
    """The connection breaks under the second part; with SeaweedFS it is the first one's, and libcurl itself begins anew."""
    large = scratch / "large"
    sent = make_file(large, 20_000_000, 10)
    with store.between("up", 9_000_000, lambda _: "cut") as between:
        store.client(backend, between.endpoint, TRY_PART_SIZE="6000000")("put", "dropped", large)
        check(between.done.is_set() and store.client(backend)("get", "dropped", 0, 1 << 40) == sent,
              "a connection that breaks under a part costs that part alone")


def torn(store, backend, scratch):
    large = scratch / "large"
    sent = make_file(large, 20_000_000, 6)
    store.client(backend)("put", "torn", large)
    with store.between("down", 9_000_000, lambda _: "cut") as between:
        got = store.client(backend, between.endpoint)("get", "torn", 0, 1 << 40)
        check(between.done.is_set() and got == sent, "a download that breaks is taken up where it broke")


def replaced(store, backend, scratch):
    """Another object takes the place of the one that is being read, when the connection breaks."""
    large = scratch / "large"
    make_file(large, 20_000_000, 7)
    direct = store.client(backend)
    direct("put", "replaced", large)
    make_file(large, 20_000_000, 8)
    with store.between("down", 9_000_000, lambda _: direct("put", "replaced", large) and None or "cut") as between:
        store.client(backend, between.endpoint).refused("EBADMSG", "get", "replaced", 0, 1 << 40)
        check(between.done.is_set(), "two objects of one name are never mixed")


FAULTS = (stalled, silent, dropped, torn, replaced, killed)
