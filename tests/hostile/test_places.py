#!/usr/bin/env python3
"""Something else in the place of each file that a repo keeps: a link, a pipe, a folder, a device, a socket. The program
says so, or makes the file anew; it never hangs, and never writes through."""
import os
import shutil
import socket
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import Daemon, check, equal, kit, new_repo, noise, read, run_all, skip, temp, until, write

FILES = ['version', 'lock', 'secret', 'config', 'identity', 'segments/00000001.car']
# These are made anew, or stand in nobody's way.
SPARE = ['index/data.mdb', 'index/lock.mdb', 'index/sealed', 'index/sealed.new', 'version.new', 'secret.new', 'config.new',
    'adding', 'api', 'api.new']
TARGET = b'of somebody else\n' * 100


def put_link(path, target):
    os.symlink(target, path)


def put_link_to_nothing(path, target):
    os.unlink(target)
    os.symlink(target, path)


def put_pipe(path, target):
    os.mkfifo(path)


def put_folder(path, target):
    write(f'{path}/inside', b'somebody\'s')


def put_empty_folder(path, target):
    os.mkdir(path)


def put_device(path, target):
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))


def put_socket(path, target):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)


KINDS = [put_link, put_link_to_nothing, put_pipe, put_folder, put_empty_folder, put_device, put_socket]
if os.geteuid():
    skip('a device in the place of a file: that takes root')
    KINDS.remove(put_device)


def made():
    repo = new_repo()
    return repo, kit('add', '-Q', repo=repo, stdin=b'kept').text


def replaced(repo, name, put):
    """A copy of the repo with something else at name; gives it, and what a link there leads to."""
    copy, target = temp('repo'), write(temp('target'), TARGET)
    shutil.copytree(repo, copy)
    if os.path.exists(f'{copy}/{name}'):
        os.unlink(f'{copy}/{name}')
    put(f'{copy}/{name}', target)
    return copy, target


def untouched(what, target, put):
    kept = not os.path.lexists(target) if put is put_link_to_nothing else read(target) == TARGET
    check(f'{what}: what it leads to is as it was', kept)


def told(done, name):
    """Refused by a sentence that names the file."""
    return 0 < done.code < 128 and os.path.basename(name) in done.err


def commands():
    repo, cid = made()
    data = write(temp('data'), noise(300_000))
    for name in FILES + SPARE:
        for put in KINDS:
            what = f'{put.__name__[4:].replace("_", " ")} as {name}'
            copy, target = replaced(repo, name, put)
            cat = kit('cat', cid, repo=copy)
            fine = cat.code == 0 and cat.out == b'kept'
            check(f'{what}: cat', fine if name in SPARE else fine or told(cat, name), cat)
            add = kit('add', '-Q', data, repo=copy)
            check(f'{what}: add', add.code == 0 if name in SPARE else add.code == 0 or told(add, name), add)
            config = kit('config', 'store.max', '1000000000', repo=copy)
            check(f'{what}: config', config.code == 0 or told(config, 'config'), config)
            if put is put_folder:
                inside = [f'{where}/{file}' for where, _, files in os.walk(copy) for file in files if file == 'inside']
                equal(f'{what}: what was in it is still somewhere', [read(path) for path in inside], [b'somebody\'s'])
            if add.code == 0:
                verify = kit('repo', 'verify', repo=copy)
                equal(f'{what}: the repo is whole', (verify.code, kit('cat', add.text, repo=copy).out == read(data)), (0, True))
            untouched(what, target, put)
            shutil.rmtree(copy)


def being_made():
    """init meets them where it would write."""
    for name in ('version.new', 'secret.new', 'config.new', 'lock', 'secret', 'identity'):
        for put in KINDS:
            what = f'init with {put.__name__[4:].replace("_", " ")} as {name}'
            repo, target = temp('repo'), write(temp('target'), TARGET)
            os.mkdir(repo)
            put(f'{repo}/{name}', target)
            done = kit('init', '--test', repo=repo)
            check(what, done.code == 0 or told(done, name) or (0 < done.code < 128 and 'stands where' in done.err), done)
            if done.code == 0:
                equal(f'{what}: it works', kit('cat', kit('add', '-Q', repo=repo, stdin=b'x').text, repo=repo).out, b'x')
            untouched(what, target, put)


def while_it_runs():
    """The seal of the index and the address file, put there while a daemon has the repo."""
    for put in KINDS:
        what = put.__name__[4:].replace('_', ' ')
        with Daemon() as daemon:
            targets = []
            for name in ('index/sealed', 'index/sealed.new', 'api', 'adding'):
                target = write(temp('target'), TARGET)
                if os.path.lexists(f'{daemon.repo}/{name}'):
                    os.unlink(f'{daemon.repo}/{name}')
                put(f'{daemon.repo}/{name}', target)
                targets.append(target)
            done = kit('id', repo=daemon.repo)
            check(f'{what} as api: another command says that the repo is in use', done.code == 4 and done.err.strip(), done)
            equal(f'{what} while a daemon runs: it ends', daemon.stop(), 0)
            equal(f'{what} while a daemon ran: the repo is whole', kit('repo', 'verify', repo=daemon.repo).code, 0)
            for target in targets:
                untouched(f'{what} while a daemon ran', target, put)


run_all([commands, being_made, while_it_runs])
