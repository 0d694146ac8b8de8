#!/usr/bin/env python3
"""Our SFTP client with Debian's openssh-server, and with a server of ours that misbehaves (sftp_fake.py).

    sftp.py [sshd | faults | strange]...

On both backends of the runtime: what goes in comes out, whole and by ranges; names with every character; lists of folders in
folders; keys of hosts and of users that are wrong, open or unknown. Then the faults: a server that is killed in
the middle of an upload, sessions that are, one that stalls, a download that is cut off, one that is down until the
breaker opens. sshd runs as an ordinary user on loopback, with its own configuration and keys. Exits 0, 1, or 77 without
openssh-server or python3-paramiko (with KIT_REQUIRE_ALL=1 that too is a failure).
"""

import contextlib
import hashlib
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import peers
import stores
from peers import check
from stores import make_file

BACKENDS = ("uring", "uv")
SSHD = pathlib.Path("/usr/sbin/sshd")
# Who the server is: we ourselves, but not root, whom no permissions keep out of a folder.
USER = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "daemon"
PACKAGES = "openssh-server openssh-client python3-paramiko"
EVERYTHING = 1 << 40


def run_quietly(*words):
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)


def make_key(path, kind="ed25519", passphrase=""):
    run_quietly("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path)
    return path


def children(pid):
    """All processes below one."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *children(child)]
    return found


class Sshd(stores.Store):
    """sshd with the data in a folder of the user's, and our key let in."""

    name, scheme = "sshd", "sftp"
    more = ""  # of its configuration

    def prepare(self):
        if not SSHD.exists():
            raise peers.Missing(f"{SSHD} is not there: apt-get install {PACKAGES}")
        (self.port,) = peers.reserve_ports(1)
        self.data = self.folder / "data"
        self.data.mkdir()
        self.key = make_key(self.folder / "key")
        self.host_keys = [make_key(self.folder / f"host_{kind}", kind) for kind in ("ed25519", "ecdsa")]
        shutil.copy(self.folder / "key.pub", self.folder / "authorized_keys")
        keys = "\n".join(f"HostKey {key}" for key in self.host_keys)
        (self.folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\n{keys}\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nPasswordAuthentication no\n"
            f"KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\nForceCommand internal-sftp\n{self.more}")
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.write_text(self.known_line(self.host_keys[0]))
        if os.geteuid() == 0:
            for path in (self.data, *self.host_keys):
                shutil.chown(path, USER, pwd.getpwnam(USER).pw_gid)

    def known_line(self, key, host=None):
        return " ".join([host or f"[127.0.0.1]:{self.port}", *key.with_suffix(".pub").read_text().split()[:2]]) + "\n"

    def env(self):
        return dict(os.environ)

    def words(self):
        user = pwd.getpwnam(USER)
        become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        return [*(become if os.geteuid() == 0 else []), SSHD, "-D", "-e", "-f", self.folder / "config"]

    def kill_sessions(self):
        """When they have gone, so have their connections: of the two processes of each, either holds it open."""
        with contextlib.ExitStack() as stack:
            ends = []
            for pid in children(self.process.child.pid):
                with contextlib.suppress(ProcessLookupError):
                    ends.append(os.pidfd_open(pid))
                    stack.callback(os.close, ends[-1])
                    signal.pidfd_send_signal(ends[-1], signal.SIGKILL)
            for end in ends:
                if not select.select([end], [], [], peers.READY_SECONDS)[0]:
                    raise peers.Failed("a session outlives its end")

    def kill(self):
        sessions = children(self.process.child.pid)
        super().kill()
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)

    def client(self, backend, endpoint=None, folder=None, prefix="node/", **env):
        env = {"TRY_USER": USER, "TRY_KNOWN_HOSTS": str(self.known_hosts), **env}
        if "SFTP_PASSWORD" not in env and "TRY_CREDENTIALS" not in env:
            env.setdefault("TRY_KEY", str(self.key))
        return Try(endpoint or self.endpoint, backend, folder or self.data, prefix, **env)

    def between(self, direction, count, fault):
        between = super().between(direction, count, fault)
        with self.known_hosts.open("a") as file:
            file.write(self.known_line(self.host_keys[0], f"[127.0.0.1]:{between.port}"))
        return between


class Try(stores.Try):
    def secrets(self, env):
        key = pathlib.Path(env.get("TRY_KEY", "/none"))
        lines = key.read_text().split("\n")[1:-2] if key.is_file() else []
        return lines + [env[name] for name in ("SFTP_PASSWORD",) if name in env]


# ---- what is particular to SFTP ----

def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def layout(server, client, scratch):
    """How objects lie there, what else may lie beside them, and that they are private."""
    small = scratch / "small"
    make_file(small, 1000, 11)
    for name in ("lay/Out", "lay/Out/in", "lay/.hidden", "lay/a b"):
        client("put", name, small)
    lay = server.data / "node+" / "lay+"
    check(files_of(lay) == {"%4fut", "%4fut+/in", "%2ehidden", "a%20b"}, "names that are no file names are written as such")
    check((lay / "a%20b").stat().st_mode & 0o777 == 0o600 and lay.stat().st_mode & 0o777 == 0o700, "nobody else may read them")
    for foreign in ("Plain", ".dot", "%zz", "a b", "a\nb", "\x1b[2J", "%2e%2e", "%61", "x" * 255):
        (lay / foreign).write_bytes(b"foreign")
    (lay / "folder").mkdir()
    (lay / "%2e%2e+").mkdir()
    (lay / "%2e%2e+" / "up").write_bytes(b"foreign")
    os.mkfifo(lay / "pipe")
    (lay / "link").symlink_to("/etc/passwd")
    (lay / "link+").symlink_to("/etc")
    listed = [line.split(" ", 1)[1] for line in client("list", "lay/").decode().splitlines()]
    # The one of 255 letters is a name as we write it.
    check(listed == sorted(["lay/Out", "lay/Out/in", "lay/.hidden", "lay/a b", "lay/" + "x" * 255]), "what else is there is passed over")
    client.refused("ENOENT", "head", "lay/link")
    client.refused("ENOENT", "head", "lay/folder")
    uploads = server.data / ".uploads"
    other = f"{'0' * 16}-{'1' * 16}"
    mine = hashlib.sha256(b"node/").hexdigest()[:16]
    for name in (other, f"{mine}-{'1' * 16}", f"{mine}-{'g' * 16}", f"{mine}-1", "README"):
        (uploads / name).write_bytes(b"left")
    check(client("sweep") == b"1\n" and len(files_of(uploads)) == 4, "a sweep leaves other nodes' uploads, and what is none")
    shutil.rmtree(uploads)
    said = client.refused("EINVAL", "put", "lay/" + "X" * 90, small)
    check("255 bytes" in said, "a part of a name that would be too long for a file's is refused")


def pages(server, backend):
    """Two pages in one folder, and one in another between them."""
    many = server.data / "pages+"
    (many / "05000+").mkdir(parents=True)
    for i in range(9000):
        (many / f"{i:05}").write_bytes(b"x" * (i % 7))
    (many / "05000+" / "in").write_bytes(b"")
    client = server.client(backend, prefix="pages/")
    wanted = [f"{i:05}" for i in range(9000)]
    wanted.insert(5001, "05000/in")
    listed = client("list", "").decode().split()
    check(listed[1::2] == wanted, "9,001 objects are listed in their order")
    check(client("list", "", "08997").decode().split()[1::2] == wanted[-2:], "or those behind one")
    check(client("list", "0500").decode().split()[1::2] == [name for name in wanted if name.startswith("0500")],
          "or those that begin so")
    shutil.rmtree(many)


def host_keys(server, backend, scratch):
    known = scratch / "known"

    def refused(lines, *texts, **env):
        known.write_text(lines)
        said = server.client(backend, TRY_KNOWN_HOSTS=str(known), **env).refused("EKEYREJECTED", "list", "")
        for text in texts:
            if text not in said:
                raise peers.Failed(f"{said} lacks '{text}'")

    def let_in(lines):
        known.write_text(lines)
        server.client(backend, TRY_KNOWN_HOSTS=str(known))("list", "")

    ed25519, ecdsa = server.host_keys
    other = scratch / "other"
    if not other.exists():
        make_key(other)
    prints = subprocess.run(["ssh-keygen", "-lf", ed25519.with_suffix(".pub")], check=True, stdout=subprocess.PIPE, text=True).stdout
    refused("", "is not in", prints.split()[1], "ssh-keyscan -t ed25519")
    check(True, f"an unknown host is refused, with its key's fingerprint: {prints.split()[1]}")
    refused(server.known_line(other), "is not the one in", prints.split()[1], "ssh-keygen -R")
    check(True, "and one whose key has changed")
    refused(server.known_line(ed25519, "127.0.0.1"), "is not in")
    refused(server.known_line(ed25519, f"[127.0.0.1]:{server.port + 1}"), "is not in")
    refused(f"@cert-authority {server.known_line(ed25519)}", "is not in")
    refused(f"@revoked {server.known_line(ed25519, '*')}{server.known_line(ed25519)}", "revoked")
    refused(server.known_line(ed25519).replace("ssh-ed25519", "ssh-rsa"))
    check(True, "a key of another port, of an authority, of another kind, or revoked does not count")
    let_in(server.known_line(ecdsa))
    check(True, "the kind of key that is known is asked for")
    let_in("# mine\nnonsense\n\nother.example ssh-ed25519 AAAA\n" + server.known_line(ed25519, f"a,[127.0.0.1]:{server.port},b").strip())
    let_in(server.known_line(other, "other.example") + server.known_line(ed25519))
    let_in(server.known_line(ed25519))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    let_in(known.read_text())
    check("127.0.0.1" not in known.read_text(), "names may be hashed")
    known.unlink()
    said = server.client(backend, TRY_KNOWN_HOSTS=str(known)).refused("EKEYREJECTED", "list", "")
    check("ssh-keyscan" in said, "without the file nothing is trusted")


def user_keys(server, backend, scratch):
    wrong, locked, nonsense = (scratch / name for name in ("wrong", "locked", "nonsense"))
    if not wrong.exists():
        make_key(wrong)
        make_key(locked, passphrase="secret")
        nonsense.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n")
        nonsense.chmod(0o600)
    said = server.client(backend, TRY_KEY=str(wrong)).refused("EACCES", "list", "")
    check("authorized_keys" in said, "a key that the server does not know is refused")
    server.client(backend, TRY_USER="nobody-of-that-name").refused("EACCES", "list", "")
    check(True, "and a user that it does not")
    for mode in (0o644, 0o640, 0o660, 0o604):
        wrong.chmod(mode)
        if "chmod 600" not in server.client(backend, TRY_KEY=str(wrong)).refused("EPERM", "list", ""):
            raise peers.Failed("no next step")
    wrong.chmod(0o600)
    check(True, "a key that others may read is not used")
    for bad in (locked, nonsense):
        said = server.client(backend, TRY_KEY=str(bad)).refused("ENOKEY", "list", "")
        if "without a passphrase" not in said:
            raise peers.Failed(said)
    server.client(backend, TRY_KEY=str(scratch / "none")).refused("ENOKEY", "list", "")
    server.client(backend, TRY_KEY=str(scratch)).refused("ENOKEY", "list", "")
    check(True, "nor one with a passphrase, nor what is no key")


def folders(server, client, backend, scratch):
    small = scratch / "small"
    make_file(small, 1000, 11)
    other = server.client(backend, folder=server.data / "none")
    for words in (("list", ""), ("head", "x"), ("get", "x", 0, 9), ("put", "x", small), ("delete", "x"), ("sweep",)):
        other.refused("ENXIO", *words)
    check(True, "a missing folder is told from a missing object")
    check("no such file" in client.refused("ENOENT", "get", "none", 0, 9), "a missing object is named")
    client.refused("ENOENT", "head", "none")
    closed = server.data / "closed"
    closed.mkdir(exist_ok=True)
    shown = server.client(backend, folder=closed)
    if os.geteuid() == 0:
        closed.chmod(0o755)  # root's, so not the server's to write in
    else:
        closed.chmod(0o555)
    check("permission denied" in shown.refused("EACCES", "put", "x", small), "a folder that may not be written in")
    check(shown("list", "") == b"" and shown("sweep") == b"0\n", "can still be read")


def try_sshd(scratch):
    with Sshd(scratch / "sshd") as server:
        for backend in BACKENDS:
            print(f"-- sshd, {backend}", flush=True)
            client = server.client(backend)
            stores.contents(client, scratch)
            stores.names(client, scratch)
            layout(server, server.client(backend, prefix="node/"), scratch)
            shutil.rmtree(server.data / "node+" / "lay+")
            pages(server, backend)
            huge = scratch / "huge"
            sent = make_file(huge, 64 << 20, 12)
            client("put", "huge", huge)
            check(client("get", "huge", 0, EVERYTHING) == sent, "64 MiB")
            client("delete", "huge")
            host_keys(server, backend, scratch)
            user_keys(server, backend, scratch)
            folders(server, client, backend, scratch)
            client("many", 200, 100_000)
            check(True, "200 transfers at a time, over eight connections")
            check(client("sweep") == b"0\n" and client("list", "many") == b"", "and nothing is left of them")
            client("put", "kept", scratch / "small")
            kept(server, client)
            memory(client, scratch)


def kept(server, client):
    """One connection is made for many calls, closed when idle, and not trusted to be there when it was cut."""

    def ask_twice(between, error="", **env):
        child = subprocess.Popen([*client.words, "twice", "kept"], env=dict(client.env, **env), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first = child.stdout.readline()
        between()
        rest, said = child.communicate(timeout=peers.COMMAND_SECONDS)
        if rest != (b"" if error else first) + b"2\n" or not said.startswith(error.encode()) or bool(said) != bool(error):
            raise peers.Failed(f"{first} {rest} {said}")

    def wait_for_none():
        until = time.monotonic() + peers.READY_SECONDS
        while children(server.process.child.pid):
            if time.monotonic() > until:
                raise peers.Failed("an idle connection is kept")
            time.sleep(0.01)

    ask_twice(lambda: None)
    ask_twice(wait_for_none, TRY_IDLE_MS="50")
    check(True, "a connection that nobody wants is closed")

    def cut():
        server.kill_sessions()
        wait_for_none()

    ask_twice(cut)
    check(True, "one that the server has closed costs no attempt")
    away = server.folder / "away"
    ask_twice(lambda: server.data.rename(away), "ENXIO")
    away.rename(server.data)
    check(True, "a folder that has gone is no word about the objects in it")


def memory(client, scratch):
    """Each allocation fails in turn."""
    small = scratch / "small"
    sent = make_file(small, 100_000, 13)
    failed = 0
    for words in (("put", "memory", small), ("get", "memory", 0, EVERYTHING), ("list", ""), ("sweep",)):
        for at in range(1, 1000):
            done = client.run(*words, TRY_FAULT_AT=str(at))
            if done.returncode == 3:
                break
            if done.returncode == 1 and not done.stderr.startswith("ENOMEM: "):
                raise peers.Failed(f"{words}, allocation {at}: {done.stderr}")
            if done.returncode not in (0, 1):
                raise peers.Failed(f"{words}, allocation {at}: {done.returncode} {done.stderr}")
            failed += done.returncode
    check(failed > 10 and client("get", "memory", 0, EVERYTHING) == sent, "whatever allocation fails, the call says so")
    client("sweep")


# ---- faults ----

def sessions_killed(server, backend, scratch):
    """The server's processes of a connection die, and the server is there: the call is made again."""
    large = scratch / "large"
    sent = make_file(large, 20_000_000, 14)

    def kill(_):
        server.kill_sessions()

    with server.between("up", 9_000_000, kill) as between:
        client = server.client(backend, between.endpoint)
        client("put", "sessions", large)
        check(between.done.is_set() and server.client(backend)("get", "sessions", 0, EVERYTHING) == sent,
              "an upload whose session is killed is made again")
    check(server.client(backend)("sweep") == b"0\n", "and leaves nothing of the first attempt")
    with server.between("down", 9_000_000, kill) as between:
        got = server.client(backend, between.endpoint)("get", "sessions", 0, EVERYTHING)
        check(between.done.is_set() and got == sent, "a download is taken up where it broke")
    check(files_of(server.data / ".uploads") == set(), "no temporary file is left")


class Dropping:
    """Takes connections and drops the first `count` of them; the next go on to the server."""

    def __init__(self, server, count):
        self.server, self.left, self.taken = server, count, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.endpoint = f"sftp://127.0.0.1:{self.port}"
        with server.known_hosts.open("a") as file:
            file.write(server.known_line(server.host_keys[0], f"[127.0.0.1]:{self.port}"))
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.taken += 1
                if self.taken <= self.left:
                    client.close()
                    continue
                target = socket.create_connection(("127.0.0.1", self.server.port))
                for ends in ((client, target), (target, client)):
                    threading.Thread(target=self.pump, args=ends, daemon=True).start()

    def pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def breaker(server, backend):
    with Dropping(server, 1 << 30) as dropping:
        done = server.client(backend, dropping.endpoint, TRY_DOWN_MS="3600000").run("down", "x")
        check(done.stdout == b"5 1\n" and done.stderr.startswith("EHOSTDOWN") and dropping.taken == 5,
              "a server that drops five connections counts as down, and is not asked again")
    with Dropping(server, 6) as dropping:
        server.client(backend, dropping.endpoint, TRY_DOWN_MS="300").refused("ENOENT", "probe", "x")
        # Five, the probe that fails, and the one that gets through.
        check(dropping.taken == 7, "when its time is over one probe is made at a time, until one gets through")


def stopped(server, backend):
    """A server that is not there at all, and then is again."""
    server.kill()
    client = server.client(backend, TRY_DOWN_MS="100", TRY_ATTEMPTS="2")
    client.refused("EHOSTUNREACH", "list", "")
    waits = subprocess.Popen([*client.words, "probe", "x"], env=client.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    server_is_down = waits.stdout.readline()
    server.start()
    _, said = waits.communicate(timeout=peers.COMMAND_SECONDS)
    check(server_is_down == b"5 1\n" and said.startswith(b"ENOENT"), "one that was stopped counts as down until it is back")


def try_faults(scratch):
    for backend in BACKENDS:
        print(f"-- faults, {backend}", flush=True)
        with Sshd(scratch / f"faults-{backend}") as server:
            breaker(server, backend)
            for fault in (sessions_killed, *stores.FAULTS):
                fault(server, backend, scratch)
            stopped(server, backend)


# ---- a server that misbehaves ----

class Fake(Sshd):
    """sftp_fake.py, in place of sshd."""

    def __init__(self, folder, fault):
        self.fault = fault
        super().__init__(folder)

    def start(self):
        self.process = peers.Process(["/usr/bin/python3", peers.HERE / "sftp_fake.py", self.host_keys[0], self.data, self.fault],
                                     self.folder / "log")
        try:
            self.port = int(self.process.line(peers.READY_SECONDS))
        except peers.Failed as failed:
            if "No module named 'paramiko'" in str(failed):
                raise peers.Missing(f"no paramiko: apt-get install {PACKAGES}") from failed
            raise
        self.process.drain()
        self.known_hosts.write_text(self.known_line(self.host_keys[0]))


def strange_plain(server, client, scratch):
    small, other = scratch / "small", scratch / "other-small"
    sent = make_file(small, 100_000, 15)
    make_file(other, 100_000, 16)
    client("put", "a/b", small)
    said = client.refused("EEXIST", "put", "a/b", other)
    check("posix-rename" in said and client("get", "a/b", 0, EVERYTHING) == sent,
          "a server that cannot replace a file at once loses none")
    client("delete", "a/b")
    client("put", "a/b", other)
    check(client("sweep") == b"0\n" and client("list", "") == b"100000 a/b\n", "and is good for all else")
    said = server.client(client.env["ANYIO_BACKEND"], TRY_DURABLE="1").refused("EOPNOTSUPP", "put", "c", small)
    check("fsync@openssh.com" in said and client("list", "") == b"100000 a/b\n" and client("sweep") == b"0\n",
          "nothing that has to be durable is put where nothing can be known to be")
    passwords(server, client.env["ANYIO_BACKEND"], scratch)


def passwords(server, backend, scratch):
    right = "right, and with spaces \u00fc"
    server.client(backend, folder=".", SFTP_PASSWORD=right)("list", "")
    said = server.client(backend, folder=".", SFTP_PASSWORD="a wrong one").refused("EACCES", "list", "")
    file = scratch / "credentials"
    file.write_text(f"# of the NAS\nsftp_password = {right}\n")
    file.chmod(0o600)
    server.client(backend, folder=".", TRY_CREDENTIALS=str(file))("list", "")
    file.chmod(0o640)
    open_file = server.client(backend, folder=".", TRY_CREDENTIALS=str(file)).refused("EPERM", "list", "")
    check("SFTP_PASSWORD" in said and "chmod 600" in open_file, "a password comes from the environment, or a file of its owner's alone")


def strange_shuffled(server, client, scratch):
    large = scratch / "large"
    sent = make_file(large, 5_000_001, 17)
    client("put", "large", large)
    check(client("get", "large", 0, EVERYTHING) == sent and client("get", "large", 12345, 654321) == sent[12345:666666],
          "pieces that come short and in another order are put together")


def strange_full(server, client, scratch):
    small = scratch / "small"
    make_file(small, 300_000, 18)
    check("full" in client.refused("ENOSPC", "put", "x", small), "a full server is told from one that fails")
    check(files_of(server.data) == set(), "and what was sent is removed")


def strange_quota(server, client, scratch):
    small = scratch / "small"
    make_file(small, 300_000, 18)
    check("quota" in client.refused("ENOSPC", "put", "x", small), "and so is a quota")


def strange_names(server, client, scratch):
    check(client("list", "") == b"5 also-good\n5 good\n", "of hostile names only what can be an object's is listed")
    check(client("sweep") == b"0\n", "and none is swept")


def strange_deep(server, client, scratch):
    listed = client("list", "").decode().splitlines()
    check(30 < len(listed) < 50, f"folders without end end with the length of a name: {len(listed)} objects")


def strange_mute(server, client, scratch):
    said = client.refused("ETIMEDOUT", "list", "", TRY_SILENCE_S="1", TRY_ATTEMPTS="2")
    check("silent" in said, "one that says nothing is given up")


def strange_packets(server, client, scratch):
    said = client.refused("EPROTO", "list", "", TRY_ATTEMPTS="5")
    check("does not keep to SFTP" in said, f"{server.fault}: {said.strip()}")


STRANGE = {"plain": strange_plain, "shuffled": strange_shuffled, "full": strange_full, "quota": strange_quota,
           "names": strange_names, "deep": strange_deep, "mute": strange_mute,
           **{fault: strange_packets for fault in ("long", "number", "kind", "nothing", "version")}}


def try_strange(scratch):
    for fault, body in STRANGE.items():
        for backend in BACKENDS:
            with Fake(scratch / f"{fault}-{backend}", fault) as server:
                body(server, server.client(backend, folder="."), scratch)


def run(scratch, parts):
    scratch.chmod(0o755)  # the server is another user when we are root
    for name, part in (("sshd", try_sshd), ("faults", try_faults), ("strange", try_strange)):
        if name in parts:
            part(scratch)


if __name__ == "__main__":
    sys.exit(peers.main("sftp", run, sys.argv[1:] or ["sshd", "faults", "strange"]))
