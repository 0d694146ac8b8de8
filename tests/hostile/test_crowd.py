#!/usr/bin/env python3
"""Crowds of strangers on loopback, where the honest peer is too: silent connections, finished ones that idle, streams
that are left open, messages that are promised and do not come.

While each crowd is there an honest peer connects and blocks are fetched both ways; when it has left, memory and
descriptors go back. The numbers are those of the limits the node has on this machine."""
import os
import resource
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import BOUND, check, equal, kit, noise, run_all, sanitized, until, varint
import peer as raw
from peer import DATA, HEADER, SYN, Crowd, Scene, frame, line

BITSWAP = '/ipfs/bitswap/1.2.0'
MESSAGE = 4 << 20  # the longest of bitswap

# Enough descriptors for a crowd, and a bound on it where memory is vast: connections take three eighths of them at most.
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
FILES = 4096 if HARD == resource.RLIM_INFINITY else min(HARD, 4096)
resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, HARD))
SHARES = 2 + (os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 4 >> 30)
CONNECTIONS = min(64 * SHARES, FILES // 8 * 3 // 2)
STREAMS = 1024 * SHARES


def both_ways(scene, what, say=True):
    """The honest peer connects; each gets a file of the other."""
    got = kit('swarm', 'connect', scene.node.swarm[0], repo=scene.honest.repo)
    connected = got.code == 0
    scene.counter += 1
    for source, target in ((scene.node, scene.honest), (scene.honest, scene.node)):
        data = noise(700_000, 50_000 + scene.counter + source.pid)
        cid = kit('add', '-Q', repo=source.repo, stdin=data).text
        got = kit('--timeout=30s', 'cat', cid, repo=target.repo)
        connected = connected and got.out == data
    if say or not connected:
        check(f'{what}: an honest peer connects, and blocks go both ways', connected, got)


def crowded(what, count, words=b'', beside=None):
    """A crowd comes, twice; beside(scene, crowd) looks at more while it is there."""
    with Scene() as scene:
        def act(first):
            kit('swarm', 'disconnect', scene.node.swarm[0], repo=scene.honest.repo)
            with Crowd(scene.node, count, words) as crowd:
                until(f'{what}: all have come', lambda: crowd.complete.is_set() or crowd.process.poll() is not None, 4 * BOUND)
                if first:
                    equal(f'{what}: each of {count} came in', crowd.came_in, count)
                both_ways(scene, what, say=first)
                if first and beside:
                    beside(scene, crowd)
        scene.attack(what, act)


def silent_connections():
    """More silent connections than there are places for handshakes: they make room, those of other addresses are left alone."""
    with Scene() as scene:
        def silent(source):
            return socket.create_connection(('127.0.0.1', scene.node.swarm_port), BOUND, (source, 0))

        def ended(s):
            s.settimeout(BOUND)
            try:
                while s.recv(4096):
                    pass
                return True
            except OSError as error:
                return not isinstance(error, TimeoutError)

        def act(first):
            usage = scene.node.descriptors()
            alone = silent('127.0.0.3')  # older than all of the crowd
            sockets = [silent('127.0.0.2') for _ in range(100)]
            if first:
                check('the oldest of the crowd are closed to make room', all(ended(s) for s in sockets[:60]))
            kit('swarm', 'disconnect', scene.node.swarm[0], repo=scene.honest.repo)
            got = kit('swarm', 'connect', scene.node.swarm[0], repo=scene.honest.repo)
            if first:
                equal('a peer that comes beside 100 silent connections is let in', got.code, 0)
                alone.settimeout(1)
                try:
                    while (rest := alone.recv(4096)):
                        pass
                except TimeoutError:
                    rest = None
                check('who came alone from an address keeps its place', rest is None, rest)
            for s in [alone, *sockets]:
                s.close()
            until('they are forgotten', lambda: scene.node.descriptors() <= usage)
        scene.attack('100 silent connections from one address', act)


def idle_connections():
    more = 22

    def beside(scene, crowd):
        check('idle connections: no more than there are places for', crowd.closed >= more, crowd.closed)
        # Who gives blocks keeps its place although a crowd goes through: nobody would connect again.
        data = noise(40_000_000, 7)
        cid = kit('add', '-Q', repo=scene.honest.repo, stdin=data).text
        got = []
        fetch = threading.Thread(target=lambda: got.append(kit('--timeout=50s', 'cat', cid, repo=scene.node.repo)))
        fetch.start()
        with Crowd(scene.node, CONNECTIONS + more) as second:
            until('a second crowd', second.complete.is_set, 4 * BOUND)
            fetch.join()
        check('idle connections: a fetch goes on while a crowd goes through', got and got[0].out == data)

    crowded('idle connections', CONNECTIONS + more, beside=beside)


def opened(number, first=b''):
    body = HEADER + line(BITSWAP) + first
    return frame(DATA, SYN, number, len(body), body)


def open_streams():
    """Each opens as many as one peer may, and says nothing on them."""
    words = b''.join(opened(2 * i + 1) for i in range(250))
    crowded('open streams', STREAMS // 250 + 2, words)


def promised_messages():
    """256 MiB and more in messages of which one byte comes."""
    def beside(scene, crowd):
        held = scene.node.anonymous()
        check('promised messages: what is promised is not held', held < 96 << 20 or sanitized(scene.node), held)

    words = b''.join(opened(2 * i + 1, varint(MESSAGE) + b'\x0a') for i in range(64))
    crowded('promised messages', 20, words, beside)


def hoarded_messages():
    """The same in bytes that do come: all the memory there is for messages, and more."""
    def beside(scene, crowd):
        held = scene.node.anonymous()
        check('hoarded messages: no more is held than there is memory for', held < 384 << 20 or sanitized(scene.node), held)

    part = noise(200_000, 9)
    words = b''.join(opened(2 * i + 1, varint(MESSAGE) + part) for i in range(60))
    crowded('hoarded messages', 20, words, beside)


raw.HELPER = sys.argv[2] if len(sys.argv) > 2 else raw.HELPER
run_all([silent_connections, idle_connections, open_streams, promised_messages, hoarded_messages])
