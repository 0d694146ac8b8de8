#!/usr/bin/env python3
"""Our S3 client with stores that nobody here wrote: versitygw over a folder, SeaweedFS with all its servers.

    s3.py [versitygw | seaweedfs | faults]...

On both backends of the runtime: what goes in comes out, whole, in parts and by ranges; names with every character; lists over
pages; and what is wrong with key, secret, bucket, certificate or endpoint is said. Then the faults: a store that
is killed in the middle of an upload, one that stalls, a download that is cut off, one that answers 503 until the breaker
opens. Exits 0, 1, or 77 when a store cannot be built (with KIT_REQUIRE_ALL=1 that too is a failure).
"""

import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time

import peers

KEY, SECRET = "tester", "a-very-secret-secret"
BUCKET = "bucket"
ODD = "x=1 +~*'()&%41!$,;:@\"<>#?[]{}|^`"
READY_SECONDS = 60


def check(condition, text):
    if not condition:
        raise peers.Failed(text)
    print(f"ok: {text}", flush=True)


def free_ports(count):
    """Ports that nobody has now, and whose number plus 10,000 is one too: SeaweedFS takes that for itself."""
    with contextlib.ExitStack() as held:
        ports = []
        while len(ports) < count:
            port = random.randrange(20000, 32000)
            try:
                for number in (port, port + 10000):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                continue
            ports.append(port)
        return ports


class Store:
    """A store in a folder; `with` starts it. kill ends it at once, start again goes on with the same folder."""

    builder = None

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.program = peers.run_builder(self.builder)
        self.process = None
        self.prepare()

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
        until = time.monotonic() + READY_SECONDS
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
        return f"http://127.0.0.1:{self.port}"


class Versitygw(Store):
    name, builder = "versitygw", "versitygw/build.sh"
    certificate = None

    def prepare(self):
        (self.port,) = free_ports(1)
        (self.folder / "data" / BUCKET).mkdir(parents=True)

    def env(self):
        return dict(os.environ, ROOT_ACCESS_KEY=KEY, ROOT_SECRET_KEY=SECRET)

    def words(self):
        tls = ["--cert", self.certificate, "--key", self.folder / "key.pem"] if self.certificate else []
        return [self.program, "--port", f"127.0.0.1:{self.port}", "--quiet", *tls, "posix",
                self.folder / "data"]

    def make_bucket(self):
        pass  # a folder is one


class VersitygwTls(Versitygw):
    """The same with a certificate that it has signed itself."""

    def prepare(self):
        super().prepare()
        self.certificate = self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", self.folder / "key.pem", "-out", self.certificate],
                       check=True, stderr=subprocess.DEVNULL)

    @property
    def endpoint(self):
        return f"https://127.0.0.1:{self.port}"


class Seaweedfs(Store):
    """Master, volume server, filer and gateway in one process, which talks to nobody outside."""

    name, builder = "seaweedfs", "seaweedfs/build.sh"

    def prepare(self):
        self.port, self.master, self.volume, self.filer = free_ports(4)
        (self.folder / "data").mkdir(parents=True)
        identity = {"name": KEY, "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
                    "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    def env(self):
        return dict(os.environ)

    def words(self):
        return [self.program, f"-logdir={self.folder}", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                f"-dir={self.folder}/data", "-master.telemetry=false", "-master.telemetry.url=",
                "-master.volumeSizeLimitMB=64", "-volume.max=20", f"-master.port={self.master}",
                f"-volume.port={self.volume}", "-filer", f"-filer.port={self.filer}",
                f"-filer.localSocket={self.folder}/filer.sock", "-s3", f"-s3.port={self.port}",
                f"-s3.localSocket={self.folder}/s3.sock", f"-s3.config={self.folder}/s3.json",
                "-s3.port.iceberg=0", "-s3.port.lance=0"]

    def stop(self):
        super().stop()
        pathlib.Path(f"/tmp/seaweedfs-master-grpc-{self.master + 10000}.sock").unlink(missing_ok=True)  # it leaves that

    def make_bucket(self):
        # It makes a bucket at the first put of somebody who may; it needs a moment until its volumes are there.
        until = time.monotonic() + READY_SECONDS
        warm = self.folder / "warm"
        warm.write_bytes(b"warm")
        while (done := Try(self.endpoint, "uv").run("put", "warm", warm)).returncode:
            if time.monotonic() > until:
                raise peers.Failed(f"no bucket: {done.stderr}")
        Try(self.endpoint, "uv")("delete", "warm")


class Try:
    """The client: `build/remote/tests/remote-try`, on one backend."""

    def __init__(self, endpoint, backend, bucket=BUCKET, prefix="node/", **env):
        program = peers.ROOT / os.environ.get("BUILD", "build") / "remote/tests/remote-try"
        if not program.exists():
            raise peers.Failed(f"{program} is not there: build it first, with libcurl and expat")
        self.words = [str(program), endpoint, bucket, prefix]
        self.env = dict(os.environ, ANYIO_BACKEND=backend, AWS_ACCESS_KEY_ID=KEY,
                        AWS_SECRET_ACCESS_KEY=SECRET, TRY_TIMEOUT_MS="60000", **env)

    def run(self, *words, **env):
        done = subprocess.run([*self.words, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=dict(self.env, **env), timeout=peers.COMMAND_SECONDS)
        done.stderr = done.stderr.decode()
        if self.env["AWS_SECRET_ACCESS_KEY"] in done.stderr or env.get("AWS_SECRET_ACCESS_KEY", "\0") in done.stderr:
            raise peers.Failed(f"the secret is shown: {done.stderr}")
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


# ---- what every store must do ----

def make_file(path, size, seed):
    path.write_bytes(random.Random(seed).randbytes(size))
    return path.read_bytes()


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


def refusals(store, client, backend, scratch):
    small = scratch / "small"
    make_file(small, 300_000, 1)
    check("no such object" in client.refused("ENOENT", "get", "none", 0, 9), "a missing object is named")
    client.refused("ENOENT", "head", "none")
    for words in (("put", "x", small), ("get", "x", 0, 9), ("head", "x"), ("list", ""), ("delete", "x")):
        said = client.refused("EACCES", *words, AWS_SECRET_ACCESS_KEY="not-the-secret-of-it")
        if "AWS_SECRET_ACCESS_KEY" not in said:
            raise peers.Failed(said)
        client.refused("EACCES", *words, AWS_ACCESS_KEY_ID="nobody")
    check(True, "a wrong secret and a wrong key are told from each other, in every command")
    other = Try(store.endpoint, backend, bucket="no-such-bucket-here")
    for words in (("list", ""), ("head", "x"), ("get", "x", 0, 9), ("sweep",)):
        other.refused("ENXIO", *words)
    check(True, "a missing bucket is told from a missing object")


def credentials_file(store, backend, scratch):
    file = scratch / "credentials"
    file.write_text(f"aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    file.chmod(0o600)
    client = Try(store.endpoint, backend, TRY_CREDENTIALS=str(file))
    client("list", "")
    file.chmod(0o644)
    check("chmod 600" in client.refused("EPERM", "list", ""), "credentials come from a file that nobody else can read")


def try_store(store, scratch):
    for backend in ("uring", "uv"):
        print(f"-- {store.name}, {backend}", flush=True)
        client = Try(store.endpoint, backend)
        contents(client, scratch)
        names(client, scratch)
        refusals(store, client, backend, scratch)
        credentials_file(store, backend, scratch)
        client("many", 300, 100_000)
        check(True, "300 transfers at a time")


# ---- faults ----

class Between:
    """Stands between client and store, passes bytes on, and does `fault` once, when that many have passed one way:
    "up" to the store, "down" from it. The connection that this falls on waits for it, and is cut if it says so."""

    def __init__(self, port, direction, count, fault):
        self.target, self.direction, self.count, self.fault = port, direction, count, fault
        self.passed = {"up": 0, "down": 0}
        self.done, self.left = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
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


def killed(store, backend, scratch):
    """The store dies in the middle of the second part."""
    large = scratch / "large"
    make_file(large, 20_000_000, 4)

    def kill(_):
        store.kill()
        return "cut"

    with Between(store.port, "up", 9_000_000, kill) as between:
        client = Try(between.endpoint, backend, TRY_PART_SIZE="6000000", TRY_ATTEMPTS="3")
        done = client.run("put", "killed", large)
        check(done.returncode == 1 and between.done.is_set() and
              done.stderr.split(":")[0] in ("ECONNRESET", "EHOSTUNREACH"),
              f"a store killed under an upload is an error: {done.stderr.strip()}")
    store.start()
    client = Try(store.endpoint, backend)
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
    with Between(store.port, "up", 9_000_000, lambda between: between.left.wait() and "cut") as between:
        client = Try(between.endpoint, backend, TRY_PART_SIZE="6000000")
        client.refused("ETIMEDOUT", "put", "stalled", large, TRY_TIMEOUT_MS="3000")
        check(between.done.is_set(), "an upload is cut off by its caller's deadline")
    client = Try(store.endpoint, backend)
    check(client("sweep") == b"0\n" and client("list", "stalled") == b"", "and leaves no parts")


def silent(store, backend, scratch):
    """The same, but nobody has a deadline: the silence is noticed, and the part sent again."""
    large = scratch / "large"
    sent = make_file(large, 20_000_000, 5)
    with Between(store.port, "up", 9_000_000, lambda between: between.left.wait() and "cut") as between:
        client = Try(between.endpoint, backend, TRY_PART_SIZE="6000000", TRY_SILENCE_S="2")
        client("put", "silent", large)
        check(between.done.is_set() and hashlib.sha256(client("get", "silent", 0, 1 << 40)).digest() ==
              hashlib.sha256(sent).digest(), "a connection gone silent is given up, and the part sent again")


def dropped(store, backend, scratch):
    """The connection breaks under the second part; with SeaweedFS it is the first one's, and libcurl itself begins anew."""
    large = scratch / "large"
    sent = make_file(large, 20_000_000, 10)
    with Between(store.port, "up", 9_000_000, lambda _: "cut") as between:
        Try(between.endpoint, backend, TRY_PART_SIZE="6000000")("put", "dropped", large)
        check(between.done.is_set() and Try(store.endpoint, backend)("get", "dropped", 0, 1 << 40) == sent,
              "a connection that breaks under a part costs that part alone")


def torn(store, backend, scratch):
    large = scratch / "large"
    sent = make_file(large, 20_000_000, 6)
    Try(store.endpoint, backend)("put", "torn", large)
    with Between(store.port, "down", 9_000_000, lambda _: "cut") as between:
        got = Try(between.endpoint, backend)("get", "torn", 0, 1 << 40)
        check(between.done.is_set() and got == sent, "a download that breaks is taken up where it broke")


def replaced(store, backend, scratch):
    """Another object takes the place of the one that is being read, when the connection breaks."""
    large = scratch / "large"
    make_file(large, 20_000_000, 7)
    direct = Try(store.endpoint, backend)
    direct("put", "replaced", large)
    make_file(large, 20_000_000, 8)
    with Between(store.port, "down", 9_000_000, lambda _: direct("put", "replaced", large) and None or "cut") as between:
        Try(between.endpoint, backend).refused("EBADMSG", "get", "replaced", 0, 1 << 40)
        check(between.done.is_set(), "two objects of one name are never mixed")


def pages(store, backend):
    folder = store.folder / "data" / BUCKET / "pages"
    folder.mkdir(exist_ok=True)
    for i in range(2500):
        (folder / f"{i:05}").write_bytes(b"x" * (i % 7))
    listed = Try(store.endpoint, backend, prefix="pages/")("list", "").decode().split()
    check(listed[1::2] == [f"{i:05}" for i in range(2500)] and listed[::2] == [str(i % 7) for i in range(2500)],
          "2,500 objects are listed over three pages")


def tls(store, backend, scratch):
    small = scratch / "small"
    sent = make_file(small, 3_000_000, 9)
    check("not trusted" in Try(store.endpoint, backend).refused("EKEYREJECTED", "put", "tls", small),
          "a certificate that nobody trusts is refused")
    client = Try(store.endpoint, backend, TRY_CA=str(store.certificate))
    client("put", "tls", small)
    check(client("get", "tls", 0, 1 << 40) == sent, "over TLS, with a certificate that is named")
    plain = store.endpoint.replace("https", "http")
    said = Try(plain, backend).run("list", "").stderr
    check(said and not said.startswith("EHOSTDOWN"), f"http to a port of https: {said.strip()}")


class Failing(http.server.BaseHTTPRequestHandler):
    """Answers by `server.status`, which is the next of a list, or its last."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        status, headers, body = self.server.answers[min(self.server.count, len(self.server.answers) - 1)]
        self.server.count += 1
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_DELETE = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def failing(*answers):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    server.answers, server.count = answers, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def error(status, code, more="", **headers):
    return status, headers, f"<Error><Code>{code}</Code><Message>told</Message>{more}</Error>".encode()


def breaker(backend):
    with failing(error(503, "SlowDown")) as (server, endpoint):
        done = Try(endpoint, backend, TRY_DOWN_MS="3600000").run("down", "x")
        check(done.stdout == b"5 1\n" and done.stderr.startswith("EHOSTDOWN") and server.count == 5,
              "a store that answers 503 five times counts as down, and is not asked again")
    with failing(*[error(503, "SlowDown")] * 6, error(404, "NoSuchKey")) as (server, endpoint):
        Try(endpoint, backend, TRY_DOWN_MS="300").refused("ENOENT", "probe", "x")
        # Five, the probe that fails, the probe that gets through, and its GET for the reason.
        check(server.count == 8, "when its time is over one probe is made at a time, until one gets through")


def answers(backend):
    cases = [
        ("EREMCHG", "set the region to eu-west-1",
         error(301, "PermanentRedirect", "<Region>eu-west-1</Region>", Location="http://elsewhere.example/")),
        ("EREMCHG", "elsewhere.example", error(307, "TemporaryRedirect", Location="http://elsewhere.example/")),
        ("EREMCHG", "set the region to eu-1", error(400, "AuthorizationHeaderMalformed", "<Region>eu-1</Region>")),
        ("ESTALE", "set the clock", error(403, "RequestTimeTooSkewed")),
        ("EACCES", "get a new one", error(400, "ExpiredToken")),
        ("EPROTO", "address of an S3 store", (200, {}, b"<html><p>hello</html>")),
        ("EPROTO", "ends too early", (200, {}, b"<ListBucketResult><Contents>")),
        ("EPROTO", "S3", (200, {}, b"<!DOCTYPE a [<!ENTITY b 'c'>]><ListBucketResult/>")),
        ("EREMOTEIO", "418", (418, {}, b"<html>I am a teapot</html>")),
    ]
    for code, text, answer in cases:
        with failing(answer) as (_, endpoint):
            said = Try(endpoint, backend).refused(code, "list", "")
            if text not in said:
                raise peers.Failed(f"{said} lacks '{text}'")
    check(True, "redirects, clocks and strangers are told from each other, with what to do")


def try_faults(scratch):
    for backend in ("uring", "uv"):
        print(f"-- faults, {backend}", flush=True)
        breaker(backend)
        answers(backend)
        for kind in (Versitygw, Seaweedfs):
            folder = scratch / f"{kind.name}-{backend}"
            folder.mkdir()
            with kind(folder) as store:
                for fault in (stalled, silent, dropped, torn, replaced, killed):
                    fault(store, backend, scratch)
                if kind is Versitygw:
                    pages(store, backend)
        folder = scratch / f"tls-{backend}"
        folder.mkdir()
        with VersitygwTls(folder) as store:
            tls(store, backend, scratch)


def run(scratch, parts):
    for kind in (Versitygw, Seaweedfs):
        if kind.name in parts:
            folder = scratch / kind.name
            folder.mkdir()
            with kind(folder) as store:
                try_store(store, scratch)
    if "faults" in parts:
        try_faults(scratch)


def main():
    with tempfile.TemporaryDirectory(prefix="kit-s3-") as scratch:
        try:
            run(pathlib.Path(scratch), sys.argv[1:] or ["versitygw", "seaweedfs", "faults"])
        except peers.Missing as missing:
            print(f"skipped: {missing}")
            return 1 if os.environ.get("KIT_REQUIRE_ALL") == "1" else 77
        except peers.Failed as failed:
            print(f"FAILED: {failed}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
