#!/usr/bin/env python3
"""What somebody who knows Kubo types, with a daemon and without one: the answers are Kubo's."""
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import (Daemon, check, equal, form, form_type, kit, new_repo, noise, read, run_all, temp, write)

ABSENT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'


def tree():
    """A folder that holds two folders, in which are files and a symlink."""
    top = temp('top')
    write(f'{top}/notes/hello.txt', b'hello\n')
    write(f'{top}/notes/data.bin', bytes(300_000))
    os.symlink('hello.txt', f'{top}/notes/link')
    write(f'{top}/m1/m', b'm\n')
    return top


def both_ways(show, repo=None):
    """Shows the same of a repo opened by each command, and of a daemon."""
    repo = repo or new_repo()
    show(repo, 'alone')
    with Daemon(repo=repo):
        show(repo, 'through a daemon')


def several_paths_are_wrapped_together():
    top, other, flat = tree(), temp('other'), temp('flat')
    write(f'{other}/hello.txt', b'another\n')
    write(f'{flat}/hello.txt', b'hello\n')
    write(f'{flat}/data.bin', bytes(300_000))

    def show(repo, how):
        folder = kit('add', '-rQ', flat, repo=repo).text
        files = [f'{top}/notes/hello.txt', f'{top}/notes/data.bin']
        done = kit('add', '-w', *files, repo=repo)
        equal(f'{how}: add -w of two files makes one directory', done.text.splitlines()[-1].split()[1:], [folder])
        equal(f'{how}: which comes last', len(done.text.splitlines()), 3)
        equal(f'{how}: -Q prints it once', kit('add', '-Qw', *files, repo=repo).text, folder)
        equal(f'{how}: and --json', json.loads(kit('--json', 'add', '-Qw', *files, repo=repo).out)['Hash'], folder)
        equal(f'{how}: it is pinned', kit('pin', 'ls', folder, repo=repo).code, 0)
        equal(f'{how}: add -rw of two folders', kit('add', '-rQw', f'{top}/notes', f'{top}/m1/', repo=repo).text,
            kit('add', '-rQ', top, repo=repo).text)
        mixed = kit('add', '-Qw', '-', files[0], repo=repo, stdin=b'hi\n').text
        equal(f'{how}: add -w with standard input among them', [line.split(' ', 2)[2] for line in kit('ls', mixed, repo=repo).text.splitlines()],
            ['bafkreiey5jxe6ilpf62lnh77tm5ejbbmhbugzjuf6p2v3remlu73ced34q', 'hello.txt'])
        twice = kit('add', '-w', files[0], f'{other}/hello.txt', repo=repo)
        check(f'{how}: one name twice is refused', twice.code == 2 and "'hello.txt'" in twice.err and not twice.out, twice)
        missing = kit('add', '-w', files[0], f'{top}/none', repo=repo)
        check(f'{how}: of several, what is missing is named', missing.code == 3 and f'{top}/none' in missing.err, missing)
        folder = kit('add', '-w', files[0], f'{top}/m1', repo=repo)
        check(f'{how}: and what is a directory', folder.code == 1 and f"'{top}/m1'" in folder.err and '-r' in folder.err, folder)
        equal(f'{how}: without -w each is by itself', len(kit('add', '-Q', *files, repo=repo).text.split()), 2)
    both_ways(show)


def api_before_daemon():
    """--api is the daemon's own on either side of its name, so that the hint of who finds nobody can be typed."""
    repo = new_repo()
    with socket.socket() as held:  # a port that nobody else is given meanwhile: bound, and nobody listens
        held.bind(('127.0.0.1', 0))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        api = f'/ip4/127.0.0.1/tcp/{held.getsockname()[1]}'
        nobody = kit('--api', api, 'id', repo=repo)
        check('nobody answers: the hint is a daemon there', f'--api {api} daemon' in nobody.err, nobody)
        with Daemon(repo=repo, api=None, before=['--api', api]) as daemon:
            equal('--api ADDR daemon listens there', daemon.api, [api])
            equal('and answers there', kit('--api', api, 'id', repo=repo).code, 0)
    both = kit('--api', 'nowhere', 'daemon', '--api', 'nor here', repo=repo)
    check('what comes after the name holds', both.code and 'nor here' in both.err, both)


def what_a_pin_above_keeps_is_pinned():
    top = tree()
    repo = new_repo()
    root = kit('add', '-rQ', f'{top}/notes', repo=repo).text
    leaf, loose = kit('add', '-nQ', f'{top}/notes/hello.txt', repo=repo).text, kit('add', '-Q', '--pin=false', f'{top}/m1/m', repo=repo).text
    told = f'{leaf} indirect through {root}'

    def show(repo, how):
        for words in ([leaf], [f'{root}/hello.txt'], ['--type=indirect', leaf], ['-t', 'all', leaf]):
            done = kit('pin', 'ls', *words, repo=repo)
            equal(f'{how}: pin ls {" ".join(words)}', (done.code, done.text), (0, told))
        equal(f'{how}: --json', json.loads(kit('--json', 'pin', 'ls', leaf, repo=repo).out)['Keys'], {leaf: {'Type': told.split(' ', 1)[1]}})
        equal(f'{how}: -q', kit('pin', 'ls', '-q', leaf, repo=repo).text, leaf)
        equal(f'{how}: the root is pinned itself', kit('pin', 'ls', root, repo=repo).text, f'{root} recursive')
        for words in (['--type=direct', leaf], ['--type=recursive', leaf], ['--type=indirect', root], [loose], [ABSENT], ['--type=indirect', loose]):
            done = kit('pin', 'ls', *words, repo=repo)
            check(f'{how}: pin ls {" ".join(words)}: not pinned', done.code == 3 and f"'{words[-1]}' is not pinned" in done.err, done)
        done = kit('pin', 'ls', '--type=indirect', repo=repo)
        check(f'{how}: a list of all that is indirect is refused, with what to do', done.code == 2 and 'give the CIDs' in done.err, done)
    both_ways(show, repo)
    with Daemon(repo=repo) as daemon:
        equal('the RPC', json.loads(daemon.rpc('pin/ls', leaf, type='indirect')[2]), {'Keys': {leaf: {'Type': told.split(' ', 1)[1]}}})
        equal('the RPC, streamed', json.loads(daemon.rpc('pin/ls', leaf, stream=True)[2]), {'Cid': leaf, 'Type': told.split(' ', 1)[1]})


def of_several_pins_is_told_how_far_it_came():
    """One path after the other up to the first that fails, as Kubo's; what became of those before it is said."""
    def show(repo, how):
        one, two, loose = (kit('add', '-Q', f'--pin={pin}', repo=repo, stdin=text).text for text, pin in ((b'1', True), (b'2', True), (b'3', False)))
        before = kit('pin', 'ls', '-q', repo=repo).text.split()

        def pinned():
            return {cid for cid in (one, two) if cid in kit('pin', 'ls', '-q', repo=repo).text.split()}
        done = kit('pin', 'rm', loose, one, repo=repo)
        check(f'{how}: the first of them is not pinned', done.code == 3 and f"unpinned none of 2: '{loose}' is not pinned" in done.err, done)
        equal(f'{how}: and nothing was unpinned', kit('pin', 'ls', '-q', repo=repo).text.split(), before)
        done = kit('pin', 'rm', one, loose, two, repo=repo)
        check(f'{how}: one of them is not pinned', done.code == 3 and f"unpinned the first 1 of 3, then: '{loose}' is not pinned" in done.err, done)
        equal(f'{how}: the one before it is unpinned, the one after it is not', pinned(), {two})
        done = kit('--json', 'pin', 'rm', two, one, repo=repo)
        check(f'{how}: in JSON', done.code == 3 and 'unpinned the first 1 of 2, then: ' in json.loads(done.err)['Error'] and not done.out, done)
        equal(f'{how}: so it is', pinned(), set())
        done = kit('--offline', 'pin', 'add', one, ABSENT, two, repo=repo)
        check(f'{how}: pin add too', done.code == 3 and 'pinned the first 1 of 3, then: ' in done.err and ABSENT in done.err and pinned() == {one}, done)
        done = kit('pin', 'rm', two, repo=repo)
        check(f'{how}: of a single one there is nothing to tell', done.code == 3 and f"pin rm: '{two}' is not pinned" in done.err, done)
    both_ways(show)


def what_is_no_path_is_refused_before_anything_is_done():
    """A pin is not taken away before the command line is looked at as a whole, however many requests of a daemon it takes."""
    def show(repo, how):
        one, two = (kit('add', '-Q', f'--pin={pin}', repo=repo, stdin=text).text for text, pin in ((b'1', True), (b'2', False)))
        before = kit('pin', 'ls', '-q', repo=repo).text.split()
        for words, code, said in ((['rm', one, 'notacid'], 2, "unpinned none of 2: 'notacid' is not a CID"), (['rm', one, f'/ipns/{one}'], 1, 'unpinned none of 2: '),
                (['add', two, 'notacid'], 2, "pinned none of 2: 'notacid' is not a CID"), (['add', two, *[one] * 600, 'notacid'], 2, 'pinned none of 602: '),
                (['rm', *[one] * 600, 'notacid'], 2, 'unpinned none of 601: '), (['update', ABSENT, 'notacid'], 2, "'notacid' is not a CID"),
                (['update', 'notacid', one], 2, "'notacid' is not a CID")):
            done = kit('pin', *words, repo=repo)
            check(f'{how}: pin {words[0]} of {len(words) - 1}: refused', done.code == code and said in done.err and not done.out, done)
            equal(f'{how}: pin {words[0]} of {len(words) - 1}: nothing was done', kit('pin', 'ls', '-q', repo=repo).text.split(), before)
    both_ways(show)
    with Daemon() as daemon:
        one = kit('add', '-Q', repo=daemon.repo, stdin=b'1').text
        status, _, said = daemon.rpc('pin/rm', one, 'notacid')
        check('the RPC refuses it', status != 200 and b"unpinned none of 2: 'notacid'" in said, said)
        equal('the RPC: nothing was done', kit('pin', 'ls', '-q', repo=daemon.repo).text.split(), [one])


def bad_input_is_not_blamed_on_the_repo():
    text = write(temp('hello.txt'), b'hello\n')
    document = write(temp('document'), b'{"a":1}')

    def show(repo, how):
        raw = kit('add', '-Q', text, repo=repo).text
        for words, hint in ((['dag', 'put', text], '--input-codec'), (['dag', 'put', '--store-codec=dag-pb', document], 'another codec'),
                (['dag', 'get', '--output-codec=dag-pb', raw], 'another output codec')):
            done = kit(*words, repo=repo)
            check(f'{how}: {" ".join(words[:3])}: {hint}', done.code == 1 and hint in done.err and 'verify' not in done.err and words[-1] in done.err, done)
    both_ways(show)


def a_symlink_is_its_target():
    top = tree()

    def show(repo, how):
        root = kit('add', '-rQ', f'{top}/notes', repo=repo).text
        equal(f'{how}: cat of a symlink prints its target', kit('cat', f'{root}/link', repo=repo).out, b'hello.txt')
        equal(f'{how}: and a part of it', kit('cat', '-o', '2', '-l', '3', f'{root}/link', repo=repo).out, b'llo')
        equal(f'{how}: and nothing after it', kit('cat', '-o', '9', f'{root}/link', repo=repo).out, b'')
        check(f'{how}: stat tells it', kit('stat', f'{root}/link', repo=repo).text.endswith('Type: symlink\nTarget: hello.txt'))
        equal(f'{how}: and with --json', json.loads(kit('--json', 'stat', f'{root}/link', repo=repo).out)['Target'], 'hello.txt')
        check(f'{how}: of a file there is none', 'Target' not in kit('stat', f'{root}/hello.txt', repo=repo).text)
    both_ways(show)


def options_and_paths():
    top = tree()

    def show(repo, how):
        root = kit('add', '-r=true', '-Q', f'{top}/notes', repo=repo).text
        hello = kit('add', '-r=false', '-Q', f'{top}/notes/hello.txt', repo=repo).text
        named = kit('add', '-w', '--stdin-name=notes.txt', repo=repo, stdin=b'hello\n').text.splitlines()
        equal(f'{how}: add --stdin-name', named[0], f'added {hello} notes.txt')
        equal(f'{how}: in the directory around it', kit('cat', f'{named[1].split()[1]}/notes.txt', repo=repo).out, b'hello\n')
        for words in (['--enc=json'], ['--enc', 'json'], ['--json']):
            equal(f'{how}: {" ".join(words)}', json.loads(kit(*words, 'add', '-n', f'{top}/notes/hello.txt', repo=repo).out)['Hash'], hello)
        equal(f'{how}: --enc=text', kit('--enc=text', 'add', '-nq', f'{top}/notes/hello.txt', repo=repo).text, hello)
        equal(f'{how}: resolve -r', kit('resolve', '-r', f'{root}/hello.txt', repo=repo).text, f'/ipfs/{hello}')
        equal(f'{how}: pin rm -r', kit('pin', 'rm', '-r', hello, repo=repo).text, f'unpinned {hello}')
        check(f'{how}: dag export -p', kit('dag', 'export', '-p', hello, repo=repo).out.endswith(b'hello\n'))
        refused = kit('add', '-r=false', f'{top}/notes', repo=repo)
        check(f'{how}: -r=false is heeded', refused.code == 1 and '-r' in refused.err, refused)
        odd = kit('add', '-r=x', f'{top}/notes', repo=repo)
        check(f'{how}: -r=x is told', odd.code == 2 and "'x'" in odd.err and 'true or false' in odd.err, odd)
        equal(f'{how}: block get of a path', kit('block', 'get', f'{root}/hello.txt', repo=repo).out, b'hello\n')
        equal(f'{how}: block stat of a path', kit('block', 'stat', f'/ipfs/{root}/hello.txt', repo=repo).text, f'Key: {hello}\nSize: 6')
        rows = kit('ls', '--headers', root, repo=repo).text.splitlines()
        equal(f'{how}: ls --headers', (rows[0], rows[2]), ('Hash Size Name', f'{hello} 6 hello.txt'))
        equal(f'{how}: ls --size=false', kit('ls', '--size=false', root, repo=repo).text.splitlines()[1], f'{hello} hello.txt')
    both_ways(show)


def archives_together():
    top, one, two = tree(), temp('one.car'), temp('two.car')
    source = new_repo()
    for folder, car in (('notes', one), ('m1', two)):
        kit('dag', 'export', '-o', car, kit('add', '-rQ', f'{top}/{folder}', repo=source).text, repo=source)
    roots = [kit('add', '-nrQ', f'{top}/{folder}', repo=source).text for folder in ('notes', 'm1')]

    def show(repo, how):
        done = kit('dag', 'import', '--stats', one, two, repo=repo)
        equal(f'{how}: dag import of two', done.text.splitlines()[:2], [f'imported {root}' for root in roots])
        check(f'{how}: --stats counts both', done.text.splitlines()[2].startswith('Imported 6 blocks ('), done)
        stats = [json.loads(line) for line in kit('--json', 'dag', 'import', '--stats', one, two, repo=repo).out.splitlines()]
        equal(f'{how}: --stats with --json', stats[2]['Stats']['BlockCount'], 6)
        missing = kit('dag', 'import', one, f'{top}/none', repo=repo)
        check(f'{how}: the one that fails is named', missing.code == 3 and f'{top}/none' in missing.err, missing)
        bad = kit('dag', 'import', one, f'{top}/notes/hello.txt', repo=repo)
        check(f'{how}: also when it is no archive', bad.code == 1 and f'{top}/notes/hello.txt' in bad.err, bad)
    both_ways(show)


def an_archive_without_roots():
    """Nothing of it is pinned, and that is said, as a collection would take all of it; not when it was asked for, as with add --pin=false."""
    source = new_repo()
    whole, bare = temp('whole.car'), temp('bare.car')
    cid = kit('add', '-Q', repo=source, stdin=b'a block').text
    kit('dag', 'export', '-o', whole, cid, repo=source)
    archive = read(whole)
    write(bare, b'\x11' + bytes.fromhex('a265726f6f7473806776657273696f6e01') + archive[1 + archive[0]:])

    def show(repo, how):
        done = kit('dag', 'import', bare, repo=repo)
        check(f'{how}: it is told', done.code == 0 and not done.out and done.err.count('\n') == 1 and f'{bare} names no root to pin' in done.err and 'pin add' in done.err, done)
        done = kit('--json', 'dag', 'import', '--stats', bare, repo=repo)
        check(f'{how}: in JSON', done.code == 0 and bare in json.loads(done.err)['Warning'] and 'pin add' in json.loads(done.err)['Hint'] and json.loads(done.out)['Stats']['BlockCount'] == 1, done)
        done = kit('dag', 'import', whole, bare, repo=repo)
        check(f'{how}: of which of two', done.text == f'imported {cid}' and done.err.count('names no root') == 1 and bare in done.err, done)
        for words in (['dag', 'import', whole], ['dag', 'import', '--pin-roots=false', bare], ['dag', 'import', '--pin-roots=false', whole], ['add', '--pin=false', __file__]):
            done = kit(*words, repo=repo)
            check(f'{how}: {" ".join(words[:3])}: nothing is to be told', done.code == 0 and 'root' not in done.err and 'pin' not in done.err, done)
    both_ways(show)


def files_go_into_folders():
    top = tree()

    def show(repo, how):
        out, root = temp('out'), kit('add', '-rQ', f'{top}/notes', repo=repo).text
        write(f'{out}/mine', b'mine')
        os.mkdir(f'{out}/taken')
        for name in ('hello.txt', 'link'):
            done = kit('get', '-o', f'{out}/', f'{root}/{name}', repo=repo)
            check(f'{how}: get -o FOLDER/ puts {name} into it', done.code == 0 and os.path.lexists(f'{out}/{name}'), done)
        equal(f'{how}: whole', read(f'{out}/hello.txt'), b'hello\n')
        equal(f'{how}: the symlink is one', os.readlink(f'{out}/link'), 'hello.txt')
        equal(f'{how}: a folder goes over the folder', (kit('get', '-o', out, root, repo=repo).code, sorted(os.listdir(out))),
            (0, ['data.bin', 'hello.txt', 'link', 'mine', 'taken']))
        os.remove(f'{out}/hello.txt')
        write(f'{out}/hello.txt/x', b'')
        for words, where in ((['-o', out], None), ([], out)):
            done = kit('get', *words, f'{root}/hello.txt', repo=repo, cwd=where)
            check(f'{how}: a folder of the name is not touched', done.code == 1 and 'exists' in done.err and os.listdir(f'{out}/hello.txt') == ['x'], done)
        equal(f'{how}: nothing else came', sorted(os.listdir(out)), ['data.bin', 'hello.txt', 'link', 'mine', 'taken'])
    both_ways(show)


def offline_asks_nobody():
    with Daemon() as daemon:
        done = kit('--offline', 'cat', ABSENT, repo=daemon.repo)
        check('--offline: a daemon looks no further than its repo', done.code == 3 and 'no peer was asked' in done.err, done)
        held = daemon.add(b'held')
        equal('what it holds it gives', kit('cat', '--offline', held, repo=daemon.repo).out, b'held')
    alone = kit('--offline', 'cat', ABSENT, repo=daemon.repo)
    check('without a daemon nothing changes', alone.code == 3, alone)
    refused = kit('--offline', 'daemon', repo=daemon.repo)
    check('a daemon is not offline', refused.code == 2 and '--offline' in refused.err, refused)


def what_the_rpc_was_asked_for():
    with Daemon() as daemon:
        def lines(parts, **query):
            status, _, body = daemon.rpc('add', body=form(parts), headers=form_type(), **query)
            equal('add is answered', status, 200)
            return [json.loads(line) for line in body.splitlines()]
        told = lines([('big', bytes(3_000_000)), ('empty', b''), ('a%2Fsmall', b'small')], progress=True)
        steps = [line['Bytes'] for line in told if line['Name'] == 'big' and 'Bytes' in line]
        check('progress=true: the bytes of a file so far', len(steps) >= 8 and steps == sorted(set(steps)), steps)
        equal('up to all of them', steps[-1], 3_000_000)
        equal('before its CID', ['Hash' in line for line in told if line['Name'] == 'big'], [False] * len(steps) + [True])
        equal('an empty file has a line without bytes', [line for line in told if line['Name'] == 'empty' and 'Hash' not in line], [{'Name': 'empty'}])
        equal('a path is whole', [line for line in told if line['Name'] == 'a/small'][0], {'Name': 'a/small', 'Bytes': 5})
        for query in ({}, {'progress': False}):
            check(f'without it there are none: {query}', all('Hash' in line for line in lines([('big', bytes(3_000_000))], **query)))
        all_of_it, size = (json.loads(daemon.rpc('repo/stat', **query)[2]) for query in ({}, {'size_only': True}))
        equal('repo/stat size-only', {**size, 'RepoSize': 0, 'StorageMax': 0}, {'RepoSize': 0, 'StorageMax': 0, 'NumObjects': 0, 'RepoPath': '', 'Version': ''})
        equal('has the sizes', (size['RepoSize'], size['StorageMax']), (all_of_it['RepoSize'], all_of_it['StorageMax']))
        check('without it there is more', all_of_it['NumObjects'] and all_of_it['RepoPath'] and all_of_it['Version'], all_of_it)
        with Daemon() as other:
            daemon.rpc('swarm/connect', other.swarm[0])
            for query, fields in (({}, set()), ({'latency': True}, {'Latency'}), ({'direction': True}, {'Direction'}), ({'verbose': True}, {'Latency', 'Direction'}),
                    ({'latency': False}, set())):
                [peer] = json.loads(daemon.rpc('swarm/peers', **query)[2])['Peers']
                equal(f'swarm/peers {query}: no more than was asked for', set(peer) & {'Latency', 'Direction'}, fields)
            told = kit('swarm', 'peers', '-v', repo=daemon.repo).text
            check('swarm peers -v has both', told.endswith(' outbound') and len(told.split()) == 3, told)
        equal('size-only is true or false', daemon.rpc('repo/stat', size_only='odd')[0], 400)


def names_as_clients_send_them():
    """As Kubo reads what is in filename="": escaped as in a query, or as it stands."""
    with Daemon() as daemon:
        for sent, name in (('a+b', 'a b'), ('a%2Bb', 'a+b'), ('a%20b', 'a b'), ('100%.txt', '100%.txt'), ('a%zz+b', 'a%zz+b'), ('100%', '100%'),
                ('%5Cx', '\\x'), ('C:\\dir', 'C:\\dir'), (r'a\"b', 'a"b'), (r'a\\b', 'a\\b'), ('a;b', 'a;b'), ('%C3%A4%3B', 'ä;')):
            status, _, body = daemon.rpc('add', body=form([(sent, b'x')]), headers=form_type(), only_hash=True)
            equal(f'filename="{sent}"', (status, [json.loads(line)['Name'] for line in body.splitlines()]), (200, [name]))


def an_api_for_the_world():
    """What the daemon will refuse is told when it is set."""
    repo = new_repo()
    for value, told in (('/ip4/127.0.0.1/tcp/5001 /ip4/0.0.0.0/tcp/5001', True), ('/ip6/::/tcp/1', True), ('/ip6/::1/tcp/1 /unix/x /ip4/127.0.0.1/tcp/1', False)):
        done = kit('config', 'api.listen', value, repo=repo)
        check(f'api.listen {value}', done.code == 0 and told == ('config api.secret SECRET' in done.err), done)
    kit('config', 'api.secret', 'sesame', repo=repo)
    for key, value, waits in (('api.origins', 'http://localhost:3000', True), ('store.max', '0', False), ('tier.places', '', True), ('tier.interval', '10m', False), ('add.profile', 'unixfs-v1-2025', False)):
        equal(f'{key}: without a daemon nothing is to be told', kit('config', key, value, repo=repo).err, '')
        with Daemon(repo=repo) as daemon:
            for secret in ((), ('--api-auth=other',)):
                equal(f'{key}: of a daemon that runs is told when it takes it', kit(*secret, 'config', key, value, repo=repo).err,
                    f'the daemon that runs takes {key} when it starts again\n' if waits else '')
        write(f'{repo}/api', daemon.api[0])
        equal(f'{key}: but not of one that was killed', kit('config', key, value, repo=repo).err, '')
    equal('with a secret nothing is to be told', kit('config', 'api.listen', '/ip4/0.0.0.0/tcp/5001', repo=repo).err, '')


def documents_are_lines_with_json():
    def show(repo, how):
        cid = kit('dag', 'put', repo=repo, stdin=b'{"a":1}').text
        equal(f'{how}: dag get is the codec\'s bytes', kit('dag', 'get', cid, repo=repo).out, b'{"a":1}')
        equal(f'{how}: with --json it is a line', kit('--json', 'dag', 'get', cid, repo=repo).out, b'{"a":1}\n')
        equal(f'{how}: another codec\'s bytes stay', kit('--json', 'dag', 'get', '--output-codec=dag-cbor', cid, repo=repo).out, bytes.fromhex('a1616101'))
    both_ways(show)


run_all([names_as_clients_send_them, documents_are_lines_with_json, an_api_for_the_world, what_the_rpc_was_asked_for, options_and_paths, archives_together, an_archive_without_roots, files_go_into_folders, offline_asks_nobody, a_symlink_is_its_target, what_a_pin_above_keeps_is_pinned, of_several_pins_is_told_how_far_it_came, what_is_no_path_is_refused_before_anything_is_done, bad_input_is_not_blamed_on_the_repo, api_before_daemon, several_paths_are_wrapped_together])
