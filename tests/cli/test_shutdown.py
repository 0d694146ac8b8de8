#!/usr/bin/env python3
"""A daemon that is told to stop: what runs has its grace, what is stuck or endless does not hold it up, and what was
acknowledged stays. SIGQUIT shows what it is at."""
import json
import os
import re
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import (ABSENT, BOUND, BOUNDARY, PROGRAM, Daemon, check, cid_raw, environment, equal, kit, new_repo, noise, part, read, run_all,
    temp, until, write)

# What a shell runs in the background ignores both, and so would the daemons started here; SIGQUIT tells all the same.
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_IGN)

LONG = '1h'  # a grace that nothing here waits for
POST = 'POST /api/v0/{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{}\r\n'


def daemon_with(grace, **options):
    repo = new_repo()
    equal(f'daemon.grace {grace}', kit('config', 'daemon.grace', grace, repo=repo).code, 0)
    return Daemon(repo=repo, **options)


def asked(daemon, command, length=0, headers=''):
    s = daemon.connect()
    s.sendall(POST.format(command, length, headers).encode())
    return s


def add_begun(daemon, data, sent):
    """An add through a socket of which so many bytes were sent, and at least one block of it is stored or hashed: the socket and the rest."""
    body = part('big', data) + f'--{BOUNDARY}--\r\n'.encode()
    s = asked(daemon, 'add?progress=true', len(body), f'Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n')
    s.sendall(body[:sent])
    got = b''
    while b'"Bytes"' not in got:  # the daemon is at it
        got += s.recv(65536)
    return s, body[sent:], got


def rest_of(s, got=b''):
    s.settimeout(BOUND)
    while data := s.recv(1 << 20):
        got += data
    return got


def refuses(daemon):
    """Listens no more: it was told to stop and knows it."""
    try:
        daemon.connect().close()
    except (ConnectionRefusedError, ConnectionResetError):  # not yet accepted when the listener was closed
        return True
    return False


def told(daemon, how):
    daemon.process.send_signal(signal.SIGTERM) if how == 'SIGTERM' else kit('shutdown', repo=daemon.repo)
    until(f'{how}: newcomers are refused', lambda: refuses(daemon))


def ended(daemon, what, warns=None):
    """It ends by itself, with 0."""
    equal(f'{what}: it ends with 0', daemon.process.wait(BOUND), 0)
    errors = daemon.stderr()
    if warns is None:
        check(f'{what}: nothing was cut off', 'cut off before' not in errors, errors)
    else:
        check(f'{what}: it is named on standard error', re.search(warns, errors), errors)
    check(f'{what}: the repo is whole', kit('repo', 'verify', repo=daemon.repo).code == 0)


def what_asks_for_nothing_is_not_waited_for():
    for how in ('SIGTERM', 'shutdown'):
        with daemon_with(LONG) as daemon:
            idle = [asked(daemon, 'id') for _ in range(3)]
            for s in idle:
                s.recv(65536)
            halves = [daemon.connect() for _ in range(3)]
            for s in halves:
                s.sendall(POST[:30].encode())
            silent = [daemon.connect() for _ in range(3)]
            told(daemon, how)
            ended(daemon, f'{how} with idle clients')
            for s in idle + halves + silent:
                s.close()


def what_runs_is_done():
    data = noise(24 << 20)
    for how in ('SIGTERM', 'shutdown'):
        with daemon_with(LONG) as daemon:
            cid = kit('add', '-Q', repo=daemon.repo, stdin=data).text
            s, more, got = add_begun(daemon, noise(8 << 20, 3), 4 << 20)
            form = part('f', b'a block') + f'--{BOUNDARY}--\r\n'.encode()
            late = asked(daemon, 'block/put', len(form), f'Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n')
            reader = asked(daemon, f'cat?arg={cid}')
            first = reader.recv(4096)
            client = subprocess.Popen([PROGRAM, '--repo', daemon.repo, 'cat', cid], stdout=subprocess.PIPE, bufsize=0, env=environment())
            begun = client.stdout.read(1)
            adder = subprocess.Popen([PROGRAM, '--repo', daemon.repo, 'add', '-Q', '-p=false'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env=environment())
            adder.stdin.write(data[:4 << 20] + b'another')
            adder.stdin.flush()
            until('the add of the command line has begun', lambda: b'add (task' in tree(daemon)[1] and tree(daemon)[1].count(b' add (task') == 2)
            told(daemon, how)
            check(f'{how}: it tells what it waits for', re.search(r'requests? still runs?', daemon.stderr()), daemon.stderr())
            here = kit('id', repo=daemon.repo)
            check('other commands are told that the repo is in use', here.code == 4 and 'in use' in here.err, here)
            s.sendall(more)
            answer = rest_of(s, got)
            check(f'{how}: an add that was begun is answered', answer.endswith(b'0\r\n\r\n') and b'"Size"' in answer and b'X-Stream-Error: ' not in answer,
                answer[-400:])
            added = json.loads(re.findall(rb'\{[^{]*"Size"[^}]*\}', answer)[-1])['Hash']
            late.sendall(form)
            answer = rest_of(late)
            check(f'{how}: an answer that begins now says that it is the last', b'200 OK' in answer and b'Connection: close' in answer, answer)
            answer = rest_of(reader, first)
            check(f'{how}: a cat that was begun is whole', answer.endswith(b'0\r\n\r\n') and len(answer) > len(data), len(answer))
            check(f'{how}: the command line gets its cat', begun + client.communicate(timeout=BOUND)[0] == data and client.returncode == 0)
            out = adder.communicate(b'and the rest', timeout=BOUND)[0].decode().strip()
            check(f'{how}: and its add', adder.returncode == 0 and out.startswith('baf'), out)
            ended(daemon, f'{how} with requests')
            equal('what was added is there', kit('cat', added, repo=daemon.repo).out, noise(8 << 20, 3))
            equal('and that of the command line', kit('cat', out, repo=daemon.repo).out, data[:4 << 20] + b'anotherand the rest')
            pins = kit('pin', 'ls', '-q', repo=daemon.repo).text
            check('and pinned', added in pins and out in pins)


def what_is_stuck_is_cut_off():
    with daemon_with('300ms') as daemon:
        s, _, got = add_begun(daemon, noise(8 << 20), 4 << 20)
        waiting = asked(daemon, f'cat?arg={ABSENT}')
        client = subprocess.Popen([PROGRAM, '--repo', daemon.repo, 'get', '-o', temp('x'), ABSENT], stderr=subprocess.PIPE, text=True,
            env=environment())
        data = noise(64 << 20, 5)
        cid = kit('add', '-Q', repo=daemon.repo, stdin=data).text
        deaf = asked(daemon, f'cat?arg={cid}')
        deaf.recv(1)
        until('the get of the command line waits', lambda: tree(daemon)[1].count(b' get (task') == 1)
        told(daemon, 'SIGTERM')
        ended(daemon, 'stuck clients', warns=r'warning: add was cut off before it was done')
        for name in (f'cat {ABSENT}', f'get {ABSENT}', f'cat {cid}'):
            check(f'{name.split()[0]} is named too', f'{name} was cut off before it was done' in daemon.stderr(), daemon.stderr())
        answer = rest_of(s, got)
        check('the client of the add is told', b'X-Stream-Error: 503 - the node was shut down before this request was done' in answer, answer[-300:])
        answer = rest_of(waiting)
        check('so is who waited for a block', b'503 Service Unavailable' in answer and b'the node was shut down' in answer, answer)
        client.wait(BOUND)
        said = client.stderr.read()
        check('and the command line', client.returncode == 1 and 'shut down' in said, said)
        deaf.close()


def a_second_signal_ends_it():
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)):
        with daemon_with(LONG) as daemon:
            s, _, _ = add_begun(daemon, noise(8 << 20), 4 << 20)
            daemon.process.send_signal(first)
            until(f'{first.name}: newcomers are refused', lambda: refuses(daemon))
            check('it goes on with what runs', daemon.alive())
            daemon.process.send_signal(second)
            ended(daemon, f'{second.name} again', warns=r'add was cut off')
            s.close()


def no_grace():
    with daemon_with('0') as daemon:
        s, _, _ = add_begun(daemon, noise(8 << 20), 4 << 20)
        daemon.process.send_signal(signal.SIGTERM)
        ended(daemon, 'no grace', warns=r'add was cut off')
        s.close()


def what_has_no_end_is_over():
    with daemon_with(LONG) as daemon, Daemon() as other:
        kit('swarm', 'connect', other.swarm[0], repo=daemon.repo)
        s = asked(daemon, f'ping?arg={other.peer_id}&count=1000000')
        got = s.recv(65536)
        while got.count(b'"Success"') < 2:
            got += s.recv(65536)
        told(daemon, 'SIGTERM')
        ended(daemon, 'an endless ping')
        answer = rest_of(s, got)
        check('its client is told why', b'X-Stream-Error: the node is shutting down' in answer, answer[-300:])


def peers_do_not_hold_it_up():
    """A peer that goes on asking gets what it had asked for, and no more."""
    data = noise(192 << 20, 4)
    with daemon_with(LONG) as daemon, Daemon() as other:
        cid = kit('add', '-Q', repo=daemon.repo, stdin=data).text
        kit('swarm', 'connect', daemon.swarm[0], repo=other.repo)
        got = subprocess.Popen([PROGRAM, '--repo', other.repo, 'cat', cid], stdout=subprocess.PIPE, bufsize=0, env=environment())
        begun = got.stdout.read(1 << 16)
        told(daemon, 'SIGTERM')
        ended(daemon, 'a peer that fetches')
        with Daemon(repo=daemon.repo) as again:
            equal('it fetches on from the next daemon', kit('swarm', 'connect', again.swarm[0], repo=other.repo).code, 0)
            check('and has all of it', begun + got.communicate(timeout=BOUND)[0] == data)


def the_setting():
    repo = new_repo()
    check('it is 5s at first, and explained', re.search(r'# .*told to stop.*\ndaemon\.grace = 5s\n', read(f'{repo}/config').decode()))
    wrong = kit('config', 'daemon.grace', 'soon', repo=repo)
    check('what is no time is refused', wrong.code == 2 and 'soon' in wrong.err and '1m30s' in wrong.err, wrong)
    config = read(f'{repo}/config').decode()
    write(f'{repo}/config', config.replace('daemon.grace = 5s', 'daemon.grace = soon'))
    wrong = kit('daemon', repo=repo)
    check('in the file too, with its line', wrong.code == 4 and 'line' in wrong.err and 'daemon.grace' in wrong.err, wrong)
    write(f'{repo}/config', config.replace('daemon.grace = 5s', ''))
    with Daemon(repo=repo) as daemon:
        equal('a config that does not have it is one of before', daemon.stop(), 0)


def tree(daemon):
    """What SIGQUIT has a daemon write: (what else it wrote before, the last tree)."""
    count = daemon.stderr().count('anyio: ')
    daemon.process.send_signal(signal.SIGQUIT)
    while True:
        head, mark, last = daemon.stderr().encode().rpartition(b'anyio: ')
        # It comes line by line; its first says how many tasks there are.
        if head.count(b'anyio: ') >= count and mark and b'\n' in last and last.count(b' (task ') >= int(last.split()[0]):
            return head, last
        if not daemon.alive():
            raise RuntimeError(f'SIGQUIT ended it: {daemon.stderr()}')


def it_shows_what_it_is_at():
    with Daemon() as daemon, Daemon() as other:
        kit('swarm', 'connect', daemon.swarm[0], repo=other.repo)
        s, _, _ = add_begun(daemon, noise(8 << 20), 4 << 20)
        odd = asked(daemon, 'c%1B%5B31mat')
        odd.recv(100)
        waiting = asked(daemon, f'dag/get?arg={ABSENT}')
        until('it is at both', lambda: b' dag/get (task' in tree(daemon)[1])
        shown = tree(daemon)[1].decode()
        for name in ('network', 'host', 'API', 'API listener', 'API client', 'add', 'hash blocks', 'put blocks', 'dag/get', 'bitswap', 'listener'):
            check(f'SIGQUIT shows: {name}', re.search(rf'^ +{name} \(task \d+\)', shown, re.M), shown)
        port = kit('swarm', 'peers', repo=daemon.repo).text.split('/tcp/')[1].split('/')[0]
        check('and the peer by its address', re.search(rf'^ +/ip4/127\.0\.0\.1/tcp/{port} \(task', shown, re.M), shown)
        check('it goes on', daemon.serves())
        for client in (s, odd, waiting):
            client.close()


run_all([what_asks_for_nothing_is_not_waited_for, what_runs_is_done, what_is_stuck_is_cut_off, a_second_signal_ends_it, no_grace,
    what_has_no_end_is_over, peers_do_not_hold_it_up, the_setting, it_shows_what_it_is_at])
