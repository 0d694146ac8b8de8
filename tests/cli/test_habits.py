#!/usr/bin/env python3
"""What somebody who knows Kubo types, with a daemon and without one: the answers are Kubo's."""
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import (Daemon, check, equal, kit, new_repo, noise, read, run_all, temp, write)

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
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    api = f'/ip4/127.0.0.1/tcp/{port}'
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


run_all([a_symlink_is_its_target, what_a_pin_above_keeps_is_pinned, bad_input_is_not_blamed_on_the_repo, api_before_daemon, several_paths_are_wrapped_together])
