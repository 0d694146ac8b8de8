#!/usr/bin/env python3
"""What is in use: heat top, here and through a daemon; what makes heat, and what an end of any kind leaves of it."""
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import ABSENT, Daemon, check, equal, kit, new_repo, noise, run_all, temp, until, write

KEYS = {'Root', 'Heat', 'Reads', 'Wants', 'LastUse', 'Pinned', 'Size'}


def top(repo, *more):
    """The rows, by root, in their order."""
    done = kit('heat', 'top', *more, '--json', repo=repo)
    check('heat top: exit code 0', done.code == 0, done)
    rows = [json.loads(line) for line in done.out.splitlines()]
    return {row['Root']: row for row in rows}


def reads(repo):
    return {root: row['Reads'] for root, row in top(repo).items()}


def added(repo, seed, size=600000):
    path = write(os.path.join(temp('file'), 'f'), noise(size, seed))
    return kit('add', '-Q', path, repo=repo).text


def folder(repo):
    """A folder with a file, and another content root: a document."""
    path = temp('folder')
    os.mkdir(path)
    write(f'{path}/name', noise(600000, 3))
    document = write(temp('document'), b'{"a": {"b": [1, 2, 3]}}')
    return kit('add', '-rQ', path, repo=repo).text, kit('dag', 'put', document, repo=repo).text


def reading_makes_heat():
    repo = new_repo()
    root, document = folder(repo)
    for words in (['stat', root], ['ls', root], ['resolve', f'{root}/name'], ['block', 'stat', root], ['block', 'get', root], ['pin', 'ls', root],
            ['pin', 'add', root], ['repo', 'verify'], ['cat', f'{root}/none'], ['cat', ABSENT], ['cat', 'nonsense']):
        kit(*words, repo=repo)
    equal('looking makes none, nor what fails', top(repo), {})
    for words in (['cat', f'{root}/name'], ['cat', f'{root}/name', '--offset=5', '--length=1'], ['get', '-o', temp('got'), root],
            ['dag', 'export', '-o', temp('car'), root], ['dag', 'get', f'{document}/a/b'], ['cat', f'/ipfs/{root}/name']):
        equal(' '.join(words[:2]), kit(*words, repo=repo).code, 0)
    rows = top(repo)
    equal('the roots of the paths, hottest first', [(cid, row['Reads'], row['Wants'], row['Pinned']) for cid, row in rows.items()],
        [(root, 5, 0, True), (document, 1, 0, False)])
    check('heat: what was read, less the moments since', 4.99 < rows[root]['Heat'] < 5 and 0.99 < rows[document]['Heat'] < 1, rows)
    check('last use: now', all(abs(time.time() - row['LastUse']) < 600 for row in rows.values()), rows)
    equal('the size, where it is known', [row.get('Size', 0) > 600000 for row in rows.values()], [True, False])
    check('nothing else is told', all(set(row) <= KEYS for row in rows.values()), rows)
    equal('--count', list(top(repo, '--count', '1')), [root])
    equal('a count that is none', [kit('heat', 'top', '-n', text, repo=repo).code for text in ('x', '-1', '1001')], [2, 2, 2])
    lines = kit('heat', 'top', '-v', repo=repo).text.splitlines()
    check('for people', lines[0].split() == 'Root Heat Reads Wants Last use Size Pinned'.split() and
        re.fullmatch(rf'{root} +5\.00 +5 +0 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ +{rows[root]["Size"]} pinned', lines[1]) and
        re.fullmatch(rf'{document} +1\.00 +1 +0 \S+ +- -', lines[2]), lines)
    equal('they are as many as before', reads(repo), {root: 5, document: 1})
    equal('the repo is whole', kit('repo', 'verify', repo=repo).code, 0)


def a_daemon_has_it_in_memory():
    repo = new_repo()
    one, two = added(repo, 1), added(repo, 2, 100)
    kit('cat', one, repo=repo)
    with Daemon(repo=repo) as daemon:
        equal('what there was before', reads(repo), {one: 1})
        for _ in range(2):
            kit('cat', two, repo=repo)
        equal('one raw block, by the RPC', daemon.rpc('cat', two)[0], 200)
        equal('an archive by the RPC', daemon.rpc('get', one)[0], 200)
        equal('at once', reads(repo), {two: 3, one: 2})
        status, _, body = daemon.rpc('heat/top', count=1)
        equal('by the RPC', (status, [json.loads(line)['Root'] for line in body.splitlines()]), (200, [two]))
        equal('a count that is none', [daemon.rpc('heat/top', count=text)[0] for text in ('x', '-1')], [400, 400])
        equal('the size of one raw block', top(repo)[two]['Size'], 100)
        equal('stopped with 0', daemon.stop(), 0)
    equal('after its end', reads(repo), {two: 3, one: 2})
    with Daemon(repo=repo) as daemon:
        kit('cat', one, repo=repo)
        equal('it counts on', reads(repo), {two: 3, one: 3})
        daemon.process.kill()
        daemon.process.wait()
    equal('kill -9 takes what came since it was written', reads(repo), {two: 3, one: 2})


def half_lives():
    repo = new_repo()
    root = added(repo, 1)
    kit('cat', root, repo=repo)
    equal('24h at first', kit('config', 'heat.half_life', repo=repo).text, '24h')
    for value in ('0', 'x', ''):
        equal(f'{value!r} is none', kit('config', 'heat.half_life', value, repo=repo).code, 2)
    equal('a very short one', kit('config', 'heat.half_life', '1ns', repo=repo).code, 0)
    equal('leaves nothing', top(repo), {})
    kit('cat', root, repo=repo)
    equal('of nothing at all', top(repo), {})
    kit('config', 'heat.half_life', '10000h', repo=repo)
    kit('cat', root, repo=repo)
    kit('cat', root, repo=repo)
    check('a long one', 1.9 < top(repo)[root]['Heat'] <= 3, top(repo))


def peers_make_heat():
    with Daemon() as daemon, Daemon() as other:
        root, small = added(daemon.repo, 1, 3000000), added(daemon.repo, 2, 50)
        loose = kit('add', '-Q', '--pin=false', write(temp('loose'), noise(600000, 9)), repo=daemon.repo).text
        kit('swarm', 'connect', daemon.swarm[0], repo=other.repo)
        for cid in (root, small, loose):
            equal('a peer fetches', kit('cat', cid, repo=other.repo).code, 0)
        equal('for who fetched, these are reads', reads(other.repo), {root: 1, small: 1, loose: 1})
        rows = top(daemon.repo)
        equal('for who gave them, wants: of pinned roots, not of what is below', {cid: (row['Reads'], row['Wants']) for cid, row in rows.items()},
            {root: (0, 1), small: (0, 1)})
        check('each a quarter', all(0.24 < row['Heat'] <= 0.25 for row in rows.values()), rows)
        kit('cat', loose, repo=daemon.repo)
        with Daemon() as third:
            kit('swarm', 'connect', daemon.swarm[0], repo=third.repo)
            kit('cat', loose, repo=third.repo)
            equal('and of what has heat already', (top(daemon.repo)[loose]['Reads'], top(daemon.repo)[loose]['Wants']), (1, 1))


run_all([reading_makes_heat, a_daemon_has_it_in_memory, half_lives, peers_make_heat])
