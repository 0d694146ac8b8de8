#!/usr/bin/env python3
"""No room: a disk full from any page on, files that may not grow, memory that ends anywhere. What was acknowledged is there,
the message says what is the matter, nothing hangs or crashes, and with room again the repo goes on."""
import json
import os
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import PROGRAM, Daemon, check, equal, form, form_type, kit, new_repo, noise, read, run_all, skip, temp

MINE = 'KIT_OWN_MOUNTS'
SMALL, LARGE = b'kept' * 500, noise(700_000, 3)
NO_SPACE = ('o space left', 'No space')


class Disk:
    """A small file system of its own, of which all but so many bytes can be taken."""

    def __enter__(self):
        self.place = temp('disk')
        os.mkdir(self.place)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=16m', 'none', self.place], check=True)
        self.repo = f'{self.place}/repo'
        return self

    def __exit__(self, *_):
        subprocess.run(['umount', '-l', self.place], check=True)

    def leave(self, free):
        st = os.statvfs(self.place)
        with open(f'{self.place}/filler', 'wb') as file:
            os.posix_fallocate(file.fileno(), 0, st.f_bavail * st.f_bsize - free)

    def give_back(self):
        os.unlink(f'{self.place}/filler')


def sound(what, done, *texts):
    """It worked, or it failed by a sentence of the right sort."""
    return check(what, done.code == 0 or (0 < done.code < 128 and any(text in done.err for text in texts)), done)


def whole(what, repo, kept):
    for cid, data in kept:
        done = kit('cat', cid, repo=repo)
        check(f'{what}: what was acknowledged is there', done.code == 0 and done.out == data, done)
    equal(f'{what}: then it takes more', kit('add', '-Q', repo=repo, stdin=noise(300_000, 4)).code, 0)
    verify = kit('repo', 'verify', repo=repo)
    check(f'{what}: then the repo is whole', verify.code == 0, verify)


def commands(what, repo, kept, limit=None, texts=NO_SPACE):
    cid = kept[0][0]
    for words in (['add', '-Q'], ['cat', cid], ['pin', 'ls'], ['repo', 'verify'], ['add', '-Q']):
        done = kit(*words, repo=repo, stdin=LARGE if words[0] == 'add' else b'', preexec=limit)
        sound(f'{what}: {" ".join(words)}', done, *texts)
        if words[0] == 'add' and done.code == 0:
            kept.append((done.text, LARGE))


def full_from_any_page_on():
    frees = [*range(0, 64 << 10, 4 << 10), *range(64 << 10, 800 << 10, 48 << 10)]
    for free in frees:
        for how in ('as it is', 'without an index'):
            with Disk() as disk:
                what = f'{free >> 10} KiB free, {how}'
                kit('init', '--test', repo=disk.repo)
                kept = [(kit('add', '-Q', repo=disk.repo, stdin=SMALL).text, SMALL)]
                if how != 'as it is':
                    shutil.rmtree(f'{disk.repo}/index')
                disk.leave(free)
                commands(what, disk.repo, kept)
                disk.give_back()
                whole(what, disk.repo, kept)
    for free in frees[:20]:
        with Disk() as disk:
            disk.leave(free)
            sound(f'{free >> 10} KiB free: init', kit('init', '--test', repo=disk.repo), *NO_SPACE)
            disk.give_back()
            made = kit('init', '--test', repo=disk.repo)
            check(f'{free >> 10} KiB free: init with room again', made.code == 0 or 'already' in made.err, made)
            whole(f'{free >> 10} KiB free at init', disk.repo, [])


def a_daemon_on_a_full_disk():
    for free in (0, 100 << 10, 500 << 10):
        for end in ('asked to end', 'killed'):
            with Disk() as disk:
                what = f'a daemon with {free >> 10} KiB, {end}'
                kit('init', '--test', repo=disk.repo)
                with Daemon(repo=disk.repo) as daemon:
                    kept = [(daemon.add(SMALL), SMALL)]
                    disk.leave(free)
                    for number in range(3):
                        data = noise(700_000, 10 + number)
                        status, headers, body = daemon.rpc('add', body=form([('file', data)]), headers=form_type())
                        failed = status != 200 or b'o space' in body or 'o space' in str(headers)
                        check(f'{what}: add says so', failed and b'o space' in body, (status, headers, body))
                    equal(f'{what}: it reads', daemon.rpc('cat', kept[0][0])[2], SMALL)
                    if end == 'killed':
                        daemon.kill()
                    disk.give_back()
                    if end != 'killed':
                        data = noise(700_000, 20)
                        kept.append((daemon.add(data), data))
                        equal(f'{what}: with room again it serves', daemon.rpc('cat', kept[1][0])[2], data)
                        equal(f'{what}: it ends', daemon.stop(), 0)
                whole(what, disk.repo, kept)


def a_daemon_ends_on_a_full_disk():
    with Disk() as disk:
        kit('init', '--test', repo=disk.repo)
        with Daemon(repo=disk.repo) as daemon:
            kept = [(daemon.add(noise(1000, i)), noise(1000, i)) for i in range(30)]
            disk.leave(0)
            daemon.stop()
        done = kit('cat', kept[0][0], repo=disk.repo)
        check('opened on a full disk: what was acknowledged is there, or it says why not',
            done.out == kept[0][1] or any(text in done.err for text in NO_SPACE), done)
        disk.give_back()
        whole('a daemon that ended on a full disk', disk.repo, kept)


def files_that_may_not_grow():
    repo = new_repo()
    first = kit('add', '-Q', repo=repo, stdin=SMALL).text
    texts = ('too large', 'o space', 'No space')
    for most in [*range(0, 64 << 10, 8 << 10), *range(64 << 10, 900 << 10, 100 << 10)]:
        def limit(most=most):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        copy = temp('repo')
        shutil.copytree(repo, copy)
        kept = [(first, SMALL)]
        commands(f'files of at most {most >> 10} KiB', copy, kept, limit, texts)
        whole(f'files of at most {most >> 10} KiB', copy, kept)
        shutil.rmtree(copy)


def memory_that_ends():
    if b'libasan' in subprocess.run(['ldd', PROGRAM], capture_output=True).stdout:
        return skip('memory that ends: AddressSanitizer needs terabytes of addresses')
    repo = new_repo()
    data = noise(6_000_000, 5)
    cid = kit('add', '-Q', repo=repo, stdin=data).text
    archive = kit('dag', 'export', cid, repo=repo).out
    texts = ('allocate memory', 'shared object', 'shared libraries')
    codes = set()
    for most in range(8 << 20, 320 << 20, 6 << 20):
        def limit(most=most):
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        copy, what = temp('repo'), f'{most >> 20} MiB of addresses'
        shutil.copytree(repo, copy)
        kept = [(cid, data)]
        commands(what, copy, kept, limit, texts)
        done = kit('dag', 'import', repo=copy, stdin=archive, preexec=limit)
        sound(f'{what}: dag import', done, *texts)
        check(f'{what}: dag import says "imported" or fails', done.code or done.text == f'imported {cid}', done)
        check(f'{what}: dag import blames no archive', 'well-formed' not in done.err, done)
        codes.add(done.code)
        whole(what, copy, kept)
        shutil.rmtree(copy)
    check('some limits were too low and some were not', 0 in codes and len(codes) > 1, codes)


def a_daemon_in_little_memory():
    if b'libasan' in subprocess.run(['ldd', PROGRAM], capture_output=True).stdout:
        return
    repo = new_repo()
    kept = [(kit('add', '-Q', repo=repo, stdin=SMALL).text, SMALL)]
    started = 0
    for most in range(100 << 20, 400 << 20, 20 << 20):
        def limit(most=most):
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        what = f'a daemon with {most >> 20} MiB of addresses'
        try:
            daemon = Daemon(repo=repo, preexec=limit)
        except RuntimeError as error:
            check(f'{what}: does not start, and says why', 'allocate memory' in str(error), error)
            continue
        started += 1
        with daemon:
            for number in range(4):
                data = noise(3_000_000, most + number)
                try:
                    status, headers, body = daemon.rpc('add', body=form([('file', data)]), headers=form_type())
                except (OSError, ValueError) as error:
                    check(f'{what}: it lives although it let go of a caller', daemon.alive(), error)
                    continue
                answer = json.loads(body.split(b'\n')[0] or b'{}')
                if status == 200 and 'Hash' in answer:
                    kept.append((answer['Hash'], data))
                else:
                    check(f'{what}: add says why', b'memory' in body or status in (429, 503), (status, headers, body))
            check(f'{what}: it lives', daemon.alive(), daemon.stderr())
            equal(f'{what}: it ends', daemon.stop(), 0)
        whole(what, repo, kept[-2:])
    check('some daemons started', started > 0)


TESTS = [files_that_may_not_grow, memory_that_ends, a_daemon_in_little_memory]
if os.environ.get(MINE):
    run_all([full_from_any_page_on, a_daemon_on_a_full_disk, a_daemon_ends_on_a_full_disk, *TESTS])
elif os.geteuid() == 0 and subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode == 0:
    os.environ[MINE] = '1'
    os.execvp('unshare', ['unshare', '-m', sys.executable, *sys.argv])
else:
    skip('a full disk: no mount namespace may be made here')
    run_all(TESTS)
