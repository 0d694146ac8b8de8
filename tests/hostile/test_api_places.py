#!/usr/bin/env python3
"""Who is served when the places or the memory of the API are short: whoever stands still gives way, and nobody else."""
import contextlib
import os
import resource
import select
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import ABSENT, BOUND, BOUNDARY, Daemon, check, cid_raw, equal, noise, part, run_all, temp, until

PLACES = 39  # three eighths of the descriptors
POST_ID = b'POST /api/v0/id HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n'
ADD = (f'POST /api/v0/add HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n'
    f'Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n').encode()


def few_places():
    resource.setrlimit(resource.RLIMIT_NOFILE, (PLACES * 8 // 3, PLACES * 8 // 3))


def chunk(data):
    return b'%x\r\n%s\r\n' % (len(data), data)


class Api:
    """A daemon of few places, over TCP or a UNIX socket."""

    def __init__(self, kind, *options):
        self.path = temp('api.sock') if kind == 'unix' else None
        self.daemon = Daemon(*options, api=f'/unix/{self.path}' if self.path else '/ip4/127.0.0.1/tcp/0', preexec=few_places)

    def connect(self, buffer=None):
        s = socket.socket(socket.AF_UNIX if self.path else socket.AF_INET)
        s.settimeout(BOUND)
        if buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        s.connect(self.path or ('127.0.0.1', self.daemon.api_port))
        return s

    def ask(self, data, buffer=None):
        s = self.connect(buffer)
        s.sendall(data)
        return s

    def answers(self, request=POST_ID):
        """Whether a newcomer gets its answer."""
        try:
            with self.ask(request) as s:
                return s.recv(12) == b'HTTP/1.1 200'
        except OSError as error:
            print(f'      a newcomer was told: {error!r}')
            return False

    def add(self, data):
        with self.ask(ADD + chunk(part('f', data)) + chunk(f'--{BOUNDARY}--\r\n'.encode()) + b'0\r\n\r\n') as s:
            got = b''
            while b'"Hash":"' not in got or b'"Size"' not in got:
                got += s.recv(65536)
        return got.split(b'"Hash":"')[1].split(b'"')[0].decode()


def drip(sockets, stop, pieces):
    """Moves a byte each on all of them now and then, until told to stop."""
    while not stop.wait(0.25):
        for s in sockets:
            with contextlib.suppress(OSError):
                pieces(s)


def ended(s):
    """Whether the other side has closed; what it sent before is dropped."""
    s.setblocking(False)
    try:
        while s.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def a_newcomer_gets_in(kind):
    api = Api(kind)
    with api.daemon as daemon:
        cid = api.add(noise(20_000_000))
        calm = daemon.sockets()
        cases = {
            'say nothing': b'', 'are idle after a call': POST_ID, 'send half a head': POST_ID[:40], 'send half a body': ADD + b'5\r\n--',
            'drip a body': ADD + b'ffffff\r\n--', 'read nothing': POST_ID.replace(b'/id', b'/cat?arg=' + cid.encode()),
            'want what nobody has': POST_ID.replace(b'/id', b'/cat?arg=' + ABSENT.encode()),
        }
        for what, data in cases.items():
            sockets = [api.ask(data, 4096) for _ in range(PLACES)]
            until('they are accepted', lambda: daemon.sockets() >= calm + PLACES - 1)
            stop = threading.Event()
            dripper = threading.Thread(target=drip, args=(sockets, stop, lambda s: s.send(b'x')))
            if 'drip' in what:
                dripper.start()
            check(f'{kind}: a newcomer is served beside {PLACES} clients that {what}', api.answers())
            check(f'{kind}: and so are ten after it', all(api.answers() for _ in range(10)))
            stop.set()
            if 'drip' in what:
                dripper.join()
            if 'half a body' in what:
                told = [s for s in sockets if select.select([s], [], [], 0)[0]]
                answer = told[0].recv(65536) if told else b''
                check(f'{kind}: whoever gave way was told why', b' 503 ' in answer and b'stood still' in answer and b'ulimit' in answer, answer)
            for s in sockets:
                s.close()
            until('their sockets are given back', lambda: daemon.sockets() <= calm + 2)
        equal(f'{kind}: it stops cleanly', daemon.stop(), 0)


def over_tcp():
    a_newcomer_gets_in('tcp')


def over_a_unix_socket():
    a_newcomer_gets_in('unix')


def the_busy_stay():
    """An upload that goes on is not ended for newcomers, and one that stands still not while places are left."""
    api = Api('tcp')
    with api.daemon as daemon:
        data, calm = noise(24 << 20), daemon.sockets()
        paused = api.ask(ADD + chunk(part('paused', b'first')[:-2]))
        with api.ask(POST_ID[:40]) as half:
            until('half a head is ended by its time', lambda: select.select([half], [], [], 0)[0])
            check('and told so', b' 408 ' in half.recv(65536))
        # More than ten seconds have passed.
        paused.sendall(chunk(b', second\r\n') + chunk(f'--{BOUNDARY}--\r\n'.encode()) + b'0\r\n\r\n')
        answer = b''
        while b'"Size"' not in answer:
            answer += paused.recv(65536) or b'"Size" of nothing'
        check('a body that paused for longer than the time of a head is taken', cid_raw(b'first, second').encode() in answer, answer)
        paused.close()

        until('those two are gone', lambda: daemon.sockets() <= calm)
        sockets = [api.ask(ADD + b'5\r\n--') for _ in range(PLACES - 1)]
        until('they are accepted', lambda: daemon.sockets() >= calm + PLACES - 1)
        busy = api.ask(ADD)
        pieces = [data[i:i + (1 << 18)] for i in range(0, len(data), 1 << 18)]
        busy.sendall(chunk(part('f', b'')[:-2]))
        served = 0
        for piece in pieces:
            busy.sendall(chunk(piece))
            served += api.answers()
        busy.sendall(chunk(f'\r\n--{BOUNDARY}--\r\n'.encode()) + b'0\r\n\r\n')
        answer = busy.recv(65536)
        check('an upload goes on while newcomers take the places of those that stand still', b' 200 ' in answer, answer)
        equal('and they are all served', served, len(pieces))
        for s in sockets + [busy]:
            s.close()


def who_spoke_while_it_slept_is_heard():
    """A request that lies in its socket is not judged as one that never came, however long the process had no turn."""
    for accepted in False, True:
        how = 'on a connection that it had' if accepted else 'on a new connection'
        api = Api('tcp')
        with api.daemon as daemon:
            calm = daemon.sockets()
            sockets = [api.ask(ADD + b'5\r\n--') for _ in range(PLACES - 1)]
            until('they are accepted', lambda: daemon.sockets() >= calm + PLACES - 1)
            if accepted:
                busy = api.connect()
                until('and one more', lambda: daemon.sockets() >= calm + PLACES)
            os.kill(daemon.pid, signal.SIGSTOP)
            if not accepted:
                busy = api.connect()
            busy.sendall(ADD + chunk(part('f', b'words')[:-2]))
            newcomer = api.ask(POST_ID)
            os.kill(daemon.pid, signal.SIGCONT)
            check(f'{how}: a newcomer is served', newcomer.recv(12) == b'HTTP/1.1 200')
            answer = b''
            with contextlib.suppress(OSError):
                busy.sendall(chunk(f'\r\n--{BOUNDARY}--\r\n'.encode()) + b'0\r\n\r\n')
                answer = busy.recv(65536)
            check(f'{how}: and whoever spoke before it is not ended for it', b' 200 ' in answer, answer)
            for s in [*sockets, busy, newcomer]:
                s.close()


def begin_again(api, stop, count):
    """Begins a head on so many connections, again and again, each anew before it has stood still for long; until told to stop."""
    sockets = []
    while not stop.is_set():
        with contextlib.suppress(OSError):
            sockets.append(api.ask(POST_ID[:9]))
        if len(sockets) > count:
            sockets.pop(0).close()
    for s in sockets:
        s.close()


def a_request_outlasts(what, *options, head=b''):
    """One that waits for its answer keeps its place, whatever those do who only begin."""
    def with_head(request):
        return request.replace(b'Content-Length', head + b'Content-Length')
    api = Api('tcp', *options)
    with api.daemon as daemon:
        calm, stop = daemon.sockets(), threading.Event()
        waiting = api.ask(with_head(POST_ID.replace(b'/id', b'/cat?timeout=16s&arg=' + ABSENT.encode())))
        until('it waits', lambda: daemon.sockets() > calm)
        crowd = [threading.Thread(target=begin_again, args=(api, stop, PLACES)) for _ in range(3)]
        for thread in crowd:
            thread.start()
        served = asked = 0
        while not select.select([waiting], [], [], 0)[0]:
            served += api.answers(with_head(POST_ID))
            asked += 1
        answer = waiting.recv(65536)
        stop.set()
        for thread in crowd:
            thread.join()
        waiting.close()
        check(f'{what}: a request that waits is not ended for heads that are begun', b'deadline exceeded' in answer, answer)
        # A newcomer may be slower to ask than a crowd of others is to come.
        check(f'{what}: and others are served meanwhile', served >= asked * 0.9, f'{served} of {asked}')
        until('the sockets are given back', lambda: daemon.sockets() <= calm)
        equal(f'{what}: it stops cleanly', daemon.stop(), 0)


def heads_begun_again_and_again():
    a_request_outlasts('heads begun again and again')


def strangers_without_the_secret():
    a_request_outlasts('strangers', '--api-auth', 'sesame', head=b'Authorization: Bearer sesame\r\n')
    api = Api('tcp', '--api-auth', 'sesame')
    with api.daemon as daemon:
        calm = daemon.sockets()
        known = api.ask(POST_ID.replace(b'Content-Length', b'Authorization: Bearer sesame\r\nContent-Length'))
        check('with the secret', b' 200 ' in known.recv(65536))
        strangers = [api.ask(POST_ID) for _ in range(PLACES - 1)]
        until('strangers take all other places', lambda: daemon.sockets() >= calm + PLACES - 1)
        for _ in range(PLACES - 1):
            strangers.append(api.ask(POST_ID))
            check('a newcomer is answered', b' 401 ' in strangers[-1].recv(65536))
        check('one that has shown the secret keeps its place, though it is idle', not ended(known))
        for s in strangers + [known]:
            s.close()


def readers_that_take_a_few_bytes():
    """They do not hold the memory that others wait for, though bytes move."""
    with Daemon() as daemon:
        data = noise(24 << 20)
        cid = daemon.add(data)
        sockets = []
        fds = daemon.sockets()
        for _ in range(150):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(('127.0.0.1', daemon.api_port))
            s.sendall(POST_ID.replace(b'/id', b'/cat?arg=' + cid.encode()))
            sockets.append(s)
        until('they are accepted', lambda: daemon.sockets() >= fds + 145)
        stop = threading.Event()
        dripper = threading.Thread(target=drip, args=(sockets, stop, lambda s: s.recv(300, socket.MSG_DONTWAIT)))
        dripper.start()
        try:
            check('an honest reader gets all beside 150 that take 300 bytes now and then', daemon.rpc('cat', cid)[2] == data)
        finally:
            stop.set()
            dripper.join()
        until('some of those are ended', lambda: any(ended(s) for s in sockets))
        for s in sockets:
            s.close()
        until('their sockets are given back', lambda: daemon.sockets() <= fds)
        equal('it stops cleanly', daemon.stop(), 0)


run_all([over_tcp, over_a_unix_socket, the_busy_stay, who_spoke_while_it_slept_is_heard, heads_begun_again_and_again, strangers_without_the_secret,
    readers_that_take_a_few_bytes])
