#!/usr/bin/env python3
"""A repo that cannot be written to: all of it is read as ever, writing is refused, and no byte of it changes.

Each command runs in a mount namespace of its own, where the repo is bound to its own place, read-only."""
import fcntl
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import (ABSENT, PROGRAM, Daemon, check, environment, equal, kit, new_repo, noise, read, run_all, skip, temp, until, write)

MOUNTED = ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && ! touch "$0/touched" 2>/dev/null && exec "$@"']
LARGE, SMALL = noise(3_000_000, 3), noise(700, 4)


def only_read(repo, *words, **more):
    return kit(*words, repo=repo, wrap=[*MOUNTED, repo], **more)


def mounted(test):
    """A test that takes such a mount."""
    def run():
        place = temp('mount')
        os.mkdir(place)
        if subprocess.run([*MOUNTED, place, 'true'], capture_output=True).returncode:
            return skip(f'{test.__name__}: no read-only mount can be made here, which takes root and a mount namespace')
        return test()
    run.__name__ = test.__name__
    return run


def picture(repo):
    """Every name in it, with all that a write would change."""
    found = {}
    for folder, folders, files in os.walk(repo):
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            st = os.lstat(path)
            found[path] = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns,
                hashlib.sha256(read(path)).hexdigest() if stat.S_ISREG(st.st_mode) else None)
    return found


def fill(run):
    """A file, a folder, a block that nobody pins, and a pin that was taken away, of which everybody was told: what is to be there."""
    folder = temp('folder')
    write(f'{folder}/a/deep.txt', b'deep')
    write(f'{folder}/b.bin', LARGE[:900_000])
    content = {'folder': folder}
    content['tree'] = run('add', '-rQ', folder).text
    content['large'] = run('add', '-Q', write(temp('large'), LARGE)).text
    content['loose'] = run('add', '-Q', '--pin=false', write(temp('small'), SMALL)).text
    content['gone'] = run('add', '-Q', write(temp('gone'), b'not pinned any more')).text
    equal('filling: a pin is taken away', run('pin', 'rm', content['gone']).code, 0)
    return content


def all_is_read(what, run, content):
    """Each command that reads, given a way to run it."""
    large, tree = content['large'], content['tree']
    done = run('cat', large)
    check(f'{what}: cat', done.code == 0 and done.out == LARGE, (done.code, done.err, len(done.out)))
    equal(f'{what}: cat of what is not pinned', [run('cat', content['loose']).out, run('cat', content['gone']).out], [SMALL, b'not pinned any more'])
    out = temp('out')
    done = run('get', '-o', out, tree)
    check(f'{what}: get', done.code == 0 and read(f'{out}/a/deep.txt') == b'deep' and read(f'{out}/b.bin') == LARGE[:900_000], done)
    done = run('ls', tree)
    equal(f'{what}: ls', (done.code, [line.split()[-1] for line in done.text.splitlines()]), (0, ['a/', 'b.bin']))
    done = run('dag', 'export', tree)
    check(f'{what}: dag export', done.code == 0 and LARGE[:5000] in done.out and b'deep' in done.out, (done.code, done.err))
    done = run('block', 'get', content['loose'])
    check(f'{what}: block get', done.code == 0 and done.out == SMALL, done)
    done = run('pin', 'ls')
    equal(f'{what}: pin ls', (done.code, sorted(line.split()[0] for line in done.text.splitlines())), (0, sorted([large, tree])))
    done = run('--json', 'repo', 'stat')
    stat_of = json.loads(done.text)
    check(f'{what}: repo stat counts the blocks', done.code == 0 and stat_of['NumObjects'] > 8, done)
    done = run('repo', 'verify')
    check(f'{what}: repo verify', done.code == 0 and 'all blocks validated' in done.text and done.err == '', done)
    done = run('wal', 'verify')
    check(f'{what}: wal verify', done.code == 0, done)
    done = run('wal', 'export', '-o', temp('segment'), '1')
    check(f'{what}: wal export', done.code == 0, done)
    done = run('cat', ABSENT)
    check(f'{what}: what is not there is called so', done.code != 0 and 'not in the repo' in done.err, done)
    return stat_of['NumObjects']


def writes_are_refused(what, run, content, why='read-only file system'):
    car = write(temp('x.car'), kit('dag', 'export', content['tree'], repo=content['copy']).out)
    for words, stdin in ((['add', '-Q'], b'new'), (['add', '-Q'], LARGE), (['add', '-rQ', content['folder']], b''), (['add', '-Q', '--pin=false'], SMALL),
            (['block', 'put'], b'new'), (['dag', 'put'], b'{"new": 1}'), (['dag', 'import', car], b''), (['dag', 'import', '--adopt', car], b''),
            (['pin', 'add', content['loose']], b''), (['pin', 'add', content['large']], b''), (['pin', 'rm', content['large']], b''),
            (['pin', 'update', content['large'], content['tree']], b''), (['repo', 'gc'], b''), (['repo', 'verify', '--accept-loss'], b''),
            (['wal', 'checkpoint'], b''), (['tier', 'move', content['large'], 'fast'], b''),
            (['daemon', '--listen', '/ip4/127.0.0.1/tcp/0', '--api', '/ip4/127.0.0.1/tcp/0'], b'')):
        done = run(*words, stdin=stdin)
        check(f'{what}: {" ".join(words[:3])} is refused, and told why', done.code not in (0, 2) and why in done.err and 'only read' in done.err
            and done.out == b'' and 'given up' not in done.err, done)


def config_is_refused(what, run):
    """What is no part of the store: the config."""
    done = run('config', 'store.max', '5')
    check(f'{what}: config is refused, and told why', done.code == 1 and 'Read-only file system' in done.err and done.out == b'', done)
    equal(f'{what}: the config can be read', run('config', 'store.max').text, '0')


def copied(repo):
    copy = temp('copy')
    shutil.copytree(repo, copy)
    return copy


@mounted
def what_was_closed_is_only_read():
    repo = new_repo()
    content = fill(lambda *words: kit(*words, repo=repo))
    content['copy'] = copied(repo)
    before = picture(repo)

    def run(*words, **more):
        return only_read(repo, *words, **more)
    there = all_is_read('closed', run, content)
    writes_are_refused('closed', run, content)
    config_is_refused('closed', run)
    equal('closed: the repo is what it was, to the byte', picture(repo), before)
    equal('closed: it is all there again where it can be written', all_is_read('mounted to write', lambda *words: kit(*words, repo=repo), content), there)
    equal('closed: and it is written', kit('add', '-Q', repo=repo, stdin=b'new').code, 0)


@mounted
def what_was_killed_is_only_read():
    """By kill -9, in the midst of an add: the index knows nothing of what was acknowledged, and behind that lies what was not."""
    with Daemon() as daemon:
        repo, segment = daemon.repo, f'{daemon.repo}/segments/00000001.car'
        content = fill(lambda *words: kit(*words, repo=repo))
        size = os.path.getsize(segment)
        adding = subprocess.Popen([PROGRAM, '--repo', repo, 'add', '-Q'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment())
        adding.stdin.write(noise(20_000_000, 9))
        adding.stdin.flush()
        until('killed: more is being added', lambda: os.path.getsize(segment) > size + 2_000_000)
        daemon.process.kill()
        daemon.process.wait()
        adding.stdin.close()
        check('killed: that was not acknowledged', adding.wait() != 0 and adding.stdout.read() == b'')
    content['copy'] = copied(repo)
    # As another crash might leave it: writing that never became whole.
    with open(segment, 'ab') as file:
        file.write(noise(5000, 11))
    other = copied(repo)
    before = picture(repo)

    def run(*words, **more):
        return only_read(repo, *words, **more)
    status = json.loads(run('--json', 'wal', 'status').text)
    check('killed: the index is behind', status['BehindEntries'] > 8 and status['BehindBytes'] > 3_000_000, status)
    replay = json.loads(run('--json', 'wal', 'verify').text)
    check('killed: what an opening that writes would do is told', replay['Blocks'] > 8 and replay['Cut'] >= 5000 and replay['Damaged'] == 0, replay)
    there = all_is_read('killed', run, content)
    writes_are_refused('killed', run, content)
    config_is_refused('killed', run)
    check('killed: the daemon\'s address is still there', os.path.exists(f'{repo}/api'))
    equal('killed: the repo is what it was, to the byte', picture(repo), before)

    def write_to(*words):
        return kit(*words, repo=other)
    size = os.path.getsize(f'{other}/segments/00000001.car')
    equal('killed: an opening that writes finds as many blocks', json.loads(write_to('--json', 'repo', 'stat').text)['NumObjects'], there)
    equal('killed: and cuts what was told', size - os.path.getsize(f'{other}/segments/00000001.car'), replay['Cut'])
    all_is_read('killed, then written to', write_to, content)


@mounted
def a_backup_may_lack_some():
    """A backup may be without what can be made anew, and a file in it may be damaged."""
    whole = new_repo()
    content = fill(lambda *words: kit(*words, repo=whole))
    for what, harm in (('no lock', lambda repo: os.unlink(f'{repo}/lock')),
            ('no index', lambda repo: shutil.rmtree(f'{repo}/index')),
            ('an empty index', lambda repo: [os.unlink(f'{repo}/index/{name}') for name in os.listdir(f'{repo}/index')]),
            ('an index of noise', lambda repo: write(f'{repo}/index/data.mdb', noise(100_000))),
            ('an index cut short', lambda repo: os.truncate(f'{repo}/index/data.mdb', 9000))):
        repo = copied(whole)
        harm(repo)
        before = picture(repo)
        done = only_read(repo, 'pin', 'ls')
        equal(f'{what}: pin ls', (done.code, sorted(line.split()[0] for line in done.text.splitlines())), (0, sorted([content['large'], content['tree']])))
        check(f'{what}: warned only of the index', ('index was made anew' in done.err) == ('index' in what), done)
        equal(f'{what}: cat', only_read(repo, 'cat', content['large']).out, LARGE)
        done = only_read(repo, 'repo', 'verify')
        check(f'{what}: repo verify', done.code == 0 and 'all blocks validated' in done.text, done)
        equal(f'{what}: the repo is what it was', picture(repo), before)
    for what, harm in (('no operation log', lambda repo: shutil.rmtree(f'{repo}/ops')),
            ('a segment cut short', lambda repo: os.truncate(f'{repo}/segments/00000001.car', 2_000_000))):
        repo = copied(whole)
        harm(repo)
        before = picture(repo)
        done = only_read(repo, 'pin', 'ls')
        equal(f'{what}: pin ls', (done.code, sorted(line.split()[0] for line in done.text.splitlines())), (0, sorted([content['large'], content['tree']])))
        check(f'{what}: it is told', 'warning' in done.err and '--accept-loss' in done.err, done)
        equal(f'{what}: what is left is read', only_read(repo, 'block', 'get', content['tree']).code, 0)
        done = only_read(repo, 'add', '-Q', stdin=b'new')
        check(f'{what}: nothing is written', done.code == 1 and 'read-only file system' in done.err, done)
        done = only_read(repo, 'repo', 'verify')
        check(f'{what}: repo verify tells it too', done.code == 4, done)
        done = only_read(repo, 'repo', 'verify', '--accept-loss')
        check(f'{what}: it cannot be accepted', done.code != 0 and 'read-only file system' in done.err and 'given up' not in done.err, done)
        equal(f'{what}: the repo is what it was', picture(repo), before)
    repo = copied(whole)
    segment = f'{repo}/segments/00000001.car'
    data = bytearray(read(segment))
    data[data.index(SMALL) + 9] ^= 1
    write(segment, bytes(data))
    before = picture(repo)
    done = only_read(repo, 'cat', content['loose'])
    check('a damaged block is not given out', done.code == 4 and done.out == b'' and 'is damaged' in done.err, done)
    done = only_read(repo, 'repo', 'verify')
    check('and a verification tells it', done.code == 4 and content['loose'] in done.err, done)
    equal('and the repo is what it was', picture(repo), before)
    empty = new_repo()
    before = picture(empty)
    equal('an empty repo: pin ls', (only_read(empty, 'pin', 'ls').code, only_read(empty, 'repo', 'verify').code), (0, 0))
    equal('an empty repo is what it was', picture(empty), before)
    place = temp('nothing')
    os.mkdir(place)
    done = only_read(f'{place}', 'init', '--test')
    check('no repo is made there', done.code != 0 and 'Read-only file system' in done.err and os.listdir(place) == [], done)


@mounted
def readers_keep_out_who_writes():
    """The same files by another way to them, which can be written."""
    repo = new_repo()
    cid = kit('add', '-Q', repo=repo, stdin=LARGE).text
    reader = subprocess.Popen([*MOUNTED, repo, PROGRAM, '--repo', repo, 'cat', cid], stdout=subprocess.PIPE, env=environment())
    first = os.read(reader.stdout.fileno(), 10)
    check('while one reads, another may', only_read(repo, 'cat', cid).out == LARGE)
    done = kit('add', '-Q', repo=repo, stdin=b'new')
    check('nobody may write', done.code == 4 and 'in use' in done.err, done)
    check('and the reader reads on', first + reader.stdout.read() == LARGE and reader.wait() == 0)
    equal('after it one may', kit('add', '-Q', repo=repo, stdin=b'new').code, 0)
    lock = os.open(f'{repo}/lock', os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    began = time.monotonic()
    done = only_read(repo, 'cat', cid)
    check('while one writes, nobody reads', done.code == 4 and 'in use' in done.err and time.monotonic() - began > 0.5, done)
    os.close(lock)
    equal('after it one may', only_read(repo, 'cat', cid).code, 0)


def files_that_nobody_may_write():
    """Where it is not the file system that refuses: files that nobody may write."""
    repo = new_repo()
    content = fill(lambda *words: kit(*words, repo=repo))
    content['copy'] = copied(repo)
    # Root may write everything, unless it gives that up.
    meek = [] if os.geteuid() else ['setpriv', '--bounding-set=-dac_override', '--inh-caps=-dac_override']
    if meek and subprocess.run([*meek, 'true'], capture_output=True).returncode:
        return skip('a repo without permission to write: root cannot give up its own here')
    # First of the lock alone: nothing else is written either.
    os.chmod(f'{repo}/lock', 0o444)
    write(f'{repo}/api', '/ip4/127.0.0.1/tcp/1')
    for leftover in ('ops/new', 'segments/00000002.car', 'index/compact.mdb', 'index/sealed.new', 'migrating/file'):
        write(f'{repo}/{leftover}')
    before = picture(repo)

    def run(*words, **more):
        return kit(*words, repo=repo, wrap=meek, **more)
    all_is_read('no lock to be had', run, content)
    writes_are_refused('no lock to be had', run, content, 'may not be written to')
    equal('no lock to be had: the repo is what it was, to the byte', picture(repo), before)
    for folder, folders, files in os.walk(repo, topdown=False):
        for path in [*(os.path.join(folder, name) for name in files), folder]:
            os.chmod(path, os.stat(path).st_mode & ~0o222)
    before = picture(repo)
    all_is_read('not permitted', run, content)
    writes_are_refused('not permitted', run, content, 'may not be written to')
    equal('not permitted: the repo is what it was, to the byte', picture(repo), before)
    for folder, folders, files in os.walk(repo):
        os.chmod(folder, 0o700)


run_all([what_was_closed_is_only_read, what_was_killed_is_only_read, a_backup_may_lack_some, readers_keep_out_who_writes, files_that_nobody_may_write])
