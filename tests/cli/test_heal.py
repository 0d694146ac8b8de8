#!/usr/bin/env python3
"""Bit rot in a daemon's repo: found when it is read and by a verification, told with CID and place, and healed by a peer that has it whole."""
import contextlib
import json
import os
import subprocess
import sys
from time import monotonic

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import BOUND, PROGRAM, Daemon, check, environment, equal, flip, kit, new_repo, noise, run_all, temp, until, write

SIZE = 6_000_000


def blocks_of(repo):
    entries = [json.loads(line) for line in kit('wal', 'list', '--json', repo=repo).out.splitlines()]
    return [entry for entry in entries if entry['Type'] == 'block']


def rotten(holder, seed, spoil):
    """A repo that has fetched and pinned a file of the holder's, and in which bytes of these blocks are others by now."""
    root = kit('add', '-Q', repo=holder.repo, stdin=noise(SIZE, seed)).text
    with Daemon() as daemon:
        connect(daemon, holder)
        equal('fetched and pinned', kit('pin', 'add', root, repo=daemon.repo).code, 0)
    blocks = blocks_of(daemon.repo)
    spoilt = [next(block for block in blocks if block['Cid'] == root) if at is None else [block for block in blocks if block['Cid'] != root][at] for at in spoil]
    for block in spoilt:
        flip(f'{daemon.repo}/segments/{block["Segment"]:08}.car', block['End'] - 3)
    return daemon.repo, root, spoilt


def connect(daemon, holder):
    equal('connected', kit('swarm', 'connect', holder.swarm[0], repo=daemon.repo).code, 0)


def told(done, block):
    return f'{block["Cid"]}: damaged: bytes {block["Offset"]} to {block["End"]} of segments/{block["Segment"]:08}.car' in done.err


def is_whole(repo, root, seed):
    done = kit('repo', 'verify', repo=repo)
    check('a verification finds nothing', done.code == 0 and not done.err, done)
    check('it is all here', kit('cat', '--offline', root, repo=repo).out == noise(SIZE, seed))


def what_is_read_is_healed():
    for spoil in (0, 3), (None, 1):
        with Daemon() as holder:
            repo, root, spoilt = rotten(holder, 3, spoil)
            with Daemon(repo=repo) as daemon:
                done = kit('cat', '--offline', root, repo=repo)
                check('alone it is told, with CID and place, and never given out', done.code == 4 and any(block['Cid'] in done.err and
                    f'bytes {block["End"] - block["Size"]} to {block["End"]} of segments/' in done.err for block in spoilt) and noise(SIZE, 3).startswith(done.out), done)
                connect(daemon, holder)
                check('with a peer that has it the content is right', kit('cat', root, repo=repo).out == noise(SIZE, 3))
                is_whole(repo, root, 3)
            is_whole(repo, root, 3)


def a_tier_heals():
    """What was moved back lies in the tier until a collection, and is whole there when it goes bad here."""
    for served in False, True:
        repo, place = new_repo(), temp('cold')
        os.mkdir(place)
        kit('config', 'tier.places', f'cold=file://{place}', repo=repo)
        root = kit('add', '-Q', repo=repo, stdin=noise(SIZE, 7)).text
        for words in ('tier', 'move', root, 'cold'), ('repo', 'gc'), ('tier', 'move', root, 'fast'):
            equal(f'{" ".join(words[:2])}: exit code', kit(*words, repo=repo).code, 0)
        spoilt = [block for block in blocks_of(repo) if block['Cid'] != root][-1]
        flip(f'{repo}/segments/{spoilt["Segment"]:08}.car', spoilt['End'] - 3)
        done = kit('cat', '--offline', root, repo=repo)
        check('a read names the way', done.code == 4 and 'repo verify --heal' in done.err, done)
        done = kit('repo', 'verify', repo=repo)
        check('so does a verification', done.code == 4 and 'repo verify --heal' in done.err and told(done, spoilt), done)
        with Daemon(repo=repo) if served else contextlib.nullcontext():
            done = kit('repo', 'verify', '--heal', repo=repo)
            check('it is healed by the tier', done.code == 0 and f'{spoilt["Cid"]}: healed: the tier cold had it' in done.err, done)
            is_whole(repo, root, 7)
            equal('and stays so', kit('repo', 'gc', repo=repo).code, 0)
            is_whole(repo, root, 7)


def warnings(daemon):
    return [line for line in daemon.stderr().splitlines() if line.startswith('ipfs-kit: warning: ')]


def a_daemon_tells_what_rots():
    repo = new_repo()
    cid = kit('add', '-Q', repo=repo, stdin=noise(50_000)).text
    [block] = [block for block in blocks_of(repo) if block['Cid'] == cid]
    path = f'segments/{block["Segment"]:08}.car'
    with Daemon(repo=repo) as daemon:
        check('it is whole, and nothing is told', kit('cat', cid, repo=repo).out == noise(50_000) and not daemon.stderr(), daemon.stderr())
        equal('stopped', daemon.stop(), 0)
    with Daemon(repo=repo) as daemon, Daemon() as peer:
        flip(f'{repo}/{path}', block['End'] - 3)
        connect(peer, daemon)
        for words in ['cat'], ['cat', '--offline'], ['block', 'get', '--offline']:
            done = kit(*words, '--timeout=1s', cid, repo=repo)
            check(f'{" ".join(words)} fails', done.code and not done.out, done)
        done = kit('cat', '--timeout=3s', cid, repo=repo)
        check('what waits for a whole copy says that this one is damaged, and where', done.code == 5 and
            f'waiting for {cid}, which here is damaged: bytes {block["End"] - block["Size"]} to {block["End"]} of {path}: 1 peer connected, none has it' in done.err, done)
        check('a peer does not get it either', kit('cat', '--timeout=1s', cid, repo=peer.repo).code)
        equal('the daemon has told it, once, with the next step', warnings(daemon), [f'ipfs-kit: warning: block {cid} is damaged: bytes '
            f'{block["End"] - block["Size"]} to {block["End"]} of {path}; '
            f"'ipfs-kit --repo {repo} repo verify --heal' looks for more, and asks peers for what is damaged"])
        equal('stopped', daemon.stop(), 0)
        equal('and no more of damage', sum('damaged' in line for line in daemon.stderr().splitlines()), 1)


def damaged(daemon):
    [count] = [line.split()[1] for line in kit('metrics', repo=daemon.repo).text.splitlines() if line.startswith('ipfs_kit_store_damaged_total ')]
    return int(count)


def a_peer_that_reads_what_is_rotten_fills_no_log():
    repo, spoilt = many_that_nobody_has(16)
    with Daemon(repo=repo) as daemon, Daemon() as peer:
        connect(peer, daemon)
        for cid in spoilt:
            asked = subprocess.Popen([PROGRAM, '--repo', peer.repo, 'block', 'get', cid], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=environment())
            until('it is met', lambda: damaged(daemon) > spoilt.index(cid))
            asked.kill()
            asked.wait()
        equal('stopped', daemon.stop(), 0)
        told = warnings(daemon)
        check('ten are told each, in the order they were met', all(cid in line for cid, line in zip(spoilt, told[:10])), told)
        check('then how many more', len(told) == 11 and '6 more blocks were found damaged' in told[10] and 'repo verify' in told[10], told)


def a_daemon_tells_what_it_opens():
    """After a power cut: what was durable, and the index has not, is read again by the opening."""
    with Daemon() as daemon:
        cids = [daemon.add(noise(50_000, seed)) for seed in (1, 2, 3)]
        [block] = [block for block in blocks_of(daemon.repo) if block['Cid'] == cids[0]]
        daemon.kill()
        # In its head; the bytes of a block are verified when they are read.
        flip(f'{daemon.repo}/segments/{block["Segment"]:08}.car', block['Offset'] + 10)
        with Daemon(repo=daemon.repo) as again:
            told = warnings(again)
            check('damage of the log, and the next step', len(told) == 1 and f'segments/{block["Segment"]:08}.car is damaged: bytes ' in told[0] and
                f'; \'ipfs-kit --repo {daemon.repo} repo verify\' tells what is lost' in told[0], told)
            check('what is whole is there', again.rpc('cat', cids[2])[2] == noise(50_000, 3))


def a_verification_heals():
    with Daemon() as holder:
        repo, root, spoilt = rotten(holder, 4, (None, 2, 5))
        with Daemon(repo=repo) as daemon:
            done = kit('repo', 'verify', repo=repo)
            check('found, with CID and place', done.code == 4 and all(told(done, block) for block in spoilt), done)
            connect(daemon, holder)
            done = kit('repo', 'verify', '--heal', repo=repo)
            check('--heal: each is told once more, and healed', done.code == 0 and all(told(done, block) and f'{block["Cid"]}: healed' in done.err for block in spoilt), done)
            is_whole(repo, root, 4)
        is_whole(repo, root, 4)


def what_nobody_has_is_not_healed():
    with Daemon() as holder:
        repo, root, spoilt = rotten(holder, 5, (2,))
        own = kit('add', '-Q', repo=repo, stdin=b'nobody else has this').text
        [block] = [block for block in blocks_of(repo) if block['Cid'] == own]
        flip(f'{repo}/segments/{block["Segment"]:08}.car', block['End'] - 3)
        with Daemon(repo=repo) as daemon:
            connect(daemon, holder)
            done = kit('repo', 'verify', '--heal', '--heal-timeout=2s', repo=repo)
            check('that it is not is told, and fails', done.code == 4 and f'{own}: not healed' in done.err and '1 problem found' in done.err, done)
            check('the other is', f'{spoilt[0]["Cid"]}: healed' in done.err, done)
            equal('a time that is none', daemon.rpc('repo/verify', heal='true', **{'heal-timeout': 'soon'})[0], 400)
            for time in '0', '0s':
                status, _, body = daemon.rpc('repo/verify', heal='true', **{'heal-timeout': time})
                check('nor is none at all', status == 500 and b'above zero' in body, body)
                done = kit('repo', 'verify', '--heal', f'--heal-timeout={time}', repo=repo)
                check('nor in the command', done.code == 2 and 'above zero' in done.err, done)
            check('what it is else is told', 'default 30s' in kit('repo', 'verify', '--help').text)
            status, _, body = daemon.rpc('repo/verify', heal='true', offline='true')
            check('offline nobody is asked, and that is said', status == 500 and b'none is asked here' in body, body)
        done = kit('repo', 'verify', '--heal', repo=repo)
        check('nor without a daemon', done.code not in (0, 4) and 'daemon' in done.err, done)


def what_a_pin_lacks_is_fetched():
    """What was given up is missing, and no damage any more; but a pin needs it."""
    with Daemon() as holder:
        repo, root, spoilt = rotten(holder, 6, (2, 4))
        equal('given up, but for the pin', kit('repo', 'verify', '--accept-loss', repo=repo).code, 4)
        with Daemon(repo=repo) as daemon:
            done = kit('repo', 'verify', repo=repo)
            check('the pin lacks it', done.code == 4 and root in done.err and 'lacks 2 blocks' in done.err, done)
            connect(daemon, holder)
            done = kit('repo', 'verify', '--heal', repo=repo)
            check('--heal fetches it', done.code == 0 and f'{root}: healed' in done.err, done)
            is_whole(repo, root, 6)


def many_that_nobody_has(count):
    """A repo with so many blocks that are damaged, and their CIDs."""
    repo, top = new_repo(), temp('many')
    for i in range(count):
        write(f'{top}/{i}', f'nobody else has {i}')
    kit('add', '-rQ', top, repo=repo)
    spoilt = [block for block in blocks_of(repo) if block['Cid'].startswith('bafkrei')]
    for block in spoilt:
        flip(f'{repo}/segments/{block["Segment"]:08}.car', block['End'] - 3)
    equal('damaged', len(spoilt), count)
    return repo, [block['Cid'] for block in spoilt]


def not_healed(text):
    return sorted(line.split(':')[0] for line in text.splitlines() if ': not healed: ' in line)


def many_are_asked_for_together():
    repo, spoilt = many_that_nobody_has(60)
    with Daemon() as nobody, Daemon(repo=repo) as daemon:
        connect(daemon, nobody)
        begun = monotonic()
        done = kit('repo', 'verify', '--heal', '--heal-timeout=2s', repo=repo)
        took = monotonic() - begun
        check('each is told once', done.code == 4 and not_healed(done.err.replace('ipfs-kit: ', '')) == sorted(spoilt), done)
        check('one after another would take two minutes', took < 60, took)


def without_peers_nobody_is_waited_for():
    repo, spoilt = many_that_nobody_has(40)
    with Daemon(repo=repo):
        done = kit('repo', 'verify', '--heal', '--heal-timeout=10m', repo=repo)
        check('each is told at once', done.code == 4 and not_healed(done.err.replace('ipfs-kit: ', '')) == sorted(spoilt) and 'no peer is connected' in done.err, done)


def who_goes_away_ends_it():
    repo, _ = many_that_nobody_has(40)
    with Daemon() as nobody, Daemon(repo=repo) as daemon:
        connect(daemon, nobody)

        def wanted():
            return len(json.loads(daemon.rpc('bitswap/wantlist')[2])['Keys'] or [])

        client = subprocess.Popen([PROGRAM, '--repo', repo, 'repo', 'verify', '--heal', '--heal-timeout=10m'], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment())
        until('many are asked for', lambda: wanted() == 32)
        client.kill()
        client.wait()
        until('then none', lambda: wanted() == 0)
        check('and the daemon serves', daemon.serves())
        client = subprocess.Popen([PROGRAM, '--repo', repo, 'repo', 'verify', '--heal', '--heal-timeout=10m'], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment())
        until('many are asked for anew', lambda: wanted() == 32)
        equal('nor does it keep a daemon from ending', daemon.stop(), 0)
        check('which its client is told', client.wait(BOUND) != 0)


run_all([what_is_read_is_healed, a_tier_heals, a_daemon_tells_what_rots, a_peer_that_reads_what_is_rotten_fills_no_log, a_daemon_tells_what_it_opens, a_verification_heals, what_nobody_has_is_not_healed, what_a_pin_lacks_is_fetched, many_are_asked_for_together,
    without_peers_nobody_is_waited_for, who_goes_away_ends_it])
