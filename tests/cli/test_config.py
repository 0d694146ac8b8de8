#!/usr/bin/env python3
"""Settings that are changed at the same time all stay, by whatever way they come; which of them a daemon takes at once."""
import contextlib
import json
import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import BOUND, PROGRAM, Daemon, check, environment, equal, kit, new_repo, noise, read, run_all, temp, write

ROUNDS = 10


def values(turn):
    """A value for each setting, another one in each turn."""
    return {'add.profile': ('unixfs-v0-2015', 'kubo-cid-v1')[turn % 2], 'swarm.listen': f'/ip4/127.0.0.1/tcp/{4001 + turn}',
        'api.listen': f'/ip4/127.0.0.1/tcp/{5001 + turn}', 'api.origins': f'http://localhost:{turn + 1}', 'api.secret': f'secret-{turn}',
        'daemon.grace': f'{turn + 1}s', 'heat.half_life': f'{turn + 1}h', 'store.max': str(turn + 1 << 30), 'store.cache': f'{turn}MiB',
        'tier.places': f'cold=file:///mnt/{turn}', 'tier.interval': f'{turn + 1}m', 'tier.cold': f'0.{turn}', 'tier.hot': f'{turn + 1}.5'}


def start(repo, key, value):
    return subprocess.Popen([PROGRAM, '--repo', repo, 'config', key, value], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment())


def settings(repo):
    lines = [line.split(' = ', 1) for line in kit('config', 'show', repo=repo).out.decode().splitlines() if line and line[0] != '#']
    equal('each setting stands there once', len(lines), len(dict(lines)))
    return dict(lines)


def at_once():
    repo = new_repo()
    comments = [line for line in read(f'{repo}/config').split(b'\n') if line.startswith(b'#')]
    os.chmod(f'{repo}/config', 0o640)
    for turn in range(ROUNDS):
        children = [start(repo, key, value) for key, value in values(turn).items()]
        said = [(child.communicate(timeout=BOUND)[0], child.returncode) for child in children]
        check('all of them end well', said == [(b'', 0)] * len(said), said)
        equal('all of them are kept', settings(repo), values(turn))
    equal('the comments are kept', [line for line in read(f'{repo}/config').split(b'\n') if line.startswith(b'#')], comments)
    equal('so are the permissions', oct(os.stat(f'{repo}/config').st_mode & 0o777), '0o640')
    equal('no other file is left', [name for name in os.listdir(repo) if name.startswith('config.')], [])


def with_a_daemon():
    with Daemon() as daemon:
        for turn in range(ROUNDS):
            wanted, answers = values(turn), []
            # Half of them through the daemon, half beside it.
            calls = [threading.Thread(target=lambda key=key: answers.append(daemon.rpc('config', key, wanted[key])[0]))
                for key in list(wanted)[::2]]
            children = [start(daemon.repo, key, wanted[key]) for key in list(wanted)[1::2]]
            for call in calls:
                call.start()
            for call in calls:
                call.join(BOUND)
            said = [(child.communicate(timeout=BOUND)[0], child.returncode) for child in children]
            check('all of them end well', all(code == 0 and (not text or b' when it starts again' in text) for text, code in said) and answers == [200] * len(calls), (said, answers))
            equal('all of them are kept', settings(daemon.repo), wanted)
        check('the daemon lives', daemon.alive())


def what_a_daemon_takes():
    with Daemon() as daemon:
        said = ' '.join(line.lstrip('# ') for line in read(f'{daemon.repo}/config').decode().split('\n\n')[0].splitlines())
        check('the file says what a daemon takes at once', 'takes add.profile, store.max, tier.cold, tier.hot and tier.interval at once when they change, the others when it starts' in said, said)
        before = kit('id', repo=daemon.repo).out
        for key, value in values(0).items():
            if key != 'api.listen':
                equal(f'{key} is set', kit('config', key, value, repo=daemon.repo).code, 0)
        status, _, stat = daemon.rpc('repo/stat')
        equal('store.max: at once; api.secret: not yet', (status, json.loads(stat).get('StorageMax')), (200, 1 << 30))
        equal('swarm.listen: not yet', kit('id', repo=daemon.repo).out, before)
        check('add.profile: at once', kit('add', '-Q', repo=daemon.repo, stdin=b'x').text.startswith('Qm'))


def a_limit_below_what_is_there_is_told():
    repo = new_repo()
    root = kit('add', '-Q', repo=repo, stdin=noise(5 << 20)).text

    def said(key, value):
        done = kit('config', key, value, repo=repo)
        equal('it is taken', (done.code, kit('config', key, repo=repo).text), (0, value))
        return done.err

    def all_ways():
        for key in 'store.max', 'storage_max':
            told = said(key, '4MiB')
            check('too little', 'the repo takes 5.' in told and 'MiB now' in told and 'ipfs-kit' in told and 'repo gc' in told, told)
            for value in '3', '1MiB', '4095KiB':
                told = said(key, value)
                check('too little for anything: the least, and why; no collection helps', 'next to nothing fits' in told and 'kept free' in told and
                    f"config {key} 4MiB'" in told and 'repo gc' not in told, told)
            for value in '0', '10MiB':
                equal('enough', said(key, value), '')

    all_ways()
    with Daemon(repo=repo):
        all_ways()
    said('store.max', '3')
    archive = write(temp('archive'), kit('dag', 'export', root, repo=repo).out)
    other = new_repo()
    equal('adopted', kit('dag', 'import', '--adopt=link', archive, repo=other).code, 0)
    equal('what is linked does not count', kit('config', 'store.max', '4MiB', repo=other).err, '')
    for how in 'alone', 'through a daemon':
        with contextlib.nullcontext() if how == 'alone' else Daemon(repo=repo):
            kit('config', 'storage_max', '3', repo=repo)
            done = kit('add', repo=repo, stdin=how.encode())
            check(f'{how}: nothing can be added then, and pins are not to blame', done.code != 0 and all(text in done.err for text in ('storage_max', 'store.max', '4MiB')) and
                'pin rm' not in done.err, done)
            kit('config', 'storage_max', '5MiB', repo=repo)
            done = kit('add', repo=repo, stdin=how.encode())
            check(f'{how}: more, but too little: by either name of the setting', done.code != 0 and all(text in done.err for text in ('storage_max', 'store.max', 'pin rm')), done)


def sizes_are_read_as_kubo_reads_them():
    with Daemon() as daemon:
        for value, size in (('10mb', 10_000_000), ('10 GB', 10_000_000_000), ('10gib', 10 << 30), ('12 MiB', 12 << 20)):
            equal(f'{value}: it is taken', kit('config', 'storage_max', value, repo=daemon.repo).code, 0)
            equal(f'{value}: and is so many bytes', json.loads(daemon.rpc('repo/stat')[2])['StorageMax'], size)
        for key, value, last in ('store.max', '10XB', b'(of 1000)'), ('tier.places', 'nowhere', b'FOLDER'):
            status, _, said = daemon.rpc('config', key, value)
            check(f'the RPC says all of what is wrong with {key}', status != 200 and last in said, said)


def the_least_limit_is_of_use():
    """One block of any size fits, and files come and go."""
    repo = new_repo()
    equal('nothing is to be told', kit('config', 'storage_max', '4MiB', repo=repo).err, '')
    equal('the largest block', kit('block', 'put', repo=repo, stdin=noise(2 << 20)).code, 0)
    repo = new_repo()
    kit('config', 'storage_max', '4MiB', repo=repo)
    equal('files', [kit('add', '-Q', '--pin=false', repo=repo, stdin=noise(1_000_000, seed)).code for seed in range(6)], [0] * 6)


run_all([at_once, with_a_daemon, what_a_daemon_takes, a_limit_below_what_is_there_is_told, sizes_are_read_as_kubo_reads_them, the_least_limit_is_of_use])
