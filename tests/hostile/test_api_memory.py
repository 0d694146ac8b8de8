#!/usr/bin/env python3
"""Memory that callers of the API make the daemon hold: bounded together, whatever it is for, and given back."""
import contextlib
import json
import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import BOUNDARY, Daemon, Usage, check, equal, field, form, form_type, part, run_all, sanitized, until

ROOM = 128 << 20
MORE = 256 << 20  # what one document in the making and the allocator may take beside it


class Top:
    """The most memory that a daemon has while something is done."""

    def __init__(self, daemon):
        self.daemon, self.before, self.most, self.done = daemon, daemon.anonymous(), 0, threading.Event()
        self.bound = ROOM + MORE + (512 << 20 if sanitized(daemon) else 0)

    def look(self):
        self.most = max(self.most, self.daemon.anonymous() - self.before)
        return self.most

    def _look_on(self):
        while not self.done.wait(0.01):
            self.look()

    def __enter__(self):
        self.thread = threading.Thread(target=self._look_on)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def held(self, what):
        check(f'{what}: memory is bounded', self.most <= self.bound, f'{self.most >> 20} MiB more than before')


def ask(daemon, request):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(('127.0.0.1', daemon.api_port))
    s.sendall(request)
    return s


def put_block(daemon, data, codec):
    status, _, body = daemon.rpc('block/put', body=form([('b', data)]), headers=form_type(), cid_codec=codec)
    equal(f'a block of {codec} is stored', status, 200)
    return json.loads(body)['Key']


def document(values=1_000_000):
    """A list of numbers, of which each byte becomes two of JSON."""
    return b'\x9a' + struct.pack('>I', values) + b'\x18\xff' * values


def folder(entries=40_000):
    leaf = b'\x01\x55\x12\x20' + bytes(32)
    return b''.join(field(2, field(1, leaf) + field(2, b'%06d' % i) + field(3, 0)) for i in range(entries)) + field(1, b'\x08\x01')


def readers_of(what, daemon, path, count, honest):
    """So many that read nothing, beside one that does."""
    fds = daemon.descriptors()
    with Top(daemon) as top:
        sockets = [ask(daemon, f'POST /api/v0/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()) for _ in range(count)]
        # Not by descriptors: who reads nothing gives way when others want room, on a slow machine before the last has come.
        until('they are accepted', lambda: daemon.unaccepted() == 0)
        check(f'{what}: an honest reader is served beside {count} that read nothing', honest())
    top.held(what)
    for s in sockets:
        s.close()
    until('their descriptors are given back', lambda: daemon.descriptors() <= fds)


def documents_that_are_not_taken():
    with Daemon() as daemon:
        cid = put_block(daemon, document(), 'dag-cbor')
        want = b'[' + b'255,' * 999_999 + b'255]'
        check('dag/get gives the whole document', daemon.rpc('dag/get', cid)[2].strip() == want)
        usage = Usage(daemon, 64 << 20)
        readers_of('dag/get', daemon, f'dag/get?arg={cid}', 100, lambda: daemon.rpc('dag/get', cid)[2].strip() == want)
        usage.returned('dag/get')
        equal('it stops cleanly', daemon.stop(), 0)


def folders_that_are_not_taken():
    with Daemon() as daemon:
        cid = put_block(daemon, folder(), 'dag-pb')

        def listed(count):
            status, _, body = daemon.rpc('ls', *[cid] * count, resolve_type=False)
            objects = json.loads(body)['Objects']
            return status == 200 and len(objects) == count and all(o['Hash'] == cid and len(o['Links']) == 40_000 for o in objects) \
                and objects[-1]['Links'][39_999]['Name'] == '039999'
        check('ls gives the whole folder', listed(1))
        usage = Usage(daemon, 64 << 20)
        with Top(daemon) as top:
            status, _, body = daemon.rpc('ls', *[cid] * 60, resolve_type=False)
        check('ls of a folder sixty times over', status == 200 and body.count(b'"039999"') == 60 and body.endswith(b']}]}\n'), body[-200:])
        check('ls: it is never whole in memory', top.most < 64 << 20 or sanitized(daemon), f'{top.most >> 20} MiB')
        readers_of('ls', daemon, f'ls?resolve-type=false&arg={cid}', 100, lambda: listed(2))
        usage.returned('ls')
        long = put_block(daemon, field(2, field(1, b'\x01\x55\x00\x00') + field(2, b'n' * 5000)) + field(1, b'\x08\x01'), 'dag-pb')
        status, _, body = daemon.rpc('ls', long)
        check('ls of a name longer than any: refused', status == 500 and b'more than 4096 bytes' in body, body[:300])
        equal('it stops cleanly', daemon.stop(), 0)


def bodies_that_stop():
    with Daemon() as daemon:
        data = b'"' + b'x' * 1_000_000 + b'"'
        first = part('f', b'x' * (2 << 20))[:-2]
        head = (f'Host: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n'
            f'Content-Length: {len(first) + 100}\r\n\r\n').encode()

        def stored():
            return daemon.rpc('dag/put', body=form([('d', data)]), headers=form_type())[0] == 200
        check('a document is stored', stored())
        usage, fds = Usage(daemon, 64 << 20), daemon.descriptors()
        sockets = []
        with Top(daemon) as top:
            for command in ('dag', 'block') * 60:
                s = ask(daemon, f'POST /api/v0/{command}/put HTTP/1.1\r\n'.encode() + head)
                s.setblocking(False)
                sockets.append([s, first])

            def send_on():
                """As much as is taken."""
                for one in sockets:
                    with contextlib.suppress(OSError):
                        one[1] = one[1][one[0].send(one[1]):]
            until('all have begun', lambda: [send_on(), all(len(rest) < len(first) for _, rest in sockets)][1])
            stop = threading.Event()

            def go_on():
                while not stop.wait(0.01):
                    send_on()
            thread = threading.Thread(target=go_on)
            thread.start()
            try:
                check('an honest document is stored beside 120 bodies that stop before their end', stored())
            finally:
                stop.set()
                thread.join()
        top.held('bodies')
        told = b''
        for s, _ in sockets:
            with contextlib.suppress(OSError):
                told += s.recv(65536)
            s.close()
        check('whoever gave way was told why', b' 503 ' in told and b'needed its memory' in told, told[:300])
        until('their descriptors are given back', lambda: daemon.descriptors() <= fds)
        usage.returned('bodies')
        equal('it stops cleanly', daemon.stop(), 0)


def adds_and_imports_that_stop():
    """Each holds a batch; what each chunk is long, the caller of add says."""
    with Daemon() as daemon:
        def added():
            return daemon.rpc('add', body=form([('f', b'honest')]), headers=form_type())[0] == 200
        check('a file is added', added())
        usage, fds = Usage(daemon, 64 << 20), daemon.descriptors()
        for what, command, sent in (
                ('adds of which a little came', 'add?chunker=size-1048576', 100),
                ('adds of which much came, in large chunks', 'add?chunker=size-2096896', 12 << 20),
                ('imports of which half a header came', 'dag/import', 100)):
            begun = part('f', b'x' * sent)[:-2]
            sockets = []
            with Top(daemon) as top:
                for _ in range(100):
                    s = ask(daemon, f'POST /api/v0/{command} HTTP/1.1\r\nHost: localhost\r\n'
                        f'Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {sent + 4096}\r\n\r\n'.encode())
                    s.setblocking(False)
                    with contextlib.suppress(OSError):
                        s.send(begun)
                    sockets.append(s)
                until('they are accepted', lambda: daemon.unaccepted() == 0)
                check(f'an honest file is added beside 100 {what}', added())
            top.held(what)
            for s in sockets:
                s.close()
            until('their descriptors are given back', lambda: daemon.descriptors() <= fds)
        usage.returned('adds and imports')
        equal('it stops cleanly', daemon.stop(), 0)


def documents_too_large():
    """Each bound is told by its own name."""
    with Daemon() as daemon:
        for what, data, words in (
                ('too deep', b'[' * 600 + b']' * 600, b'nested deeper than 512'),
                ('too long', b'"' + b'x' * (2 << 20) + b'"', b'is at most 2 MiB')):
            status, _, body = daemon.rpc('dag/put', body=form([('d', data)]), headers=form_type())
            equal(f'dag/put of a document {what}: refused', status, 500)
            check(f'dag/put of a document {what}: told so', words in body, body)
        check('it serves', daemon.serves())
        equal('it stops cleanly', daemon.stop(), 0)


run_all([documents_that_are_not_taken, folders_that_are_not_taken, bodies_that_stop, adds_and_imports_that_stop, documents_too_large])
