#!/usr/bin/env python3
"""A get over the network that is interrupted goes on where it stopped: what was kept does not come again.

Between the two nodes stands a gate that counts what the source sends and holds back all beyond a number of
bytes, so that the fetch is in its middle when it is ended, however fast the machine is.
"""
import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import (BOUND, PROGRAM, Daemon, check, environment, equal, kit, new_repo, noise, read, run_all, temp, until,
    write)

BLOCK = 1 << 20
BLOCKS = 96
HELD_AT = 60 * BLOCK
# What is on its way when the fetch ends: asked of the peer, being hashed, not yet written.
UNDER_WAY = 40 * BLOCK


class Gate:
    """One connection to a port of loopback, and what came back through it. slow: at some 3 MiB a second."""

    def __init__(self, port, limit=None, slow=False):
        self.port, self.limit, self.passed, self.slow = port, limit, 0, slow
        self.full, self.ends = threading.Event(), []
        self.listener = socket.create_server(('127.0.0.1', 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def address(self, peer):
        return f'/ip4/127.0.0.1/tcp/{self.listener.getsockname()[1]}/p2p/{peer}'

    def serve(self):
        client, _ = self.listener.accept()
        source = socket.create_connection(('127.0.0.1', self.port))
        self.ends = [client, source]
        threading.Thread(target=self.forward, args=(client, source), daemon=True).start()
        self.forward(source, client, counts=True)

    def forward(self, one, other, counts=False):
        try:
            while data := one.recv(65536):
                if counts and self.limit is not None and self.passed + len(data) > self.limit:
                    self.full.set()
                    return
                self.passed += len(data) if counts else 0
                if counts and self.slow:
                    select.select([], [], [], len(data) / (3 << 20))  # this is the pace, not a wait for something
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # an end was closed

    def close(self):
        self.listener.close()
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
            end.close()


def objects(repo):
    return json.loads(kit('repo', 'stat', '--json', repo=repo).out)['NumObjects']


def wants_nothing(daemon):
    """Whoever asked is gone, and the daemon knows: else a new connection begins with what it had wanted."""
    return not json.loads(daemon.rpc('bitswap/wantlist')[2])['Keys']


def interrupt(what, number, repo, gate, words):
    """Starts a get, ends it when the gate holds back, and gives how many blocks it has kept."""
    before, out = objects(repo), words[words.index('-o') + 1]
    child = subprocess.Popen([PROGRAM, '--repo', repo, *words], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env=environment())
    check(f'{what}: it is in the middle', gate.full.wait(BOUND) and child.poll() is None)
    child.send_signal(number)
    errors = child.communicate(timeout=BOUND)[1]
    if number != signal.SIGKILL:
        check(f'{what}: says what is kept, and what to do', re.fullmatch(
            rb'ipfs-kit get: interrupted while \w+, [\d.]+ MiB of 96.0 MiB done; run again, it goes on where it stopped\n', errors), errors)
    equal(f'{what}: exit code', child.returncode, -signal.SIGKILL if number == signal.SIGKILL else 130)
    check(f'{what}: nothing half is in the place', not os.path.exists(out), errors)
    gate.close()
    kept = objects(repo) - before
    check(f'{what}: what had come is kept', HELD_AT // BLOCK >= kept >= (HELD_AT - UNDER_WAY) // BLOCK, kept)
    return kept


def check_the_rest(what, done, out, data, gate, kept):
    check(f'{what}: run again, it fetches all', done.code == 0 and read(out) == data, done)
    # And what the protocols add, and a block or two that a slow machine asks for again; all that was kept would be four times that.
    most = (BLOCKS + 1 - kept) * BLOCK + kept * BLOCK // 4
    check(f'{what}: what was kept did not come again ({kept} blocks kept, {gate.passed >> 20} MiB came)',
        gate.passed <= most, f'{gate.passed} bytes came, {most} were missing')
    gate.close()


def interrupted_alone(number):
    what = f'get ended by {signal.Signals(number).name}'
    data, repo, out = noise(BLOCKS * BLOCK), new_repo(), temp('out')
    with Daemon() as source:
        cid = kit('add', '-Q', write(temp('large'), data), repo=source.repo).text
        gate = Gate(source.swarm_port, HELD_AT)
        kept = interrupt(what, number, repo, gate, ['--connect', gate.address(source.peer_id), 'get', '-o', out, cid])
        gate = Gate(source.swarm_port)
        done = kit('--connect', gate.address(source.peer_id), 'get', '-o', out, cid, repo=repo)
        check_the_rest(what, done, out, data, gate, kept)
        equal(f'{what}: the repo is whole', kit('repo', 'verify', repo=repo).code, 0)


def by_kill():
    interrupted_alone(signal.SIGKILL)


def by_interrupt():
    interrupted_alone(signal.SIGINT)


def by_kill_through_a_daemon():
    what = 'get through a daemon, killed'
    data, out = noise(BLOCKS * BLOCK, 2), temp('out')
    with Daemon() as source, Daemon() as own:
        cid = kit('add', '-Q', write(temp('large'), data), repo=source.repo).text
        gate = Gate(source.swarm_port, HELD_AT)
        kit('swarm', 'connect', gate.address(source.peer_id), repo=own.repo)
        kept = interrupt(what, signal.SIGKILL, own.repo, gate, ['get', '-o', out, cid])
        until('the daemon looks for nothing any more', lambda: wants_nothing(own))
        until('the connection has ended', lambda: source.peer_id not in kit('swarm', 'peers', repo=own.repo).text)
        # Else the new peer is asked for the killed one's blocks, which nobody takes when it is noticed that it left.
        until('nothing is looked for', lambda: not json.loads(own.rpc('bitswap/wantlist')[2])['Keys'])
        gate = Gate(source.swarm_port)
        kit('swarm', 'connect', gate.address(source.peer_id), repo=own.repo)
        check_the_rest(what, kit('get', '-o', out, cid, repo=own.repo), out, data, gate, kept)


DONE = r'timed out while (\w+), ([\d.]+) MiB of 96\.0 MiB done'


def by_time(how, gate_options, said, not_said):
    """--timeout in the middle of a transfer tells how far it came and what a second run does."""
    data = noise(BLOCKS * BLOCK, 3)
    with Daemon() as source, Daemon() as own:
        cid = kit('add', '-Q', write(temp('large'), data), repo=source.repo).text
        for through in ('alone', 'through a daemon'):
            repo, out, what = own.repo if through != 'alone' else new_repo(), temp('out'), f'get by {how}, {through}'
            gate = Gate(source.swarm_port, **gate_options)
            words = ['--timeout=6s', 'get', '-o', out, cid]
            if through == 'alone':
                words = ['--connect', gate.address(source.peer_id), *words]
            else:
                kit('swarm', 'connect', gate.address(source.peer_id), repo=repo)
            before = objects(repo) if through == 'alone' else 0
            done = kit(*words, repo=repo)
            far = re.search(DONE, done.err)
            check(f'{what}: tells how far it came', done.code == 5 and far and far[1] == 'getting' and 0 < float(far[2]) < 96, done)
            check(f'{what}: tells that a second run goes on', 'run again, it goes on where it stopped' in done.err, done)
            check(f'{what}: tells why', said in done.err and not_said not in done.err, done)
            if through != 'alone':
                until('the daemon looks for nothing any more', lambda: wants_nothing(own))
            gate.close()
            if through != 'alone':
                until('the connection has ended', lambda: source.peer_id not in kit('swarm', 'peers', repo=repo).text)
            kept = objects(repo) - before
            gate = Gate(source.swarm_port)
            if through == 'alone':
                again = kit('--connect', gate.address(source.peer_id), 'get', '-o', out, cid, repo=repo)
            else:
                kit('swarm', 'connect', gate.address(source.peer_id), repo=repo)
                again = kit('get', '-o', out, cid, repo=repo)
            check_the_rest(what, again, out, data, gate, kept)


def by_time_while_it_comes():
    by_time('time, while data comes', {'slow': True}, 'a longer --timeout lets it come further', 'waiting for')


def by_time_when_nothing_comes():
    by_time('time, from a peer that stopped sending', {'limit': HELD_AT}, '1 peer connected, 1 may have it', 'swarm connect')


def adding_by_time():
    """An add of what never ends tells how much was added, and what a second one does."""
    process = subprocess.Popen([PROGRAM, '--repo', new_repo(), '--timeout=1s', 'add', '-Q'], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, env=environment())
    with contextlib.suppress(BrokenPipeError):
        while process.poll() is None:
            process.stdin.write(bytes(1 << 20))
    errors = process.stderr.read().decode()
    check('add by time: how far, and what was stored', process.wait() == 5 and re.search(r'timed out while adding, [\d.]+ [MG]iB done', errors) and
        'what was stored is not stored twice' in errors, errors)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stderr.close()


run_all([by_kill, by_interrupt, by_kill_through_a_daemon, by_time_while_it_comes, by_time_when_nothing_comes, adding_by_time])
