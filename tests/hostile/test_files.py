#!/usr/bin/env python3
"""Hostile content: CAR archives and the DAGs in them, given to a running node; and files that change while
they are added. Numbers are those of README.md."""
import hashlib
import json
import os
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import (PROGRAM, Daemon, Usage, check, cid_raw, cid_text, environment, equal, field, form, form_type, kit, new_repo, noise,
    read, run_all, temp, varint, write)

PB, CBOR, RAW, JSON = 0x70, 0x71, 0x55, 0x0129
DIRECTORY, FILE, SYMLINK, HAMT = 1, 2, 4, 5


def cid(codec, data):
    return b'\x01' + varint(codec) + b'\x12\x20' + hashlib.sha256(data).digest()


def car_header(roots):
    links = b''.join(b'\xd8\x2a\x58' + bytes([len(c) + 1]) + b'\0' + c for c in roots)
    return b'\xa2\x65roots' + bytes([0x80 | len(roots)]) + links + b'\x67version\x01'


def section(name, data):
    return varint(len(name) + len(data)) + name + data


def car(roots, blocks):
    head = car_header(roots)
    return varint(len(head)) + head + b''.join(section(*one) for one in blocks)


def unixfs(kind, data=None, filesize=None, sizes=(), fanout=None):
    return field(1, kind) + (field(2, data) if data is not None else b'') + (field(3, filesize) if filesize is not None else b'') \
        + b''.join(field(4, s) for s in sizes) + (field(5, 0x22) + field(6, fanout) if fanout is not None else b'')


def link(name, target, size=0):
    return field(2, field(1, target) + field(2, name) + field(3, size))


def node(links, data):
    return b''.join(links) + field(1, data)


def put(daemon, codec, data, others=()):
    """Imports one root with its blocks; gives (status and answer, the root's CID as text)."""
    root = cid(codec, data)
    body = car([root], [(root, data), *others])
    status, headers, answer = daemon.rpc('dag/import', body=form([('car', body)]), headers=form_type(), pin_roots=False)
    return (status, answer), cid_text(root)


def refused(daemon, what, *args):
    """A hostile DAG: whatever asks for it gets an error, never half an answer as if it were whole."""
    (status, answer), root = put(daemon, *args)
    told = {'import': (status, answer)}
    if status == 200:
        for command in ('cat', 'get', 'ls'):
            out = temp('out')
            words = ['get', '-o', out, root] if command == 'get' else [command, root]
            done = kit('--timeout=5s', *words, repo=daemon.repo)
            told[command] = (done.code, done.out[:60], done.err[:200])
    answers = [told.get(command, (1,))[0] for command in ('cat', 'get')]
    check(f'{what}: cat and get fail with a sentence', status in (400, 500) or all(answers) and
        told['cat'][2].strip() and told['get'][2].strip(), told)


def dags():
    with Daemon() as daemon:
        leaf = b'leaf'
        leaf_cid = cid(RAW, leaf)
        leaves = [(leaf_cid, leaf)]
        for round in range(2):
            usage = Usage(daemon, 8 << 20)
            cases = {
                'more blocksizes than links': (PB, node([link(b'', leaf_cid)], unixfs(FILE, filesize=8, sizes=[4, 4])), leaves),
                'fewer blocksizes than links': (PB, node([link(b'', leaf_cid)] * 2, unixfs(FILE, filesize=4, sizes=[4])), leaves),
                'a filesize that is too large': (PB, node([link(b'', leaf_cid)], unixfs(FILE, filesize=1 << 50, sizes=[4])), leaves),
                'a blocksize that lies': (PB, node([link(b'', leaf_cid)], unixfs(FILE, filesize=1 << 50, sizes=[1 << 50])), leaves),
                'blocksizes that overflow': (PB, node([link(b'', leaf_cid)] * 2, unixfs(FILE, filesize=6, sizes=[(1 << 64) - 1, 7])), leaves),
                'a kind that is none': (PB, node([], unixfs(99, b'x'))),
                'no UnixFS at all': (PB, node([], b'\xff' * 20)),
                'fanout 0': (PB, node([], unixfs(HAMT, b'', fanout=0))),
                'fanout 7': (PB, node([link(b'0a', leaf_cid)], unixfs(HAMT, b'\1', fanout=7)), leaves),
                'fanout 2048': (PB, node([link(b'000a', leaf_cid)], unixfs(HAMT, b'\1', fanout=2048)), leaves),
                'fanout 2^63': (PB, node([], unixfs(HAMT, b'\1', fanout=1 << 63))),
                'a bitfield too short': (PB, node([link(b'00a', leaf_cid)] * 3, unixfs(HAMT, b'\1', fanout=256)), leaves),
                'a bitfield too long': (PB, node([link(b'00a', leaf_cid)], unixfs(HAMT, b'\1' * 4000, fanout=256)), leaves),
                'a name shorter than its prefix': (PB, node([link(b'0', leaf_cid)], unixfs(HAMT, b'\1', fanout=256)), leaves),
                'a link longer than the node': (PB, b'\x12\xff\x01' + b'x' * 20),
                'a link length of 2^63': (PB, b'\x12' + varint(1 << 63) + b'x' * 20),
                'a link without a CID': (PB, field(2, field(2, b'name')) + field(1, unixfs(DIRECTORY))),
                'data before links, twice': (PB, field(1, unixfs(FILE, b'a')) * 2),
                'a link with an identity CID of 129 B': (PB, node([link(b'a', b'\x01\x55\x00\x81\x01' + b'i' * 129)], unixfs(FILE, filesize=129, sizes=[129]))),
                'a link with a digest of 19 B': (PB, node([link(b'a', b'\x01\x55\x12\x13' + b'd' * 19)], unixfs(FILE, filesize=4, sizes=[4]))),
                'a CBOR list of 2^60': (CBOR, b'\x9b' + struct.pack('>Q', 1 << 60)),
                'a CBOR map of 2^60': (CBOR, b'\xbb' + struct.pack('>Q', 1 << 60)),
                'a CBOR text of 2^60': (CBOR, b'\x7b' + struct.pack('>Q', 1 << 60)),
                'CBOR lists 100,000 deep': (CBOR, b'\x81' * 100000 + b'\x80'),
                'JSON lists 100,000 deep': (JSON, b'[' * 100000 + b']' * 100000),
                'a varint of 11 bytes in a node': (PB, b'\x0a' + b'\xff' * 10 + b'\1'),
            }
            if round == 0:
                for what, case in cases.items():
                    refused(daemon, what, *case)
                nested = deep_hamt()
                refused(daemon, 'shards 300 deep', PB, nested[0][1], nested[1:])
                refused(daemon, 'files 3,000 deep', PB, *deep_files())
                wide(daemon)
            for case in cases.values():
                put(daemon, *case)
        check('the node still serves', daemon.serves())
        usage.returned('hostile DAGs')
        done = kit('repo', 'verify', repo=daemon.repo)
        equal('the repo is whole after all of it', done.code, 0)


def deep_hamt():
    inner = node([], unixfs(HAMT, b'', fanout=256))
    blocks = [(cid(PB, inner), inner)]
    for _ in range(300):
        inner = node([link(b'00', blocks[0][0])], unixfs(HAMT, b'\1', fanout=256))
        blocks.insert(0, (cid(PB, inner), inner))
    return blocks


def deep_files():
    inner = node([], unixfs(FILE, b'x', filesize=1))
    blocks = [(cid(PB, inner), inner)]
    for _ in range(3000):
        inner = node([link(b'', blocks[-1][0])], unixfs(FILE, filesize=1, sizes=[1]))
        blocks.append((cid(PB, inner), inner))
    return blocks[-1][1], blocks[:-1]


def wide(daemon):
    """A bomb: 40 levels of ten links each to the level below, 10^40 bytes in 41 blocks."""
    inner = b'x'
    blocks = [(cid(RAW, inner), inner)]
    size = 1
    for _ in range(15):
        size *= 10
        inner = node([link(b'', blocks[-1][0])] * 10, unixfs(FILE, filesize=size, sizes=[size // 10] * 10))
        blocks.append((cid(PB, inner), inner))
    (status, _), root = put(daemon, PB, blocks[-1][1], blocks[:-1])
    equal('a file of 10^15 bytes in 16 blocks is imported', status, 200)
    done = kit('--timeout=10s', 'cat', f'--offset={10**15 - 3}', root, repo=daemon.repo)
    equal('its last bytes are read at once', (done.code, done.out), (0, b'xxx'))
    equal('an absurd Tsize harms nobody', kit('--timeout=10s', 'ls', cid_text(blocks[0][0]), repo=daemon.repo).code in (0, 1), True)
    absurd = node([link(b'a', cid(RAW, b'leaf'), (1 << 64) - 1), link(b'b', cid(RAW, b'leaf'), (1 << 64) - 1)], unixfs(DIRECTORY))
    (status, _), root = put(daemon, PB, absurd, [(cid(RAW, b'leaf'), b'leaf')])
    out = temp('out')
    done = kit('get', '-o', out, root, repo=daemon.repo)
    check('a folder whose Tsize overflows is fetched as it is', done.code == 0 and read(f'{out}/b') == b'leaf', done)
    equal('and stat of it answers', kit('stat', root, repo=daemon.repo).code, 0)
    named = node([link(b'name', cid(RAW, b'leaf'))], unixfs(FILE, filesize=4, sizes=[4]))
    (status, _), root = put(daemon, PB, named, [(cid(RAW, b'leaf'), b'leaf')])
    done = kit('cat', root, repo=daemon.repo)
    check('named chunks are no way into a file: its bytes, or an error', done.out == b'leaf' or done.code, done)


def names():
    """Every name that would leave the folder, by get with and without a daemon."""
    evil = b'evil bytes'
    leaf = (cid(RAW, evil), evil)
    link_out = node([], unixfs(SYMLINK, b'/tmp'))
    link_up = node([], unixfs(SYMLINK, b'..'))
    bad = [b'..', b'.', b'', b'a/b', b'/abs', b'../x', b'a\0b', b'a/../../x', b'n' * 256]
    for with_daemon in (True, False):
        how = 'with a daemon' if with_daemon else 'alone'
        repo = new_repo()
        with Daemon(repo=repo) if with_daemon else open(os.devnull) as daemon:
            def imported(data, others):
                root = cid(PB, data)
                kit('dag', 'import', '--pin-roots=false', repo=repo, stdin=car([root], [(root, data), *others]))
                return cid_text(root)
            for name in bad:
                parent = temp('in')
                os.mkdir(parent)
                outside = write(f'{os.path.dirname(parent)}/x', b'precious')
                root = imported(node([link(name, leaf[0], 10)], unixfs(DIRECTORY)), [leaf])
                done = kit('--timeout=10s', 'get', '-f', '-o', f'{parent}/out', root, repo=repo)
                found = [os.path.join(top, f) for top, _, files in os.walk(os.path.dirname(parent)) for f in files]
                # A link without a name is not an entry: it may be left out.
                check(f'the name {name[:12]!r}, {how}: refused, nothing outside', (done.code or not name) and done.err.strip() and
                    found == [outside] and read(outside) == b'precious', (done, found))
            # A symlink out of the folder, then a file through it, under one name and under a path.
            for what, target in (('absolute', link_out), ('upward', link_up)):
                parent = temp('in')
                os.mkdir(parent)
                symlink = (cid(PB, target), target)
                inner = node([link(b'f', leaf[0], 10)], unixfs(DIRECTORY))
                data = node([link(b'l', symlink[0], 9), link(b'l', cid(PB, inner), 9)], unixfs(DIRECTORY))
                root = imported(data, [leaf, symlink, (cid(PB, inner), inner)])
                done = kit('--timeout=10s', 'get', '-o', f'{parent}/out', root, repo=repo)
                forced = kit('--timeout=10s', 'get', '-f', '-o', f'{parent}/out', root, repo=repo)
                check(f'a folder through an {what} symlink of the same name, {how}', done.code == 1 and
                    not os.path.exists('/tmp/f') and not os.path.exists(f'{parent}/f'), (done, forced))
                data = node([link(b'l', symlink[0], 9)], unixfs(DIRECTORY))
                root = imported(data, [symlink])
                done = kit('get', '-o', f'{parent}/link', root, repo=repo)
                check(f'an {what} symlink is made as it is, {how}', done.code == 0 and os.path.islink(f'{parent}/link/l'), done)
                root = imported(node([link(b'l', cid(PB, inner), 9)], unixfs(DIRECTORY)), [leaf, (cid(PB, inner), inner)])
                done = kit('get', '-f', '-o', f'{parent}/link', root, repo=repo)
                check(f'and a folder fetched over it does not go through, {how}', not os.path.exists('/tmp/f') and
                    not os.path.exists(f'{parent}/f'), done)
            root = imported(node([link(b'a', leaf[0], 10), link(b'a', leaf[0], 10)], unixfs(DIRECTORY)), [leaf])
            done = kit('get', '-o', temp('out'), root, repo=repo)
            check(f'a name twice, {how}: an error or one file, nothing worse', done.code in (0, 1), done)
            root = imported(node([link(b'..', leaf[0], 10)], unixfs(DIRECTORY)), [leaf])
            parent = temp('in')
            os.mkdir(parent)
            done = kit('--timeout=10s', 'get', '-f', f'{root}/..', repo=repo, cwd=parent)
            check(f'get CID/.. without -o, {how}: refused', done.code != 0 and not os.listdir(parent), done)
            target = node([], unixfs(SYMLINK, b'a\0b'))
            root = imported(target, [])
            done = kit('get', '-o', temp('out'), root, repo=repo)
            check(f'a symlink target with NUL, {how}: refused', done.code != 0, done)


def archives():
    good_block = b'a good block'
    good = (cid(RAW, good_block), good_block)
    head = car_header([good[0]])
    cases = {
        'a header of 2^40 bytes': varint(1 << 40) + b'x' * 100, 'a header of 200 MiB that does not come': varint(200 << 20) + b'\xa2',
        'a header of 0 bytes': b'\0' + head, 'a header that is no CBOR': varint(50) + b'\xff' * 50,
        'version 9': (lambda h: varint(len(h)) + h)(head[:-1] + b'\x09'), 'no roots key': (lambda h: varint(len(h)) + h)(b'\xa1\x67version\x01'),
        'roots said to be 2^60': (lambda h: varint(len(h)) + h)(b'\xa2\x65roots\x9b' + struct.pack('>Q', 1 << 60) + b'\x67version\x01'),
        'a header 5,000 deep': (lambda h: varint(len(h)) + h)(b'\xa2\x65roots' + b'\x81' * 5000 + b'\x80\x67version\x01'),
        'a section of 2^50 bytes': car([good[0]], [good]) + varint(1 << 50) + b'x' * 100,
        'a section of 100 MiB': car([good[0]], [good]) + varint(100 << 20) + b'x' * 100,
        'a section of 0 bytes in the middle': car([good[0]], [good]) + b'\0' + section(*good),
        'a section shorter than its CID': car([good[0]], []) + varint(10) + good[0][:10],
        'a section cut off': car([good[0]], [good])[:-4], 'a length of 11 bytes': car([good[0]], []) + b'\xff' * 10 + b'\1',
        'a block that is not its CID': car([good[0]], [(good[0], b'other bytes!')]),
        'a block by an identity CID of 200 B': car([good[0]], [(b'\x01\x55\x00\xc8\x01' + b'i' * 200, b'i' * 200)]),
        'a digest of 10 B': car([good[0]], [(b'\x01\x55\x12\x0a' + b'd' * 10, b'x')]),
        'a hash that nobody knows': car([good[0]], [(b'\x01\x55\xff\x7f\x20' + b'd' * 32, b'x')]),
        'a block of 3 MiB': car([good[0]], [(cid(RAW, bytes(3 << 20)), bytes(3 << 20))]),
        'CARv2 with offsets out of bounds': b'\x0a\xa1\x67version\x02' + bytes(16) + struct.pack('<QQQ', 1 << 60, 1 << 60, 1 << 60),
        'CARv2 with an index before the data': b'\x0a\xa1\x67version\x02' + bytes(16) + struct.pack('<QQQ', 51, 1 << 40, 60) + b'x' * 100,
        'CARv2 cut off': b'\x0a\xa1\x67version\x02' + bytes(5), 'nothing': b'', 'noise': noise(5000),
    }
    with Daemon() as daemon:
        for round in range(2):
            usage = Usage(daemon, 4 << 20)
            for what, data in cases.items():
                status, headers, body = daemon.rpc('dag/import', body=form([('x.car', data)]), headers=form_type())
                if round == 0:
                    check(f'{what}: refused', status in (400, 500) or b'"Root"' not in body, (status, body))
                    alone = kit('dag', 'import', repo=new_repo(), stdin=data)
                    check(f'{what}: refused without a daemon too', alone.code == 1 and alone.err.strip(), alone)
        name, start = cid(RAW, b'true'), len(car([good[0]], [good]))
        told = f'block {cid_text(name)}, at byte {start} of the archive, is bad: its bytes do not match its CID, and nothing was pinned: the blocks before it (1)'
        bad = car([good[0]], [good, (name, b'lies')])
        through = kit('dag', 'import', '--json', repo=daemon.repo, stdin=bad)
        check('a bad block is named through a daemon', through.code == 1 and told in through.err and not through.out, through)
        alone = kit('dag', 'import', repo=(repo := new_repo()), stdin=bad)
        check('and without one', alone.code == 1 and told in alone.err and not alone.out, alone)
        equal('the one before it is there, unpinned', (kit('block', 'get', cid_text(good[0]), repo=repo).out, kit('pin', 'ls', repo=repo).out), (good_block, b''))
        answer = daemon.rpc('dag/import', body=form([('x.car', bad)]), headers=form_type())
        check('the RPC says it too', told in str(answer[2]) + str(answer[1]), answer)
        many = car_header([good[0]] * 1)[:0] + b'\xa2\x65roots\x99\x4e\x20' + b''.join(b'\xd8\x2a\x58\x25\0' + good[0] for _ in range(20000)) + b'\x67version\x01'
        status, _, body = daemon.rpc('dag/import', body=form([('x.car', varint(len(many)) + many + section(*good))]), headers=form_type())
        check('20,000 roots: taken or refused, in the end', status in (200, 400, 500), (status, body[:200]))
        check('the node still serves', daemon.serves())
        usage.returned('hostile archives')
        equal('nothing of them was pinned but good roots', {c for c in json.loads(daemon.rpc('pin/ls')[2])['Keys']} -
            {cid_text(good[0])} - {c for c in json.loads(daemon.rpc('pin/ls', type='recursive')[2])['Keys'] if c.startswith('bafkrei')}, set())
        equal('the repo is whole', kit('repo', 'verify', repo=daemon.repo).code, 0)


def swapped():
    """a file that becomes a symlink between listing and opening is never followed."""
    secret = write(temp('secret'), b'the secret of another file\n' * 10)
    secret_cid = cid_raw(read(secret))
    top = temp('top')
    write(f'{top}/f', b'harmless')
    os.symlink(secret, f'{top}/.link')
    write(f'{top}/.file', b'harmless')
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for kind in ('link', 'file'):
                name = f'{top}/.next'
                if kind == 'link':
                    os.symlink(secret, name)
                else:
                    write(name, b'harmless')
                os.replace(name, f'{top}/f')
    thread = threading.Thread(target=swap)
    with Daemon() as daemon:
        thread.start()
        seen = set()
        try:
            for i in range(120):
                repo = daemon.repo if i % 2 else new_repo_once()
                done = kit('add', '-rq', top, repo=repo)
                seen.add(done.code)
                if secret_cid in done.text:
                    check('a swapped symlink is never followed', False, done)
                if done.code and not done.err.strip():
                    check('what changed is told', False, done)
        finally:
            stop.set()
            thread.join()
        check('120 adds of a folder in which a file and a symlink take turns: none follows', seen <= {0, 1, 2, 3}, seen)
        for repo in (daemon.repo, new_repo_once()):
            equal('the secret is in no repo', kit('--timeout=1s', 'block', 'stat', secret_cid, repo=repo).code != 0, True)


_repo = []


def new_repo_once():
    if not _repo:
        _repo.append(new_repo())
    return _repo[0]


run_all([dags, names, archives, swapped])
