#!/usr/bin/env python3
"""Our S3 client with stores that nobody here wrote: versitygw over a folder, SeaweedFS with all its servers.

    s3.py [versitygw | seaweedfs | faults]...

On both backends of the runtime: what goes in comes out, whole, in parts and by ranges; names with every character; lists over
pages; and what is wrong with key, secret, bucket, certificate or endpoint is said. Then the faults: a store that
is killed in the middle of an upload, one that stalls, a download that is cut off, one that answers 503 until the breaker
opens. Exits 0, 1, or 77 when a store cannot be built (with KIT_REQUIRE_ALL=1 that too is a failure).
"""

import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import peers
import stores
from peers import check
from stores import make_file

KEY, SECRET = "tester", "a-very-secret-secret"
BUCKET = "bucket"


class S3Store(stores.Store):
    builder = None

    def __init__(self, folder):
        self.program = peers.run_builder(self.builder)
        super().__init__(folder)

    def client(self, backend, endpoint=None, **env):
        return Try(endpoint or self.endpoint, backend, **env)


class Versitygw(S3Store):
    name, builder = "versitygw", "versitygw/build.sh"
    certificate = None

    def prepare(self):
        (self.port,) = peers.reserve_ports(1)
        (self.folder / "data" / BUCKET).mkdir(parents=True)

    def env(self):
        return dict(os.environ, ROOT_ACCESS_KEY=KEY, ROOT_SECRET_KEY=SECRET)

    def words(self):
        tls = ["--cert", self.certificate, "--key", self.folder / "key.pem"] if self.certificate else []
        return [self.program, "--port", f"127.0.0.1:{self.port}", "--quiet", *tls, "posix",
                self.folder / "data"]


class VersitygwTls(Versitygw):
    """The same with a certificate that it has signed itself."""

    scheme = "https"

    def prepare(self):
        super().prepare()
        self.certificate = self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", self.folder / "key.pem", "-out", self.certificate],
                       check=True, stderr=subprocess.DEVNULL)


class Seaweedfs(S3Store):
    """Master, volume server, filer and gateway in one process, which talks to nobody outside."""

    name, builder = "seaweedfs", "seaweedfs/build.sh"

    def prepare(self):
        self.port, self.master, self.volume, self.filer = peers.reserve_ports(4)
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
        until = time.monotonic() + peers.READY_SECONDS
        warm = self.folder / "warm"
        warm.write_bytes(b"warm")
        while (done := Try(self.endpoint, "uv").run("put", "warm", warm)).returncode:
            if time.monotonic() > until:
                raise peers.Failed(f"no bucket: {done.stderr}")
        Try(self.endpoint, "uv")("delete", "warm")


class SeaweedfsPair(Seaweedfs):
    """The same with two volume servers, processes of their own, each of which has a copy of everything. Any one of them can be killed."""

    def prepare(self):
        super().prepare()
        self.ports, self.volumes = peers.reserve_ports(2), [None, None]

    def words(self):
        return [*super().words(), "-volume=false", "-master.defaultReplication=001"]

    def start(self):
        super().start()
        for i in range(2):
            self.start_volume(i)

    def start_volume(self, i):
        folder = self.folder / f"volume{i}"
        folder.mkdir(exist_ok=True)
        self.volumes[i] = peers.Process([self.program, f"-logdir={self.folder}", "volume", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                                         f"-dir={folder}", "-max=20", f"-port={self.ports[i]}",
                                         f"-master=127.0.0.1:{self.master}"], self.folder / "log", env=self.env())
        self.volumes[i].drain()

    def kill_volume(self, i):
        self.volumes[i].child.kill()
        self.volumes[i].child.wait()

    def stop(self):
        for i in range(2):
            if self.volumes[i]:
                self.kill_volume(i)
        super().stop()


class Try(stores.Try):
    def __init__(self, endpoint, backend, bucket=BUCKET, prefix="node/", **env):
        super().__init__(endpoint, backend, bucket, prefix, AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, **env)

    def secrets(self, env):
        return [env["AWS_SECRET_ACCESS_KEY"]]


# ---- what is particular to S3 ----

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
        stores.contents(client, scratch)
        stores.names(client, scratch)
        refusals(store, client, backend, scratch)
        credentials_file(store, backend, scratch)
        client("many", 300, 100_000)
        check(True, "300 transfers at a time")


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
        check(done.stdout == b"5 1\n" and done.stderr.startswith("EHOSTDOWN") and "answers 503" in done.stderr and server.count == 5,
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
            with kind(folder) as store:
                for fault in stores.FAULTS:
                    fault(store, backend, scratch)
                if kind is Versitygw:
                    pages(store, backend)
        folder = scratch / f"tls-{backend}"
        with VersitygwTls(folder) as store:
            tls(store, backend, scratch)


def run(scratch, parts):
    for kind in (Versitygw, Seaweedfs):
        if kind.name in parts:
            folder = scratch / kind.name
            with kind(folder) as store:
                try_store(store, scratch)
    if "faults" in parts:
        try_faults(scratch)


if __name__ == "__main__":
    sys.exit(peers.main("s3", run, sys.argv[1:] or ["versitygw", "seaweedfs", "faults"]))
