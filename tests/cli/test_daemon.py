#!/usr/bin/env python3
"""The command line through a running daemon gives what it gives without one."""
import json
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import (ABSENT, BACKEND, BOUNDARY, PROGRAM, Daemon, check, environment, equal, kit, new_repo, noise, part, read, run_all,
    skip, temp, until, write)

NAMES = ['plain', 'with space', 'grüße', '目录', '🦆', "quote'\"", 'a\\b', 'new\nline', '%41', 'a+b', 'x' * 255, 'semi;colon', 'é' * 127]


def tree():
    top = temp('tree')
    for name in NAMES:
        write(f'{top}/{name}', f'content of {name}'.encode())
    write(f'{top}/.hidden', b'hidden')
    write(f'{top}/sub/.deeper/file', b'deep')
    write('/'.join([top, *['d' * 60] * 8, 'leaf']), b'far down')
    os.makedirs(f'{top}/empty/emptier')
    os.symlink('plain', f'{top}/link')
    os.symlink('/etc/passwd', f'{top}/absolute')
    os.symlink('t' * 300, f'{top}/long')
    os.symlink('u' * 4095, f'{top}/longest')
    write(f'{top}/zero', b'')
    write(f'{top}/sub/large', noise(5_500_000))
    for i in range(1500):
        write(f'{top}/many/{i}', str(i).encode())
    return top


def same_tree(one, other):
    return subprocess.run(['diff', '-r', '--no-dereference', one, other], capture_output=True).stdout == b''


def adding_is_the_same():
    alone, top = new_repo(), tree()
    with Daemon() as daemon:
        for words in (['-r'], ['-rH'], ['-rHw'], ['-rH', '--profile=unixfs-v0-2015'], ['-rH', '--profile=kubo-cid-v1'],
                ['-rH', '--cid-version=1'], ['-rH', '--cid-version=0', '--raw-leaves'], ['-rH', '--chunker=size-1000'], ['-rnH']):
            here = kit('add', *words, top, repo=alone)
            there = kit('add', *words, top, repo=daemon.repo)
            check(f'add {" ".join(words)}: a daemon prints the same', here.code == 0 and there.code == 0
                and sorted(here.out.splitlines()) == sorted(there.out.splitlines()),
                f'{here} and {there}' if here.code or there.code else
                set(here.out.splitlines()) ^ set(there.out.splitlines()))
        data = noise(4_000_000, 5)
        for words in ([], ['-w'], ['--json']):
            here, there = (kit('add', *words, repo=repo, stdin=data) for repo in (alone, daemon.repo))
            equal(f'add {" ".join(words)} from standard input: the same', there.out, here.out)
        single = write(temp('single'), data)
        for words in (['-Q'], ['-q'], [], ['--json'], ['-Qw']):
            here, there = (kit('add', *words, single, repo=repo) for repo in (alone, daemon.repo))
            equal(f'add {" ".join(words)} of a file: the same', there.out, here.out)
        root = kit('add', '-rHQ', top, repo=daemon.repo).text
        check('what was added through a daemon is pinned', root in kit('pin', 'ls', '-q', repo=daemon.repo).text)
        for what in (os.path.dirname(single), '/no/such', temp('x')):
            here, there = (kit('add', what, repo=repo) for repo in (alone, daemon.repo))
            equal(f'add of {os.path.basename(what)!r}: fails alike', there.code, here.code)
            check('and with a sentence', there.err.strip(), there)
        equal('stopped with 0', daemon.stop(), 0)
        check('what was added is there without the daemon', kit('cat', f'{root}/sub/large', repo=daemon.repo).out == noise(5_500_000))
        equal('the repo is whole', kit('repo', 'verify', repo=daemon.repo).code, 0)


def segment_bytes(repo):
    return sum(os.path.getsize(f'{repo}/segments/{name}') for name in os.listdir(f'{repo}/segments'))


def send_half(daemon, head, data):
    """Begins an add of data and sends half of it; returns once most of that is stored."""
    s = daemon.connect()
    s.sendall(head + part('big', data)[:len(data) // 2])
    until('half of it is stored', lambda: segment_bytes(daemon.repo) > len(data) // 2 - (20 << 20))
    return s


def an_interrupted_add_is_not_written_twice():
    """A daemon keeps no journal of an add: all is sent and hashed again, but what was stored stays and is not stored again."""
    data = noise(192 << 20, 7)
    top = write(temp('big'), data)
    head = (f'POST /api/v0/add HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n'
        f'Content-Length: {len(data) + 1000}\r\n\r\n').encode()
    cid = kit('add', '-nQ', top, repo=new_repo()).text
    for how in ('the client', 'the daemon'):
        daemon = Daemon()
        s = send_half(daemon, head, data)
        if how == 'the daemon':
            daemon.kill()
            daemon = Daemon(repo=daemon.repo)
        s.close()
        with daemon:
            kept = json.loads(daemon.rpc('repo/stat')[2])['NumObjects']
            check(f'{how} is gone in the middle of an add: its blocks are kept', kept >= 60, kept)
            equal('the second add gives the same', kit('add', '-Q', top, repo=daemon.repo).text, cid)
            check('and stores only what was missing', segment_bytes(daemon.repo) < len(data) + (4 << 20),
                f'{segment_bytes(daemon.repo) >> 20} MiB for {len(data) >> 20}')
            check('it is whole', daemon.rpc('cat', cid)[2] == data)
            equal('stopped with 0', daemon.stop(), 0)
            equal('the repo is whole', kit('repo', 'verify', repo=daemon.repo).code, 0)

    # Durable, not only written: the calls can be seen where worker threads make them.
    trace = temp('trace')
    if BACKEND != 'uv':
        return
    if subprocess.run(['strace', '-o', trace, 'true'], capture_output=True).returncode:
        return skip('that it is synced on the way: that takes strace')
    with Daemon(wrap=['strace', '-f', '-y', '-e', 'trace=fsync,fdatasync', '-o', trace]) as daemon:
        with send_half(daemon, head, data):
            # The first is of the new segment's head.
            until('what is stored is synced while an add goes on', lambda: len(re.findall(rb'fdatasync\([^)]*\.car', read(trace))) >= 2)
        daemon.rpc('shutdown')
        equal('stopped with 0', daemon.process.wait(60), 0)


def reading_is_the_same():
    top = tree()
    repo = new_repo()
    root = kit('add', '-rHQ', top, repo=repo).text
    asks = [['cat', f'{root}/sub/large'], ['cat', '--offset=1048570', '--length=20', f'{root}/sub/large'], ['cat', root],
        ['cat', f'{root}/none'], ['cat', 'nonsense'], ['cat', f'{root}/zero'], ['ls', root], ['ls', '--json', root], ['ls', f'{root}/plain'],
        ['stat', root], ['stat', '--json', f'{root}/sub/large'], ['resolve', f'{root}/sub'], ['dag', 'export', root],
        ['block', 'get', root], ['block', 'stat', root], ['pin', 'ls'], ['pin', 'ls', root], ['pin', 'rm', f'{root}/sub'], ['pin', 'ls', '-t', 'odd'],
        ['repo', 'verify'], ['version', '-n'], ['config', 'store.max'],
        ['block', 'put', '--mhtype=nohash', '/dev/null']]
    without = [kit(*ask, repo=repo) for ask in asks]
    got = temp('got')
    kit('get', '-o', got, root, repo=repo)
    with Daemon(repo=repo) as daemon:
        for ask, here in zip(asks, without):
            there = kit(*ask, repo=repo)
            check(f'{" ".join(ask).replace(root, "ROOT")}: the same', (there.code, there.out) == (here.code, here.out), f'{here} and {there}')
            if here.code:
                check('and fails with a sentence', there.err.strip() and '{' not in there.err, there.err)
        out = temp('out')
        done = kit('get', '-o', out, root, repo=repo)
        check('get: the same tree', done.code == 0 and same_tree(got, out) and same_tree(top, out), done)
        done = kit('get', '-o', out, root, repo=repo)
        check('get again over itself', done.code == 0 and same_tree(top, out), done)
        done = kit('get', root, repo=repo, cwd=os.path.dirname(out))
        check('get without -o', done.code == 0 and same_tree(top, f'{os.path.dirname(out)}/{root}'), done)
        done = kit('get', '-o', out + 'l', f'{root}/absolute', repo=repo)
        check('get of a symlink', done.code == 0 and os.readlink(out + 'l') == '/etc/passwd', done)
        plain = write(temp('plain'), b'old')
        done = kit('get', '-o', plain, root, repo=repo)
        check('get of a folder over a file is refused', done.code == 1 and read(plain) == b'old' and done.err.strip(), done)
        outside = write(temp('outside'), b'precious')
        os.symlink(outside, link := temp('link'))
        done = kit('get', '-o', link, f'{root}/sub/large', repo=repo)
        check('get over a symlink does not follow it', read(outside) == b'precious', done)
        done = kit('get', '-o', temp('x'), ABSENT, '--timeout=500ms', repo=repo)
        check('get of what nobody has times out with 5', done.code == 5, done)
        done = kit('get', '-o', temp('x'), f'{root}/none', repo=repo)
        check('get of a name that is not there exits 3', done.code == 3 and 'none' in done.err, done)
        car = kit('dag', 'export', root, repo=repo)
        with Daemon() as other:
            done = kit('dag', 'import', repo=other.repo, stdin=car.out)
            check('dag import through a daemon', done.code == 0 and root in done.text, done)
            equal('and out again', kit('dag', 'export', root, repo=other.repo).out, car.out)
            broken = bytearray(car.out)
            broken[len(broken) // 2] ^= 1
            done = kit('dag', 'import', repo=other.repo, stdin=bytes(broken))
            check('a CAR with one flipped bit is refused', done.code == 1 and done.err.strip(), done)
            put = kit('block', 'put', repo=other.repo, stdin=b'a block')
            equal('block put and get', kit('block', 'get', put.text, repo=other.repo).out, b'a block')
            large = kit('block', 'put', repo=other.repo, stdin=bytes((2 << 20) + 1))
            check('block put over 2 MiB is refused', large.code != 0 and large.err.strip(), large)


def names_that_are_not_utf8():
    """A name is bytes: what goes in comes out, here and through a daemon. JSON shows the odd ones as U+FFFD."""
    top = temp('raw')
    for raw in (b'\xff', b'caf\xe9', b'\xc3(', b'\xed\xa0\x80', b'cut \xe6\x97', b'\xff' * 255, b'd\xe9/in \xfe'):
        write(os.fsdecode(os.fsencode(top) + b'/' + raw), raw)
    os.symlink(b'to \xff', os.fsencode(top) + b'/link \xfe')
    alone = new_repo()
    with Daemon() as daemon:
        roots = {kit('add', '-rQ', top, repo=repo).text for repo in (alone, daemon.repo)}
        equal('add: one root, with a daemon and without', len(roots), 1)
        root = roots.pop()
        named, out = os.fsdecode(b'caf\xe9'), temp('out')
        for repo, how in ((alone, 'without a daemon'), (daemon.repo, 'through a daemon')):
            done = kit('get', '-o', f'{out} {how}', root, repo=repo)
            check(f'get {how}: the same names, bytes and target', done.code == 0 and same_tree(top, f'{out} {how}'), done)
            equal(f'cat by such a name {how}', kit('cat', f'{root}/{named}', repo=repo).out, b'caf\xe9')
            place = os.path.dirname(write(temp('place') + '/x'))
            done = kit('get', f'{root}/{named}', repo=repo, cwd=place)
            check(f'get of such a name {how} makes a file of that name', read(f'{place}/{named}') == b'caf\xe9', done)
            wrapped = kit('ls', kit('add', '-Qw', f'{top}/{named}', repo=repo).text, repo=repo).text
            check(f'add -w and ls {how}', wrapped.endswith('caf\ufffd'), wrapped)
            links = json.loads(kit('ls', '--json', root, repo=repo).out)['Objects'][0]['Links']
            equal(f'ls --json {how} names them all', sorted(link['Name'] for link in links),
                sorted(re.sub('[\udc80-\udcff]', '\ufffd', name) for name in os.listdir(top)))
            check(f'add -r {how} tells of each', len(kit('add', '-r', top, repo=repo).out.splitlines()) == 10)


def a_secret_of_the_repo():
    """The command line finds the secret of its own daemon in the config; elsewhere it is told what to give."""
    repo = new_repo()
    equal('config api.secret', kit('config', 'api.secret', 'open sesame', repo=repo).code, 0)
    with Daemon(repo=repo) as daemon:
        data = noise(3_000_000)
        added = kit('add', '-Q', repo=repo, stdin=data)
        check('add through it', added.code == 0 and kit('cat', added.text, repo=repo).out == data, added)
        for words in (['id'], ['get', '-o', temp('out'), added.text], ['pin', 'ls'], ['swarm', 'peers'], ['block', 'stat', added.text]):
            equal(f'{" ".join(words[:2])} through it', kit(*words, repo=repo).code, 0)
        wrong = kit('--api-auth=wrong', 'id', repo=repo)
        check('a wrong secret is refused and the setting named', wrong.code == 1 and 'api.secret' in wrong.err and '--api-auth' in wrong.err, wrong)
        other = kit('--api', daemon.api[0], 'id', repo=new_repo())
        check('another repo has no secret to give, and is told what to', other.code == 1 and 'api.secret' in other.err, other)
        elsewhere = kit('--api', daemon.api[0], 'id', repo=repo)
        check("an address by --api is not given the repo's secret", elsewhere.code == 1 and '--api-auth' in elsewhere.err, elsewhere)
        # Changed since: the daemon has the old one.
        kit('config', 'api.secret', 'changed', repo=repo)
        late = kit('id', repo=repo)
        check('a secret changed since the daemon was started: it says so', late.code == 1 and 'api.secret' in late.err and 'started' in late.err, late)
        equal('the old one is still good', kit('--api-auth=open sesame', 'shutdown', repo=repo).code, 0)
        equal('it stops', daemon.process.wait(60), 0)
    with Daemon(repo=repo) as daemon:
        equal('and a new one has the new secret', kit('shutdown', repo=repo).code, 0)
        equal('it stops', daemon.process.wait(60), 0)


def protocols():
    """id tells what is served, not a list of its own."""
    with Daemon() as plain, Daemon('--perf') as measured:
        served = [json.loads(kit('id', '--json', repo=node.repo).out)['Protocols'] for node in (plain, measured)]
        check('id names the protocols that are served, sorted', '/ipfs/bitswap/1.2.0' in served[0] and '/ipfs/ping/1.0.0' in served[0]
            and served[0] == sorted(served[0]), served[0])
        check('id names /perf/1.0.0 with --perf only', [p for p in served[1] if p not in served[0]] == ['/perf/1.0.0'], served)


def two_nodes():
    with Daemon() as one, Daemon() as two:
        data = noise(6_000_000, 9)
        cid = kit('add', '-Q', repo=one.repo, stdin=data).text
        done = kit('swarm', 'connect', one.swarm[0], repo=two.repo)
        equal('swarm connect', done.code, 0)
        check('swarm peers on both sides', one.peer_id in kit('swarm', 'peers', repo=two.repo).text
            and two.peer_id in kit('swarm', 'peers', repo=one.repo).text)
        ping = kit('ping', '-n', '3', one.peer_id, repo=two.repo)
        check('ping', ping.code == 0 and 'ms' in ping.text or 'µs' in ping.text, ping)
        equal('ping -n of no number', kit('ping', '-n', 'x', one.peer_id, repo=two.repo).code, 2)
        check('cat over the network', kit('cat', cid, repo=two.repo).out == data)
        done = kit('pin', 'add', cid, repo=two.repo)
        check('pin add over the network', done.code == 0 and cid in kit('pin', 'ls', repo=two.repo).text, done)
        timed = kit('--timeout=500ms', 'cat', ABSENT, repo=two.repo)
        equal('--timeout exits 5', timed.code, 5)
        waiting = subprocess.Popen([PROGRAM, '--repo', two.repo, 'cat', ABSENT], env=environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        before = two.descriptors()
        until('the daemon serves it', lambda: two.descriptors() != before or waiting.poll() is not None)
        waiting.send_signal(signal.SIGINT)
        equal('SIGINT while waiting for a block exits 130', waiting.wait(60), 130)
        waiting.communicate()
        identity = json.loads(kit('id', '--json', repo=two.repo).out)
        equal('id through the daemon', identity['ID'], two.peer_id)
        check('id names where it listens', any(str(two.swarm_port) in a for a in identity['Addresses']), identity)
        equal('swarm disconnect', kit('swarm', 'disconnect', one.swarm[0], repo=two.repo).code, 0)
        until('swarm peers after it tells of no such peer', lambda: one.peer_id not in kit('swarm', 'peers', repo=two.repo).text)
        for bad in ('/ip4/127.0.0.1/tcp/9/p2p/' + one.peer_id, one.swarm[0].replace(one.peer_id, two.peer_id)):
            done = kit('swarm', 'connect', bad, repo=two.repo)
            check(f'swarm connect to nobody there fails with a sentence', done.code and done.err.strip(), done)
        wrong = one.swarm[0].rsplit('/', 1)[0] + '/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
        done = kit('swarm', 'connect', wrong, repo=two.repo)
        check('swarm connect to another identity than the address names fails', done.code == 1 and done.err.strip(), done)
        equal('swarm connect to no address', kit('swarm', 'connect', 'nonsense', repo=two.repo).code, 2)
        alone = new_repo()
        done = kit('--connect', one.swarm[0], 'get', '-o', temp('x'), cid, repo=alone)
        equal('--connect without a daemon', done.code, 0)
        check('fetched is kept', kit('cat', cid, repo=alone).out == data)


def many_paths():
    """A request holds so many: what is more goes in several, and nobody sees that."""
    top, alone = temp('many'), new_repo()
    for i in range(1100):
        write(f'{top}/{i}', f'{i} of many'.encode())
    write(f'{top}/{"%" * 80}', b'escaped')
    with Daemon() as daemon:
        roots = [kit('add', '-rQ', '--pin=false', '--cid-version=1', top, repo=repo).text for repo in (alone, daemon.repo)]
        equal('both have it', roots[0], roots[1])
        cids = [line.split()[0] for line in kit('ls', '--size=false', roots[0], repo=alone).text.splitlines()]
        equal('of CIDs there are', (len(cids), len(cids[0])), (1101, 59))
        for count in (63, 64, 400, 1100):
            for ask in (['pin', 'add', *cids[:count]], ['pin', 'ls', *cids[:count]], ['pin', 'rm', *cids[:count]]):
                here, there = (kit(*ask, repo=repo) for repo in (alone, daemon.repo))
                check(f'{ask[0]} {ask[1]} of {count}: the same, done', here.code == 0 and (there.code, there.out, there.err) == (0, here.out, here.err)
                    and len(here.text.splitlines()) == count, f'{here} and {there}')
        for what, paths in (('1,100 paths', roots[:1] + cids[:1099]), ('paths of bytes that are escaped', [f'{roots[0]}/{"%" * 80}'] * 200)):
            here, there = (kit('ls', *paths, repo=repo) for repo in (alone, daemon.repo))
            check(f'ls of {what}: the same, done', here.code == 0 and (there.code, there.out) == (0, here.out), f'{here} and {there}')

        # One that fails in the second request: those before it stay, and that is said.
        words = ['--offline', 'pin', 'add', *cids[:600], ABSENT, cids[600]]
        done = kit(*words, repo=daemon.repo)
        check('one of 602 that fails: how many of all were done is said', done.code == 3 and 'of 602 are done' in done.err and ABSENT in done.err
            and 'malformed' not in done.err, done)
        told = re.search(r'first (\d+) of 602 are done; of those after them: pinned the first (\d+) of', done.err)
        check('and the numbers are true', told and int(told[1]) + int(told[2]) == 600, done.err)
        equal('those before it are pinned', len(kit('pin', 'ls', '-q', repo=daemon.repo).text.splitlines()), 600)
        done = kit('cat', 'x' * 40000, repo=daemon.repo)
        check('a path that no request holds: why', done.code and 'at most 32 KiB' in done.err, done)
        equal('stopped with 0', daemon.stop(), 0)


run_all([adding_is_the_same, an_interrupted_add_is_not_written_twice, reading_is_the_same, many_paths, names_that_are_not_utf8, a_secret_of_the_repo, protocols, two_nodes])
