#!/usr/bin/env python3
"""A get or dag export that is ended in the middle of a file leaves nothing beside what is whole, or, killed,
nothing that running it again does not take away; and what is not its own stays.

The node has all of a file but its last block, and asks for it a peer that does not have it: so the get stands
in the middle of the file for as long as the test wants.
"""
import contextlib
import os
import resource
import signal
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import (BOUND, PROGRAM, Daemon, check, cid_raw, environment, equal, kit, new_repo, noise, read, run_all, temp, until, write)

CHUNK = 1 << 20
LARGE = noise(3 * CHUNK + 77)
CONTENT = {'a': b'first', 'large': LARGE, 'z/last': b'last'}
MISSING = LARGE[3 * CHUNK:]
EXIT = {'SIGINT': 130, 'SIGTERM': -signal.SIGTERM, 'SIGKILL': -signal.SIGKILL, '--timeout': 5}
ENDS = tuple(EXIT)


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def make_archive():
    """The content as a CAR without the block that is missing, the root's CID, and the whole CAR."""
    folder, repo = temp('content'), new_repo()
    for name, data in CONTENT.items():
        write(f'{folder}/{name}', data)
    cid = kit('add', '-rQ', folder, repo=repo).text
    car = kit('dag', 'export', cid, repo=repo).out
    size, at = varint(car, 0)
    kept, at, left_out = car[:at + size], at + size, 0
    while at < len(car):
        size, start = varint(car, at)
        if car[at:start + size].endswith(MISSING):
            left_out += 1
        else:
            kept += car[at:start + size]
        at = start + size
    equal('one block is left out', left_out, 1)
    return kept, cid, car


CAR, CID, WHOLE = make_archive()


def names(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, files in os.walk(folder) for name in files)


def parts(folder):
    """What stands beside the content, and how large it is."""
    with contextlib.suppress(FileNotFoundError):
        return {name: os.path.getsize(f'{folder}/{name}') for name in names(folder) if os.path.basename(name).startswith('.')}


class Scene:
    """A repo without the missing block, a peer that does not have it either, and a folder to write to."""

    def __init__(self, through_a_daemon):
        self.through, self.stack = through_a_daemon, contextlib.ExitStack()

    def __enter__(self):
        self.peer = peer = self.stack.enter_context(Daemon())
        self.folder = os.path.dirname(temp('x'))
        self.repo, self.words = new_repo(), []
        kit('dag', 'import', '--pin-roots=false', repo=self.repo, stdin=CAR)
        if self.through:
            self.stack.enter_context(Daemon(repo=self.repo))
            kit('swarm', 'connect', peer.swarm[0], repo=self.repo)
        else:
            self.words = ['--connect', peer.swarm[0]]
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start(self, *words, at=3 * CHUNK):
        """A command that stands in the middle of the large file."""
        before = parts(self.folder)
        child = subprocess.Popen([PROGRAM, '--repo', self.repo, *self.words, *words], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env=environment())
        self.stack.callback(child.kill)
        until('the part has grown', lambda: child.poll() is not None or
            sum((parts(self.folder) or {}).values()) >= sum(before.values()) + at)
        check('it stands in the middle', child.poll() is None)
        return child

    def supply(self, repo=None):
        equal('the missing block comes', kit('block', 'put', repo=repo or self.repo, stdin=MISSING).text, cid_raw(MISSING))

    def again(self, *words):
        return kit('get', *words, repo=self.repo)


def end(child, how):
    if how != '--timeout':
        child.send_signal(getattr(signal, how))
    child.communicate(timeout=BOUND)
    return child.returncode


def ended(what, scene, how, path, out, whole):
    """Ends a get of path to out; whole is what is there when it is done, by name from the folder."""
    child = scene.start(*(['--timeout', '3s'] if how == '--timeout' else []), 'get', '-o', out, path)
    equal(f'{what}: exit code', end(child, how), EXIT[how])
    left = names(scene.folder)
    if how == 'SIGKILL':
        check(f'{what}: the part stays', len(parts(scene.folder)) == 1, left)
    else:
        equal(f'{what}: only whole files stay', left, [name for name in whole if name.endswith('/a')])
    scene.supply()
    done = scene.again('-o', out, path)
    equal(f'{what}: run again', done.code, 0)
    equal(f'{what}: now the content alone is there', {name: read(f'{scene.folder}/{name}') for name in names(scene.folder)}, whole)


def every_end(through):
    for how in ENDS:
        with Scene(through) as scene:
            ended(f'a file, {how}', scene, how, f'{CID}/large', f'{scene.folder}/out', {'out': LARGE})
        with Scene(through) as scene:
            ended(f'a folder, {how}', scene, how, CID, f'{scene.folder}/out', {f'out/{name}': data for name, data in CONTENT.items()})


def alone():
    every_end(False)


def through_a_daemon():
    every_end(True)


def what_is_not_its_own_stays():
    with Scene(False) as scene:
        out, other = f'{scene.folder}/out', f'{scene.folder}/other'
        end(scene.start('get', '-o', out, CID), 'SIGKILL')
        part, = parts(scene.folder)
        name = os.path.basename(part)
        own = {f'out/.large.{"0" * 16}': b'mine', 'out/.large': b'mine', 'out/.a.part': b'mine', f'other/{name}': b'mine',
            f'out/{name}x': b'mine', f'out/.other{name[len(".large"):]}': b'mine'}
        for path, data in own.items():
            write(f'{scene.folder}/{path}', data)
        scene.supply()
        for target in (out, other):
            equal('run again', scene.again('-o', target, CID).code, 0)
        equal("the killed one's part is gone, all else is as it was", {path: read(f'{scene.folder}/{path}') for path in parts(scene.folder)}, own)


def another_content_takes_it_away_too():
    with Scene(False) as scene:
        out = f'{scene.folder}/out'
        end(scene.start('get', '-o', out, CID), 'SIGKILL')
        check('the part stays', len(parts(scene.folder)) == 1)
        other = kit('add', '-rQ', os.path.dirname(write(temp('b'), b'other')), repo=scene.repo).text
        equal('another folder is got to the same place', scene.again('-o', out, other).code, 0)
        equal('the part is gone', names(scene.folder), ['out/a', 'out/b'])


def two_at_once():
    """Each has a part of its own: the second does not take that of the first for one left behind."""
    with Scene(True) as scene:
        out = f'{scene.folder}/out'
        children = [scene.start('get', '-o', out, CID) for _ in range(2)]
        equal('each has its part', len(parts(scene.folder)), 2)
        third = scene.start('get', '-o', out, CID)
        end(third, 'SIGKILL')
        equal('and so has a third, which is killed', len(parts(scene.folder)), 3)
        scene.supply(scene.peer.repo)
        for child in children:
            child.communicate(timeout=BOUND)
            equal('it ends well', child.returncode, 0)
        equal('and once more', scene.again('-o', out, CID).code, 0)
        equal('the content alone is there', {name: read(f'{out}/{name}') for name in names(out)}, CONTENT)


def offline():
    """Without a network nothing waits: it is ended when the part is seen, and whatever had happened by then holds."""
    folder, large = os.path.dirname(temp('x')), noise(32 << 20)
    for how in ('SIGINT', 'SIGTERM', 'SIGKILL'):
        repo, out = new_repo(), f'{folder}/{how}/out'
        os.makedirs(out)
        cid = kit('add', '-Q', repo=repo, stdin=large).text
        child = subprocess.Popen([PROGRAM, '--repo', repo, 'get', '-o', f'{out}/file', cid], stderr=subprocess.PIPE, env=environment())
        until('it has begun', lambda: os.listdir(out) or child.poll() is not None)
        check(f'{how}: exit code', end(child, how) in (0, EXIT[how]), child.returncode)
        if how != 'SIGKILL':
            check(f'{how}: nothing half stays', names(out) in ([], ['file']), names(out))
        equal(f'{how}: run again', kit('get', '-o', f'{out}/file', cid, repo=repo).code, 0)
        equal(f'{how}: the content alone is there', {name: read(f'{out}/{name}') for name in names(out)}, {'file': large})
    repo = new_repo()
    kit('dag', 'import', '--pin-roots=false', repo=repo, stdin=CAR)
    done = kit('get', '-o', f'{folder}/missing', f'{CID}/large', repo=repo)
    check('a block that is missing: it fails and leaves nothing', done.code == 3 and parts(folder) == {} and not os.path.exists(f'{folder}/missing'), done)
    kit('block', 'put', repo=repo, stdin=MISSING)
    done = kit('get', '-o', f'{folder}/full', CID, repo=repo, preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, CHUNK)))
    check('no room for a file: it fails and leaves what is whole', done.code != 0 and names(f'{folder}/full') == ['a'], (done, names(f'{folder}/full')))
    os.symlink('/proc/self/fd/1', f'{folder}/stdout')
    equal('to a descriptor', kit('get', '-o', f'{folder}/stdout', f'{CID}/large', repo=repo).out, LARGE)
    done = kit('get', '-f', '-o', f'{folder}/stdout', CID, repo=repo)
    check('a folder to it: refused, also by force', done.code == 1 and os.path.islink(f'{folder}/stdout'), done)


def exports():
    for through in (False, True):
        for how in ENDS:
            what = f'dag export -o, {how}, {"through a daemon" if through else "alone"}'
            for old in (None, b'what was there'):
                with Scene(through) as scene:
                    out = f'{scene.folder}/out.car'
                    if old:
                        os.chmod(write(out, old), 0o640)
                    child = scene.start(*(['--timeout', '3s'] if how == '--timeout' else []), 'dag', 'export', '-o', out, CID, at=2 * CHUNK)
                    equal(f'{what}: exit code', end(child, how), EXIT[how])
                    equal(f'{what}: the place is as it was', read(out) if os.path.exists(out) else None, old)
                    equal(f'{what}: beside it', len(parts(scene.folder)), how == 'SIGKILL')
                    scene.supply()
                    done = kit('dag', 'export', '-o', out, CID, repo=scene.repo)
                    check(f'{what}: run again, it is whole', done.code == 0 and read(out) == WHOLE, done)
                    equal(f'{what}: and alone', names(scene.folder), ['out.car'])
                    if old:
                        equal(f'{what}: the mode is kept', oct(os.stat(out).st_mode & 0o777), '0o640')


def exports_to_what_is_no_file():
    repo, folder = new_repo(), os.path.dirname(temp('x'))
    kit('dag', 'import', repo=repo, stdin=WHOLE)
    export = [PROGRAM, '--repo', repo, 'dag', 'export', '-o']
    equal('to /dev/null', kit('dag', 'export', '-o', '/dev/null', CID, repo=repo).code, 0)
    check('which is what it was', stat.S_ISCHR(os.stat('/dev/null').st_mode))
    for name in ('/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'):
        equal(f'to {name}, a pipe', kit('dag', 'export', '-o', name, CID, repo=repo).out, WHOLE)
        with open(f'{folder}/file', 'wb') as file:
            file.write(b'before')
            file.flush()
            subprocess.run([*export, name, CID], stdout=file, env=environment(), check=True)
        equal(f'to {name}, a file, after what was written to it', read(f'{folder}/file'), b'before' + WHOLE)
    os.mkfifo(f'{folder}/fifo')
    reader = subprocess.Popen(['cat', f'{folder}/fifo'], stdout=subprocess.PIPE)
    writer = subprocess.Popen(['sh', '-c', 'exec 3>"$1"; exec "$2" --repo "$3" dag export -o "$1" "$4"', 'sh', f'{folder}/fifo', PROGRAM, repo, CID],
        env=environment())  # which waits for the reader, since we do not
    equal('to a FIFO', (reader.communicate(timeout=BOUND)[0] == WHOLE, writer.wait(BOUND)), (True, 0))
    check('which is what it was', stat.S_ISFIFO(os.stat(f'{folder}/fifo').st_mode))
    write(f'{folder}/target', b'old')
    os.symlink('target', f'{folder}/link')
    equal('to a link', kit('dag', 'export', '-o', f'{folder}/link', CID, repo=repo).code, 0)
    check('which stays one, and leads to it', os.readlink(f'{folder}/link') == 'target' and read(f'{folder}/target') == WHOLE)
    done = kit('dag', 'export', '-o', folder, CID, repo=repo)
    check('to a folder: refused', done.code == 1 and folder in done.err, done)
    done = kit('dag', 'export', '-o', f'{folder}/none/x', CID, repo=repo)
    check('to a folder that is not there: refused', done.code == 3 and 'none/x' in done.err, done)
    full = kit('dag', 'export', '-o', f'{folder}/full', CID, repo=repo, preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, CHUNK)))
    check('to a disk that takes no more: it says which file, and leaves nothing', full.code != 0 and f'{folder}/full' in full.err
        and sorted(os.listdir(folder)) == ['fifo', 'file', 'link', 'target'], (full, os.listdir(folder)))


run_all([alone, through_a_daemon, what_is_not_its_own_stays, another_content_takes_it_away_too, two_at_once, offline, exports, exports_to_what_is_no_file])
