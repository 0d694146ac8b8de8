#!/usr/bin/env python3
"""Repos in trouble: a second daemon, another version, damage, a full disk, read-only, no descriptors."""
import ctypes
import fcntl
import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import (PROGRAM, Daemon, check, cid_raw, environment, equal, kit, new_repo, noise, read, run_all, skip,
    temp, write)


def one_daemon_a_repo():
    with Daemon() as first:
        second = kit('daemon', '--listen', '/ip4/127.0.0.1/tcp/0', '--api', '/ip4/127.0.0.1/tcp/0', repo=first.repo)
        check('a second daemon on one repo exits 4 and says so', second.code == 4 and 'already' in second.err, second)
        check('the first goes on', first.serves())
        watch = opens_of(f'{first.repo}/lock')
        equal('a command beside it', kit('id', repo=first.repo).code, 0)
        equal('goes to it at once', len(os.read(watch, 4096)) // 16, 1)
        os.close(watch)
        equal('SIGTERM: exit code', first.stop(), 0)
        check('SIGTERM: the file api is gone', not os.path.exists(f'{first.repo}/api'))
    with Daemon(repo=first.repo) as again:
        check('the repo opens again', again.serves())
        again.process.kill()
        again.process.wait()
    check('kill -9 leaves the file api', os.path.exists(f'{first.repo}/api'))
    stale = kit('id', repo=first.repo)
    equal('and it misleads nobody', stale.code, 0)
    with Daemon(repo=first.repo) as third:
        check('a daemon starts after kill -9', third.serves())
        equal('SIGINT: exit code', third.stop(signal.SIGINT) in (0, 130), True)
        check('SIGINT: the file api is gone', not os.path.exists(f'{first.repo}/api'))
    with Daemon() as daemon:
        equal('shutdown', kit('shutdown', repo=daemon.repo).code, 0)
        equal('the daemon ends with 0', daemon.process.wait(60), 0)


def opens_of(path):
    """A descriptor from which an event can be read for each time that somebody opens the file."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(0)
    if watch < 0 or libc.inotify_add_watch(watch, path.encode(), 0x20) < 0:
        raise OSError(ctypes.get_errno(), 'inotify')
    return watch


def a_lock_that_is_let_go():
    """A repo that somebody has for a moment: whoever comes then waits, and works. It may be a daemon that was killed: the kernel may keep
    its lock a little longer, and it has left an address."""
    repo = new_repo()
    kit('id', repo=repo)
    free = ['--listen', '/ip4/127.0.0.1/tcp/0', '--api', '/ip4/127.0.0.1/tcp/0']
    nobody = '/ip4/127.0.0.1/tcp/1'
    for words, said, address in ((['id'], 'ID', None), (['add', '-q', __file__], '', None), (['daemon', *free], 'daemon is ready', None),
            (['id'], 'ID', nobody), (['daemon', *free], 'daemon is ready', nobody)):
        if address:
            write(f'{repo}/api', address)
        lock = os.open(f'{repo}/lock', os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        watch = opens_of(f'{repo}/lock')
        process = subprocess.Popen([PROGRAM, '--repo', repo, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
        opened = 0
        while opened < 3 and process.poll() is None:
            if select.select([watch], [], [], 0.01)[0]:
                opened += len(os.read(watch, 16)) // 16
        check(f'{words[0]}: tries again when another has the repo', opened >= 3 and process.poll() is None, (opened, process.poll()))
        os.close(lock)
        os.close(watch)
        out = b''
        while said.encode() not in out or not said:
            data = os.read(process.stdout.fileno(), 65536)
            out += data
            if not data:
                break
        if words[0] == 'daemon':
            process.send_signal(signal.SIGTERM)
        process.stdout.read()
        code = process.wait(60)
        check(f'{words[0]}: and works once it has let go', code == 0 and said in out.decode(), (code, out))


def a_repo_that_is_taken_while_it_is_made():
    """Somebody waits for the new repo and has it first: init waits for it, and tells who it is."""
    for attempt in range(10):
        repo = temp('repo')
        lock = os.open(write(f'{repo}/lock'), os.O_RDWR)
        process = subprocess.Popen([PROGRAM, '--repo', repo, 'init', '--test'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
        while not os.path.exists(f'{repo}/config') and process.poll() is None:
            pass
        watch = opens_of(f'{repo}/lock')
        fcntl.flock(lock, fcntl.LOCK_EX)
        opened = 0
        while opened < 2 and process.poll() is None:
            if select.select([watch], [], [], 0.01)[0]:
                opened += len(os.read(watch, 16)) // 16
        os.close(lock)
        os.close(watch)
        out, code = process.communicate()[0], process.wait(60)
        if opened >= 2 or code:
            break
    check('init: of a repo that another has for a moment', code == 0 and b'peer identity' in out, (attempt, opened, code, out))


def ports_in_use():
    with Daemon() as first:
        api = kit('daemon', '--listen', '/ip4/127.0.0.1/tcp/0', '--api', first.api[0], repo=new_repo())
        check('the API port in use: fails and names it', api.code == 1 and 'in use' in api.err
            and str(first.api_port) in api.err, api)
        swarm = kit('daemon', '--listen', f'/ip4/127.0.0.1/tcp/{first.swarm_port}', '--api', '/ip4/127.0.0.1/tcp/0',
            repo=new_repo())
        check('the swarm port in use: fails and names it', swarm.code == 1 and 'in use' in swarm.err
            and str(first.swarm_port) in swarm.err, swarm)
        check('the first goes on', first.serves())
    for words in (['--listen', 'nonsense'], ['--listen', '/ip4/127.0.0.1'], ['--api', '/ip4/1.2.3.4/udp/5']):
        more = [] if '--api' in words else ['--api', '/ip4/127.0.0.1/tcp/0']
        more += [] if '--listen' in words else ['--listen', '/ip4/127.0.0.1/tcp/0']
        done = kit('daemon', *words, *more, repo=new_repo())
        check(f'daemon {" ".join(words)}: is refused and named', done.code in (1, 2) and words[1] in done.err, done)
    foreign = kit('daemon', '--listen', '/ip4/127.0.0.1/tcp/0', '--api', '/ip4/0.0.0.0/tcp/0', repo=new_repo())
    check('the API on 0.0.0.0 without a secret is refused', foreign.code == 1 and 'secret' in foreign.err, foreign)
    socket = temp('api.sock')
    with Daemon(api=f'/unix/{socket}') as daemon:
        done = kit('id', '--json', repo=daemon.repo)
        check('the API on a UNIX socket', done.code == 0 and 'Addresses' in done.text, done)
        equal('its permissions', oct(os.stat(socket).st_mode & 0o777), '0o600')
        daemon.process.kill()
        daemon.process.wait()
        with Daemon(repo=daemon.repo, api=f'/unix/{socket}') as again:
            equal('a socket left behind is taken over', kit('id', repo=again.repo).code, 0)
    write(plain := temp('plain'), b'not a socket')
    taken = kit('daemon', '--listen', '/ip4/127.0.0.1/tcp/0', '--api', f'/unix/{plain}', repo=new_repo())
    check('a file in the socket\'s place is kept', taken.code == 1 and read(plain) == b'not a socket', taken)


def damaged_repos():
    repo = new_repo()
    cid = kit('add', '-Q', repo=repo, stdin=b'kept').text
    for name, text in (('99\n', '99'), ('x', ''), ('', '')):
        good = read(f'{repo}/version')
        write(f'{repo}/version', name.encode())
        done = kit('cat', cid, repo=repo)
        check(f'version file {name!r}: exits 4 and says so', done.code == 4 and text in done.err and 'version' in done.err, done)
        daemon = kit('daemon', '--api', '/ip4/127.0.0.1/tcp/0', repo=repo)
        equal(f'version file {name!r}: no daemon either', daemon.code, 4)
        write(f'{repo}/version', good)
    equal('with its version back it works', kit('cat', cid, repo=repo).out, b'kept')

    good = read(f'{repo}/identity')
    for what, damage in (('one bit', bytes([good[10] ^ 4])), ('short', None), ('empty', b''), ('longer', good + b'!')):
        if what == 'one bit':
            damage = good[:10] + damage + good[11:]
        elif what == 'short':
            damage = good[:-1]
        write(f'{repo}/identity', damage)
        done = kit('id', repo=repo)
        check(f'identity damaged ({what}): exits 4 and names the file', done.code == 4 and 'identity' in done.err, done)
        equal(f'identity damaged ({what}): left as it was', read(f'{repo}/identity'), damage)
    os.unlink(f'{repo}/identity')
    done = kit('id', repo=repo)
    check('identity missing: exits 4', done.code == 4 and 'identity' in done.err, done)
    check('identity missing: no new one is made', not os.path.exists(f'{repo}/identity'))
    write(f'{repo}/identity', good)
    os.chmod(f'{repo}/identity', 0o600)
    equal('with its identity back it works', kit('id', repo=repo).code, 0)

    config = read(f'{repo}/config').decode()
    line = config.split('\n').index('store.max = 0') + 1
    for text, named in (('store.max = lots', 'lots'), ('store.max 0', 'store.max 0'), ('stor.max = 0', 'stor.max'), ('store.max =', '')):
        write(f'{repo}/config', config.replace('store.max = 0', text))
        done = kit('id', repo=repo)
        check(f'config {text!r}: exits 4 and names line {line}', done.code == 4 and f'line {line}' in done.err
            and named in done.err, done)
    for what, data in (('NUL', config.encode() + b'\0'), ('giant', b'#' * (1 << 20))):
        write(f'{repo}/config', data)
        done = kit('id', repo=repo)
        check(f'config ({what}): exits 4 and names the file', done.code == 4 and 'config' in done.err, done)
    write(f'{repo}/config', config)

    secret = read(f'{repo}/secret')
    write(f'{repo}/secret', secret[:5])
    equal('secret damaged: exits 4', kit('cat', cid, repo=repo).code, 4)
    write(f'{repo}/secret', secret)
    shutil.rmtree(f'{repo}/index')
    done = kit('cat', cid, repo=repo)
    check('the index is made again from the segments', done.out == b'kept', done)
    segment = sorted(os.listdir(f'{repo}/segments'))[0]
    data = bytearray(read(f'{repo}/segments/{segment}'))
    data[data.index(b'kept')] ^= 1
    write(f'{repo}/segments/{segment}', bytes(data))
    done = kit('cat', cid, repo=repo)
    check('a damaged block is never given out', done.code != 0 and done.out == b'', done)
    done = kit('repo', 'verify', repo=repo)
    lines = done.err.splitlines()
    check('repo verify exits 4, and names it and the file, once', done.code == 4 and len(lines) == 2 and lines[0].startswith(f'{cid}: damaged: bytes ')
        and 'segments/00000001.car' in lines[0], done)
    check('it counts right, and says what to do', '1 problem found' in lines[1] and 'copy' in lines[1] and 'add' in lines[1] and '--accept-loss' in lines[1], done)
    for turn in ('', ', again'):
        done = kit('cat', cid, repo=repo)
        check(f'cat of it{turn}: damaged, exit 4, and where', done.code == 4 and 'is damaged' in done.err and 'segments/00000001.car' in done.err and
            'not in the repo' not in done.err, done)
    check('adding it again heals it', kit('add', '-Q', repo=repo, stdin=b'kept').text == cid and
        kit('cat', cid, repo=repo).out == b'kept')
    done = kit('repo', 'verify', repo=repo)
    check('and then verify is content', done.code == 0 and done.err == '', done)
    notdir = write(temp('file'), b'')
    equal('a repo that is a file: exits 4', kit('id', repo=notdir).code, 4)


def only_segment_is_cut():
    """What was acknowledged is no torn tail: nothing is cut, nothing forgotten, and it is said."""
    for what, left in (('cut to 3 MB', 3_000_000), ('cut by a byte', -1), ('taken away', None), ('of an older time', 0)):
        repo = new_repo()
        segment = f'{repo}/segments/00000001.car'
        large = kit('add', '-Q', repo=repo, stdin=noise(5_000_000, 3)).text
        old = read(segment)
        small = kit('add', '-Q', repo=repo, stdin=b'small').text
        whole = read(segment)
        now = None if left is None else old if left == 0 else whole[:left]
        os.unlink(segment) if now is None else write(segment, now)

        def untouched():
            return not os.path.exists(segment) if now is None else read(segment) == now
        done = kit('pin', 'ls', repo=repo)
        told = [line for line in done.err.splitlines() if 'segments/00000001.car' in line]
        check(f'{what}: pin ls knows both pins, and warns once', done.code == 0 and large in done.text and small in done.text and len(told) == 1 and
            'warning' in told[0] and '--accept-loss' in told[0], done)
        check(f'{what}: how long it was and is', now is None or (str(len(now)) in told[0] and re.search(r'of \d{7}', told[0])), told)
        done = kit('--json', 'pin', 'ls', repo=repo)
        warning = json.loads(done.err)
        check(f'{what}: with --json too', 'segments/00000001.car' in warning['Warning'] and 'copy' in warning['Hint'], done)
        done = kit('repo', 'verify', repo=repo)
        check(f'{what}: verify exits 4 and names the file', done.code == 4 and 'segments/00000001.car' in done.err and 'complete' not in done.text, done)
        done = kit('add', '-Q', repo=repo, stdin=b'other')
        check(f'{what}: add exits 4 and says why', done.code == 4 and 'nothing is written' in done.err and not done.out, done)
        done = kit('cat', small, repo=repo)
        check(f'{what}: what is lost is called so', left == -1 or (done.code == 4 and 'is lost' in done.err and 'segments/00000001.car' in done.err), done)
        if left in (0, -1):
            equal(f'{what}: what is left can be read', kit('cat', large, repo=repo).out, noise(5_000_000, 3))
        check(f'{what}: the file is as it was', untouched())
        write(segment, whole)
        done = kit('repo', 'verify', repo=repo)
        check(f'{what}: put back, all is well', (done.code, done.err) == (0, '') and kit('cat', small, repo=repo).out == b'small', done)

        os.unlink(segment) if now is None else write(segment, now)
        done = kit('repo', 'verify', '--accept-loss', repo=repo)
        lost = left not in (-1,)
        check(f'{what}: --accept-loss says what is given up, and which pins lack something', 'given up: segments/00000001.car' in done.err and
            done.code == (4 if lost else 0) and (not lost or f'{small}: pinned' in done.err), done)
        check(f'{what}: the file is as it was then too', untouched())
        equal(f'{what}: then the repo is written to', kit('add', '-Q', repo=repo, stdin=b'small').text, small)
        kit('add', '-Q', repo=repo, stdin=noise(5_000_000, 3))
        done = kit('repo', 'verify', repo=repo)
        check(f'{what}: with all put again, all is well', (done.code, done.err) == (0, ''), done)
        equal(f'{what}: and both pins are there', sorted(line.split()[0] for line in kit('pin', 'ls', repo=repo).text.splitlines()), sorted([large, small]))
        equal(f'{what}: and the content', kit('cat', large, repo=repo).out, noise(5_000_000, 3))
        shutil.rmtree(f'{repo}/index')
        done = kit('repo', 'verify', repo=repo)
        check(f'{what}: an index made anew is told of, and finds all', done.code == 0 and 'made anew' in done.err, done)


def one_of_several_segments():
    repo = new_repo()
    chunk = noise((1 << 20) - 1, 5)
    # A segment is closed when it is past 512 MiB.
    cids = [kit('add', '-Q', repo=repo, stdin=b''.join(bytes([part, n >> 8, n & 255]) + chunk[2:] for n in range(count))).text
        for part, count in enumerate((514, 514, 1))]
    names = sorted(name for name in os.listdir(f'{repo}/segments'))
    check('there are several segments', len(names) >= 3, names)
    second = f'{repo}/segments/00000002.car'
    os.rename(second, away := temp('away'))
    done = kit('pin', 'ls', repo=repo)
    check('one is missing: said once, and the rest goes on', done.code == 0 and done.err.count('00000002.car') == 1 and all(cid in done.text for cid in cids), done)
    done = kit('repo', 'verify', repo=repo)
    check('verify goes on to the end', done.code == 4 and 'segments/00000002.car is missing' in done.err and 'cleaning' not in done.err
        and f'{cids[1]}: pinned' in done.err, done)
    done = kit('get', '-o', temp('out'), cids[1], repo=repo)
    check('get says which file is missing, and what to do', done.code == 4 and 'segments/00000002.car is missing' in done.err and 'copy' in done.err, done)
    equal('what does not lie there can be added', kit('add', '-Q', repo=repo, stdin=b'new').code, 0)
    os.rename(away, second)
    done = kit('repo', 'verify', repo=repo)
    check('put back, all is well', (done.code, done.err) == (0, ''), done)
    os.unlink(second)
    equal('accepted, with the pins that lack something taken away', [kit('pin', 'rm', cid, repo=repo).code for cid in cids] +
        [kit('repo', 'verify', '--accept-loss', repo=repo).code], [0, 0, 0, 0])
    done = kit('repo', 'verify', repo=repo)
    check('nobody complains any more', (done.code, done.err) == (0, ''), done)


def full_disk():
    """In a mount namespace of its own: a small tmpfs holds the repo."""
    if os.geteuid() or subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode:
        skip('a full disk: no mount namespace may be made here; a file size limit stands in')
        return limited_files()
    place = temp('mount')
    os.mkdir(place)
    write(f'{place}/../kept', noise(700_000, 7))
    write(f'{place}/../large', noise(30_000_000, 8))
    script = f'''
mount -t tmpfs -o size=12m none {place} && cd {place} || exit 90
"{PROGRAM}" --repo repo init --test >/dev/null || exit 91
"{PROGRAM}" --repo repo add -Q ../kept || exit 92
"{PROGRAM}" --repo repo add -Q ../large; echo "add: $?"
"{PROGRAM}" --repo repo cat "$("{PROGRAM}" add -nQ --repo repo ../kept)" | cmp - ../kept; echo "cat: $?"
"{PROGRAM}" --repo repo add -Q ../large; echo "again: $?"
"{PROGRAM}" --repo repo repo verify; echo "verify: $?"
df . | tail -1 >&2
'''
    done = subprocess.run(['unshare', '-m', 'bash', '-c', script], capture_output=True, text=True, env=environment(), timeout=120)
    told = f'{done.returncode} {done.stdout} {done.stderr}'
    check('a full disk: add exits 1', 'add: 1' in done.stdout and 'again: 1' in done.stdout, told)
    check('a full disk: and says so', re.search('[Nn]o space', done.stderr), told)
    check('a full disk: what was acknowledged is there', 'cat: 0' in done.stdout, told)
    check('a full disk: the repo is whole', 'verify: 0' in done.stdout, told)
    script = f'''
mount -t tmpfs -o size=12m none {place} && cd {place} || exit 90
"{PROGRAM}" --repo repo init --test >/dev/null
cid=$("{PROGRAM}" --repo repo add -Q ../kept)
dd if=/dev/zero of=filler bs=64k 2>/dev/null; dd if=/dev/zero of=filler2 bs=1k 2>/dev/null
"{PROGRAM}" --repo repo cat $cid | cmp - ../kept; echo "cat: $?"
"{PROGRAM}" --repo repo get -o out $cid; echo "get: $?"; ls -A | tr '\\n' ' '
"{PROGRAM}" --repo repo config store.max 5; echo "config: $?"; "{PROGRAM}" --repo repo config store.max
rm filler*
"{PROGRAM}" --repo repo add -Q ../kept >/dev/null; echo "add: $?"
'''
    done = subprocess.run(['unshare', '-m', 'bash', '-c', script], capture_output=True, text=True, env=environment(), timeout=120)
    told = f'{done.returncode} {done.stdout} {done.stderr}'
    check('a disk full to the last byte: cat still works, and complains of nothing', 'cat: 0' in done.stdout and 'closing the repo' not in done.stderr, told)
    check('a disk full to the last byte: get exits 1 and leaves no part', 'get: 1' in done.stdout and 'part' not in done.stdout, told)
    check('a disk full to the last byte: the config stays whole', 'config: 1\n0' in done.stdout or 'config: 0\n5' in done.stdout, told)
    check('with room again it goes on', 'add: 0' in done.stdout, told)
    nearly_full_disk(place)
    read_only(place)


def nearly_full_disk(place):
    """All in one segment, half of it dead, and less room than the other half takes."""
    script = f'''
mount -t tmpfs -o size=90m none {place} && cd {place} || exit 90
"{PROGRAM}" --repo repo init --test >/dev/null
for i in 1 2 3 4 5 6 7 8; do
    cid=$(head -c 8000000 /dev/urandom | "{PROGRAM}" --repo repo add -Q)
    [ $((i % 2)) = 0 ] && drop="$drop $cid" || keep="$keep $cid"
done
dd if=/dev/zero of=room bs=1M count=5 2>/dev/null
dd if=/dev/zero of=filler bs=64k 2>/dev/null; dd if=/dev/zero of=filler2 bs=1k 2>/dev/null
rm room
"{PROGRAM}" --repo repo pin rm $drop >/dev/null; echo "rm: $?"
"{PROGRAM}" --repo repo repo gc --silent; echo "gc: $?"
[ $(df --output=avail . | tail -1) -gt 30000 ]; echo "room: $?"
for cid in $keep; do "{PROGRAM}" --repo repo cat $cid | wc -c; done | sort -u
"{PROGRAM}" --repo repo repo verify; echo "verify: $?"
rm -r repo/index
"{PROGRAM}" --repo repo repo verify; echo "without the index: $?"
'''
    done = subprocess.run(['unshare', '-m', 'bash', '-c', script], capture_output=True, text=True, env=environment(), timeout=120)
    told = f'{done.returncode} {done.stdout} {done.stderr}'
    check('a nearly full disk: is collected', all(word in done.stdout for word in ('rm: 0', 'gc: 0', 'room: 0')), told)
    check('a nearly full disk: what is pinned is there', '\n8000000\nverify' in done.stdout.replace('verify complete, all blocks validated.\n', ''), told)
    check('a nearly full disk: the repo is whole', 'verify: 0' in done.stdout and 'without the index: 0' in done.stdout, told)


def limited_files():
    repo = new_repo()
    kept = kit('add', '-Q', repo=repo, stdin=noise(700_000, 7))

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    done = kit('add', '-Q', repo=repo, stdin=noise(30_000_000, 8), preexec=limit)
    check('files may not grow: add exits 1 and says so', done.code == 1 and done.err.strip(), done)
    check('files may not grow: what was acknowledged is there', kit('cat', kept.text, repo=repo).out == noise(700_000, 7))
    equal('files may not grow: the repo is whole', kit('repo', 'verify', repo=repo).code, 0)


def read_only(place):
    script = f'''
mount -t tmpfs -o size=30m none {place} && cd {place} || exit 90
"{PROGRAM}" --repo repo init --test >/dev/null
"{PROGRAM}" --repo repo add -Q ../kept >/dev/null
mount -o remount,ro {place} || exit 91
"{PROGRAM}" --repo repo add -Q ../large; echo "add: $?"
"{PROGRAM}" --repo repo config store.max 5; echo "config: $?"
"{PROGRAM}" --repo new init; echo "init: $?"
mount -o remount,rw {place}
"{PROGRAM}" --repo repo repo verify; echo "verify: $?"
'''
    done = subprocess.run(['unshare', '-m', 'bash', '-c', script], capture_output=True, text=True, env=environment(), timeout=120)
    told = f'{done.returncode} {done.stdout} {done.stderr}'
    check('a read-only file system: add fails', re.search('add: [14]', done.stdout), told)
    check('a read-only file system: is named', re.search('[Rr]ead-only', done.stderr), told)
    check('a read-only file system: config and init fail', 'config: 1' in done.stdout and re.search('init: [14]', done.stdout), told)
    check('a read-only file system: the repo is whole after', 'verify: 0' in done.stdout, told)


def no_descriptors():
    repo = new_repo()
    path = write(temp('f'), noise(2_000_000))
    cid = kit('add', '-Q', path, repo=repo).text
    told = set()
    for count in range(3, 40):
        def limit(count=count):
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        done = kit('cat', cid, repo=repo, preexec=limit)
        fine = done.code == 0 and done.out == read(path)
        if not fine and not (0 < done.code < 128 and done.err.strip()):
            check(f'ulimit -n {count}: works, or fails with a sentence', False, done)
        told.add(done.code)
    # 127 is the dynamic linker's own, when it cannot open a library.
    check('few descriptors: each limit from 3 to 39 works or fails with a sentence', told <= {0, 1, 4, 127} and 0 in told, told)
    equal('few descriptors: the repo is whole', kit('repo', 'verify', repo=repo).code, 0)


run_all([one_daemon_a_repo, a_lock_that_is_let_go, a_repo_that_is_taken_while_it_is_made, ports_in_use, damaged_repos, only_segment_is_cut,
    one_of_several_segments, full_disk, no_descriptors])
