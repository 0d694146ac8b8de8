#!/usr/bin/env python3
"""Colder places: what is moved there is had from there, by a command or a daemon; what cannot be had is said, and where it lies."""
import json
import os
import re
import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import ABSENT, Daemon, check, cid_raw, equal, flip, kit, new_repo, noise, on_terminal, read, run_all, skip, temp, until, write

SIZE = 5_000_000


def begin(*settings):
    """A repo with a tier, a file in it, and the folder of the tier."""
    repo, cold = new_repo(), temp('cold')
    os.mkdir(cold)
    path = write(os.path.join(temp('file'), 'f'), noise(SIZE, 5))
    equal('tier.places', kit('config', 'tier.places', f'cold=file://{cold}', repo=repo).code, 0)
    for key, value in settings:
        equal(key, kit('config', key, value, repo=repo).code, 0)
    return repo, cold, path, kit('add', '-Q', path, repo=repo).text


def tiers(repo):
    lines = kit('tier', 'stat', '--json', repo=repo).out.splitlines()
    return {row['Name']: row for row in map(json.loads, lines)}


def objects(cold):
    """Without the file that says whose they are."""
    return sorted(set(os.listdir(cold)) - {'ipfs-kit-tier'})


def segments(repo):
    return sum(os.path.getsize(f'{repo}/segments/{name}') for name in os.listdir(f'{repo}/segments'))


def what_is_there_is_told_to_be_there():
    repo, cold, path, root = begin()
    kit('config', 'tier.places', f'cold=file://{cold} other=file://{temp("other")}', repo=repo)

    def moved(tier):
        return kit('tier', 'move', root, tier, repo=repo).text.split(' moved, ')

    hint = f"; 'ipfs-kit --repo {repo} repo gc' gives back the room they took here"
    size = f'{SIZE / 1048576:.1f} MiB'
    equal('to a tier, and what gives the room back', moved('cold'), [f'5 blocks of {size}', f'0 were in a tier already{hint}'])
    equal('again', moved('cold'), ['0 blocks of 0 B', '5 were in a tier already'])
    equal('from there to another nothing moves', moved('other'), ['0 blocks of 0 B', '5 were in a tier already'])
    equal('back', moved('fast'), [f'5 blocks of {size}', '0 were there already'])
    equal('back again', moved('fast'), ['0 blocks of 0 B', '5 were there already'])
    check('help says when it does', 'a fifth or more of a segment' in kit('tier', 'move', '--help').text)


def there_and_back():
    repo, cold, path, root = begin()
    done = kit('tier', 'move', root, 'cold', '--json', repo=repo)
    equal('moved', json.loads(done.out), {'Blocks': 5, 'Bytes': SIZE, 'Skipped': 0})
    equal('one object', len(objects(cold)), 1)
    equal('again: nothing', json.loads(kit('tier', 'move', root, 'cold', '--json', repo=repo).out), {'Blocks': 0, 'Bytes': 0, 'Skipped': 5})
    kit('repo', 'gc', '--silent', repo=repo)
    check('the repo has given the room back', segments(repo) < 100_000, segments(repo))
    equal('what it was', kit('cat', root, repo=repo).out, read(path))
    said = [kit('wal', 'export', str(number), repo=repo) for number in range(1, 6)]
    check('what lies in a tier is no file to export, and that is said', any(done.code == 3 and not done.out and 'lies in a tier' in done.err for done in said), said)
    check('verify says what it has not read', 'those in tiers' in kit('repo', 'verify', repo=repo).text)
    row = tiers(repo)['cold']
    equal('what is told', [row[key] for key in ('Kind', 'State', 'Objects', 'Blocks', 'Errors', 'Why')], ['folder', 'up', 1, 5, 0, ''])

    own = kit('tier', 'stat', repo=repo).text.split('cold (')[0]
    check('of the repo what is counted of it', own.startswith('fast (repo, up)\n  Objects: ') and 'Demoted' not in own, own)

    # Anybody's: another repo takes it in as it is.
    other = new_repo()
    equal('imported', kit('dag', 'import', '--pin-roots=false', f'{cold}/{objects(cold)[0]}', repo=other).code, 0)

    equal('back', json.loads(kit('tier', 'move', root, 'fast', '--json', repo=repo).out)['Blocks'], 5)
    equal('had without the tier', kit('cat', root, repo=repo).out, read(path))
    kit('repo', 'gc', '--silent', repo=repo)
    equal('the object goes', (tiers(repo)['cold']['Objects'], objects(cold)), (0, []))


def a_move_shows_how_far_it_is():
    """A bar on a terminal, or with -p, there and back, alone and through a daemon; not in what a program reads."""
    repo, cold, _, root = begin()
    absent = kit('block', 'put', '--cid-codec=dag-cbor', repo=repo, stdin=bytes.fromhex('81d82a58250001551220') + bytes(32)).text

    def show(how):
        for tier in 'cold', 'fast':
            code, shown, out = on_terminal('tier', 'move', root, tier, repo=repo, out=False)
            lines = shown.decode().split('\n')
            check(f'{how}, {tier}: a bar, to its end', code == 0 and lines[0].startswith('\rmoving [') and '100%  4.8 MiB of 4.8 MiB' in lines[0] and lines[1:] == [''], shown)
            check(f'{how}, {tier}: what it was beside it', out.startswith(b'5 blocks of 4.8 MiB moved'), out)
        for words in ['--json'], ['--progress=false']:
            code, shown, _ = on_terminal(*words, 'tier', 'move', root, 'cold', repo=repo, out=False)
            equal(f'{how}, {words}: none', (code, shown), (0, b''))
            kit('tier', 'move', root, 'fast', repo=repo)
        equal(f'{how}: none in a pipe', kit('tier', 'move', root, 'cold', repo=repo).err, '')
        done = kit('-p', 'tier', 'move', root, 'fast', repo=repo)
        check(f'{how}: -p', done.code == 0 and '\rmoving [' in done.err, done)
        done = kit('-p', 'tier', 'move', absent, 'cold', repo=repo)
        check(f'{how}: with -p, too, what is absent is', done.code == 3 and '1 block below it is not in the repo' in done.err, done)
    show('alone')
    with Daemon(repo=repo) as daemon:
        show('through a daemon')
        for tier in 'cold', 'fast':
            rows = [json.loads(line) for line in daemon.rpc('tier/move', root, tier, progress='true')[2].splitlines()]
            steps = [row['Progress'] for row in rows[:-1]]
            check('by the RPC', steps and steps == sorted(steps) and steps[-1] == SIZE and {row['Total'] for row in rows[:-1]} == {SIZE}, rows)
            equal('and what came of it', rows[-1]['Blocks'], 5)
        equal('who does not ask is not told', json.loads(daemon.rpc('tier/move', root, 'cold')[2]), {'Blocks': 5, 'Bytes': SIZE, 'Skipped': 0})


def what_is_mostly_dead_is_written_anew():
    """By the collection of a command, without a daemon: what lives goes into a smaller object."""
    repo, cold, path, root = begin()
    more = kit('add', '-Q', write(os.path.join(temp('file'), 'f'), noise(600_000, 6)), repo=repo).text
    both = temp('both')
    os.mkdir(both)
    write(os.path.join(both, 'large'), read(path))
    write(os.path.join(both, 'small'), noise(600_000, 6))
    top = kit('add', '-Qr', both, repo=repo).text
    equal('moved', json.loads(kit('tier', 'move', top, 'cold', '--json', repo=repo).out)['Blocks'], 6)
    equal('one object', tiers(repo)['cold']['Objects'], 1)
    for cid in (top, root):
        equal('unpinned', kit('pin', 'rm', cid, repo=repo).code, 0)
    equal('collected: written anew; then the old one goes', [kit('repo', 'gc', '--silent', repo=repo).code for _ in range(2)], [0, 0])
    row = tiers(repo)['cold']
    check('a small object holds what lives', row['Objects'] == 1 and row['Unwanted'] == 0 and row['Bytes'] < 700_000, row)
    equal('it is had from there', kit('cat', more, repo=repo).out, noise(600_000, 6))


def another_place_is_not_the_tier():
    """An empty folder, where a disk is not mounted, or that of another repo: nothing is written, removed, or taken for lost."""
    repo, cold, path, root = begin()
    more = kit('add', '-Q', write(os.path.join(temp('file'), 'f'), noise(SIZE, 7)), repo=repo).text
    equal('moved', kit('tier', 'move', root, 'cold', repo=repo).code, 0)
    equal('collected', kit('repo', 'gc', '--silent', repo=repo).code, 0)
    for _ in range(2):
        os.rename(cold, f'{cold}.away')
        os.mkdir(cold)
        done = kit('tier', 'move', more, 'cold', repo=repo)
        check('nothing is written', done.code == 1 and 'mount its disk' in done.err and os.listdir(cold) == [], done)
        row = tiers(repo)['cold']
        check('it is told so', row['State'] == 'unusable' and 'mount its disk' in row['Why'], row)
        done = kit('--offline', 'cat', root, repo=repo)
        check('it is away', done.code != 0 and 'the tier cold, which fails' in done.err, done)
        equal('and not lost', kit('repo', 'verify', repo=repo).code, 0)
        os.rmdir(cold)
        os.rename(f'{cold}.away', cold)
        equal('there again', kit('cat', root, repo=repo).out, read(path))
    (kept,) = objects(cold)
    os.rename(cold, f'{cold}.away')
    os.mkdir(cold)
    equal('unpinned', kit('pin', 'rm', root, repo=repo).code, 0)
    equal('collected too', kit('repo', 'gc', '--silent', repo=repo).code, 0)
    equal('the object is still to be removed', tiers(repo)['cold']['Unwanted'], 1)
    os.rmdir(cold)
    os.rename(f'{cold}.away', cold)
    equal('it goes when its place is back', (kit('repo', 'gc', '--silent', repo=repo).code, objects(cold)), (0, []))

    other = new_repo()
    kit('config', 'tier.places', f'cold=file://{cold}', repo=other)
    part = os.path.join(cold, '.part-00000000deadbeef-1')  # as somebody's who is writing there right now
    write(part, b'x')
    done = kit('tier', 'move', kit('add', '-Q', path, repo=other).text, 'cold', repo=other)
    check("another repo's", done.code == 1 and "another repo's" in done.err, done)
    equal('nothing is written or removed there', objects(cold), [os.path.basename(part)])
    os.unlink(part)
    row = tiers(other)['cold']
    check('it is told so', row['State'] == 'unusable' and "another repo's" in row['Why'], row)


def what_fails_is_said():
    repo, cold, path, root = begin()
    kit('tier', 'move', root, 'cold', repo=repo)
    kit('repo', 'gc', '--silent', repo=repo)
    os.rename(cold, cold + '.away')
    done = kit('cat', root, repo=repo)
    check('the tier, why, and what to do', done.code != 0 and all(text in done.err for text in ('tier cold', cold, 'mount the disk')), done)
    equal('what needs no leaf goes on', [kit(*words, root, repo=repo).code for words in (['stat'], ['ls'], ['pin', 'ls'])], [0, 0, 0])
    equal('and so does all else', [kit('add', '-Q', path, '--pin=false', repo=repo).code, kit('repo', 'gc', repo=repo).code], [0, 0])
    equal('moving there', kit('tier', 'move', root, 'fast', repo=repo).code != 0, True)
    os.rename(cold + '.away', cold)
    equal('it is back', kit('cat', root, repo=repo).out, read(path))
    kit('config', 'tier.places', '', repo=repo)
    check('it is not configured', 'not configured' in kit('cat', root, repo=repo).err)
    equal('it is known all the same', tiers(repo)['cold']['State'], 'not configured')
    kit('config', 'tier.places', f'cold=file://{cold}', repo=repo)
    name = f'{cold}/{objects(cold)[0]}'
    data = bytearray(read(name))
    data[SIZE // 2] ^= 1
    write(name, bytes(data))
    done = kit('cat', root, repo=repo)
    check('damage is named, and not served', done.code != 0 and os.path.basename(name) in done.err and done.out != read(path), done)
    kit('add', '-Q', path, repo=repo)
    equal('what is added mends it', kit('cat', root, repo=repo).out, read(path))


def what_is_away_is_down():
    """As long as it is: the state, and the reason with it, go when it is back."""
    def told():
        row = tiers(repo)['cold']
        return row['State'], row['Why'], cold in kit('tier', 'list', repo=repo).text
    repo, cold, _, root = begin()
    kit('tier', 'move', root, 'cold', repo=repo)
    kit('repo', 'gc', '--silent', repo=repo)
    reason = f'there is no folder {cold}; make it, or mount the disk it is on'
    with Daemon(repo=repo):
        os.rename(cold, cold + '.away')
        check('it cannot be had', kit('cat', root, repo=repo).code != 0)
        equal('it is down, and why', told(), ('down', reason, True))
        check('by the metrics too', 'ipfs_kit_tier_up{tier="cold"} 0' in kit('metrics', repo=repo).text)
        os.rename(cold + '.away', cold)
        equal('it is back', kit('cat', root, repo=repo).code, 0)
        equal('and nothing is left of that', told(), ('up', '', False))
        check('by the metrics', 'ipfs_kit_tier_up{tier="cold"} 1' in kit('metrics', repo=repo).text)
    os.rename(cold, cold + '.away')
    equal('a command alone looks', told(), ('down', reason, True))
    os.rename(cold + '.away', cold)
    equal('each time', told(), ('up', '', False))


def a_store_that_is_not_there():
    """The first command ever: what it says has the cause in it."""
    repo, _, _, root = begin()
    kit('config', 'tier.places', 'cold=s3+http://127.0.0.1:1/bucket', repo=repo)
    done = kit('tier', 'move', root, 'cold', repo=repo)
    if any(text in done.err for text in ('is not installed', 'this was built with')):
        skip('no S3 here')
        return
    check('why', done.code != 0 and all(text in done.err for text in ('the tier cold fails', 'no connection to http://127.0.0.1:1', 'is the store running')), done)
    equal('said once', done.err.count('no connection'), 1)


def what_nobody_asked_is_not_up():
    """What is on another machine is not waited for by a list; that it is up was not seen then, and is not said."""
    repo, _, _, root = begin()
    silent = socket.create_server(('127.0.0.1', 0))  # the kernel takes connections, and nobody answers
    kit('config', 'tier.places', f'cold=s3+http://127.0.0.1:{silent.getsockname()[1]}/bucket', repo=repo)
    if any(text in tiers(repo)['cold']['Why'] for text in ('is not installed', 'this was built with')):
        skip('no S3 here')
        return

    def show(how):
        row = tiers(repo)['cold']
        equal(f'{how}: it was not asked', (row['State'], row['Why']), ('not asked yet', ''))
        check(f'{how}: in the list', re.search('^cold +S3 +not asked yet +0 +0$', kit('tier', 'list', repo=repo).text, re.M), kit('tier', 'list', repo=repo))
        silent.settimeout(0)
        try:
            silent.accept()
            check(f'{how}: nobody was asked for it', False)
        except BlockingIOError:
            check(f'{how}: nobody was asked for it', True)
    show('alone')
    with Daemon(repo=repo):
        show('by a daemon')
        check('for its metrics nothing is wrong', 'ipfs_kit_tier_up{tier="cold"} 1' in kit('metrics', repo=repo).text)
        silent.close()
        check('it cannot be had', kit('tier', 'move', root, 'cold', repo=repo).code != 0)
        row = tiers(repo)['cold']
        check('once it was asked, that is told', row['State'] != 'not asked yet' and row['Why'], row)


def a_verification_tells_of_tiers():
    """Without its index a repo asks the tier what lies there; what cannot be asked, or was found damaged, is told by its object."""
    repo, cold, path, root = begin()
    kit('tier', 'move', root, 'cold', repo=repo)
    kit('repo', 'gc', '--silent', repo=repo)
    name = objects(cold)[0]
    shutil.rmtree(f'{repo}/index')
    check('nothing lacks', kit('repo', 'verify', repo=repo).code == 0)
    shutil.rmtree(f'{repo}/index')
    os.rename(cold, cold + '.away')
    done = kit('repo', 'verify', repo=repo)
    check('what is not known is told', done.code != 0 and all(text in done.text + done.err for text in (name, 'the tier cold', f'there is no folder {cold}', 'run it again')), done)
    check('and is no reason to unpin', 'pin rm' not in done.err, done)
    os.rename(cold + '.away', cold)
    check('nothing lacks again', kit('repo', 'verify', repo=repo).code == 0)
    data = bytearray(read(f'{cold}/{name}'))
    data[SIZE // 2] ^= 1
    write(f'{cold}/{name}', bytes(data))
    kit('cat', root, repo=repo)
    done = kit('repo', 'verify', repo=repo)
    check('damage that was found is told', done.code != 0 and all(text in done.text + done.err for text in (name, 'the tier cold')), done)


def a_verification_reads_tiers():
    """With --tiers, of a repo or through its daemon: what rots there is found without anybody having read it."""
    repo, cold, path, root = begin()
    kit('tier', 'move', root, 'cold', repo=repo)
    kit('repo', 'gc', '--silent', repo=repo)
    (name,) = objects(cold)
    place = f'{cold}/{name}'

    def verify(*more):
        return kit('repo', 'verify', *more, repo=repo)

    def spoil():
        flip(place, SIZE // 2)

    def told(done):
        """The blocks of the object that it names as damaged, with their bytes."""
        return re.findall(rf'(\w+): damaged, or lost: bytes (\d+) to (\d+) of {name} in the tier cold', (done.out + done.err.encode()).decode())

    def whole(how):
        done = verify('--tiers')
        check(f'{how}: all is whole, and that is said of tiers too', done.code == 0 and done.text == 'verify complete, all blocks validated.' and not done.err, done)

    def rotten(how):
        spoil()
        done = verify()
        check(f'{how}: unasked nothing is read there, and that is said', done.code == 0 and 'those in tiers' in done.text and '--tiers' in done.text, done)
        done = verify('--tiers')
        found = told(done)
        check(f'{how}: the block is named, with its bytes', done.code == 4 and len(found) == 1 and int(found[0][1]) <= SIZE // 2 < int(found[0][2]), done)
        check(f'{how}: it is not served', kit('cat', '--offline', root, repo=repo).out != read(path))
        done = verify('--tiers', '--json')
        lines = [json.loads(line) for line in done.out.splitlines()]
        check(f'{how}: in JSON', done.code == 4 and [line['Msg'] for line in lines if found[0][0] in line['Msg'] and name in line['Msg']] and
            all({'Msg', 'Progress'} <= set(line) for line in lines), done)
        equal(f'{how}: for programs', {key: value for key, value in lines[0].items() if key not in ('Msg', 'Progress')}, {'Kind': 'tier-block',
            'Cid': found[0][0], 'Offset': int(found[0][1]), 'End': int(found[0][2]), 'Tier': 'cold', 'Object': name})
        spoil()
        whole(f'{how}, when it is whole again')
        equal(f'{how}: served again', kit('cat', root, repo=repo).out, read(path))

    def away(how):
        os.rename(cold, cold + '.away')
        done = verify('--tiers')
        check(f'{how}: what cannot be asked is told once', done.code == 4 and done.err.count('in the tier cold could not be read') == 1 and
            '5 blocks' in done.err and name in done.err and f'there is no folder {cold}' in done.err and not told(done), done)
        os.rename(cold + '.away', cold)

    def missing(how):
        os.rename(place, place + '.away')
        done = verify('--tiers')
        check(f'{how}: each block of an object that is gone is named', done.code == 4 and len(told(done)) == 5, done)
        os.rename(place + '.away', place)

    for look in whole, rotten, away, missing, whole:
        look('alone')
    with Daemon(repo=repo) as daemon:
        for look in whole, rotten, away, missing, whole:
            look('through a daemon')
        equal('neither true nor false', daemon.rpc('repo/verify', tiers='all')[0], 400)
        spoil()
        check('by RPC', name in daemon.rpc('repo/verify', tiers='true')[2].decode())
        kit('add', '-Q', path, repo=repo)
        whole('added again')
    (name,) = objects(cold)
    flip(place, os.path.getsize(place) - 20)
    done = verify('--tiers')
    check("the object's own index", done.code == 4 and f'{name} in the tier cold, its own index' in done.err and not told(done), done)


def a_place_that_waits():
    """A daemon has the places it started with; one that was named since is told to wait for its next start."""
    repo, cold, _, root = begin()
    kit('config', 'tier.places', '', repo=repo)
    with Daemon(repo=repo):
        kit('config', 'tier.places', f'cold=file://{cold}', repo=repo)
        done = kit('tier', 'move', root, 'cold', repo=repo)
        check('it is known, and when it counts', done.code != 0 and all(text in done.err for text in ('the tier cold was named after the daemon started', 'tier.places when it starts again')), done)
        check('others are not', "no tier is called 'col'" in kit('tier', 'move', root, 'col', repo=repo).err)
    with Daemon(repo=repo):
        equal('it has started again', kit('tier', 'move', root, 'cold', repo=repo).code, 0)
        kit('repo', 'gc', '--silent', repo=repo)
    kit('config', 'tier.places', '', repo=repo)
    done = kit('tier', 'move', root, 'fast', repo=repo)
    check('back from where nothing is configured', done.code not in (0, 139, -11) and done.err, done)


def a_place_that_is_taken_away():
    """Whoever takes the name of a tier away in which something lies is told how to have it back."""
    repo, cold, path, root = begin()
    named, other = f'cold=file://{cold}', f'other=file://{temp("other")}'

    def said(value, *more):
        done = kit(*more, 'config', 'tier.places', value, repo=repo)
        equal('it is set', (done.code, kit('config', 'tier.places', repo=repo).text), (0, value))
        return '\n'.join(line for line in done.err.splitlines() if 'when it starts again' not in line)

    def told(text):
        return 'lie in the tier cold, which is not named any more' in text and '4.8 MiB of content' in text and 'name it again' in text and 'tier move CID fast' in text

    def it_stays(how):
        for value in f'{named} {other}', f'{other} {named}', named:
            equal(f'{how}: named still', said(value), '')
    for value in '', other:
        said(named)
        equal('nothing lies there', said(value), '')
    said(f'{named} {other}')
    kit('tier', 'move', root, 'cold', repo=repo)
    kit('repo', 'gc', '--silent', repo=repo)
    it_stays('alone')
    for value in '', other, f'colder=file://{cold}':
        text = said(value)
        check('it is told', told(text) and text.count('\n') == 0, text)
        equal('once', said(value), '')
        said(named)
    equal('so it is', kit('cat', root, repo=repo).out, read(path))
    line = json.loads(said('', '--json'))
    check('in JSON', told(line['Warning']) and line['Hint'].startswith('name it again'), line)
    said(named)
    with Daemon(repo=repo):
        it_stays('with a daemon')
        text = said(other)
        check('with a daemon', told(text), text)
        equal('which has it until it ends', kit('cat', root, repo=repo).out, read(path))
    check('as was told', 'not configured' in kit('cat', root, repo=repo).err)
    said(named)
    equal('named again, it is back', [kit('tier', 'move', root, 'fast', repo=repo).code, kit('cat', root, repo=repo).out == read(path)], [0, True])
    kit('repo', 'gc', '--silent', repo=repo)
    equal('nothing lies there any more', said(''), '')


def what_is_refused_leaves_nothing():
    """A tier that cannot be written to is as if it had never been named; one in which nothing lies any more may be anywhere."""
    repo, cold, path, root = begin()
    named, other = f'cold=file://{cold}', temp('other')
    os.mkdir(other)
    kit('config', 'tier.places', f'cold=file://{cold}.none', repo=repo)
    done = kit('tier', 'move', root, 'cold', repo=repo)
    check('no such folder', done.code == 1 and f'there is no folder {cold}.none' in done.err, done)
    equal('nothing is to be removed', tiers(repo)['cold']['Unwanted'], 0)
    kit('config', 'tier.places', '', repo=repo)
    equal('it is not known any more', list(tiers(repo)), ['fast'])
    for place in cold, other, cold:
        equal('nothing is said', kit('config', 'tier.places', f'cold=file://{place}', repo=repo).err, '')
        done = kit('tier', 'move', root, 'cold', repo=repo)
        equal(f'moved to {place}', (done.code, len(objects(place)), tiers(repo)['cold']['State']), (0, 1, 'up'))
        equal('it is there', kit('cat', root, repo=repo).out, read(path))
        kit('tier', 'move', root, 'fast', repo=repo)
        kit('repo', 'gc', '--silent', repo=repo)
        equal('and back', objects(place), [])


def many_write_there_first():
    """Of several that come at once one makes the mark; whatever the others wrote is there."""
    repo, names = new_repo(), [f'cold{number}' for number in range(10)]
    places = {name: temp(name) for name in names}
    for place in places.values():
        os.mkdir(place)
    kit('config', 'tier.places', ' '.join(f'{name}=file://{place}' for name, place in places.items()), repo=repo)

    def move(job):
        cid, name = job
        return daemon.rpc('tier/move', cid, name)[0]
    with Daemon(repo=repo) as daemon, ThreadPoolExecutor(6) as pool:
        for name in names:
            cids = [daemon.add(noise(1000, name + str(number)), raw_leaves='true') for number in range(6)]
            equal(f'moved to {name}', list(pool.map(move, [(cid, name) for cid in cids])), [200] * 6)
    equal('each is the tier', [(row['State'], row['Why'], row['Blocks']) for name, row in tiers(repo).items() if name in names], [('up', '', 6)] * len(names))


def a_place_that_was_left_is_not_the_tier():
    """There is a mark of this repo, but an older one: nothing counts as lost, and nothing is given up."""
    repo, cold, path, root = begin()
    other = temp('other')
    os.mkdir(other)
    kit('tier', 'move', root, 'cold', repo=repo)
    kit('tier', 'move', root, 'fast', repo=repo)
    kit('repo', 'gc', '--silent', repo=repo)
    kit('config', 'tier.places', f'cold=file://{other}', repo=repo)
    kit('tier', 'move', root, 'cold', repo=repo)
    kit('repo', 'gc', '--silent', repo=repo)
    check('the mark was left', os.path.exists(f'{cold}/ipfs-kit-tier') and len(objects(other)) == 1)
    check('it is told', f'set it back to file://{other},' in kit('config', 'tier.places', f'cold=file://{cold}', repo=repo).err)
    row = tiers(repo)['cold']
    check('it is not the tier', row['State'] == 'unusable' and 'ipfs-kit-tier, by which it is known, is an older one' in row['Why'] and
        f'set it back to file://{other} in tier.places' in row['Why'], row)
    done = kit('cat', root, repo=repo)
    check('nor is anything lost', done.code == 1 and 'which fails: this may be another place than before' in done.err and 'damaged' not in done.err, done)
    more = kit('add', '-Q', write(os.path.join(temp('file'), 'f'), noise(SIZE, 7)), repo=repo).text
    check('nothing is written', kit('tier', 'move', more, 'cold', repo=repo).code == 1 and objects(cold) == [])
    done = kit('repo', 'verify', '--tiers', '--accept-loss', repo=repo)
    check('nothing is given up', done.code == 4 and 'given up' not in done.text + done.err and '5 blocks in the tier cold could not be read' in done.err, done)
    equal('set back', kit('config', 'tier.places', f'cold=file://{other}', repo=repo).err, '')
    equal('it is there', kit('cat', root, repo=repo).out, read(path))


def a_place_that_is_changed():
    """Whoever changes a tier's place, under what lies there, is told which way is back, then and by whatever fails for it."""
    repo, cold, path, root = begin()
    first, other, third = f'cold=file://{cold}', temp('other'), temp('third')
    os.mkdir(other)

    def said(value, *more):
        done = kit(*more, 'config', 'tier.places', value, repo=repo)
        equal('it is set', (done.code, kit('config', 'tier.places', repo=repo).text), (0, value))
        return '\n'.join(line for line in done.err.splitlines() if 'when it starts again' not in line)

    def told(text):
        return all(part in text for part in ('5 blocks (4.8 MiB) lie in the tier cold where it was', f'set it back to file://{cold},', 'tier move CID fast', 'repo gc')) and '\n' not in text

    for value in f'cold=file://{other}', first:
        equal('nothing lies there', said(value), '')
    kit('tier', 'move', root, 'cold', repo=repo)
    kit('repo', 'gc', '--silent', repo=repo)
    equal('another is named', said(f'b=file://{other} {first}'), '')
    for value in f'cold=file://{other} b=file://{third}', f'cold=file://{third}', f'cold=file://{other}':
        text = said(value)
        check('it is told, and where it was all the while', told(text), text)
        equal('once', said(value), '')
    row = tiers(repo)['cold']
    check('by the list too', row['State'] == 'unusable' and all(part in row['Why'] for part in ('may be another place than before', '5 blocks of this repo',
        f'; set it back to file://{cold} in tier.places', 'only if you know that it is the same place')), row)
    done = kit('cat', root, repo=repo)
    check('and by who wants it', f'which fails: {row["Why"]}' in done.err, done)
    equal('nothing is written', (kit('tier', 'move', root, 'cold', repo=repo).code, os.listdir(other)), (0, []))
    equal('set back', said(first), '')
    equal('it is there', kit('cat', root, repo=repo).out, read(path))
    for end in '', '\n':
        os.rename(f'{cold}/ipfs-kit-tier', f'{cold}/old')
        mark = re.search('mount its disk, or set tier.places back; only if .*, write ([0-9a-f]{32}-[0-9a-f]{16}) into that file', tiers(repo)['cold']['Why'])[1]
        write(f'{cold}/ipfs-kit-tier', f'{mark}{end}'.encode())
        equal('a mark that was written by hand', (tiers(repo)['cold']['State'], read(f'{cold}/old').decode().strip()), ('up', mark))
    line = json.loads(said(f'cold=file://{other}', '--json'))
    check('in JSON', told(line['Warning']) and line['Hint'].startswith('set it back'), line)
    said(first)
    with Daemon(repo=repo):
        text = said(f'cold=file://{other}')
        check('with a daemon', told(text), text)
        equal('which has it until it ends', kit('cat', root, repo=repo).out, read(path))
    os.rename(cold, third)
    check('what is brought along', 'is brought along' in said(f'cold=file://{third}'))
    equal('is there', (kit('cat', root, repo=repo).out == read(path), tiers(repo)['cold']['State']), (True, 'up'))
    equal('it can be written to', kit('tier', 'move', kit('add', '-Q', '--raw-leaves', repo=repo, stdin=b'more').text, 'cold', repo=repo).code, 0)
    check('and is where it was from then on', f'set it back to file://{third},' in said(f'cold=file://{cold}'))


def what_fails_far_away_is_said():
    """Without a daemon nobody has asked the tier before, or will remember: what fails says why."""
    repo, cold, path, root = begin()
    kit('tier', 'move', root, 'cold', repo=repo)
    kit('repo', 'gc', '--silent', repo=repo)
    kit('config', 'tier.places', 'cold=s3+http://127.0.0.1:1/bucket', repo=repo)
    why = 'no connection to http://127.0.0.1:1'
    done = kit('cat', root, repo=repo)
    if any(text in done.err for text in ('is not installed', 'this was built with')):
        skip('no S3 here')
        return
    check('read', done.code == 1 and 'the tier cold, which fails' in done.err and why in done.err, done)
    done = kit('tier', 'move', root, 'fast', repo=repo)
    check('moved back', done.code == 1 and 'in the tier cold, which fails' in done.err and why in done.err, done)
    done = kit('repo', 'verify', '--tiers', repo=repo)
    check('verified', done.code == 4 and 'in the tier cold could not be read' in done.err and why in done.err, done)
    shutil.rmtree(f'{repo}/index')
    done = kit('cat', root, repo=repo)
    check('not known yet', done.code == 3 and 'what lies in the tier cold, which' in done.err and ('repo verify' in done.err or why in done.err), done)
    done = kit('repo', 'verify', repo=repo)
    check('which tells', done.code == 4 and objects(cold)[0] in done.err and why in done.err, done)
    done = kit('tier', 'move', root, 'fast', repo=repo)
    check('a move, too', done.code == 3 and 'what lies in the tier cold, which' in done.err and 'pin add' not in done.err, done)
    kit('config', 'tier.places', f'cold=file://{cold}', repo=repo)
    equal('known again', kit('repo', 'verify', repo=repo).code, 0)
    kit('config', 'tier.places', '', repo=repo)
    done = kit('tier', 'move', root, 'fast', repo=repo)
    check('not configured', done.code == 1 and 'the tier cold, which is not configured' in done.err and 'tier.places' in done.err, done)
    check('nor to move to', 'the tier cold is not configured' in kit('tier', 'move', root, 'cold', repo=repo).err)
    write(f'{repo}/tier-cold.credentials', b'x')
    kit('config', 'tier.places', 'cold=s3+http://127.0.0.1:1/bucket', repo=repo)
    done = kit('tier', 'move', root, 'cold', repo=repo)
    check('what could not be made says why', done.code == 1 and 'the tier cold fails' in done.err and 'tier-cold.credentials' in done.err, done)


def mistakes():
    repo, _, _, root = begin()
    check('no such tier', 'no tier is called' in kit('tier', 'move', root, 'nowhere', repo=repo).err)
    for value in ('cold', 'cold=', '=file:///x', 'fast=file:///x', 'memory=file:///x', 'c=file://x', 'c=ftp://h/x', 'c=s3://h', 'c=sftp://h/x', 'C=file:///x',
            'c=file:///x c=file:///y', 'c=s3://u:p@h/b'):
        check(f'no place: {value}', kit('config', 'tier.places', value, repo=repo).code != 0)
    for value in ('cold=file:///a,warm=file:///b', 'cold=file:///a, warm=file:///b', 'x=file:///x cold=s3://h/b,warm=file:///b'):
        done = kit('config', 'tier.places', value, repo=repo)
        check(f'no place: {value}', done.code == 2 and 'places are separated by spaces' in done.err, done)
    equal('a comma alone is part of a name', kit('config', 'tier.places', 'x=file:///a,b,=c', repo=new_repo()).code, 0)
    for scheme in ('file://', 's3://', 's3+http://', 'sftp://'):
        check(f'{scheme}: told where places are set', all(scheme in text for text in (kit('config', 'tier.places', 'nowhere', repo=repo).err, read(f'{repo}/config').decode(),
            kit('tier', 'list', '--help').text)))
    for value in ('x', '-1', '', '1e'):
        check(f'no heat: {value}', kit('config', 'tier.cold', value, repo=repo).code != 0)
    policy = json.loads(kit('tier', 'policy', '--json', repo=repo).out)
    equal('the policy', [policy[key] for key in ('Tier', 'Cold', 'Hot', 'Interval', 'Max')], ['cold', 0.1, 1.5, 600, 0])
    check('as it was written', b'"Cold":0.1,"Hot":1.5,' in kit('tier', 'policy', '--json', repo=repo).out)
    for number in (b'0.1', b'0.7', b'1.5', b'0.30000000000000004', b'123456.789'):
        check(f'{number}: no digit too many or too few', b'"Cold":' + number + b',' in kit('tier', 'policy', f'--cold={number.decode()}', '--json', repo=repo).out)
    done = kit('tier', 'policy', '--cold=0.5', '--hot=0.1', repo=repo)
    check('hot is four times cold, and that is said', done.code == 0 and 'Hot: 2\n' in done.out.decode() and
        'hot is set to 0.1 and counts as 2, because it is at least four times cold' in done.err, done)
    check('in JSON too', 'counts as 2' in json.loads(kit('tier', 'policy', '--json', repo=repo).err)['Warning'])
    equal('else nothing is', kit('tier', 'policy', '--hot=2', repo=repo).err, '')
    kit('config', 'tier.cold', '2', repo=repo)
    equal('by config', json.loads(kit('tier', 'policy', '--json', repo=repo).out)['Hot'], 8)


def the_policy_is_set():
    repo, _, _, root = begin(('tier.interval', '1h'), ('tier.hot', '1000000'))
    equal('by options', [json.loads(kit('tier', 'policy', '--cold=0.25', '--hot=1e5', '--json', repo=repo).out)[key] for key in ('Cold', 'Hot')], [0.25, 1e5])
    equal('they are settings', [kit('config', f'tier.{key}', repo=repo).text for key in ('cold', 'hot', 'interval')], ['0.25', '1e5', '1h'])
    done = kit('tier', 'policy', '--hot=warm', repo=repo)
    check('or said to be none', done.code != 0 and 'no value for tier.hot' in done.err, done)
    kit('tier', 'move', root, 'cold', repo=repo)
    with Daemon(repo=repo):
        kit('cat', root, repo=repo)
        equal('of a daemon that runs', json.loads(kit('tier', 'policy', '--hot=0.5', '--cold=0.1', '--interval=200ms', '--json', repo=repo).out)['Hot'], 0.5)
        until('it moves by what it has now', lambda: tiers(repo)['cold']['Promoted'] > 0)
        equal('by config', kit('config', 'tier.cold', '7', repo=repo).err, '')
        equal('too', json.loads(kit('tier', 'policy', '--json', repo=repo).out)['Hot'], 28)


def a_daemon_moves_by_itself():
    """Cold roots go while the repo is full, the hot one stays; what is read there comes back when there is room."""
    repo, cold, path, root = begin(('tier.interval', '200ms'), ('store.max', '16MiB'))
    more = [kit('add', '-Q', write(os.path.join(temp('file'), 'f'), noise(1_500_000, seed)), repo=repo).text for seed in range(20, 25)]
    for _ in range(3):
        kit('cat', more[0], repo=repo)
    with Daemon(repo=repo):
        until('something has moved', lambda: tiers(repo)['cold']['Demoted'] > 0)
        until('and the room is given back', lambda: segments(repo) < 16 * 1024 * 1024 * 2 // 3)
        equal('had through the daemon', kit('cat', root, repo=repo).out, read(path))
        check('it stays below', kit('repo', 'gc', '--silent', repo=repo).code == 0)
        kit('tier', 'move', more[0], 'cold', repo=repo)
        equal('moved by hand, through the daemon', json.loads(kit('tier', 'move', more[0], 'cold', '--json', repo=repo).out)['Blocks'], 0)
        check('no such tier', 'no tier is called' in kit('tier', 'move', root, 'nowhere', repo=repo).err)
    kit('tier', 'move', root, 'cold', repo=repo)
    equal('settings', [kit('config', key, value, repo=repo).code for key, value in (('store.max', '0'), ('tier.hot', '0.5'))], [0, 0])
    with Daemon(repo=repo):
        kit('cat', root, repo=repo)
        until('it has come back', lambda: tiers(repo)['cold']['Promoted'] > 0)
    equal('whole', kit('cat', root, repo=repo).out, read(path))


def what_a_warm_root_needs_stays():
    repo, cold, _, _ = begin(('tier.interval', '200ms'))
    shared = noise(4_000_000, 31)
    roots = []
    for seed in (32, 33):
        folder = temp('folder')
        os.mkdir(folder)
        write(f'{folder}/own', noise(3_000_000, seed))
        write(f'{folder}/shared', shared)
        roots.append(kit('add', '-rQ', folder, repo=repo).text)
    for _ in range(3):
        kit('cat', f'{roots[1]}/own', repo=repo)
    kit('config', 'store.max', '12MiB', repo=repo)
    with Daemon(repo=repo):
        until('the cold ones have moved', lambda: tiers(repo)['cold']['DemotedBytes'] >= SIZE + 3_000_000)
    os.rename(cold, cold + '.away')
    equal('had without the tier', kit('cat', f'{roots[1]}/shared', repo=repo).out, shared)
    check('this is not', kit('cat', f'{roots[0]}/own', repo=repo).code != 0)


def repo_with_cold():
    repo, place = new_repo(), temp('cold')
    os.mkdir(place)
    equal('a tier', kit('config', 'tier.places', f'cold=file://{place}', repo=repo).code, 0)
    return repo


def what_is_not_there_is_not_moved():
    """A raw CID, or a leaf, that is neither in the repo nor in a tier: 3, by all ways."""
    repo = new_repo()
    data = noise(600_000, 9)
    root = kit('add', '-Q', '--cid-version=1', '--chunker=size-262144', '--pin=false', repo=repo, stdin=data).text
    leaf = cid_raw(data[:262144])
    top, repo = kit('block', 'get', root, repo=repo).out, repo_with_cold()
    equal('the root', kit('block', 'put', '--cid-codec=dag-pb', repo=repo, stdin=top).text, root)
    for part in data[262144:524288], data[524288:]:
        equal('a leaf', kit('block', 'put', repo=repo, stdin=part).text, cid_raw(part))

    def show(how):
        for tier in 'cold', 'fast':
            for more in [], ['--json']:
                done = kit('tier', 'move', *more, ABSENT, tier, repo=repo)
                check(f'{how}: {tier} {more}: absent', done.code == 3 and not done.out and f'block {ABSENT} is not in the repo' in done.err, done)
                done = kit('tier', 'move', *more, root, tier, repo=repo)
                check(f'{how}: {tier} {more}: a leaf', done.code == 3 and '1 block below it is not in the repo' in done.err and leaf in done.err, done)
    show('alone')
    with Daemon(repo=repo):
        show('through a daemon')


run_all([what_is_not_there_is_not_moved, a_move_shows_how_far_it_is, what_is_there_is_told_to_be_there, there_and_back, another_place_is_not_the_tier, what_is_mostly_dead_is_written_anew, what_fails_is_said, what_is_away_is_down, a_store_that_is_not_there, what_nobody_asked_is_not_up, a_verification_tells_of_tiers, a_verification_reads_tiers, a_place_that_waits, a_place_that_is_taken_away, what_is_refused_leaves_nothing, many_write_there_first, a_place_that_was_left_is_not_the_tier, a_place_that_is_changed, what_fails_far_away_is_said, mistakes, the_policy_is_set, a_daemon_moves_by_itself, what_a_warm_root_needs_stays])
