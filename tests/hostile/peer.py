"""A libp2p peer whose honest half is p2p_raw: the tests say every yamux frame and every message. A crowd of
them, and the scene that they come into."""
import os
import queue
import struct
import subprocess
import threading

from node import BOUND, Daemon, Usage, check, environment, equal, field, kit, noise, varint

DATA, WINDOW, PING, AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
HELPER = os.environ.get('P2P_RAW', '')
SLACK = 4 << 20


def frame(kind, flags, stream, length, body=b''):
    return struct.pack('>BBHII', 0, kind, flags, stream, length) + body


def line(text):
    data = text.encode() + b'\n'
    return varint(len(data)) + data


HEADER = line('/multistream/1.0.0')


class Incoming:
    """A stream that the node opened to us."""

    def __init__(self):
        self.data, self.protocol, self.greeted = b'', None, False


class Peer:
    """accept: protocol id to a function (peer, stream id, bytes) called with all data so far, which
    returns how many bytes it took."""

    def __init__(self, daemon, accept=None, payload=None):
        words = [HELPER, str(daemon.swarm_port)] + ([payload.hex()] if payload is not None else [])
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment())
        self.accept = accept or {}
        self.frames = queue.Queue()  # (kind, flags, stream, length, body) of our own streams; None at the end
        self.incoming, self.next_stream, self.closed = {}, 1, threading.Event()
        self.lock = threading.Lock()
        self.shaken = self.process.stdout.read(1) == b'R'
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(BOUND)
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except OSError:
                pass

    def send(self, data):
        """True when it was taken; False when the connection is over."""
        try:
            with self.lock:
                view = memoryview(data)
                while view:
                    view = view[self.process.stdin.write(view):]
            return True
        except (OSError, ValueError):
            return False

    def _exactly(self, count):
        data = b''
        while len(data) < count:
            more = self.process.stdout.read(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _read(self):
        try:
            while True:
                _, kind, flags, stream, length = struct.unpack('>BBHII', self._exactly(12))
                body = self._exactly(length) if kind == DATA else b''
                if kind == PING and flags & SYN:
                    self.send(frame(PING, ACK, 0, length))
                elif stream and stream % 2 == 0:
                    self._incoming(kind, flags, stream, body)
                else:
                    if kind == DATA and length:
                        self.send(frame(WINDOW, 0, stream, length))
                    self.frames.put((kind, flags, stream, length, body))
        except (EOFError, OSError, ValueError):
            self.closed.set()
            self.frames.put(None)

    def _incoming(self, kind, flags, number, body):
        if flags & SYN:
            self.incoming[number] = Incoming()
            self.send(frame(WINDOW, ACK, number, 16 << 20))
        stream = self.incoming.get(number)
        if not stream:
            return
        if body:
            self.send(frame(WINDOW, 0, number, len(body)))
        stream.data += body
        while not stream.protocol and stream.data and len(stream.data) > stream.data[0]:
            text, stream.data = stream.data[1:1 + stream.data[0]], stream.data[1 + stream.data[0]:]
            name = text.decode(errors='replace').strip()
            if name == '/multistream/1.0.0':
                self.send(frame(DATA, 0, number, len(HEADER), HEADER))
            elif name in self.accept:
                stream.protocol = name
                self.send(frame(DATA, 0, number, len(line(name)), line(name)))
            else:
                self.send(frame(DATA, 0, number, 4, line('na')))
        if stream.protocol:
            taken = self.accept[stream.protocol](self, number, stream.data)
            stream.data = stream.data[taken or 0:]
        if flags & (FIN | RST):
            self.incoming.pop(number, None)

    # Streams of our own.

    def open(self, protocol, first=b''):
        """Opens a stream and agrees on the protocol without waiting; first follows at once."""
        number, self.next_stream = self.next_stream, self.next_stream + 2
        self.data(number, HEADER + line(protocol) + first, SYN)
        return number

    def data(self, number, body, flags=0):
        return self.send(frame(DATA, flags, number, len(body), body))

    def refused(self, stream=None, bound=BOUND):
        """Waits until the stream was reset or the connection closed: 'reset', 'closed', or None."""
        import time
        end = time.monotonic() + bound
        while True:
            try:
                got = self.frames.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                return None
            if got is None or got[0] == AWAY:
                self.frames.put(None)
                return 'closed'
            if got[1] & RST and stream in (None, got[2]):
                return 'reset'

    def message(self, stream, bound=BOUND):
        """The next DATA frame's body of a stream; None when it was refused or said nothing."""
        import time
        end = time.monotonic() + bound
        while True:
            try:
                got = self.frames.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                return None
            if got is None:
                self.frames.put(None)
                return None
            if got[2] == stream and got[1] & RST:
                return None
            if got[2] == stream and got[0] == DATA and got[4]:
                return got[4]


class Crowd:
    """So many connections of as many identities on loopback: each says `words`, then only answers pings."""

    def __init__(self, daemon, count, words=b''):
        self.count, self.came_in, self.closed = count, 0, 0
        self.process = subprocess.Popen([HELPER, str(daemon.swarm_port), 'crowd', str(count)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, bufsize=0, env=environment())
        self.complete = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            self.process.stdin.write(words)
        finally:
            self.process.stdin.close()

    def _read(self):
        while said := self.process.stdout.read(4096):
            self.came_in += said.count(b'R')
            self.closed += said.count(b'C')
            if b'.' in said:
                self.complete.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join(BOUND)
        self.process.stdout.close()


class Scene:
    """A node, an honest peer of it, and what is measured around each attack."""

    def __init__(self):
        self.node, self.honest = Daemon(), Daemon()
        equal('the honest peer connects', kit('swarm', 'connect', self.node.swarm[0], repo=self.honest.repo).code, 0)
        self.counter = 0
        self.serves_honest('warm', quiet=True)
        with Peer(self.node) as peer:
            peer.open('/ipfs/id/1.0.0')
            peer.message(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.node.kill()
        self.honest.kill()

    def serves_honest(self, what, quiet=False):
        self.counter += 1
        data = noise(300_000, self.counter)
        cid = kit('add', '-Q', repo=self.node.repo, stdin=data).text
        got = kit('--timeout=30s', 'cat', cid, repo=self.honest.repo)
        if not quiet:
            check(f'{what}: the node still serves an honest peer', got.out == data, got)

    def attack(self, what, act):
        """Once to warm up, then again with the measure taken."""
        act(True)
        usage = Usage(self.node, SLACK)
        act(False)
        self.serves_honest(what)
        usage.returned(what)
