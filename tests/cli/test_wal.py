#!/usr/bin/env python3
"""The log as a person sees it: wal status, list, verify, checkpoint; here, through a daemon, and after kill -9."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import PROGRAM, Daemon, check, equal, flip, kit, new_repo, noise, on_terminal, read, run_all, temp, until, write


def wal(command, *more, repo):
    """The answers of a wal command, parsed."""
    done = kit('wal', command, *more, '--json', repo=repo)
    check(f'wal {command}: exit code 0', done.code == 0, done)
    return [json.loads(line) for line in done.out.splitlines()]


def added(repo, seed=1, size=3000000):
    path = os.path.join(temp('file'), 'f')
    write(path, noise(size, seed))
    done = kit('add', '-q', path, repo=repo)
    equal('add', done.code, 0)
    return done.out.split()[-1].decode()


def everything_is_told():
    repo = new_repo()
    root = added(repo)
    (status,) = wal('status', repo=repo)
    equal('nothing is pending', (status['PendingBytes'], status['Stopped']), (0, ''))
    entries = wal('list', repo=repo)
    size = os.path.getsize(f'{repo}/segments/00000001.car')
    sections = [entry for entry in entries if entry['Segment']]
    equal('sections lie one behind the other', [entry['Offset'] for entry in sections[1:]], [entry['End'] for entry in sections[:-1]])
    equal('up to the end of the file', sections[-1]['End'], size)
    equal('then come the operations', [(entry['Type'], entry['Operations']) for entry in entries[len(sections):]], [('pin', 1)])
    blocks = {entry['Cid'] for entry in entries if entry['Type'] == 'block'}
    check('the root and its leaves are among them', root in blocks and len(blocks) == 4, blocks)
    (pin,) = [entry for entry in entries if entry['Type'] == 'pin']
    equal('the pin', (pin['Cid'], pin['Mode'], pin['Durable']), (root, 'recursive', True))
    check('commits are intact', all(entry['Intact'] for entry in entries if entry['Type'] == 'commit'))
    one = next(entry for entry in entries if entry['Type'] == 'block')
    data = read(f'{repo}/segments/00000001.car')[one['End'] - one['Size']:one['End']]
    equal('a block lies where it is said', kit('block', 'get', one['Cid'], repo=repo).out, data)
    records = wal('list', '--records', repo=repo)
    equal('--records leaves the blocks out', records, [entry for entry in entries if entry['Type'] != 'block'])
    rest = wal('list', '--segment', '1', '--offset', str(sections[2]['Offset']), repo=repo)
    equal('--offset begins there, in the segments alone', rest, sections[2:])
    text = kit('wal', 'list', repo=repo).out.decode().splitlines()[-1]
    check('the pin, for people', text.startswith(f'ops/00000001:{pin["Offset"]} ') and text.endswith(f' pin {root} recursive'), text)
    equal('--pending: none', wal('list', '--pending', repo=repo), [])
    equal('a bad number', kit('wal', 'list', '--segment', 'x', repo=repo).code, 2)


def an_opening_is_foretold():
    """After kill -9 the log is ahead of the index: what is said of the next opening is what it does."""
    with Daemon() as daemon:
        root = added(daemon.repo)
        (status,) = wal('status', repo=daemon.repo)
        check('the index is behind', status['BehindBytes'] > 3000000 and status['BehindEntries'] == 5, status)
        (replay,) = wal('verify', repo=daemon.repo)
        equal('an opening would take', (replay['Blocks'], replay['Operations'], replay['Cut'], replay['Damaged']), (4, 1, 0, 0))
        daemon.process.kill()
        daemon.process.wait()
    equal('it is all there', kit('cat', root, repo=daemon.repo).code, 0)
    with Daemon(repo=daemon.repo) as daemon:
        added(daemon.repo, 2)
        (before,) = wal('status', repo=daemon.repo)
        (after,) = wal('checkpoint', repo=daemon.repo)
        (status,) = wal('status', repo=daemon.repo)
        check('a checkpoint', status['BehindBytes'] == 0 and status['BehindEntries'] == 0 and before['BehindBytes'] > 0 and
            status['Checkpoint'] == after['Checkpoint'], (before, status))
        (replay,) = wal('verify', repo=daemon.repo)
        equal('then there is nothing to take', (replay['Blocks'], replay['Operations']), (0, 0))
        (replay,) = wal('verify', '--all', repo=daemon.repo)
        check('but from the start', replay['Blocks'] >= 4 and replay['Damaged'] == 0, replay)
        text = kit('wal', 'status', repo=daemon.repo)
        check('for people', text.out.startswith(b'Durable: segment 1, byte ') and b'\nPending: 0 bytes of blocks, 0 of operations\n' in text.out, text)


def a_command_is_an_opening():
    """Without a daemon what a crash left is told once, by the command that opens the repo, as its help says."""
    with Daemon() as daemon:
        added(daemon.repo)
        daemon.process.kill()
        daemon.process.wait()
    crashed = temp('crashed')
    shutil.copytree(daemon.repo, crashed, dirs_exist_ok=True)
    first, second = (wal('status', repo=daemon.repo)[0]['BehindEntries'] for _ in range(2))
    equal('what the index is behind, and once more', (first, second), (5, 0))
    first, second = (wal('verify', repo=crashed)[0]['Blocks'] for _ in range(2))
    equal('what an opening would take, and once more', (first, second), (4, 0))


def the_last_write_is_damaged():
    """Nothing in the log shows whether it was ever whole. A daemon that wrote it knows better; an opening says what it disregards."""
    with Daemon() as daemon:
        root = added(daemon.repo)
        block = next(entry for entry in wal('list', repo=daemon.repo) if entry['Type'] == 'block')
        flip(f'{daemon.repo}/segments/00000001.car', block['End'] - 3)
        for more in ([], ['--all']):
            done = kit('wal', 'verify', *more, repo=daemon.repo)
            check('the daemon: 4, and the place', done.code == 4 and f'bytes {block["Offset"]} to {block["End"]}' in done.err, done)
        daemon.process.kill()
        daemon.process.wait()
    done = kit('pin', 'ls', repo=daemon.repo)
    check('what an opening disregards is told', done.code == 0 and not done.out and 'is not whole, or was damaged since: 1 place' in done.err, done)
    done = kit('pin', 'add', root, repo=daemon.repo)
    check('once; the block is missing', done.code == 3 and 'not whole' not in done.err and block['Cid'] in done.err, done)


def who_writes_chooses():
    """--durability: when a daemon acknowledges, and what kill -9 may take then."""
    with Daemon() as daemon:
        equal('a word that is none', kit('--durability', 'perhaps', 'add', __file__, repo=daemon.repo).code, 2)
        equal('nor through the RPC', daemon.rpc('pin/ls', durability='perhaps')[0], 400)
        roots = {}
        for mode in ('none', 'batched:1h'):
            path = write(os.path.join(temp('file'), 'f'), noise(3000, len(mode)))
            done = kit('--durability', mode, 'add', '-q', path, repo=daemon.repo)
            roots[mode] = done.out.split()[-1].decode()
            (status,) = wal('status', repo=daemon.repo)
            check(f'{mode}: acknowledged, and not durable', done.code == 0 and status['PendingBytes'] > 3000, (done, status))
            equal(f'{mode}: it can be read', kit('cat', roots[mode], repo=daemon.repo).out, noise(3000, len(mode)))
        pending = wal('list', '--pending', repo=daemon.repo)
        until('batched:20ms is durable soon', lambda: kit('--durability', 'batched:20ms', 'add', '-q', __file__, repo=daemon.repo).code == 0 and
            wal('status', repo=daemon.repo)[0]['PendingBytes'] == 0)
        safe = added(daemon.repo, 5)
        for mode in roots:
            check(f'{mode}: durable with the others', not wal('list', '--pending', repo=daemon.repo), pending)
        lost = kit('--durability=none', 'add', '-q', write(os.path.join(temp('file'), 'f'), noise(4000, 9)), repo=daemon.repo).out.split()[-1].decode()
        daemon.process.kill()
        daemon.process.wait()
    equal('what was durable is there', kit('cat', safe, repo=daemon.repo).code, 0)
    equal('what went with it too', [kit('cat', root, repo=daemon.repo).code for root in roots.values()], [0, 0])
    equal('what was not is gone, whole: pin and block', (kit('cat', lost, repo=daemon.repo).code, kit('pin', 'ls', lost, repo=daemon.repo).code), (3, 3))
    equal('and nothing is damaged', kit('repo', 'verify', repo=daemon.repo).code, 0)
    repo = new_repo()
    root = kit('--durability=none', 'add', '-q', __file__, repo=repo).out.split()[-1].decode()
    equal('a command of its own makes all durable when it ends', (wal('status', repo=repo)[0]['PendingBytes'], kit('cat', root, repo=repo).code), (0, 0))


def damage_is_found():
    repo = new_repo()
    added(repo)
    block = next(entry for entry in wal('list', repo=repo) if entry['Type'] == 'block')
    flip(f'{repo}/segments/00000001.car', block['Offset'] + 6)
    done = kit('wal', 'verify', '--all', repo=repo)
    check('exit code 4, the place, and what next', done.code == 4 and f'bytes {block["Offset"]} to {block["End"]} of segments/00000001.car' in done.err
        and 'repo verify' in done.err, done)
    equal('accepted', kit('repo', 'verify', '--accept-loss', repo=repo).code, 0)
    equal('it is no damage any more', kit('wal', 'verify', '--all', repo=repo).code, 0)
    os.unlink(f'{repo}/index/data.mdb')
    equal('nor to a new index', (kit('repo', 'stat', repo=repo).code, kit('wal', 'verify', '--all', repo=repo).code), (0, 0))
    lost = [entry for entry in wal('list', repo=repo) if entry['Type'] == 'lost']
    equal('and the list shows a hole', [(entry['Offset'], entry['End']) for entry in lost], [(block['Offset'], block['End'])])


def operations_are_kept():
    """Without its operation log a repo is only read, and says so, until it is put back or given up."""
    repo = new_repo()
    root = added(repo)
    path = f'{repo}/ops/00000001.log'
    kept = read(path)
    os.unlink(path)
    done = kit('add', __file__, repo=repo)
    check('nothing is written, and what to do is said', done.code == 4 and 'ops/00000001.log is missing' in done.err and '--accept-loss' in done.err, done)
    equal('what is there can be read', kit('cat', root, repo=repo).code, 0)
    done = kit('repo', 'verify', repo=repo)
    check('it is one problem', done.code == 4 and 'the operation log (ops/), which has the pins, is missing' in done.err and '1 problem' in done.err, done)
    write(path, kept)
    equal('put back', [kit(*words, repo=repo).code for words in (('add', '-q', __file__), ('repo', 'verify'))], [0, 0])
    with open(path, 'r+b') as file:
        file.seek(len(kept) - 40)
        file.write(b'x')
    os.unlink(f'{repo}/index/data.mdb')
    done = kit('pin', 'ls', repo=repo)
    check('damage is told by its bytes', f'ops/00000001.log is damaged: bytes 64 to {len(kept)}' in done.err, done)
    equal('what is behind it is there', len(done.out.splitlines()), 1)
    equal('given up', kit('repo', 'verify', '--accept-loss', repo=repo).code, 0)
    os.unlink(f'{repo}/index/data.mdb')
    done = kit('pin', 'ls', repo=repo)
    check('a new file holds what is left',
          os.listdir(f'{repo}/ops') == ['00000002.log'] and (len(done.out.splitlines()), done.err.count('ops/')) == (1, 0), done)
    equal('and that is sound', [kit(*words, repo=repo).code for words in (('add', '-q', __file__), ('repo', 'verify'), ('pin', 'ls'))], [0, 0, 0])



def damage_that_the_index_covers():
    """Of the operation log nobody reads what the index has; a verification does, and names the file and the way out, by which no pin is lost."""
    repo = new_repo()
    roots = sorted(kit('add', '-Q', repo=repo, stdin=bytes([i])).text for i in range(3))
    flip(f'{repo}/ops/00000001.log', 150)

    def pins():
        return sorted(kit('pin', 'ls', '-q', repo=repo).text.split())

    def show(how):
        equal(f'{how}: the pins are known', pins(), roots)
        done = kit('repo', 'verify', repo=repo)
        lines = done.err.splitlines()
        check(f'{how}: the file, and what to do', done.code == 4 and re.match(r'ops/00000001\.log, the operation log, which has the pins, is damaged: bytes 64 to \d+; put a whole copy of it '
            "back, or 'ipfs-kit repo verify --accept-loss' writes it anew with the pins that 'ipfs-kit pin ls' lists", lines[0]), done)
        check(f'{how}: adding content does not bring it back', 'put a whole copy of that file back, or' in lines[1] and 'add or fetch' not in lines[1], done)
        done = kit('wal', 'verify', '--all', repo=repo)
        check(f'{how}: wal verify names the file too', done.code == 4 and 'of ops/00000001.log, the operation log' in done.err and 'which blocks' not in done.err, done)
    show('alone')
    with Daemon(repo=repo):
        show('through a daemon')
    done = kit('repo', 'verify', '--accept-loss', repo=repo)
    check('it is given up', done.code == 0 and 'given up: ops/00000001.log' in done.err and 'put a whole copy' not in done.err, done)
    equal('written anew', (os.listdir(f'{repo}/ops'), pins(), kit('repo', 'verify', repo=repo).code), (['00000002.log'], roots, 0))


def what_is_missing_is_damage():
    repo = new_repo()
    added(repo)
    os.rename(f'{repo}/segments/00000001.car', f'{repo}/away')
    for more in ([], ['--all']):
        done = kit('wal', 'verify', *more, repo=repo)
        check('a missing segment: 4, and which', done.code == 4 and 'segments/00000001.car' in done.err and 'damaged' in done.err, done)
    os.rename(f'{repo}/away', f'{repo}/segments/00000001.car')
    equal('and back again', kit('wal', 'verify', '--all', repo=repo).code, 0)


def operations_that_are_lost_are_damage():
    """wal verify tells that the operation log was cut or taken away, before a daemon or under it; wal status, why nothing is written."""
    def cut(path):
        os.truncate(path, 500)

    def show(how, repo):
        for more in [], ['--all'], ['--json']:
            done = kit('wal', 'verify', *more, repo=repo)
            check(f'{how}: wal verify {" ".join(more)}: 4, and what', done.code == 4 and 'damaged place' in done.err and 'repo verify' in done.err and
                ('"damage"' in done.text if '--json' in more else 'the operation log (ops/)' in done.err), done)

    def stopped(how, repo):
        done = kit('wal', 'status', repo=repo)
        line = done.text.splitlines()[-1]
        check(f'{how}: wal status says what and what to do', done.code == 0 and line.startswith('Stopped: ops/00000001.log') and '--accept-loss' in line, done)

    for how, spoil in ('cut', cut), ('removed', os.unlink):
        repo = new_repo()
        for seed in range(8):
            added(repo, seed, 1000)
        path = f'{repo}/ops/00000001.log'
        kept = read(path)
        with Daemon(repo=repo):
            equal('whole', kit('wal', 'verify', '--all', repo=repo).code, 0)
            spoil(path)
            show(f'{how} under a daemon', repo)
        if os.path.exists(path):
            spoil(path)
        show(how, repo)
        stopped(how, repo)
        with Daemon(repo=repo):
            show(f'{how} before a daemon', repo)
            stopped(f'{how} before a daemon', repo)
        write(path, kept)
        equal(f'{how}, and back again', kit('wal', 'verify', '--all', repo=repo).code, 0)


def a_verification_shows_how_far_it_is():
    """A bar on a terminal, or with -p, alone and through a daemon; not in what a program reads."""
    repo = new_repo()
    added(repo)
    other, car = new_repo(), temp('f.car')
    kit('dag', 'export', added(other, 7, 2000000), '-o', car, repo=other)
    equal('a file that is adopted is part of it', kit('dag', 'import', '--adopt', car, repo=repo).code, 0)
    block = next(entry for entry in wal('list', repo=repo) if entry['Type'] == 'block')

    def show(how):
        plain = kit('wal', 'verify', '--all', repo=repo)
        code, shown, out = on_terminal('wal', 'verify', '--all', repo=repo, out=False)
        lines = shown.decode().split('\n')
        check(f'{how}: a bar, to its end', code == 0 and lines[0].startswith('\rreading [') and '100%  4.8 MiB of 4.8 MiB' in lines[0] and lines[1:] == [''], shown)
        check(f'{how}: what it was beside it', out == plain.out and out.startswith(b'an opening would read '), (plain, out))
        for words in ['--json'], ['--progress=false']:
            code, shown, out = on_terminal(*words, 'wal', 'verify', '--all', repo=repo, out=False)
            check(f'{how}, {words}: none', (code, shown) == (0, b'') and out.count(b'\n') == 1, (code, shown, out))
        equal(f'{how}: none in a pipe', plain.err, '')
        done = kit('-p', 'wal', 'verify', '--all', repo=repo)
        check(f'{how}: -p', done.code == 0 and '\rreading [' in done.err and done.out == plain.out, done)

    def show_damage(how):
        done = kit('-p', 'wal', 'verify', '--all', repo=repo)
        lines = done.err.split('\n')
        check(f'{how}: damage is told below the bar', done.code == 4 and '\rreading [' in lines[0] and lines[1].startswith('damaged: bytes '), done)

    show('alone')
    with Daemon(repo=repo) as daemon:
        show('through a daemon')
        rows = [json.loads(line) for line in daemon.rpc('wal/verify', all='true', progress='true')[2].splitlines()]
        steps = [row['Progress'] for row in rows[:-1]]
        check('by the RPC', steps and steps == sorted(steps) and {row['Total'] for row in rows[:-1]} == {steps[-1]}, rows)
        equal('of all that is read', rows[-1]['Bytes'], steps[-1])
        (row,) = [json.loads(line) for line in daemon.rpc('wal/verify', all='true')[2].splitlines()]
        equal('who does not ask is not told', row, rows[-1])
        flip(f'{repo}/segments/00000001.car', block['Offset'] + 1)
        show_damage('through a daemon')
    show_damage('alone')


def a_segment_that_is_not_there():
    """Whoever mistook the number is told which there are; one that a collection took away is passed over."""
    repo = new_repo()
    root = added(repo)

    def refused(how, number, there):
        done = kit('wal', 'list', '--segment', str(number), repo=repo)
        check(f'{how}: not found, and which there are', done.code == 3 and not done.out and f'there is no segment {number} here; {there}' in done.err, done)

    refused('alone', 99, 'there is only segment 1')
    with Daemon(repo=repo):
        refused('through a daemon', 2, 'there is only segment 1')
        done = kit('--json', 'wal', 'list', '--segment', '99', repo=repo)
        check('for a program', done.code == 3 and json.loads(done.err)['Code'] == 'not-found' and not done.out, done)
        equal('the last one is there', {entry['Segment'] for entry in wal('list', '--segment', '1', repo=repo)}, {1})
        kit('pin', 'rm', root, repo=repo)
        equal('a collection takes it away', kit('repo', 'gc', '--silent', repo=repo).code, 0)
        added(repo, 2)
        (first, *_), last = (sorted({entry['Segment'] for entry in wal('list', *more, repo=repo)} - {0}) for more in ([], ['--segment', '1']))
        check('from the next one on', first > 1 and last[0] == first, (first, last))
    car = temp('f.car')
    kit('dag', 'export', added(repo, 3), '-o', car, repo=repo)
    repo = new_repo()
    added(repo, 4)
    kit('dag', 'import', '--adopt', car, repo=repo)
    numbers = sorted({entry['Segment'] for entry in wal('list', repo=repo)} - {0})
    refused('with an adopted file', numbers[-1] + 1, f'there are {len(numbers)}, numbered from {numbers[0]} to {numbers[-1]}')
    equal('which is one of them', kit('wal', 'list', '--segment', str(numbers[-1]), repo=repo).code, 0)


def a_segment_is_an_archive():
    """wal export: the file as it lies, which any dag import takes; here, into a file or a pipe, and through a daemon."""
    repo, other, third = new_repo(), new_repo(), new_repo()
    root = added(repo, size=5000000)
    segment = read(f'{repo}/segments/00000001.car')
    out = temp('1.car')
    done = kit('wal', 'export', '-o', out, '1', '--json', repo=repo)
    equal('what was written where', (done.code, json.loads(done.out)), (0, {'Segment': '1', 'Output': out}))
    equal('a file', read(out) == segment, True)
    equal('a pipe', kit('wal', 'export', '1', repo=repo).out == segment, True)
    for mode in 'wb', 'ab':
        with open(out + mode, mode) as file:
            file.write(b'before')
            file.flush()
            subprocess.run([PROGRAM, '--repo', repo, 'wal', 'export', '1'], stdout=file, check=True)
        equal(f'standard output that is a file ({mode})', read(out + mode) == b'before' + segment, True)
    equal('another repo takes it', kit('dag', 'import', out, repo=other).code, 0)
    equal('and has what was in it', kit('cat', '--offline', root, repo=other).out, noise(5000000, 1))
    with Daemon(repo=repo) as daemon:
        later = added(repo, 2)
        done = kit('wal', 'export', '1', repo=repo)
        check('a daemon gives what is durable by now', done.code == 0 and done.out.startswith(segment) and len(done.out) > len(segment) + 3000000, len(done.out))
        equal('which another repo takes too', kit('dag', 'import', repo=third, stdin=done.out).code, 0)
        equal('with all that is in it', [kit('cat', '--offline', cid, repo=third).code for cid in (root, later)], [0, 0])
        done = kit('wal', 'export', '99', '-o', temp('no'), repo=repo)
        check('of a segment that is not there it says so', done.code != 0 and 'there is no segment 99' in done.err, done)
        equal('nor does the RPC take what is no number', daemon.rpc('wal/export', 'x')[0], 500)
    equal('what is no number', kit('wal', 'export', 'x', repo=repo).code, 2)


def who_does_not_read_can_be_left():
    repo = new_repo()
    added(repo)
    process = subprocess.Popen([PROGRAM, '--repo', repo, 'wal', 'export', '1'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    check('an interrupt ends an export into a full pipe', process.wait(60) != 0)
    process.stdout.close()
    process.stderr.close()
    process = subprocess.Popen([PROGRAM, '--repo', repo, 'wal', 'export', '1'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(1)
    process.stdout.close()
    equal('and a pipe that is closed, by SIGPIPE and silently', (process.wait(60), process.stderr.read()), (-signal.SIGPIPE, b''))
    process.stderr.close()


def what_is_damaged_is_not_exported():
    repo = new_repo()
    added(repo)
    path, out = f'{repo}/segments/00000001.car', temp('1.car')
    block = next(entry for entry in wal('list', repo=repo) if entry['Type'] == 'block')
    flip(path, block['End'] - 3)
    done = kit('wal', 'export', '1', '-o', out, repo=repo)
    check('the block and its bytes are named', done.code == 4 and block['Cid'] in done.err and f'bytes {block["Offset"]} to {block["End"]}' in done.err, done)
    check('and no file is made', not os.path.exists(out))
    done = kit('wal', 'export', '1', repo=repo)
    equal('nor is a byte written', (done.code, done.out), (4, b''))
    done = kit('wal', 'export', '1', '--no-verify', '-o', out, repo=repo)
    equal('but if that is what is wanted', (done.code, read(out) == read(path)), (0, True))
    check('others refuse it', kit('dag', 'import', out, repo=new_repo()).code != 0)
    with Daemon(repo=repo):
        done = kit('wal', 'export', '1', repo=repo)
        check('through a daemon', done.code != 0 and done.out == b'' and block['Cid'] in done.err, done)
        equal('as it lies', kit('wal', 'export', '1', '--no-verify', repo=repo).out == read(path), True)
    flip(path, block['End'] - 3)
    flip(path, 3)
    done = kit('wal', 'export', '1', '-o', out, repo=repo)
    check('the header counts', done.code == 4 and 'bytes 0 to 26' in done.err, done)


def adopted_files_are_exported():
    repo, other = new_repo(), new_repo()
    roots = [added(repo, seed, 900000) for seed in (1, 2, 3)]
    cars = [temp('v1.car'), temp('v2.car'), temp('linked.car')]
    for root, car, version in zip(roots, cars, '121'):
        kit('dag', 'export', root, '-o', car, '--car-version', version, repo=repo)
    plain = kit('dag', 'export', roots[1], repo=repo).out
    for car, how in zip(cars, ('--adopt', '--adopt', '--adopt=link')):
        equal(f'{how} of {os.path.basename(car)}', kit('dag', 'import', how, car, repo=other).code, 0)
    numbers = [str(entry['Segment']) for entry in wal('list', '--records', repo=other) if entry['Type'] == 'adopted']
    got = [kit('wal', 'export', number, repo=other).out for number in numbers]
    equal('as they were; of version 2 the archive in it', [got[0] == read(cars[0]), got[1] == plain, got[2] == read(cars[2])], [True] * 3)
    flip(cars[2], 40000)
    done = kit('wal', 'export', numbers[2], repo=other)
    check('a link to what was changed', done.code != 0 and done.out == b'' and 'not what was adopted' in done.err, done)


run_all([a_segment_that_is_not_there, a_verification_shows_how_far_it_is, the_last_write_is_damaged, a_segment_is_an_archive, who_does_not_read_can_be_left, what_is_damaged_is_not_exported, adopted_files_are_exported, everything_is_told, an_opening_is_foretold, a_command_is_an_opening, operations_are_kept, damage_that_the_index_covers, who_writes_chooses, damage_is_found, what_is_missing_is_damage, operations_that_are_lost_are_damage])
