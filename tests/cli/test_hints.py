#!/usr/bin/env python3
"""What the program says while it waits, when it gives up, and what to do next: hints can be run as they are shown."""
import contextlib
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import ABSENT, PROGRAM, Daemon, check, environment, equal, kit, new_repo, noise, on_terminal, run_all, temp, until, write


def told(*words, repo):
    """What the program says on a terminal beside its output: (exit code, stdout, what the terminal showed)."""
    code, shown, out = on_terminal(*words, repo=repo, out=False)
    return code, out.decode(), shown.decode().replace('\r', '')


def waiting_says_for_what():
    with Daemon() as one, Daemon() as two:
        code, out, shown = told('--timeout=4s', 'cat', ABSENT, repo=two.repo)
        check('alone: a line says that no peer is connected', f"waiting for {ABSENT}: no peer is connected; 'ipfs-kit --repo {two.repo} swarm connect ADDR' connects" in shown, shown)
        equal('and then it times out', code, 5)
        kit('swarm', 'connect', one.swarm[0], repo=two.repo)
        for words in (['cat', ABSENT], ['get', ABSENT, '-o', temp('x')], ['ls', ABSENT], ['pin', 'add', ABSENT], ['block', 'get', ABSENT],
                ['dag', 'export', ABSENT]):
            code, out, shown = told('--timeout=4s', *words, repo=two.repo)
            what = ' '.join(words[:2 if words[1] in ('add', 'get', 'export') else 1])
            check(f'{what}: a line says who is connected and that none has it', shown.count(f'waiting for {ABSENT}: 1 peer connected, none has it\n')
                == 1, shown)
            check(f'{what}: the end says why and what to do', code == 5 and re.search(
                f"timed out, waiting for {ABSENT}: 1 peer connected, none has it; 'ipfs-kit --repo {two.repo} swarm connect ADDR'", shown), shown)
            equal(f'{what}: nothing on standard output', out, '')
        quiet = kit('--timeout=3s', 'cat', ABSENT, repo=two.repo)
        equal('no terminal: one line alone', len(quiet.err.splitlines()), 1)
        check('which says why', 'none has it' in quiet.err, quiet)
        later = kit('--timeout=9s', 'cat', ABSENT, repo=two.repo)
        equal('no terminal: after some seconds it is told, once', [line.split(':')[0] for line in later.err.splitlines()],
            [f'waiting for {ABSENT}', 'ipfs-kit cat'])
        quiet = kit('--progress=false', '--timeout=9s', 'cat', ABSENT, repo=two.repo)
        equal('but not with --progress=false', len(quiet.err.splitlines()), 1)
        code, out, shown = told('--json', '--timeout=3s', 'ls', ABSENT, repo=two.repo)
        check('--json: only the end is told', out == '' and len(shown.splitlines()) == 1, shown)
        done = kit('--connect', one.swarm[0], '--timeout=3s', 'cat', ABSENT, repo=new_repo())
        check('without a daemon the end says the same', done.code == 5 and f'{ABSENT}: 1 peer connected, none has it' in done.err, done)
        cid = kit('add', '-Q', repo=one.repo, stdin=b'somebody has it').text
        code, out, shown = told('cat', cid, repo=two.repo)
        check('what is there is not waited for', (code, out, shown) == (0, 'somebody has it', ''), shown)


def the_wantlist_tells_too():
    with Daemon() as one, Daemon() as two:
        wants = lambda: json.loads(two.rpc('bitswap/wantlist')[2])
        equal('bitswap/wantlist of who wants nothing', wants(), {'Keys': [], 'Offers': [], 'Damaged': []})
        kit('swarm', 'connect', one.swarm[0], repo=two.repo)
        waiting = subprocess.Popen([PROGRAM, '--repo', two.repo, 'cat', ABSENT], env=environment(), stdout=subprocess.PIPE)
        until('the daemon wants it', lambda: wants()['Keys'])
        equal('bitswap/wantlist names the block', wants()['Keys'], [{'/': ABSENT}])
        until('the peer has said that it has it not', lambda: wants()['Offers'] == [0])
        waiting.terminate()
        waiting.communicate()
        until('and it is gone with who wanted it', lambda: not wants()['Keys'])


def hints_name_the_repo():
    for name in ('plain', 'with space', "quo'te", 'dol$lar', 'back`tick'):
        repo = temp(name)
        missing = kit('id', repo=repo)
        hint = re.search(r"'ipfs-kit (.*)'$", missing.err.strip())
        if check(f'{name}: a missing repo hints at init', missing.code == 4 and hint, missing):
            done = subprocess.run(f'"{PROGRAM}" {hint[1]} --test', shell=True, capture_output=True, env=environment(), cwd=os.path.dirname(repo))
            check(f'{name}: the hint makes that repo', done.returncode == 0 and os.path.exists(f'{repo}/config'), done)
            offline = kit('cat', ABSENT, repo=repo)
            check(f'{name}: what is absent hints at its daemon', offline.code == 3 and f'--repo ' in offline.err and ' daemon' in offline.err, offline)
    repo = new_repo()
    plain = kit('swarm', 'peers', env={'IPFS_KIT_PATH': repo})
    check('without --repo a hint has none', "'ipfs-kit daemon'" in plain.err, plain)
    api = kit('--api', '/ip4/127.0.0.1/tcp/9', 'id', repo=repo)
    check('--api is named too', "'ipfs-kit --repo" in api.err and '--api /ip4/127.0.0.1/tcp/9 daemon' in api.err, api)
    equal('a quoted hint is one word', shlex.split(re.search(r"'ipfs-kit (.*)'$", kit('id', repo='/no such/x').err.strip())[1]),
        ['--repo', '/no such/x', 'init'])


def a_failing_add_says_the_same_through_a_daemon():
    top, alone = temp('top'), new_repo()
    write(f'{top}/good', b'x')
    os.mkfifo(f'{top}/fifo')
    os.symlink('nowhere', dangling := temp('dangling'))
    with Daemon() as daemon:
        equal('a pipe in a folder is no mistake in the command', kit('add', '-r', top, repo=alone).code, 1)
        for words in (['-r', top], [top], [f'{top}/fifo'], ['/no/such/file'], ['--dereference-args', dangling], [f'{top}/good/below']):
            here, there = (kit('add', *words, repo=repo) for repo in (alone, daemon.repo))
            equal(f'add {" ".join(map(os.path.basename, words))}', (there.code, there.err), (here.code, here.err))
            check('and names what cannot be added', os.path.basename(words[-1]) in here.err, here)


def a_bar_comes_to_its_end():
    """Of a terminal that does not tell how wide it is; blocks that repeat are written once."""
    repo = new_repo()
    cid = kit('add', '-Q', repo=repo, stdin=noise(12 << 20) + bytes(12 << 20)).text
    code, _, shown = told('dag', 'export', '-o', temp('car'), cid, repo=repo)
    bars = [bar for bar in re.split(r'\x1b\[K|\n', shown) if bar]
    check('dag export: the last bar is full', code == 0 and '100%' in bars[-1], shown)
    folder = temp('folder')
    for name in ('a', 'b/c', 'b/.hidden'):
        write(f'{folder}/{name}', noise(3 << 20, name))
    os.symlink('a', f'{folder}/link')
    with Daemon() as daemon:
        for where in (repo, daemon.repo):
            for words, size in ((['add', f'{folder}/a'], '3.0 MiB'), (['add', '-r', folder], '6.0 MiB'), (['add', '-rH', folder], '9.0 MiB')):
                code, _, shown = told(*words, repo=where)
                last = [bar for bar in re.split(r'\x1b\[K|\n', shown) if bar][-1]
                check(f'{" ".join(words[:-1])}: the size of all is known', code == 0 and f'100%  {size} of {size}' in last, shown)
        code, _, shown = told('get', '-o', temp('out'), cid, repo=repo)
        check('get of what is here is not said to fetch', code == 0 and 'getting [' in shown and 'fetching' not in shown, shown)
    check('none is cut', all(bar.endswith('s left') and len(bar) < 80 for bar in bars), bars)


def an_interruption_has_the_last_word():
    """The bar's line is ended before it."""
    terminal, end = pty.openpty()
    process = subprocess.Popen([PROGRAM, '--repo', new_repo(), 'add', '-Q'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=end, env=environment())
    os.close(end)
    process.stdin.write(noise(12 << 20))  # more than a pipe holds: when this returns, it is adding
    process.stdin.flush()
    shown = os.read(terminal, 65536)
    process.send_signal(signal.SIGINT)
    try:
        while data := os.read(terminal, 65536):
            shown += data
    except OSError:  # the program has ended
        pass
    os.close(terminal)
    equal('add: exit code', process.wait(), 130)
    check('add: the last line says how far it came, and what to do', re.search(
        rb'/s\x1b\[K\r\nipfs-kit add: interrupted while adding, [\d.]+ MiB done; run again, what was stored is not stored twice\r\n$', shown), shown)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def a_line_is_written_at_once():
    """Each packet of the socket is one write."""
    repo = new_repo()
    for words in (['init'], ['--json', 'init'], ['cat', ABSENT], ['swarm']):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            subprocess.run([PROGRAM, '--repo', repo, *words], stderr=theirs, stdout=subprocess.DEVNULL, env=environment())
            theirs.close()
            writes = []
            while data := ours.recv(65536):
                writes.append(data)
        check(f'{" ".join(words)}: a write for a line', writes and all(data.endswith(b'\n') for data in writes), writes)


run_all([an_interruption_has_the_last_word, a_line_is_written_at_once, a_bar_comes_to_its_end, waiting_says_for_what, the_wantlist_tells_too, hints_name_the_repo, a_failing_add_says_the_same_through_a_daemon])
