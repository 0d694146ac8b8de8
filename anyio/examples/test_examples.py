#!/usr/bin/env python3
"""The examples as a person meets them: each is started, talked to over real sockets and pipes, and interrupted.
test_examples.py FOLDER; the backend is $ANYIO_BACKEND."""
import contextlib
import http.server
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../tests'))
from told import check, equal, run_all

FOLDER = sys.argv[1]
BOUND = 60  # seconds that anything here may take before it counts as hanging


def run(name, *words, **more):
    return subprocess.run([f'{FOLDER}/{name}', *words], capture_output=True, text=True, timeout=BOUND, **more)


class Program:
    """One that is left running; killed at the end of the block if it has not ended by then."""

    def __init__(self, name, *words, **more):
        self.process = subprocess.Popen([f'{FOLDER}/{name}', *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def __enter__(self):
        self.timer = threading.Timer(BOUND, self.process.kill)
        self.timer.start()
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def line(self, stream='stdout'):
        return getattr(self.process, stream).readline().rstrip('\n')

    def lines_until(self, pattern, stream='stdout'):
        """Those up to the one that matches, or to the end."""
        lines = []
        while not lines or not re.search(pattern, lines[-1]):
            line = getattr(self.process, stream).readline()
            if not line:
                break
            lines.append(line.rstrip('\n'))
        return lines

    def port(self):
        return int(self.line().rsplit(':', 1)[1])

    def end(self, number=signal.SIGINT):
        """Sends a signal; what it returned, and what it still wrote."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=BOUND)
        return self.process.returncode, out + err


def connect(port):
    return socket.create_connection(('127.0.0.1', port), timeout=BOUND)


def receive(sock, size):
    data = b''
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            break
        data += more
    return data


@contextlib.contextmanager
def silent_port():
    """A port that takes no connection and refuses none: its queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(('127.0.0.1', 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()[1]


def every_one_explains_itself():
    for name in sorted(name for name in os.listdir(FOLDER) if os.access(f'{FOLDER}/{name}', os.X_OK) and os.path.isfile(f'{FOLDER}/{name}')):
        done = run(name, '--help')
        check(f'{name} --help', done.returncode == 0 and done.stdout.startswith(f'usage: {name}') and not done.stderr, done)
        done = run(name, '--no-such-option', 'word')
        check(f'{name} refuses what it does not know', done.returncode == 2 and not done.stdout and done.stderr.startswith('usage:'), done)


def echo():
    with Program('echo', '0') as program:
        port = program.port()
        with connect(port) as one, connect(port) as two:
            one.sendall(b'first')
            two.sendall(b'second')
            equal('two clients at a time', (receive(two, 6), receive(one, 5)), (b'second', b'first'))
            rude = connect(port)
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            rude.sendall(b'x' * 100_000)
            rude.close()
            data = os.urandom(1_000_000)
            threading.Thread(target=lambda: (one.sendall(data), one.shutdown(socket.SHUT_WR))).start()
            equal('a megabyte, after another client broke off', receive(one, len(data) + 1), data)
            code, said = program.end()
            equal('Ctrl-C ends it while a client is there', (code, said), (0, 'served 3 clients\n'))
            equal('who sees the end', two.recv(1), b'')
    with Program('echo', '0') as first:
        done = run('echo', str(first.port()))
        check('a taken port is said', done.returncode == 1 and 'use' in done.stderr, done)


def scan():
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(3):
            listener = stack.enter_context(socket.socket())
            listener.bind(('127.0.0.1', 0))
            listener.listen()
            ports.append(listener.getsockname()[1])
        closed = stack.enter_context(socket.socket())
        closed.bind(('127.0.0.1', 0))
        for port in ports:
            done = run('scan', '--limit', '20', '127.0.0.1', f'{max(1, port - 150)}-{min(65535, port + 150)}')
            check('an open port is found among others', done.returncode == 0 and str(port) in done.stdout.split(), done)
            check('and counted', re.search(r'^\d+ of \d+ ports are open$', done.stderr), done)
        done = run('scan', 'localhost', str(closed.getsockname()[1]))
        equal('a closed one is not', (done.returncode, done.stdout, done.stderr), (0, '', '0 of 1 ports are open\n'))
    with silent_port() as port:
        done = run('scan', '--timeout', '100', '127.0.0.1', str(port))
        equal('nor is one that is silent', (done.returncode, done.stdout), (0, ''))
        with Program('scan', '--timeout', '100000', '127.0.0.1', str(port)) as program:
            wait_until_it_waits(program.process.pid)
            equal('Ctrl-C', program.end(), (130, 'scan: cancelled\n'))
    equal('no port past the last', run('scan', 'localhost', '1-65536').returncode, 2)


def wait_until_it_waits(pid):
    """Until the program has a socket: it handles signals by then."""
    while not any(link.startswith('socket:') for link in descriptors(pid)):
        pass


def descriptors(pid):
    for fd in os.listdir(f'/proc/{pid}/fd'):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f'/proc/{pid}/fd/{fd}')


def connect_():
    with socket.socket() as listener, silent_port() as silent:
        listener.bind(('127.0.0.2', silent))
        listener.listen()
        done = run('connect', str(silent), '127.0.0.1', '127.0.0.2')
        equal('a silent address is overtaken', (done.returncode, done.stdout), (0, f'connected to 127.0.0.2:{silent}\n'))
        equal('and given up', done.stderr.splitlines()[-1], f'127.0.0.1:{silent}: cancelled')
        done = run('connect', str(silent), '127.0.0.3', '127.0.0.2')
        equal('one that refuses is passed over', (done.returncode, done.stdout), (0, f'connected to 127.0.0.2:{silent}\n'))
        done = run('connect', str(silent), '127.0.0.3', '127.0.0.4')
        check('when none answers the first error is told', done.returncode == 1 and 'refused' in done.stderr.splitlines()[-1], done)
        with Program('connect', str(silent), '127.0.0.1') as program:
            program.line('stderr')
            code, said = program.end()
            equal('Ctrl-C', (code, said.splitlines()[-1]), (130, 'connect: cancelled'))


def digest(line):
    value = 14695981039346656037
    for byte in line.encode():
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


def pipeline():
    lines = [f'line {i} ' + 'x' * (i % 90) for i in range(5000)]
    want = [f'{i + 1} {digest(line):016x}' for i, line in enumerate(lines)]
    for workers in ('1', '7'):
        done = run('pipeline', '--workers', workers, input='\n'.join(lines))
        check(f'every line is digested by {workers}', done.returncode == 0 and sorted(done.stdout.split('\n')[:-1]) == sorted(want), done.returncode)
    with tempfile.TemporaryFile('w+') as file:
        file.write('from a file\n\n')
        file.seek(0)
        equal('a plain file', run('pipeline', stdin=file).stdout, f'1 {digest("from a file"):016x}\n2 {digest(""):016x}\n')
    equal('no line at all', (run('pipeline', input='').returncode, run('pipeline', input='').stdout), (0, ''))
    equal('a line too long', run('pipeline', input='y' * 1001).returncode, 1)
    with Program('pipeline', stdin=subprocess.PIPE) as program:
        program.process.stdin.write('only\n')
        program.process.stdin.flush()
        equal('a line goes through before the end', program.line(), f'1 {digest("only"):016x}')
        equal('Ctrl-C', program.end(), (130, 'pipeline: cancelled\n'))
    with Program('pipeline', stdin=subprocess.PIPE) as program:
        program.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            program.process.stdin.write('\n' * 100_000)
            program.process.stdin.flush()
        equal('nobody reads what it writes', program.process.wait(BOUND), 1)


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    hang = threading.Event()

    def do_GET(self):
        body = self.path.encode() * 20_000
        if self.path.startswith('/missing'):
            self.send_error(404)
        elif self.path.startswith('/hang'):
            self.send_response(200)
            self.send_header('Content-Length', '1000')
            self.end_headers()
            self.wfile.write(b'a little')
            self.hang.wait()
        elif self.path.startswith('/chunked'):
            self.send_response(200)
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            for at in range(0, len(body), 7777):
                part = body[at:at + 7777]
                self.wfile.write(f'{len(part):x}\r\n'.encode() + part + b'\r\n')
            self.wfile.write(b'0\r\n\r\n')
        else:
            self.send_response(200)
            if not self.path.startswith('/unsized'):
                self.send_header('Content-Length', str(len(body) + (10 if self.path.startswith('/short') else 0)))
            self.end_headers()
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        pass


def fetch():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Pages)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f'http://127.0.0.1:{server.server_port}'
    with tempfile.TemporaryDirectory() as folder:
        done = run('fetch', '--quiet', '--directory', folder, *(f'{base}/{name}' for name in ('sized', 'chunked', 'unsized')), f'{base}')
        check('several at a time', done.returncode == 0 and done.stderr == '', done)
        for name in ('sized', 'chunked', 'unsized'):
            with open(f'{folder}/{name}', 'rb') as file:
                check(f'/{name} is there, byte for byte', file.read() == f'/{name}'.encode() * 20_000)
        check('the root is index.html', os.path.exists(f'{folder}/index.html'))
        before = sorted(os.listdir(folder))
        done = run('fetch', '--directory', folder, '--each', '1', *(f'{base}/{name}' for name in ('missing', 'short', 'hang', 'sized', 'good')))
        equal('each failure is its own', (done.returncode, done.stdout.splitlines()), (1, [f'{base}/missing: status 404',
            f'{base}/short: the stream ended before the bytes asked for', f'{base}/hang: timed out',
            f'{base}/sized: File exists', f'{folder}/good: 100000 bytes']))
        equal('and leaves no file', sorted(os.listdir(folder)), sorted([*before, 'good']))
        check('progress is shown meanwhile', f'{folder}/hang   0%' in done.stderr, done.stderr)
        done = run('fetch', '--quiet', '--directory', folder, '--total', '1', f'{base}/hang', f'{base}/fast')
        equal('the time for all ends those that go on', (done.returncode, done.stdout.splitlines()),
            (1, [f'{base}/hang: cancelled', f'{folder}/fast: 100000 bytes']))
        with Program('fetch', '--directory', folder, f'{base}/hang') as program:
            program.line('stderr')
            code, said = program.end()
            equal('Ctrl-C', (code, said.splitlines()[-1], os.path.exists(f'{folder}/hang')), (130, 'fetch: cancelled', False))
    equal('what is no URL', run('fetch', 'ftp://127.0.0.1/').returncode, 2)
    Pages.hang.set()
    server.shutdown()


def chat():
    with Program('chat', '0') as program:
        port = program.port()
        with connect(port) as ann, connect(port) as bob:
            hears = {sock: sock.makefile('r') for sock in (ann, bob)}
            bob.sendall(b'Bob\n')  # he came second, so that she is there to hear it
            equal('one hears who comes', hears[ann].readline(), '* Bob is here\n')
            ann.sendall(b'Ann\r\nhello')
            equal('the other too', hears[bob].readline(), '* Ann is here\n')
            ann.sendall(b' there\r\n')
            equal('and what is said, by lines', hears[bob].readline(), 'Ann: hello there\n')
            with connect(port) as carl:
                carl.sendall(b'Carl\n')
                equal('a third', [hears[sock].readline() for sock in (ann, bob)], ['* Carl is here\n'] * 2)
            equal('who goes', [hears[sock].readline() for sock in (ann, bob)], ['* Carl is gone\n'] * 2)
            with connect(port) as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                deaf.sendall(b'Deaf\n')
                equal('one who does not read', [hears[sock].readline() for sock in (ann, bob)], ['* Deaf is here\n'] * 2)
                heard = ''
                while heard != '* Deaf is gone\n':  # answers keep the two from being dropped themselves
                    ann.sendall(b'blah' * 90 + b'\n')
                    heard = hears[bob].readline()
                check('is dropped, and holds up nobody', True)
            code, said = program.end()
            equal('Ctrl-C', (code, said), (0, ''))


def supervise():
    with Program('supervise', '--grace', '30', 'echo once; exit 3', 'trap "echo finished; exit 0" TERM; echo ready; while :; do sleep 0.01; done') as program:
        lines = program.lines_until('ready')
        while sum('started as' in line and 'once' in line for line in lines) < 3:
            lines.append(program.line())
        check('one that ends is started again', 'echo once; exit 3: ended with 3' in lines, lines)
        code, said = program.end(signal.SIGTERM)
        check('SIGTERM: each has time to finish', code == 0 and 'finished\n' in said and said.count(': stopped\n') == 2, said)
        check('the last one first', said.index('; done: stopped\n') < said.index('exit 3: stopped\n'), said)
    with Program('supervise', '--grace', '1', 'trap "" TERM; sleep 1000 & echo child $!; wait; while :; do sleep 1000; done') as program:
        lines = program.lines_until('^child')
        child = os.pidfd_open(int(lines[-1].split()[1]))
        code, said = program.end()
        equal('Ctrl-C: what resists is killed', (code, said.splitlines()[-1].split(': ')[-1]), (0, 'stopped'))
        # It was sent its end by then, and may still have to come to its turn for it.
        check('and so is what it has started', select.select([child], [], [], BOUND)[0])
        os.close(child)


def host():
    done = run('host', '30')
    lines = done.stdout.splitlines()
    ended = re.fullmatch(r'30 ticks, (\d+) missed, the tasks ended with: success', lines[-1])
    check('each tick was worked on or missed', done.returncode == 0 and ended and len(lines) - 1 == 30 - int(ended.group(1)), done)
    with Program('host', '100000') as program:
        program.line()
        code, said = program.end()
        check('Ctrl-C', code == 130 and said.splitlines()[-1].endswith('the tasks ended with: cancelled'), (code, said))


run_all((every_one_explains_itself, echo, scan, connect_, pipeline, fetch, chat, supervise, host))
