"""What the tests of the running program share: checks that count, the program, and a daemon.

A test says check('what is shown', truth) many times and ends with finish(); what cannot be shown on this
machine it gives to skip(). It exits with 0, 1, or 77 when nothing failed but something was skipped. The
program is the first argument, or $BUILD/ipfs-kit, or $BUILD/cli/ipfs-kit.
"""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import pty
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

# The CID of a block that nobody has.
ABSENT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
BOUND = 120  # seconds that anything here may take before it counts as hanging
_passed = 0
_failed = []
_skipped = []


def check(what, truth, detail=''):
    """Counts and prints one thing that was shown, or was not."""
    global _passed
    if truth:
        _passed += 1
        print(f'ok    {what}', flush=True)
    else:
        _failed.append(what)
        print(f'FAIL  {what}' + (f': {str(detail)[:1500]}' if detail != '' else ''), flush=True)
    return bool(truth)


def equal(what, got, want):
    return check(what, got == want, f'got {got!r}, wanted {want!r}')


def skip(why):
    """What could not be shown for want of something here; the rest goes on."""
    _skipped.append(why)
    print(f'skip  {why}', flush=True)


def run_all(tests):
    """Runs each function; an exception is a failure of its own."""
    for test in tests:
        print(f'-- {test.__name__}', flush=True)
        try:
            test()
        except Exception:
            check(test.__name__, False, traceback.format_exc())
    finish()


def finish():
    shutil.rmtree(TEMP, ignore_errors=True)
    print(f'{_passed} passed, {len(_failed)} failed' + (f', {len(_skipped)} skipped' if _skipped else ''))
    for what in _failed:
        print(f'  failed: {what}')
    for why in _skipped:
        print(f'  skipped: {why}')
    sys.exit(1 if _failed else 77 if _skipped else 0)


def _find_program():
    build = os.environ.get('BUILD', 'build')
    places = sys.argv[1:2] + [f'{build}/ipfs-kit', f'{build}/cli/ipfs-kit']
    for place in places:
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return os.path.abspath(place)
    sys.exit(f'no program at {" or ".join(places)}')


PROGRAM = _find_program()
BACKEND = os.environ.get('ANYIO_BACKEND', 'as the program chooses')
TEMP = tempfile.mkdtemp(prefix='ipfs-kit-test-')
print(f'{PROGRAM}, backend {BACKEND}')


def temp(name):
    """A path in this run's folder that nothing has yet."""
    return os.path.join(tempfile.mkdtemp(dir=TEMP), name)


def flip(path, offset):
    """Inverts a byte of a file."""
    with open(path, 'r+b') as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 255]))


def write(path, data=b''):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def until(what, truth, bound=BOUND):
    """Waits for an event that has no other way to tell of itself, and counts that it came; asks often, up to a bound."""
    end = time.monotonic() + bound
    while not truth():
        if time.monotonic() > end:
            raise TimeoutError(what)
        select.select([], [], [], 0.005)
    check(what, True)


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def text(self):
        return self.out.decode(errors='replace').strip()

    def __repr__(self):
        return f'exit {self.code}, out {self.out[-600:]!r}, err {self.err[-600:]!r}'


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith('IPFS')}
    env.update({k: str(v) for k, v in more.items()})
    return env


def kit(*words, repo=None, stdin=b'', env=None, wrap=(), cwd=None, preexec=None, timeout=BOUND):
    """Runs the program to its end."""
    where = ['--repo', repo] if repo else []
    done = subprocess.run([*wrap, PROGRAM, *where, *map(str, words)], input=stdin, capture_output=True,
        env=environment(**(env or {})), cwd=cwd, preexec_fn=preexec, timeout=timeout)
    look_for_reports(done.stderr.decode(errors='replace'))
    return Result(done.returncode, done.stdout, done.stderr.decode(errors='replace'))


def on_terminal(*words, repo, out=True):
    """Runs the program with standard error on a terminal, and standard output too or (out=False) into a pipe:
    (exit code, what the terminal showed, what the pipe got), its line ends being \\n."""
    terminal, end = pty.openpty()
    process = subprocess.Popen([PROGRAM, '--repo', repo, *words], stdin=subprocess.DEVNULL, stdout=end if out else subprocess.PIPE, stderr=end,
        env=environment())
    os.close(end)
    shown = b''
    try:
        while data := os.read(terminal, 65536):
            shown += data
    except OSError:  # the program has ended
        pass
    os.close(terminal)
    piped = process.communicate()[0]
    look_for_reports(shown.decode(errors='replace'))
    return process.returncode, shown.replace(b'\r\n', b'\n'), piped or b''


def look_for_reports(errors):
    """In a sanitizer's build its reports are failures, whatever the exit code."""
    if 'Sanitizer' in errors or 'runtime error:' in errors:
        check('no report of a sanitizer', False, errors)


def new_repo(*options):
    repo = temp('repo')
    made = kit('init', '--test', *options, repo=repo)
    if made.code:
        raise RuntimeError(f'init: {made}')
    return repo


def cid_raw(data):
    """The CIDv1 of a raw block, by SHA-256."""
    return cid_text(b'\x01\x55\x12\x20' + hashlib.sha256(data).digest())


def cid_text(binary):
    return 'b' + base64.b32encode(binary).decode().lower().rstrip('=')


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    """A protobuf field: bytes, or an integer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    return varint(number << 3 | 2) + varint(len(value)) + value


class Daemon:
    """A daemon on loopback, in a repo of its own unless one is given."""

    def __init__(self, *options, repo=None, api='/ip4/127.0.0.1/tcp/0', env=None, preexec=None, wrap=(), before=()):
        self.repo = repo or new_repo()
        self.errors = tempfile.TemporaryFile()
        words = [*wrap, PROGRAM, '--repo', self.repo, *before, 'daemon', '--listen', '/ip4/127.0.0.1/tcp/0', *options]
        if api:
            words += ['--api', api]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.errors, env=environment(**(env or {})), preexec_fn=preexec)
        self.lines, self.swarm, self.api = [], [], []
        self._read_lines()

    def _read_lines(self):
        pending = b''
        end = time.monotonic() + BOUND
        while 'daemon is ready' not in self.lines:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                self.kill()
                raise TimeoutError('the daemon did not get ready')
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise RuntimeError(f'the daemon ended with {self.process.wait()}: {self.stderr()}')
            pending += data
            *lines, pending = pending.split(b'\n')
            self.lines += [line.decode() for line in lines]
        for line in self.lines:
            if line.startswith('listening on '):
                self.swarm.append(line[len('listening on '):])
            if line.startswith('API server listening on '):
                self.api.append(line[len('API server listening on '):])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def pid(self):
        return self.process.pid

    @property
    def api_port(self):
        return int(self.api[0].rsplit('/', 1)[1])

    @property
    def swarm_port(self):
        return int(self.swarm[0].split('/tcp/')[1].split('/')[0])

    @property
    def peer_id(self):
        return self.swarm[0].split('/p2p/')[1]

    def alive(self):
        return self.process.poll() is None

    def stderr(self):
        # The daemon writes where its own offset is, which is this file's too.
        return os.pread(self.errors.fileno(), os.fstat(self.errors.fileno()).st_size, 0).decode(errors='replace')

    def stop(self, number=signal.SIGTERM):
        """Asks it to end and gives its exit code."""
        if self.alive():
            self.process.send_signal(number)
        code = self.process.wait(BOUND)
        self.process.stdout.close()
        return code

    def kill(self):
        if self.alive():
            self.process.kill()
        self.process.wait()
        look_for_reports(self.stderr())
        with contextlib.suppress(OSError):
            self.process.stdout.close()

    # What it uses.

    def anonymous(self):
        """Bytes of anonymous memory."""
        with open(f'/proc/{self.pid}/status') as status:
            for line in status:
                if line.startswith('RssAnon:'):
                    return int(line.split()[1]) * 1024
        raise RuntimeError('no RssAnon')

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))

    def sockets(self):
        """How many of them are sockets: files come and go as the daemon likes."""
        count = 0
        for fd in os.listdir(f'/proc/{self.pid}/fd'):
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(f'/proc/{self.pid}/fd/{fd}').startswith('socket:')
        return count

    def unaccepted(self):
        """How many connections to the API wait to be accepted."""
        for line in read('/proc/net/tcp').decode().splitlines()[1:]:
            local, state, queues = (line.split()[i] for i in (1, 3, 4))
            if local.endswith(f':{self.api_port:04X}') and state == '0A':
                return int(queues.split(':')[1], 16)
        raise RuntimeError('the API does not listen')

    # The RPC.

    def connect(self):
        return socket.create_connection(('127.0.0.1', self.api_port), BOUND)

    def rpc(self, command, *args, body=None, headers=None, method='POST', **query):
        """One call: (status, headers, body bytes)."""
        from urllib.parse import urlencode
        asked = urlencode([('arg', a) for a in args] +
            [(k.replace('_', '-'), str(v).lower() if isinstance(v, bool) else v) for k, v in query.items()])
        connection = http.client.HTTPConnection('127.0.0.1', self.api_port, timeout=BOUND)
        try:
            connection.request(method, f'/api/v0/{command}' + (f'?{asked}' if asked else ''), body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def add(self, data, name='file', **query):
        """Adds one file over the RPC and gives its CID."""
        status, _, body = self.rpc('add', body=form([(name, data)]), headers=form_type(), **query)
        if status != 200:
            raise RuntimeError(f'add: {status} {body!r}')
        return json.loads(body.split(b'\n')[0])['Hash']

    def serves(self):
        """Whether an honest client of the RPC is served."""
        data = os.urandom(2000)
        try:
            cid = self.add(data)
            return self.rpc('cat', cid)[2] == data
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            print(f'      an honest client was told: {error!r}')
            return False


BOUNDARY = 'kit-boundary-4f1c'


def form_type(boundary=BOUNDARY):
    return {'Content-Type': f'multipart/form-data; boundary={boundary}'}


def part(name, data, kind='application/octet-stream', boundary=BOUNDARY):
    named = f'; filename="{name}"' if name is not None else ''
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"{named}\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + data + b'\r\n'


def form(parts, boundary=BOUNDARY):
    return b''.join(part(*one, boundary=boundary) for one in parts) + f'--{boundary}--\r\n'.encode()


def sanitized(daemon):
    """Whether it is a build with AddressSanitizer, which keeps what was freed."""
    with open(f'/proc/{daemon.pid}/maps') as maps:
        return 'libasan' in maps.read()


class Usage:
    """Shows that memory and descriptors go back to where they were.

    The first round of anything may grow pools that stay (stacks, the allocator's arenas), so the
    test takes the measure after a round of warming up, and slack is what more may stay for good."""

    def __init__(self, daemon, slack=1 << 20):
        self.daemon, self.slack = daemon, slack
        if sanitized(daemon):
            self.slack += 512 << 20
        self.memory, self.fds = daemon.anonymous(), daemon.descriptors()

    def returned(self, what):
        with contextlib.suppress(TimeoutError):
            until(what, lambda: self.daemon.descriptors() <= self.fds
                and self.daemon.anonymous() <= self.memory + self.slack, 20)
        fds, memory = self.daemon.descriptors(), self.daemon.anonymous()
        check(f'{what}: descriptors went back', fds <= self.fds, f'{self.fds} before, {fds} after')
        check(f'{what}: memory went back (slack {self.slack >> 10} KiB)', memory <= self.memory + self.slack,
            f'{self.memory >> 10} KiB before, {memory >> 10} KiB after')
