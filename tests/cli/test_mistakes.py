#!/usr/bin/env python3
"""Every failure says what was asked of what, why it failed, and what to do next.

Each row of a table is a command that fails: its exit code, words that its sentence must have (the file, path or address that it is
about), and the command or advice that must come after. --json gives the same in fields, from which the table is read."""
import contextlib
import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import (ABSENT, BOUND, PROGRAM, Daemon, check, cid_raw, environment, equal, kit, new_repo, noise, on_terminal, read, run_all, skip, temp,
    write)

NOBODY = '/ip4/127.0.0.1/tcp/9/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
KINDS = {1: 'failed', 2: 'usage', 3: 'not-found', 4: 'repo', 5: 'timed-out', 130: 'interrupted'}


def fails(words, code, said, hint, repo, name=None, **more):
    """One row: plain and with --json, which agree."""
    name = name or ' '.join(words).replace(repo or '-', 'REPO')[:120]
    plain, inside = kit(*words, repo=repo, **more), kit('--json', *words, repo=repo, **more)
    check(f'{name}: exits {code}', plain.code == inside.code == code, (plain, inside))
    try:
        [line] = inside.err.splitlines()
        told = json.loads(line)
    except ValueError:
        return check(f'{name}: with --json standard error is one line of JSON', False, inside)
    check(f'{name}: says what it is about', all(word in told['Error'] for word in said), told)
    check(f'{name}: says what to do next', re.search(hint, told.get('Hint', '')) and told['Error'].endswith(told['Hint']), told)
    equal(f'{name}: names the kind', (told['Code'], told['Exit']), (KINDS[code], code))
    check(f'{name}: says the same without --json', told['Error'] in plain.err and plain.err.startswith('ipfs-kit'), plain)
    return told


def places():
    """A folder of files, and what is made of it."""
    top = temp('top')
    write(f'{top}/dir/file', b'x')
    write(f'{top}/file', b'content')
    return top


def files():
    repo, top = new_repo(), places()
    content = kit('add', '-Q', f'{top}/file', repo=repo).text
    folder = kit('add', '-rQ', f'{top}/dir', repo=repo).text
    missing, below = f'{top}/missing', f'{top}/file/below'
    rows = [(['add', missing], 3, [missing], 'check the path'), (['add', '-r', f'{top}/dir', missing], 3, [missing], 'check the path'),
        (['add', below], 1, [below], 'folder'), (['add', f'{top}/dir'], 1, [f'{top}/dir'], '-r'),
        (['dag', 'import', missing], 3, [missing], 'check the path'), (['dag', 'import', f'{top}/dir'], 1, [f'{top}/dir'], 'give a file'),
        (['dag', 'import', f'{top}/file'], 1, [f'{top}/file', 'CAR'], 'whole'),
        (['dag', 'import', '/dev/null'], 1, ['/dev/null', 'empty'], 'whole'),
        (['block', 'put', missing], 3, [missing], 'check the path'), (['block', 'put', f'{top}/dir'], 1, [f'{top}/dir'], 'give a file'),
        (['block', 'put', '--cid-codec=dag-pb', f'{top}/file'], 1, [f'{top}/file', 'codec'], 'kind'),
        (['migrate-from-kubo', missing], 3, [missing], 'check the path'), (['migrate-from-kubo', f'{top}/dir'], 3, [f'{top}/dir'], 'check the path'),
        (['get', '-o', f'{top}/none/x', content], 3, [f'{top}/none/x'], 'check the path'), (['get', '-o', f'{top}/file', folder], 1, [f'{top}/file'], '-o'),
        (['get', '-o', f'{top}/file/x', content], 1, [f'{top}/file/x'], 'folder'),
        (['dag', 'export', '-o', f'{top}/none/x', content], 3, [f'{top}/none/x'], 'check the path'),
        (['dag', 'export', '-o', f'{top}/dir', content], 1, [f'{top}/dir'], 'give a file')]
    for row in rows:
        fails(*row, repo=repo)
    with Daemon(repo=repo):
        for words, code, said, hint in rows:
            if words[0] != 'migrate-from-kubo':
                fails(words, code, said, hint, repo=repo, name=f'through a daemon: {" ".join(words)}')
        fails(['migrate-from-kubo', top], 4, [repo], 'shutdown', repo=repo)
    if os.geteuid():
        return skip('as a user who may do little: that takes root')
    not_allowed(top)


def not_allowed(top):
    """As a user who may do little."""
    os.chmod(os.path.dirname(os.path.dirname(top)), 0o755)
    repo = temp('repo')
    for folder in (os.path.dirname(top), os.path.dirname(repo)):
        os.chmod(folder, 0o777)

    def nobody():
        os.setgid(65534)
        os.setuid(65534)
    made = kit('init', '--test', repo=repo, preexec=nobody)
    if made.code:
        return skip('as another user: that one may not get at the program')
    os.chmod(f'{top}/file', 0)
    os.chmod(f'{top}/dir/file', 0)
    for words, said in ((['add', f'{top}/file'], f'{top}/file'), (['add', '-r', f'{top}/dir'], f'{top}/dir/file'),
            (['dag', 'import', f'{top}/file'], f'{top}/file'), (['block', 'put', f'{top}/file'], f'{top}/file')):
        fails(words, 1, [said], 'user', repo=repo, preexec=nobody)
    cid = kit('add', '-Q', repo=repo, stdin=b'x', preexec=nobody).text
    os.chmod(top, 0o755)
    fails(['get', '-o', f'{top}/out', cid], 1, [f'{top}/out'], 'user', repo=repo, preexec=nobody)
    fails(['dag', 'export', '-o', f'{top}/out', cid], 1, [f'{top}/out'], 'user', repo=repo, preexec=nobody)
    os.chmod(f'{repo}/config', 0)
    os.chown(f'{repo}/config', 0, 0)
    fails(['id'], 4, [f'{repo}/config'], 'user', repo=repo, preexec=nobody)
    fails(['config', 'store.max'], 4, [f'{repo}/config'], 'user', repo=repo, preexec=nobody)


def content():
    repo, top = new_repo(), places()
    leaf, root = kit('add', '-Q', f'{top}/file', repo=repo).text, kit('add', '-rQ', top, repo=repo).text
    for command in ('cat', 'get', 'ls', 'stat', 'dag export', 'block get', 'block stat', 'pin add'):
        words = command.split()
        fails([*words, 'notacid'], 2, ["'notacid'"], f'{command} --help', repo=repo)
        fails([*words, ABSENT], 3, [ABSENT, 'offline'], 'daemon', repo=repo)
        fails([*words, f'{root}/none'], 3, ["'none'", root], ' ls', repo=repo)
        fails([*words, f'{leaf}/below'], 1, ["'below'", leaf], 'folder', repo=repo)
    fails(['cat', root], 1, [root, 'directory'], ' get', repo=repo)
    fails(['cat', f'{root}/dir/none'], 3, [f"{root}/dir/none: no link named 'none' under {root}/dir;"], ' ls', repo=repo)
    fails(['dag', 'get', f'{root}/dir/none'], 3, [f"named 'none' under {root}/dir;"], ' ls', repo=repo)
    fails(['pin', 'add', '--recursive=false', root], 1, [root, 'recursively already'], 'pin rm', repo=repo)
    fails(['pin', 'rm', ABSENT], 3, [ABSENT, 'not pinned'], 'pin ls', repo=repo)
    fails(['pin', 'ls', ABSENT], 3, [ABSENT, 'not pinned'], 'pin ls', repo=repo)
    fails(['pin', 'rm', kit('add', '-nQ', f'{top}/dir/file', repo=repo).text], 3, ['not pinned itself', f'kept by the pin of {root}'], f'pin rm {root}', repo=repo)
    with Daemon(repo=repo):
        fails(['cat', 'notacid'], 2, ["'notacid'"], '--help', repo=repo, name='through a daemon: cat notacid')
        fails(['cat', f'{root}/none'], 3, ["'none'", root], ' ls', repo=repo, name='through a daemon: cat ROOT/none')
        fails(['pin', 'rm', ABSENT], 3, [ABSENT, 'not pinned'], 'pin ls', repo=repo, name='through a daemon: pin rm')
        fails(['--timeout=500ms', 'cat', ABSENT], 5, [ABSENT, 'no peer is connected'], 'swarm connect', repo=repo)


def words():
    repo = new_repo()
    rows = [(['ad'], ["'ad'"], r"did you mean '.*ipfs-kit add'"), (['pni', 'add'], ["'pni'"], "ipfs-kit pin add'"), (['cta', ABSENT], ["'cta'"], "ipfs-kit cat'"),
        (['repo', 'verfy'], ["'verfy'"], "ipfs-kit repo verify'"), (['repo', 'ls'], ["'repo ls' is not in ipfs-kit yet"], 'repo --help'), (['pin'], ["'pin'"], 'pin --help'),
        (['xyzzy'], ["'xyzzy'"], '--help'), (['diag'], ["'diag' is not in ipfs-kit yet"], "^'[^']*--help' lists"), (['repo', 'odd'], ["'odd'"], 'repo --help'),
        (['files', 'stat', ABSENT], ["'files stat' is not in ipfs-kit yet"], " stat' comes nearest"), (['name', 'publish', ABSENT], ["'name' is not"], '--help'),
        (['key', 'ls'], ["'key' is not"], '--help'), (['help', 'object'], ["'object' is not"], '--help'), (['swarm', 'addrs'], ["'swarm addrs' is not"], " id'"),
        (['pin', 'rm', '--recursive=false', ABSENT], ['either kind'], '--recursive'), (['--enc=xml', 'id'], ["'xml'"], 'json'),
        (['add', '--stdin-name=a/b'], ["'a/b'"], 'without /'), (['help', 'swarn'], ["'swarn'"], '--help'), (['cat', '--ofset=1', ABSENT], ["'--ofset'"], "'--offset'"),
        (['--tiemout=1s', 'id'], ["'--tiemout'"], "'--timeout'"), (['add', '-Z'], ["'-Z'"], 'add --help'), (['cat'], ['PATH'], 'cat --help'),
        (['config'], ['KEY'], 'config --help'), (['id', 'extra'], ["'extra'"], 'id --help'), (['get', '-o'], ['-o'], 'PATH'),
        (['daemon', '--api'], ['--api'], 'ADDR'), (['--timeout=soon', 'id'], ["'soon'"], '30s'), (['add', '--pin=flase', '/'], ['--pin', "'flase'"], 'true or false'),
        (['add', '--cid-version=7', '/'], ["'7'"], '0 or 1'), (['add', '--profile=odd', '/'], ["'odd'"], 'unixfs-v1-2025'),
        (['add', '--chunker=rabin', '/'], ["'rabin'"], 'size-BYTES'), (['init', '--profile=odd'], ["'odd'"], 'unixfs-v1-2025'),
        (['cat', '--offset=x', ABSENT], ['--offset', "'x'"], 'number'), (['pin', 'ls', '--type=odd'], ["'odd'"], 'recursive'),
        (['block', 'put', '--cid-codec=odd'], ["'odd'"], 'dag-pb'), (['block', 'put', '--mhtype=odd'], ["'odd'"], 'sha2-256'),
        (['ping', '-n', 'x', NOBODY], ["'x'"], 'number'), (['completion', 'tcsh'], ["'tcsh'"], 'fish'), (['config', 'store.max', 'many'], ["'many'", 'does not begin with a number'], 'KiB, .*kB, '),
        (['config', 'storage_max', '10 XB'], ["'10 XB'", "' XB' is no unit"], 'bytes, .*GiB.*GB'), (['config', 'store.cache', '99999999TB'], ['too large'], 'GiB'),
        (['config', 'swarm.listen', 'here'], ["'here'"], '/ip4/'), (['--api', 'nowhere', 'id'], ["'nowhere'"], '/ip4/'),
        (['daemon', '--listen', 'here'], ["'here'"], '/ip4/'), (['--connect', 'nowhere', 'cat', ABSENT], ["'nowhere'"], 'address')]
    for row in rows:
        fails(row[0], 2, *row[1:], repo=repo if row[0][0] != 'init' else temp('repo'))
    for path in ('/ipns/example.org', 'ipns://example.org/x'):
        for command in ('cat', 'ls', 'dag get', 'resolve'):
            fails([*command.split(), path], 1, [path, '/ipns names are not resolved here'], 'give the CID', repo=repo)
    fails(['config', 'no.such'], 3, ["'no.such'"], 'config show', repo=repo)
    fails(['config', 'no.such', '1'], 3, ["'no.such'"], 'config show', repo=repo)
    nothing = kit('--json', repo=repo)
    check('--json and no command: a line of JSON', nothing.code == 2 and json.loads(nothing.err)['Code'] == 'usage' and not nothing.out, nothing)


def tiers():
    """A name that no tier has is not found; what is no heat is told what one is."""
    repo, cold = new_repo(), temp('cold')
    kit('config', 'tier.places', f'cold=file://{cold}', repo=repo)
    root = kit('add', '-Q', repo=repo, stdin=b'x').text

    def show(how):
        fails(['tier', 'move', root, 'nowhere'], 3, ["no tier is called 'nowhere'"], 'config tier.places', repo=repo, name=f'{how}: tier move to nowhere')
        for path in root, f'/ipfs/{root}':
            fails(['tier', 'move', 'cold', path], 3, [f"no tier is called '{path}';"], "^the CID comes first, .*tier move CID TIER'$", repo=repo, name=f'{how}: tier move cold {path}')
        fails(['heat', 'top', '-n', '1001'], 2, ["'1001'"], 'from 0 to 1000$', repo=repo, name=f'{how}: heat top of too many')
        fails(['tier', 'move', root, 'cold'], 1, ['the tier cold fails', cold], 'mount', repo=repo, name=f'{how}: tier move to where no folder is')
        for value, code, said, hint in (('fast=file:///a', 2, ["'fast=file:///a'", "the name fast is the repo's own"], 'another name'),
                ('memory=file:///a', 2, ['the name memory is'], 'another name'), ('C=file:///a', 2, ["'C=file:///a'", 'no name'], 'a-z'),
                ('=file:///a', 2, ['no name'], 'a-z'), ('cold', 2, ["'cold' has no ="], 'NAME=file:///'), ('a=file:///a /b', 2, ["'/b' has no ="], 'NAME=file:///'),
                ('a=ftp://h/x', 2, ["'a=ftp://h/x'", 'that begin with ftp://'], 's3\\+http://.* or sftp://'), ('a=', 2, ["'a='", 'does not begin'], 'sftp://'),
                ('a=/mnt/a', 2, ["'a=/mnt/a'", 'is written with file://'], "write 'a=file:///mnt/a'"), ('a=file://x', 2, ["'a=file://x'"], 'NAME=file:///FOLDER'),
                ('a=s3://k:s@h/b', 2, ["'a=s3://k:s@h/b'"], 'without keys'), ('a=sftp://h/x', 2, ["'a=sftp://h/x'"], 'sftp://USER@HOST'),
                ('a=file:///a a=file:///b', 2, ["'a=file:///b'", 'is called a too'], 'another name')):
            fails(['config', 'tier.places', value], code, said, hint, repo=repo, name=f'{how}: config tier.places {value}')
        for option in ('cold', 'hot'):
            fails(['tier', 'policy', f'--{option}=abc'], 2, ["'abc'", f'tier.{option}'], 'A number, 0 or more', repo=repo, name=f'{how}: tier policy --{option}=abc')
    show('alone')
    with Daemon(repo=repo):
        show('through a daemon')


def repos():
    none, file = temp('none'), write(temp('file'))
    for words in (['id'], ['add', '/dev/null'], ['config', 'store.max'], ['config', 'store.max', '1'], ['config', 'show'], ['daemon']):
        fails(words, 4, [none], f"ipfs-kit --repo {none} init", repo=none)
    fails(['id'], 4, [file], 'folder', repo=file, name='a file for a repo')
    repo = new_repo()
    fails(['init'], 4, [repo, 'nothing was changed'], '--repo', repo=repo)
    fails(['init'], 1, [f'{file}/repo'], 'folder', repo=f'{file}/repo', name='init below a file')
    for words in (['id'], ['init'], ['config', 'store.max'], ['config', 'show']):
        kubo = temp('kubo')
        write(f'{kubo}/config', b'{\n  "Identity": {}\n}\n')
        write(f'{kubo}/datastore_spec', b'{}')
        fails(words, 4, [kubo, 'repo of Kubo'], 'migrate-from-kubo', repo=kubo, name=f'{" ".join(words)} with a repo of Kubo')
    away, bare = temp('away'), environment()
    os.mkdir(away)
    bare.pop('HOME', None)
    done = subprocess.run([PROGRAM, 'id'], cwd=away, env=bare, capture_output=True, text=True)
    check('without HOME: why the repo is looked for here', done.returncode == 4 and 'HOME is not set, and here is no repo in ./.ipfs-kit;' in done.stderr, done)
    good = read(f'{repo}/version')
    write(f'{repo}/version', b'99\n')
    fails(['id'], 4, ['version', '99'], 'ipfs-kit', repo=repo, name='a repo of another version')
    write(f'{repo}/version', good)
    config = read(f'{repo}/config')
    write(f'{repo}/config', config.replace(b'store.max = 0', b'store.max = lots'))
    for words in (['id'], ['config', 'store.max'], ['config', 'show']):
        fails(words, 4, ['config, line', 'lots'], 'mend', repo=repo, name=f'a config that is no config: {words[0]}')
    write(f'{repo}/config', config)
    os.rename(f'{repo}/identity', f'{repo}/away')
    fails(['id'], 4, [f'{repo}/identity'], 'back', repo=repo, name='a repo whose identity is gone')
    os.rename(f'{repo}/away', f'{repo}/identity')
    holder = subprocess.Popen([PROGRAM, '--repo', repo, 'block', 'put'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
    holder.stdin.write(noise(1 << 20))  # more than a pipe holds: when this returns, the repo is open
    holder.stdin.flush()
    fails(['id'], 4, [repo, 'in use'], 'try again', repo=repo, name='a repo that another command has')
    holder.communicate()
    with Daemon(repo=repo) as daemon:
        fails(['daemon'], 4, [repo, 'already'], 'shutdown', repo=repo, name='a second daemon')
        other = new_repo()
        free = ['--listen', '/ip4/127.0.0.1/tcp/0']
        fails(['daemon', *free, '--api', daemon.api[0]], 1, [str(daemon.api_port), 'in use'], '--api or in api.listen', repo=other, name='the port of the API in use')
        fails(['daemon', '--api', '/ip4/127.0.0.1/tcp/0', '--listen', f'/ip4/127.0.0.1/tcp/{daemon.swarm_port}'], 1, [str(daemon.swarm_port), 'in use'],
            'choose', repo=other, name='the port for peers in use')
        fails(['daemon', *free, '--api', '/ip4/0.0.0.0/tcp/0'], 1, ['/ip4/0.0.0.0/tcp/0', 'loopback'], 'api.secret', repo=other, name='the API for the world')


def daemons():
    repo = new_repo()
    for words in (['swarm', 'peers'], ['swarm', 'connect', NOBODY], ['swarm', 'disconnect', NOBODY], ['ping', NOBODY.rsplit('/')[-1]], ['shutdown']):
        fails(words, 1, [repo, 'no daemon'], f'ipfs-kit --repo {repo} daemon', repo=repo)
    fails(['--api', '/ip4/127.0.0.1/tcp/9', 'id'], 1, ['127.0.0.1:9'], 'daemon', repo=repo)
    fails(['--api', 'no..host:9', 'id'], 1, ['no..host:9', 'no host is called that'], 'check the address', repo=repo)
    fails(['--connect', NOBODY, 'cat', ABSENT], 1, [NOBODY, 'refused'], 'address', repo=repo)
    fails(['cat', ABSENT], 3, [ABSENT], '--connect ADDR', repo=repo)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('192.0.2.1', 9))  # sends nothing: it tells the address of this machine
            fails(['--api', f'/ip4/{probe.getsockname()[0]}/tcp/9', 'id'], 1, ['no daemon answers'], '^check the address, and that it runs there$', repo=repo,
                name='no API at an address that may be of another machine')
        except OSError:
            skip('an API elsewhere: this machine has no address but loopback')
    with Daemon(repo=repo) as daemon:
        fails(['--offline', 'cat', ABSENT], 3, [ABSENT, 'no peer was asked'], '^run it without --offline$', repo=repo, name='offline, through a daemon')
        fails(['swarm', 'connect', NOBODY], 1, [NOBODY, 'refused'], 'address', repo=repo, name='swarm connect where nobody listens')
        fails(['swarm', 'connect', 'nonsense'], 2, ["'nonsense'"], 'swarm connect --help', repo=repo)
        fails(['swarm', 'disconnect', NOBODY], 3, [NOBODY, 'not connected'], 'swarm peers', repo=repo, name='swarm disconnect of a stranger')
        fails(['ping', NOBODY], 1, [NOBODY, 'refused'], 'address', repo=repo, name='ping where nobody listens')
        fails(['ping', NOBODY.rsplit('/')[-1]], 3, ['no address'], 'give the whole address', repo=repo, name='ping of an identity alone')
        fails(['ping', '12D3garbage'], 2, ["'12D3garbage'"], 'give the whole address', repo=repo, name='ping of no identity')
        fails(['ping', daemon.swarm[0]], 2, ['this node itself'], 'another', repo=repo, name='ping of itself')
        daemon.stop()
        kit('config', 'api.secret', 'sesame', repo=repo)
        with Daemon(repo=repo) as secretive:
            equal('the repo of the daemon has its secret', kit('id', repo=repo).code, 0)
            fails(['--api', secretive.api[0], 'id'], 1, ['wants a secret'], '--api-auth', repo=new_repo(), name='without the secret')
            fails(['--api-auth=wrong', 'add', write(temp('f'), b'x')], 1, ['does not take this secret'], '--api-auth', repo=repo, name='with another secret')
            equal('with the secret', kit('--api-auth=sesame', 'id', repo=repo).code, 0)


class Server:
    """Accepts on loopback and does one thing with each connection, which stays open until the end."""

    def __init__(self, serve):
        self.listener, self.clients = socket.create_server(('127.0.0.1', 0)), []
        self.address = f'/ip4/127.0.0.1/tcp/{self.listener.getsockname()[1]}/p2p/{NOBODY.rsplit("/")[-1]}'
        threading.Thread(target=self.run, args=(serve,), daemon=True).start()

    def run(self, serve):
        while True:
            try:
                self.clients.append(self.listener.accept()[0])
            except OSError:
                return
            with contextlib.suppress(OSError):
                serve(self.clients[-1])

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        for end in (self.listener, *self.clients):
            end.close()


def late_errors():
    """An error that comes behind the answer, however it is cut on its way."""
    trailers = b'X-Stream-Errno: -117\r\nX-Stream-Error: it is damaged\r\n\r\n'
    listener, place = socket.socket(socket.AF_UNIX), temp('api')
    listener.bind(place)
    listener.listen()

    def serve():
        for cut in range(len(trailers)):
            with listener.accept()[0] as client, contextlib.suppress(OSError):
                client.recv(65536)
                client.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n' + trailers[:cut])
                while any(fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4))):  # what was sent has not been read
                    select.select([], [], [], 0.001)
                client.sendall(trailers[cut:])
                client.recv(1)
    threading.Thread(target=serve, daemon=True).start()
    repo = new_repo()
    ends = [kit(f'--api=/unix{place}', 'cat', ABSENT, repo=repo) for cut in trailers]
    check('a late error is told however it is cut', all(done.code == 4 and 'it is damaged' in done.err for done in ends),
        [(at, done) for at, done in enumerate(ends) if done.code != 4][:2])
    listener.close()


def dialling():
    """Who answers that is not the one, or nothing."""
    repo, wanted = new_repo(), NOBODY.rsplit('/')[-1]
    http = Server(lambda client: client.recv(1000) and client.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n'))
    ssh = Server(lambda client: client.sendall(b'SSH-2.0-OpenSSH_9.2\r\n'))
    busy = Server(lambda client: client.close())
    silent = Server(lambda client: None)
    with Daemon() as other, Daemon(repo=repo):
        wrong = other.swarm[0].replace(other.peer_id, wanted)
        for words, name in ((['swarm', 'connect'], 'swarm connect'), (['ping'], 'ping')):
            fails([*words, wrong], 1, [f'expected {wanted}, but {other.peer_id} answered there'], 'check that address', repo=repo, name=f'{name}: another peer')
            for server in (http, ssh):
                fails([*words, server.address], 1, [server.address, 'does not speak libp2p'], 'check that address', repo=repo, name=f'{name}: no peer')
            fails([*words, busy.address], 1, [busy.address, 'hung up'], 'check that address', repo=repo, name=f'{name}: who hangs up')
        fails(['--connect', wrong, 'cat', ABSENT], 1, [f'but {other.peer_id} answered there'], 'check that address', repo=repo, name='--connect: another peer')
        done = kit('ping', '-n', '1', other.swarm[0], repo=new_repo())
        check('ping of an address needs no daemon', done.code == 0 and 'Pong received' in done.text, done)
        done = kit('--connect', other.swarm[0], 'ping', '-n', '1', other.peer_id, repo=new_repo())
        check('nor with --connect', done.code == 0 and 'Pong received' in done.text, done)
    fails(['ping', NOBODY], 1, [NOBODY, 'refused'], 'check that address', repo=repo, name='ping without a daemon, where nobody listens')
    code, shown, _ = on_terminal('ping', silent.address, repo=repo)
    lines = shown.decode().splitlines()
    equal('where nothing answers a line says so while it waits', lines[0], f'waiting for {silent.address}: nothing has answered yet')
    check('and the end is no --timeout', code == 1 and len(lines) == 2 and 'no peer answered there in time; check that address' in lines[1], (code, lines))
    for server in (http, ssh, busy, silent):
        server.close()


def sockets():
    """An API at a path."""
    repo, nowhere = new_repo(), f'/unix{temp("none")}/socket'
    fails(['daemon', '--listen', '/ip4/127.0.0.1/tcp/0', '--api', nowhere], 1, [nowhere], 'make its folder', repo=repo, name='an API in a folder that is not there')
    fails(['--api', nowhere, 'id'], 1, [nowhere[5:], 'no daemon'], 'daemon', repo=repo, name='no API in a folder that is not there')


def gone_in_the_middle():
    """A daemon that ends while it answers, and one that answers what is no answer."""
    listener = socket.create_server(('127.0.0.1', 0))
    beginning = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"ID"'

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            # A client that has its error leaves, whatever else it was to send.
            with client, contextlib.suppress(OSError):
                client.recv(65536)
                client.sendall(beginning)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
    threading.Thread(target=serve, daemon=True).start()
    api, repo = f'--api=/ip4/127.0.0.1/tcp/{listener.getsockname()[1]}', new_repo()
    for words in (['id'], ['cat', ABSENT], ['get', '-o', temp('x'), ABSENT], ['add', write(temp('f'), b'x')], ['dag', 'import', write(temp('f'), b'x')]):
        fails([api, *words], 1, ['daemon went away'], 'daemon', repo=repo, name=f'the daemon goes away in the middle of {words[0]}')
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    talks = Server(lambda client: client.recv(1000) and client.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}\n'))
    done = kit('--api', talks.address.split('/p2p/')[0], 'shutdown', repo=repo)
    check('an answer with a line to a command that wants none', done.code == 0, done)
    talks.close()


def full():
    repo = new_repo()
    cid = kit('add', '-Q', repo=repo, stdin=b'x' * 100_000).text
    with open('/dev/full', 'w') as full:
        for words in (['cat', cid], ['dag', 'export', cid], ['block', 'get', cid], ['id'], ['config', 'show'], ['--json', 'id']):
            done = subprocess.run([PROGRAM, '--repo', repo, *words], stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), timeout=BOUND)
            check(f'{" ".join(words[:2])} into a full device: names standard output, and what to do', done.returncode == 1 and 'standard output' in done.stderr and
                'make room' in done.stderr, done)
    if os.geteuid() or subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode:
        return skip('a full disk: no mount namespace may be made here')
    place = temp('mount')
    os.mkdir(place)
    write(f'{place}/../large', noise(30_000_000, 8))
    done = subprocess.run(['unshare', '-m', 'bash', '-c', f'mount -t tmpfs -o size=12m none {place} && "{PROGRAM}" --repo {place}/repo init --test >/dev/null && '
        f'"{PROGRAM}" --json --repo {place}/repo add -Q {place}/../large'], capture_output=True, text=True, env=environment(), timeout=120)
    told = json.loads(done.stderr.splitlines()[-1])
    with Daemon() as source:
        cid = kit('add', '-Q', f'{place}/../large', repo=source.repo).text
        done = subprocess.run(['unshare', '-m', 'bash', '-c', f'''mount -t tmpfs -o size=12m none {place} && export IPFS_KIT_PATH={place}/repo && "{PROGRAM}" init --test &&
            coproc "{PROGRAM}" daemon --listen /ip4/127.0.0.1/tcp/0 --api /ip4/127.0.0.1/tcp/0 && while read -r line <&${{COPROC[0]}} && [ "$line" != "daemon is ready" ]; do :; done
            "{PROGRAM}" swarm connect {source.swarm[0]} && "{PROGRAM}" --json get -o {place}/../got {cid}
            kill $COPROC_PID; wait'''], capture_output=True, text=True, env=environment(), timeout=120)
        hint = next((line['Hint'] for line in map(json.loads, filter(lambda line: line.startswith('{'), done.stderr.splitlines())) if 'Hint' in line), '')
        check('a full disk, of a daemon that fetches', 'o space left' in done.stderr and hint == 'make room there, and run it again', done)
    check('a full disk: names it, and what to do', f'{place}/repo' in told['Error'] and 'No space' in told['Error'].replace('no space', 'No space') and
        'make room' in told['Hint'], told)


def nobody_reads():
    """Who has had enough, as head has, is no failure: it ends as any program does in a pipe, and says nothing. Where SIGPIPE is ignored it does."""
    repo = new_repo()
    cid = kit('add', '-Q', repo=repo, stdin=noise(1_000_000)).text
    ends = write(temp('f'), b'x')

    def ended(words, **more):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            return subprocess.run([PROGRAM, '--repo', repo, *words], stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment(),
                timeout=BOUND, **more)
        finally:
            os.close(writer)

    def show(how):
        for words in (['cat', cid], ['dag', 'export', cid], ['block', 'get', cid], ['pin', 'ls'], ['id'], ['config', 'show'], ['wal', 'list'], ['add', ends],
                ['wal', 'export', '1'], ['--json', 'id'], ['--json', 'pin', 'ls'], ['--json', 'dag', 'export', cid], ['repo', 'stat']):
            done, name = ended(words), f'{how}: {" ".join(words[:3]).replace(cid, "CID")}'
            check(f'{name}: dies of SIGPIPE, silently', done.returncode == -signal.SIGPIPE and not done.stderr, done)
            done = ended(words, restore_signals=False)  # Python ignores it
            check(f'{name}: where that is ignored it fails', done.returncode == 1 and 'tandard output' in done.stderr and 'roken pipe' in done.stderr, done)
        equal(f'{how}: what was to be done is done', kit('pin', 'ls', '-q', cid_raw(b'x'), repo=repo).code, 0)
        done = ended(['cat', ABSENT, '--offline'])
        check(f'{how}: what fails before it has anything to write is told', done.returncode == 3 and ABSENT in done.stderr, done)
    show('alone')
    with Daemon(repo=repo):
        show('through a daemon')


def interrupted():
    repo = new_repo()
    process = subprocess.Popen([PROGRAM, '--json', '--repo', repo, 'add', '-Q'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment())
    process.stdin.write(noise(3 << 20))  # more than a pipe holds: when this returns, it is reading
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    equal('SIGINT with --json: exit code', process.wait(BOUND), 130)
    equal('SIGINT with --json: and a line of JSON', {**(told := json.loads(process.stderr.read())), 'Error': ''},
        {'Error': '', 'Code': 'interrupted', 'Exit': 130, 'Hint': 'run again, what was stored is not stored twice'})
    check('which says how far it came', told['Error'].startswith('interrupted while adding, '), told)
    for pipe in (process.stdin, process.stdout, process.stderr):
        try:
            pipe.close()
        except BrokenPipeError:
            pass


run_all([files, content, words, tiers, repos, daemons, late_errors, dialling, sockets, gone_in_the_middle, full, nobody_reads, interrupted])
