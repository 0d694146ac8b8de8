#!/usr/bin/env python3
"""Something else in the place of each file that a repo keeps: a link, a pipe, a folder, a device, a socket. The program
says so, or makes the file anew; it never hangs, and never writes through."""
import base64
import ctypes
import errno
import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import PROGRAM, Daemon, check, environment, equal, kit, new_repo, noise, read, run_all, skip, temp, until, write

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
    folder = os.open(os.path.dirname(path), os.O_PATH)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f'/proc/self/fd/{folder}/socket')  # the whole path may be too long for it
    os.rename(f'{os.path.dirname(path)}/socket', path)
    os.close(folder)


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


def leveldb():
    for name in ('libleveldb.so.1d', 'libleveldb.so.1'):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.leveldb_options_create.restype = library.leveldb_open.restype = ctypes.c_void_p
        return library
    return None


KUBO_BLOCK = b'a block of Kubo'
KUBO_KEY = base64.b32encode(b'\x12\x20' + hashlib.sha256(KUBO_BLOCK).digest()).decode().rstrip('=')


def kubo_repo(library):
    """A repo as Kubo leaves it, of one block and no pin."""
    folder = temp('kubo')
    mounts = [{'mountpoint': '/blocks', 'type': 'flatfs', 'path': 'blocks', 'shardFunc': '/repo/flatfs/shard/v1/next-to-last/2'},
        {'mountpoint': '/', 'type': 'levelds', 'path': 'datastore', 'compression': 'none'}]
    write(f'{folder}/datastore_spec', json.dumps({'mounts': mounts, 'type': 'mount'}))
    write(f'{folder}/repo.lock')
    write(f'{folder}/blocks/SHARDING', b'/repo/flatfs/shard/v1/next-to-last/2\n')
    write(f'{folder}/blocks/{KUBO_KEY[-3:-1]}/{KUBO_KEY}.data', KUBO_BLOCK)
    error, options = ctypes.c_char_p(), ctypes.c_void_p(library.leveldb_options_create())
    library.leveldb_options_set_create_if_missing(options, ctypes.c_ubyte(1))
    handle = library.leveldb_open(options, f'{folder}/datastore'.encode(), ctypes.byref(error))
    if not handle:
        raise RuntimeError(f'leveldb: {error.value}')
    library.leveldb_close(ctypes.c_void_p(handle))
    return folder


def kubos():
    """migrate-from-kubo meets them in Kubo's folder."""
    library = leveldb()
    if not library:
        skip('migrate-from-kubo: that takes the LevelDB library')
        return
    whole, repo = kubo_repo(library), new_repo()
    done = kit('migrate-from-kubo', whole, repo=repo)
    check('migrate-from-kubo: a whole repo is taken', done.code == 0 and 'took 1 blocks' in done.text, done)
    for name in ('datastore_spec', 'repo.lock', 'blocks/SHARDING', f'blocks/{KUBO_KEY[-3:-1]}/{KUBO_KEY}.data', 'datastore/CURRENT'):
        for put in KINDS:
            what = f'migrate-from-kubo: {put.__name__[4:].replace("_", " ")} as {name}'
            copy, target = replaced(whole, name, put)
            repo = new_repo()
            done = kit('migrate-from-kubo', copy, repo=repo)
            check(what, told(done, name), done)
            check(f'{what}: no copy stays', 'migrating' not in ''.join(os.listdir(repo)), os.listdir(repo))
            untouched(what, target, put)
            shutil.rmtree(copy)
    # Ended while it copies the datastore, which is large.
    size = 1 << 30
    with open(f'{whole}/datastore/999999.ldb', 'wb') as file:
        file.truncate(size)
    # No more of it may be written than this.
    most, repo = 4_000_001, new_repo()
    done = kit('migrate-from-kubo', whole, repo=repo, preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
    check('migrate-from-kubo: what the copy ran out of is told', done.code not in (0, 101) and '999999.ldb' in done.err
        and os.strerror(errno.EFBIG).lower() in done.err.lower(), done)
    check('migrate-from-kubo: and no copy stays', not os.path.exists(f'{repo}/migrating'))
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        repo = new_repo()
        process = subprocess.Popen([PROGRAM, '--repo', repo, 'migrate-from-kubo', whole], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment())
        copies = []

        def copying():
            copies[:] = [f'{repo}/{name}' for name in os.listdir(repo) if name.startswith('migrating')]
            return copies and os.path.exists(f'{copies[0]}/999999.ldb')
        until(f'migrate-from-kubo: it copies the datastore, until {number.name}', copying)
        file = os.open(f'{copies[0]}/999999.ldb', os.O_RDONLY)
        process.send_signal(number)
        equal(f'migrate-from-kubo: {number.name} ends it', process.wait(60), code)
        check(f'migrate-from-kubo: {number.name} ends it before the copy is whole', os.fstat(file).st_size < size)
        os.close(file)
        if number == signal.SIGKILL:
            check('migrate-from-kubo: killed, it leaves a copy', os.path.isdir(copies[0]))
            equal('migrate-from-kubo: the next command works', kit('pin', 'ls', repo=repo).code, 0)
        check('migrate-from-kubo: no copy stays', not os.path.exists(copies[0]))
    # Only the copy is removed, not what a link in its place leads to.
    repo, target = new_repo(), temp('target')
    write(f'{target}/file', TARGET)
    os.symlink(target, f'{repo}/migrating')
    equal('a link in the place of the copy: a command works', kit('id', repo=repo).code, 0)
    equal('a link in the place of the copy: what it leads to is as it was', read(f'{target}/file'), TARGET)
    os.unlink(f'{whole}/datastore/999999.ldb')
    done = kit('migrate-from-kubo', whole, repo=repo)
    check('a link in the place of the copy: migrate-from-kubo tells of it', told(done, 'migrating'), done)
    shutil.rmtree(whole)


run_all([commands, being_made, while_it_runs, kubos])
