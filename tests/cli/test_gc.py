#!/usr/bin/env python3
"""Collection and the limit, as a person sees them: what no pin keeps goes, what one keeps stays, and the repo stays as small as it was told."""
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import PROGRAM, Daemon, check, environment, equal, kit, new_repo, noise, read, run_all, temp, until, write

MIB = 1 << 20


def added(repo, seed, size=3 * MIB, *words):
    done = kit('add', '-Q', *words, repo=repo, stdin=noise(size, seed))
    equal('add', done.code, 0)
    return done.text


def unpinned(repo, seed, size=3 * MIB):
    cid = added(repo, seed, size)
    equal('pin rm', kit('pin', 'rm', cid, repo=repo).code, 0)
    return cid


def blocks_of(repo, cid):
    """A root and its leaves."""
    links = json.loads(kit('dag', 'get', cid, repo=repo).text)['Links']
    return {cid} | {link['Hash']['/'] for link in links}


def disk(repo):
    return sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(repo) for name in names)


def number(repo, key):
    return json.loads(kit('repo', 'stat', '--json', repo=repo).text)[key]


def is_there(what, repo, cid, size=3 * MIB, seed=None):
    done = kit('cat', cid, repo=repo)
    equal(what, (done.code, len(done.out)), (0, size))
    if seed is not None:
        check(f'{what}, byte for byte', done.out == noise(size, seed))


def what_no_pin_keeps_goes(repo):
    kept, gone = added(repo, 1), unpinned(repo, 2)
    blocks, before = blocks_of(repo, gone), disk(repo)
    done = kit('repo', 'gc', repo=repo)
    equal('repo gc', done.code, 0)
    equal('each block is told', {*done.text.splitlines()}, {f'removed {cid}' for cid in blocks})
    check('and what came of it', f'{len(blocks)} blocks of 3.0 MiB removed' in done.err, done.err)
    is_there('what is pinned stays', repo, kept, seed=1)
    check('the space is given back', disk(repo) < before - 2 * MIB, (before, disk(repo)))
    equal('the other is gone', kit('cat', '--offline', gone, repo=repo).code, 3)
    equal('and is no fault', kit('repo', 'verify', repo=repo).code, 0)
    equal('again: there is nothing to remove', kit('repo', 'gc', '--silent', repo=repo).out, b'')
    again = unpinned(repo, 2)
    equal('it is added again as if it had never been there', again, gone)
    is_there('and read', repo, gone, seed=2)
    direct = kit('pin', 'add', '--recursive=false', gone, repo=repo)
    equal('a direct pin', direct.code, 0)
    done = kit('repo', 'gc', '-q', repo=repo)
    equal('keeps its block alone', {*done.text.splitlines()}, blocks - {gone})
    unpinned(repo, 3, 1000)
    lines = [json.loads(line) for line in kit('repo', 'gc', '--json', repo=repo).out.splitlines()]
    equal('--json: a block a line, and a summary', ([set(line) for line in lines[:-1]], lines[-1]['Removed'], lines[-1]['RemovedBytes']), ([{'Key'}], 1, 1000))


def here():
    what_no_pin_keeps_goes(new_repo())


def through_a_daemon():
    with Daemon() as daemon:
        what_no_pin_keeps_goes(daemon.repo)
        cid = unpinned(daemon.repo, 9)
        blocks = blocks_of(daemon.repo, cid)
        status, _, body = daemon.rpc('repo/gc')
        equal('the answers are those of Kubo', (status, {json.loads(line)['Key']['/'] for line in body.splitlines()}), (200, blocks))
        check('the daemon lives', daemon.alive())


def the_limit_is_kept(repo):
    """Ten times as much as fits flows through."""
    equal('config storage_max', kit('config', 'storage_max', '24MiB', repo=repo).code, 0)
    equal('it is store.max', kit('config', 'store.max', repo=repo).text, '24MiB')
    kept, most = added(repo, 1), 0
    for seed in range(2, 50):
        unpinned(repo, seed, 5 * MIB)
        most = max(most, disk(repo))
    check('the repo stayed within its limit', most <= 24 * MIB * 1.02, most)
    check('and made use of it', most > 17 * MIB, most)
    is_there('what is pinned is there', repo, kept, seed=1)
    equal('nothing is damaged', kit('repo', 'verify', repo=repo).code, 0)
    full = [kept]
    while (done := kit('add', '-Q', repo=repo, stdin=noise(2 * MIB, 100 + len(full)))).code == 0 and len(full) < 20:
        full.append(done.text)
    check('full is said, and what to do', done.code == 1 and 'store.max' in done.err and 'pin rm' in done.err, done)
    check('only when it is nearly full of what is pinned', len(full) * 2 * MIB > 18 * MIB, len(full))
    for cid in full[1:]:
        is_there('what was pinned before is there', repo, cid, 2 * MIB)
    for cid in full[1:4]:
        kit('pin', 'rm', cid, repo=repo)
    equal('with pins taken away there is room', kit('add', '-Q', repo=repo, stdin=noise(2 * MIB, 200)).code, 0)
    equal('without a limit there is more', (kit('config', 'storage_max', '0', repo=repo).code, kit('add', '-Q', repo=repo, stdin=noise(30 * MIB, 201)).code), (0, 0))


def the_limit_here():
    the_limit_is_kept(new_repo())


def the_limit_in_a_daemon():
    with Daemon() as daemon:
        the_limit_is_kept(daemon.repo)
        check('the daemon lives', daemon.alive())


def a_lower_limit_is_in_force_at_once():
    with Daemon() as daemon:
        def fill():
            for seed in range(8):
                unpinned(daemon.repo, seed, 5 * MIB)
            check('it holds more', disk(daemon.repo) > 38 * MIB, disk(daemon.repo))

        fill()
        equal('config storage_max', kit('config', 'storage_max', '24MiB', repo=daemon.repo).code, 0)
        until('a daemon that nobody asks for anything collects', lambda: disk(daemon.repo) < 24 * MIB)
        equal('and without a limit', (kit('config', '--json', 'store.max', '0', repo=daemon.repo).code, number(daemon.repo, 'StorageMax')), (0, 0))
        fill()
        equal('by the RPC', daemon.rpc('config', 'store.max', '24MiB')[0], 200)
        until('it collects too', lambda: disk(daemon.repo) < 24 * MIB)


def who_only_fetches_keeps_the_limit():
    """The config is changed by hand while a daemon runs, to which nothing is added."""
    with Daemon() as holder, Daemon() as daemon:
        cids = [added(holder.repo, seed, 5 * MIB) for seed in range(16)]
        equal('connected', kit('swarm', 'connect', holder.swarm[0], repo=daemon.repo).code, 0)
        text, most = read(f'{daemon.repo}/config').decode(), 0
        equal('fetched without a limit', kit('cat', cids[0], repo=daemon.repo).code, 0)
        write(f'{daemon.repo}/config', text.replace('store.max = 0', 'store.max = 24MiB'))
        for cid in cids:
            equal('fetched', len(kit('cat', cid, repo=daemon.repo).out), 5 * MIB)
            most = max(most, disk(daemon.repo))
        check('it stayed within the limit', most <= 24 * MIB * 1.02, most)


def many_small(count):
    """An archive of so many blocks that nothing needs."""
    out = [b'\x11\xa2eroots\x80gversion\x01']
    for n in range(count):
        data = b'%d' % n
        body = b'\x01\x55\x12\x20' + hashlib.sha256(data).digest() + data
        out.append(bytes([len(body)]) + body)
    return write(temp('many.car'), b''.join(out))


def who_does_not_read_holds_nobody_up():
    """A client that asks for a collection and does not read what went: the collection ends, and others go on."""
    count = 450000
    with Daemon() as daemon:
        equal('many blocks', kit('dag', 'import', many_small(count), repo=daemon.repo).code, 0)
        with daemon.connect() as client:
            client.sendall(b'POST /api/v0/repo/gc?progress=true HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
            until('the collection ends all the same', lambda: number(daemon.repo, 'NumObjects') == 0)
            until('and another one begins', lambda: daemon.rpc('repo/gc', silent='true')[0] == 200)
            equal('others add, and verify', [kit(*words, repo=daemon.repo).code for words in (('add', '-q', __file__), ('wal', 'checkpoint'), ('repo', 'verify'))], [0, 0, 0])
            answer = b''
            while more := client.recv(1 << 20):
                answer += more
        told = answer.count(b'{"Key"')
        check('when it reads, it is told of as many as were kept for it', 100000 < told < count, told)
        check('and that there were more', b'X-Stream-Error' in answer and b'too slowly' in answer[-500:] and str(count).encode() in answer[-500:], answer[-500:])
        check('the daemon lives', daemon.alive())


def who_reads_slowly_is_told_of_all():
    """A collection does not run away from a client that reads more slowly than it goes: here a piece for each answer to somebody else."""
    count = 300000
    with Daemon() as daemon:
        equal('many blocks', kit('dag', 'import', many_small(count), repo=daemon.repo).code, 0)
        with daemon.connect() as client:
            client.sendall(b'POST /api/v0/repo/gc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
            pieces, codes = [], set()
            while piece := client.recv(1 << 16):
                pieces.append(piece)
                codes.add(daemon.rpc('repo/stat')[0])
        answer = b''.join(pieces)
        equal('others are answered meanwhile', codes, {200})
        equal('it is told of every block', (answer.count(b'{"Key"'), b'too slowly' in answer), (count, False))


def adding_meanwhile():
    """What is being added is not taken, however often somebody collects: new, or there already and dead."""
    with Daemon() as daemon:
        over, codes = threading.Event(), []

        def collect():
            while not over.is_set():
                codes.append(daemon.rpc('repo/gc', silent='true')[0])

        collector = threading.Thread(target=collect)
        collector.start()
        for turn in range(12):
            cid = added(daemon.repo, turn % 3, 6 * MIB)
            is_there('it is whole', daemon.repo, cid, 6 * MIB, turn % 3)
            equal('pin rm', kit('pin', 'rm', cid, repo=daemon.repo).code, 0)
        over.set()
        collector.join()
        check('collections went on meanwhile', len(codes) > 3 and set(codes) == {200}, codes)
        equal('nothing is damaged', kit('repo', 'verify', repo=daemon.repo).code, 0)


def an_add_that_was_interrupted():
    """What it had stored is nobody's: a collection takes it, and the add that goes on notices."""
    repo, folder = new_repo(), temp('folder')
    for n in range(6):
        write(f'{folder}/{n}', noise(9 * MIB, n))
    for turn in range(3):
        process = subprocess.Popen([PROGRAM, '--repo', repo, 'add', '-rQ', folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
        until('some of it is stored', lambda: process.poll() is not None or disk(repo) > (10 + 10 * turn) * MIB)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        equal('repo gc', kit('repo', 'gc', '--silent', repo=repo).code, 0)
    root = kit('add', '-rQ', folder, repo=repo).text
    for n in range(6):
        equal('all of it is there', kit('cat', f'{root}/{n}', repo=repo).out == noise(9 * MIB, n), True)
    equal('nothing is damaged', kit('repo', 'verify', repo=repo).code, 0)


def a_pin_that_lacks_something():
    repo = new_repo()
    kept, _ = added(repo, 1), unpinned(repo, 2)
    place = next(json.loads(line) for line in kit('wal', 'list', '--json', repo=repo).out.splitlines() if json.loads(line).get('Cid') == kept and json.loads(line)['Type'] == 'block')
    path = f'{repo}/segments/{place["Segment"]:08}.car'
    data = bytearray(read(path))
    data[place['End'] - 5] ^= 1
    write(path, bytes(data))
    before = number(repo, 'NumObjects')
    done = kit('repo', 'gc', repo=repo)
    check('it says what is missing, and what to do', done.code != 0 and kept in done.err and 'pin rm' in done.err, done)
    check('nothing was removed', done.out == b'' and number(repo, 'NumObjects') >= before - 1)
    equal('pin rm', kit('pin', 'rm', kept, repo=repo).code, 0)
    equal('then it goes', kit('repo', 'gc', '--silent', repo=repo).code, 0)
    equal('all of it', number(repo, 'NumObjects'), 0)


run_all([here, through_a_daemon, the_limit_here, the_limit_in_a_daemon, a_lower_limit_is_in_force_at_once, who_only_fetches_keeps_the_limit, who_does_not_read_holds_nobody_up, who_reads_slowly_is_told_of_all, adding_meanwhile, an_add_that_was_interrupted, a_pin_that_lacks_something])
