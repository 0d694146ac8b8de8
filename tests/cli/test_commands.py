#!/usr/bin/env python3
"""Every command's good path and its mistakes: output, exit codes, --json, pipes, names of all kinds."""
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import ABSENT, PROGRAM, Daemon, check, cid_raw, environment, equal, kit, new_repo, noise, read, run_all, skip, temp, write


def lines_of_json(result):
    return [json.loads(line) for line in result.out.splitlines()]


def init_makes_a_repo_once():
    repo = temp('repo')
    made = kit('init', repo=repo)
    equal('init: exit code', made.code, 0)
    check('init: names the identity', '12D3Koo' in made.text, made)
    identity = read(f'{repo}/identity')
    again = kit('init', repo=repo)
    equal('init again: exit code', again.code, 4)
    check('init again: says so', 'already' in again.err, again)
    equal('init again: identity untouched', read(f'{repo}/identity'), identity)
    equal('init: identity is private', oct(os.stat(f'{repo}/identity').st_mode & 0o777), '0o600')
    odd = kit('init', '--profile=odd', repo=temp('repo'))
    check('init --profile of no such name exits 2 and tells which there are', odd.code == 2 and 'unixfs-v1-2025, unixfs-v0-2015 and kubo-cid-v1' in
        odd.err, odd)
    odd = kit('init', '--profile=test', repo=temp('repo'))
    check("init --profile=test, Kubo's word, names ours", odd.code == 2 and '--test' in odd.err, odd)
    made = kit('init', '--json', repo=temp('repo'))
    check('init --json parses', 'ID' in json.loads(made.out), made)
    equal('repo by IPFS_KIT_PATH', kit('id', env={'IPFS_KIT_PATH': repo}).code, 0)
    home = temp('home')
    os.mkdir(home)
    equal('repo in HOME', kit('init', env={'HOME': home}).code, 0)
    check('repo in HOME is .ipfs-kit', os.path.isdir(f'{home}/.ipfs-kit'))


def wrong_use_is_told():
    repo = new_repo()
    for words in (['add', '--no-such'], ['add', '-Z'], ['nonsense'], ['pin'], ['pin', 'nonsense'], ['cat'], ['get'],
            ['get', 'a', 'b'], ['daemon', '--api'], ['add', '--cid-version=7', '/dev/null'], ['--timeout=soon', 'id'],
            ['--timeout=0', 'id'], ['--timeout=1m30', 'id'], ['--timeout=', 'id'], ['add', '--pin=', '/dev/null'], ['--json=maybe', 'id'],
            ['cat', '--offset=x', ABSENT], ['cat', '--length=-1', ABSENT], [], ['add', '--chunker=rabin', '/dev/null'],
            ['add', '--chunker=size-0', '/dev/null'], ['add', '--profile=odd', '/dev/null'],
            ['completion', 'tcsh'], ['help', 'nonsense'], ['--api', 'nowhere', 'id'],
            ['block', 'put', '--mhtype=nohash', '/dev/null'], ['block', 'put', '--cid-codec=nocodec', '/dev/null']):
        done = kit(*words, repo=repo, stdin=b'')
        check(f'wrong use "{" ".join(words)}" exits 2 and says why', done.code == 2 and (done.err + done.text).strip(), done)
    for words in (['cat', 'notacid'], ['get', 'bafynotacid'], ['ls', ''], ['pin', 'add', 'Qmxxx'], ['block', 'get', '!']):
        done = kit(*words, repo=repo)
        check(f'"{" ".join(words)}": what is no CID exits 2 and says why', done.code == 2 and done.err.strip(), done)
    for words in (['--help'], ['-h'], ['add', '--help'], ['help'], ['help', 'pin', 'add'], ['version'], ['version', '-n']):
        done = kit(*words, repo=repo)
        check(f'"{" ".join(words)}" exits 0 and prints', done.code == 0 and done.text, done)
    for words in (['--timeout=90', 'id'], ['--timeout=1m30s', 'id'], ['--timeout', '1.5h', 'id'], ['--json=T', 'id'], ['--json=FALSE', 'id'], ['--json=no', 'id']):
        done = kit(*words, repo=repo)
        check(f'"{" ".join(words)}" is understood', done.code == 0 and (b'{' in done.out) == ('=T' in words[0]), done)
    full = subprocess.run([PROGRAM, '--help'], stdout=open('/dev/full', 'w'), stderr=subprocess.PIPE)
    equal('--help to a full device', full.returncode, 1)
    many = temp('many')
    for i in range(1000):
        write(f'{many}/{i}')
    root = kit('add', '-rQ', many, repo=repo).text.strip()
    full = subprocess.run([PROGRAM, '--repo', repo, 'ls', root], stdout=open('/dev/full', 'w'), stderr=subprocess.PIPE)
    closed = subprocess.run(['sh', '-c', '"$0" "$@" >&-', PROGRAM, '--repo', repo, 'ls', root], capture_output=True)
    check('nowhere to print to: 1, and why', closed.returncode == 1 and b'standard output' in closed.stderr, closed)
    closed = subprocess.run(['sh', '-c', '"$0" "$@" <&- 2>&-', PROGRAM, '--repo', repo, 'ls', root], capture_output=True)
    check('no standard input or error: it does what it can', closed.returncode == 0 and closed.stdout.count(b'\n') == 1000, closed)
    check('much to a full device: 1, and why', full.returncode == 1 and b'standard output' in full.stderr, full)


def what_is_not_there():
    repo = new_repo()
    for words in (['cat', ABSENT], ['get', ABSENT], ['ls', ABSENT], ['stat', ABSENT], ['block', 'get', ABSENT],
            ['block', 'stat', ABSENT], ['dag', 'export', ABSENT], ['pin', 'add', ABSENT], ['pin', 'rm', ABSENT],
            ['pin', 'ls', ABSENT], ['add', '/no/such/file'], ['dag', 'import', '/no/such/file'],
            ['block', 'put', '/no/such/file'], ['config', 'no.setting']):
        done = kit(*words, repo=repo, cwd=os.path.dirname(repo))
        check(f'"{" ".join(words)}" exits 3 and says what', done.code == 3 and done.err.strip(), done)
    root = kit('add', '-rQ', os.path.dirname(write(temp('d') + '/a/b', b'x')), repo=repo).text
    done = kit('cat', f'{root}/nothere', repo=repo)
    check('a name that a folder does not hold exits 3 and is named', done.code == 3 and 'nothere' in done.err, done)
    missing = kit('id', repo='/no/such/repo')
    check('a missing repo exits 4 and hints at init', missing.code == 4 and 'init' in missing.err, missing)
    equal('swarm peers without a daemon fails', kit('swarm', 'peers', repo=repo).code != 0, True)
    equal('shutdown without a daemon fails', kit('shutdown', repo=repo).code != 0, True)
    unreachable = kit('--api', '/ip4/127.0.0.1/tcp/9', 'id', repo=repo)
    check('an API that nobody serves fails and says so', unreachable.code == 1 and 'no daemon' in unreachable.err, unreachable)


def a_wrapped_name(repo, path, root):
    """As Kubo prints them: the folder around has no name, and what came without one is called by its CID."""
    inside = kit('add', '-Q', path, repo=repo).text
    equal('add -w prints the name and the nameless folder', kit('add', '-w', path, repo=repo).out.decode(), f'added {inside} hello\nadded {root} \n')
    lines = [json.loads(line) for line in kit('add', '-w', '--json', path, repo=repo).out.splitlines()]
    equal('so does --json', [(line['Name'], line['Hash']) for line in lines], [('hello', inside), ('', root)])
    equal('and for no name at all', kit('add', repo=repo, stdin=b'hello world\n').out.decode(), f'added {inside} {inside}\n')
    around = kit('add', '-Qw', repo=repo, stdin=b'hello world\n').text
    equal('which it has in a folder, too', kit('cat', f'{around}/{inside}', repo=repo).out, b'hello world\n')


def add_one_file():
    repo = new_repo()
    path = write(temp('hello'), b'hello world\n')
    equal('add -Q: a raw block', kit('add', '-Q', path, repo=repo).text, cid_raw(b'hello world\n'))
    equal('add -Q as Kubo', kit('add', '-Q', '--cid-version=0', write(temp('h'), b'hello worl'), repo=repo).text[:2], 'Qm')
    equal('add -q', kit('add', '-q', path, repo=repo).text, cid_raw(b'hello world\n'))
    plain = kit('add', path, repo=repo)
    check('add says what and under which name', plain.text == f'added {cid_raw(b"hello world" + bytes([10]))} hello', plain)
    answer = lines_of_json(kit('add', '--json', path, repo=repo))[0]
    equal('add --json', (answer['Name'], answer['Hash'], answer['Size']), ('hello', cid_raw(b'hello world\n'), '12'))
    for profile in ('unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-cid-v1'):
        data = noise(3_000_000)
        cid = kit('add', '-Q', f'--profile={profile}', write(temp('f'), data), repo=repo).text
        check(f'add and cat, {profile}', kit('cat', cid, repo=repo).out == data)
        equal(f'add from standard input, {profile}', kit('add', '-Q', f'--profile={profile}', repo=repo, stdin=data).text, cid)
        equal(f'add -, {profile}', kit('add', '-Q', f'--profile={profile}', '-', repo=repo, stdin=data).text, cid)
        only = kit('add', '-Qn', f'--profile={profile}', repo=new_repo(), stdin=data)
        equal(f'add -n, {profile}', only.text, cid)
    empty = new_repo()
    kit('add', '-n', '-Q', path, repo=empty)
    equal('add -n stores nothing', kit('cat', cid_raw(b'hello world\n'), repo=empty).code, 3)
    check('an empty file', kit('cat', kit('add', '-Q', repo=repo, stdin=b'').text, repo=repo).out == b'')
    unpinned = kit('add', '-Q', '--pin=false', repo=repo, stdin=b'unpinned').text
    check('add --pin=false pins nothing', unpinned not in kit('pin', 'ls', '-q', repo=repo).text)
    two = kit('add', '-Q', path, write(temp('other'), b'other'), repo=repo)
    equal('add of two files', two.text.splitlines(), [cid_raw(b'hello world\n'), cid_raw(b'other')])
    wrapped = kit('add', '-Qw', path, repo=repo).text
    equal('add -w keeps the name', kit('cat', f'{wrapped}/hello', repo=repo).out, b'hello world\n')
    a_wrapped_name(repo, path, wrapped)
    with Daemon(repo=repo):
        a_wrapped_name(repo, path, wrapped)
    directory = kit('add', os.path.dirname(path), repo=repo)
    check('a folder without -r is refused and -r named', directory.code != 0 and '-r' in directory.err, directory)
    unnamed = kit('add', '-w', repo=repo, stdin=b'unnamed')
    check('add -w of standard input: its CID is its name', unnamed.code == 0 and unnamed.text.splitlines()[0] ==
        f'added {cid_raw(b"unnamed")} {cid_raw(b"unnamed")}', unnamed)
    equal('and it can be had by it', kit('cat', f'{unnamed.text.split()[-1]}/{cid_raw(b"unnamed")}', repo=repo).out, b'unnamed')
    fifo = temp('fifo')
    os.mkfifo(fifo)
    check('a FIFO is refused', kit('add', fifo, repo=repo).code not in (0, 130))


NAMES = ['plain', 'with space', 'grüße', '目录', '🦆', "quote'\"", 'a\\b', 'new\nline', '%41', 'x' * 255, '-dash', 'semi;colon']


def tree():
    top = temp('tree')
    for name in NAMES:
        write(f'{top}/{name}', f'content of {name}'.encode())
    write(f'{top}/.hidden', b'hidden')
    write(f'{top}/sub/.deeper/file', b'deep')
    os.makedirs(f'{top}/empty')
    os.symlink('plain', f'{top}/link')
    os.symlink('/etc/passwd', f'{top}/absolute')
    os.symlink('../../..', f'{top}/up')
    write(f'{top}/zero', b'')
    write(f'{top}/sub/large', noise(2_500_000))
    return top


def same_tree(one, other):
    return subprocess.run(['diff', '-r', '--no-dereference', one, other], capture_output=True).stdout == b''


def folders_come_and_go_whole():
    repo, top = new_repo(), tree()
    root = kit('add', '-rHQ', top, repo=repo)
    equal('add -r: exit code', root.code, 0)
    root, out = root.text, temp('out')
    got = kit('get', '-o', out, root, repo=repo)
    check('get of a folder', got.code == 0 and same_tree(top, out), got)
    equal('symlinks stay symlinks', os.readlink(f'{out}/absolute'), '/etc/passwd')
    check('get again over itself', kit('get', '-o', out, root, repo=repo).code == 0 and same_tree(top, out))
    write(f'{out}/sub/large', b'changed')
    kit('get', '-o', out, root, repo=repo)
    check('get over a changed file restores it', same_tree(top, out))
    visible = kit('add', '-rQ', top, repo=repo).text
    hidden = kit('ls', visible, repo=repo).text
    check('add -r leaves hidden names out', '.hidden' not in hidden and visible != root, hidden)
    equal('cat by path', kit('cat', f'{root}/sub/large', repo=repo).out, noise(2_500_000))
    equal('cat by /ipfs/ path', kit('cat', f'/ipfs/{root}/grüße', repo=repo).out, 'content of grüße'.encode())
    listed = kit('ls', '--json', root, repo=repo)
    names = [link['Name'] for link in json.loads(listed.out)['Objects'][0]['Links']]
    equal('ls --json gives every name', sorted(names), sorted(os.listdir(top)))
    equal('resolve', kit('resolve', f'{root}/zero', repo=repo).text.split('/')[-1],
        kit('add', '-Q', f'{top}/zero', repo=repo).text)
    seen = json.loads(kit('stat', '--json', f'{root}/sub/large', repo=repo).out)
    equal('stat --json', (seen['Size'], seen['Type']), (2_500_000, 'file'))
    folder = kit('cat', root, repo=repo)
    check('cat of a folder is refused and explained', folder.code != 0 and 'directory' in folder.err, folder)
    missing = kit('get', '-o', '/no/such/place/x', root, repo=repo)
    check('get into a place that is not there fails clearly', missing.code != 0 and '/no/such' in missing.err, missing)
    kit('get', root, repo=repo, cwd=os.path.dirname(out))
    check('get without -o takes the CID for a name', same_tree(top, f'{os.path.dirname(out)}/{root}'))


def get_into_what_is_there():
    repo = new_repo()
    cid = kit('add', '-Q', repo=repo, stdin=b'file').text
    folder = os.path.dirname(write(temp('d') + '/in/a', b'x'))
    root = kit('add', '-rQ', folder, repo=repo).text
    target = temp('there')
    os.makedirs(f'{target}/{cid}')  # a file goes into a folder under its own name, and that is a folder
    done = kit('get', '-o', target, cid, repo=repo)
    check('a file over a folder is refused', done.code == 1 and os.path.isdir(target) and 'exists' in done.err, done)
    done = kit('get', '-f', '-o', target, cid, repo=repo)
    check('a file over a folder is refused with --force too', done.code == 1 and os.path.isdir(target), done)
    plain = write(temp('plain'), b'old')
    done = kit('get', '-o', plain, root, repo=repo)
    check('a folder over a file is refused', done.code == 1 and read(plain) == b'old', done)
    done = kit('get', '-f', '-o', plain, root, repo=repo)
    check('a folder over a file with --force', done.code == 0 and read(f'{plain}/a') == b'x', done)
    outside = write(temp('outside'), b'precious')
    link = temp('link')
    os.symlink(outside, link)
    done = kit('get', '-o', link, cid, repo=repo)
    check('a file over a symlink does not follow it', read(outside) == b'precious', done)
    done = kit('get', '-f', '-o', link, cid, repo=repo)
    check('--force replaces the symlink itself', read(outside) == b'precious' and read(link) == b'file', done)
    equal('get -o /dev/null', kit('get', '-o', '/dev/null', cid, repo=repo).code, 0)
    piped = kit('get', '-o', '/dev/stdout', cid, repo=repo)
    check('get -o /dev/stdout into a pipe', piped.code == 0 and piped.out == b'file', piped)
    if os.geteuid():
        skip('a file into a device: that takes root')
    else:
        os.mknod(device := temp('null'), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        equal('a file into a device', kit('get', '-f', '-o', device, cid, repo=repo).code, 0)
        done = kit('get', '-f', '-o', device, root, repo=repo)
        check('a folder never replaces a device, not even with --force', done.code == 1 and
            stat.S_ISCHR(os.lstat(device).st_mode), done)
    check('get leaves no part files', not [n for n in os.listdir(os.path.dirname(plain)) if 'part' in n])


def cat_ranges():
    repo, data = new_repo(), noise(2_100_000)
    cid = kit('add', '-Q', '--chunker=size-100000', repo=repo, stdin=data).text
    for offset, length in ((0, 0), (0, 1), (99_999, 2), (100_000, 100_000), (2_099_999, 10), (2_100_000, 5), (5_000_000, 5),
            (1, 2_099_998), (2**63, 1), (0, 2**64 - 1)):
        done = kit('cat', f'--offset={offset}', f'--length={length}', cid, repo=repo)
        check(f'cat --offset={offset} --length={length}', done.code == 0 and done.out == data[offset:offset + length], done.code)
    head = subprocess.run(f'"{PROGRAM}" --repo "{repo}" cat {cid} | head -c 10', shell=True, capture_output=True)
    check('cat into a pipe that closes', head.stdout == data[:10], head)


def dag_and_block():
    repo, other, top = new_repo(), new_repo(), tree()
    root = kit('add', '-rHQ', top, repo=repo).text
    car = kit('dag', 'export', root, repo=repo)
    equal('dag export: exit code', car.code, 0)
    done = kit('dag', 'import', repo=other, stdin=car.out)
    check('dag import from a pipe names the root', done.code == 0 and root in done.text, done)
    equal('what was imported is the same', kit('dag', 'export', root, repo=other).out, car.out)
    check('its root is pinned', root in kit('pin', 'ls', '-q', '-t', 'recursive', repo=other).text)
    path = temp('x.car')
    equal('dag export -o', (kit('dag', 'export', '-o', path, root, repo=repo).code, read(path) == car.out), (0, True))
    third = new_repo()
    done = kit('dag', 'import', '--pin-roots=false', path, repo=third)
    equal('dag import --pin-roots=false', done.code, 0)
    done = kit('dag', 'import', '--json', path, repo=new_repo())
    check('dag import --json parses', done.code == 0 and lines_of_json(done)[0]['Root']['Cid']['/'] == root, done)
    check('dag import --pin-roots=false pins nothing', root not in kit('pin', 'ls', repo=third).text)
    broken = bytearray(car.out)
    broken[len(broken) // 2] ^= 1
    done = kit('dag', 'import', repo=new_repo(), stdin=bytes(broken))
    check('a CAR with one flipped bit is refused', done.code == 1 and done.err.strip(), done)
    done = kit('dag', 'import', repo=new_repo(), stdin=car.out[:-7])
    check('a truncated CAR is refused', done.code == 1 and done.err.strip(), done)
    done = kit('dag', 'import', repo=new_repo(), stdin=b'this is not a CAR')
    check('what is no CAR is refused', done.code == 1 and done.err.strip(), done)

    put = kit('block', 'put', repo=repo, stdin=b'a block')
    equal('block put', put.text, cid_raw(b'a block'))
    equal('block get', kit('block', 'get', put.text, repo=repo).out, b'a block')
    seen = json.loads(kit('block', 'stat', '--json', put.text, repo=repo).out)
    equal('block stat --json', (seen['Key'], seen['Size']), (put.text, 7))
    large = kit('block', 'put', repo=repo, stdin=bytes((2 << 20) + 1))
    check('block put over 2 MiB is refused', large.code != 0 and large.err.strip(), large)
    equal('block put of 2 MiB', kit('block', 'put', repo=repo, stdin=bytes(2 << 20)).code, 0)
    cbor = kit('block', 'put', '--cid-codec=dag-cbor', repo=repo, stdin=b'\xa1\x61a\x01')
    check('block put --cid-codec', cbor.text.startswith('bafyrei'), cbor)


def pins_have_labels():
    repo = new_repo()
    first, second = (kit('add', '-Q', repo=repo, stdin=data).text for data in (b'one', b'two'))
    equal('pin add --name --meta', kit('pin', 'add', '-n', 'my holidays', '--meta', '{ "from" : "camera" }', first, repo=repo).code, 0)
    equal('the names are printed when asked for', {*kit('pin', 'ls', '--names', repo=repo).text.splitlines()}, {f'{first} recursive my holidays', f'{second} recursive'})
    equal('and not else', kit('pin', 'ls', first, repo=repo).text, f'{first} recursive')
    equal('a part of a name finds it', kit('pin', 'ls', '-n', 'holi', repo=repo).text, f'{first} recursive my holidays')
    equal('another does not', kit('pin', 'ls', '-n', 'work', repo=repo).text, '')
    label = {'Type': 'recursive', 'Name': 'my holidays', 'Meta': {'from': 'camera'}}
    equal('as JSON', json.loads(kit('pin', 'ls', '--names', first, '--json', repo=repo).out)['Keys'], {first: label})
    equal('pinned again it keeps them', (kit('pin', 'add', first, repo=repo).code, json.loads(kit('pin', 'ls', '-n', '', first, '--json', repo=repo).out)['Keys']), (0, {first: label}))
    equal('pin update', kit('pin', 'update', first, second, repo=repo).text, f'updated {first} to {second}')
    equal('takes the label along', json.loads(kit('pin', 'ls', '--names', '--json', repo=repo).out)['Keys'], {second: label})
    equal('pin update of what is not pinned', kit('pin', 'update', first, second, repo=repo).code, 3)
    equal('pin update --unpin=false', (kit('pin', 'update', '--unpin=false', second, first, repo=repo).code, len(kit('pin', 'ls', repo=repo).text.splitlines())), (0, 2))
    for bad in ('[1]', '{"a":1}', '{', json.dumps({'a': 'x' * 700})):
        equal(f'pin add --meta {bad[:9]}', kit('pin', 'add', '--meta', bad, first, repo=repo).code != 0, True)
    equal('a name that is too long', kit('pin', 'add', '-n', 'x' * 256, first, repo=repo).code != 0, True)
    with Daemon(repo=repo) as daemon:
        equal('the RPC too', json.loads(daemon.rpc('pin/ls', first, names='true')[2])['Keys'], {first: label})
        equal('as Kubo has it', json.loads(daemon.rpc('pin/ls', first)[2])['Keys'], {first: {'Type': 'recursive'}})
        equal('a name by RPC', (daemon.rpc('pin/add', second, name='ä')[0], kit('pin', 'ls', '--names', second, repo=repo).text), (200, f'{second} recursive ä'))


def what_is_not_given_of_a_label_stays():
    repo, top = new_repo(), tree()
    root = kit('add', '-rQ', top, repo=repo).text

    def label():
        pin = json.loads(kit('pin', 'ls', '--names', root, '--json', repo=repo).out)['Keys'][root]
        return pin['Name'], pin.get('Meta')

    def pinned(*words):
        done = kit('pin', 'add', *words, root, repo=repo)
        return label() if done.code == 0 else done

    def all_ways():
        meta = {'from': 'cam'}
        equal('both', pinned('--name', 'keepme', '--meta', json.dumps(meta)), ('keepme', meta))
        equal('add gives a name', (kit('add', '-rQ', '--pin-name', 'n2', top, repo=repo).text, label()), (root, ('n2', meta)))
        equal('pin add does', pinned('--name', 'n3'), ('n3', meta))
        equal('pin add gives something to keep', pinned('--meta', '{"a":"b"}'), ('n3', {'a': 'b'}))
        equal('an empty name is taken away alone', pinned('--name='), ('', {'a': 'b'}))
        equal('so is what is kept', (pinned('--name', 'n4'), pinned('--meta=')), (('n4', {'a': 'b'}), ('n4', None)))

    all_ways()
    with Daemon(repo=repo) as daemon:
        all_ways()
        equal('by RPC', (daemon.rpc('pin/add', root, meta='{"a":"c"}')[0], label()), (200, ('n4', {'a': 'c'})))


def add_names_the_pin():
    repo, top = new_repo(), tree()
    one, two = write(temp('one'), b'one'), write(temp('two'), b'two')

    def named(root):
        return kit('pin', 'ls', '--names', root, repo=repo).text

    root = kit('add', '-rQ', '--pin-name', 'my tree', top, repo=repo).text
    equal('add --pin-name', named(root), f'{root} recursive my tree')
    equal('again without, it keeps it', (kit('add', '-rQ', top, repo=repo).text, named(root)), (root, f'{root} recursive my tree'))
    equal('again with another, it gets that', (kit('add', '-rQ', '--pin-name=ä', top, repo=repo).text, named(root)), (root, f'{root} recursive ä'))
    equal('a folder around them', named(kit('add', '-wQ', '--pin-name=w', one, two, repo=repo).text).split()[1:], ['recursive', 'w'])
    roots = kit('add', '-q', '--pin-name=each', one, two, repo=repo).text.split()
    equal('each root', [named(root).split()[1:] for root in roots], [['recursive', 'each']] * 2)
    equal('standard input', named(kit('add', '-Q', '--pin-name=in', repo=repo, stdin=b'x').text).split()[1:], ['recursive', 'in'])
    before = kit('pin', 'ls', '--names', repo=repo).out
    for words, why in (('--pin=false', '--pin-name=x'), 'pin-name'), (('--pin-name', 'x' * 256), 'at most 255'):
        done = kit('add', *words, repo=repo, stdin=b'never')
        check(f'{why}: it is refused and said', done.code != 0 and why in done.err, done)
    equal('only hashed, nothing is pinned', (kit('add', '-n', '--pin-name=x', repo=repo, stdin=b'y').code, kit('pin', 'ls', '--names', repo=repo).out), (0, before))
    with Daemon(repo=repo) as daemon:
        root = kit('add', '-Q', '--pin-name=of a daemon', two, repo=repo).text
        equal('through a daemon', named(root), f'{root} recursive of a daemon')
        cid = daemon.add(b'by rpc', **{'pin-name': 'ü & b'})
        equal('as Kubo\'s clients ask', named(cid), f'{cid} recursive ü & b')
        equal('an empty one is none', named(daemon.add(b'by rpc', **{'pin-name': ''})), f'{cid} recursive ü & b')
        done = kit('add', '--pin=false', '--pin-name=x', two, repo=repo)
        check('refused there too', done.code != 0 and 'pin-name' in done.err, done)


def archives_with_an_index():
    repo, top = new_repo(), tree()
    root = kit('add', '-rHQ', top, repo=repo).text
    plain = kit('dag', 'export', root, repo=repo).out
    indexed = kit('dag', 'export', '--car-version=2', root, repo=repo).out
    begin, size, at = (int.from_bytes(indexed[n:n + 8], 'little') for n in (27, 35, 43))
    equal('--car-version=2 holds the same archive', (indexed[:11], indexed[begin:begin + size] == plain, at),
        (b'\x0a\xa1gversion\x02', True, begin + size))
    index = indexed[at:]
    equal('and an index by multihash', index[:2], b'\x81\x08')
    entries = (len(index) - 30) // 40
    for i in range(entries):
        entry = index[30 + 40 * i:70 + 40 * i]
        place = int.from_bytes(entry[32:], 'little')
        if entry[:32] not in plain[place:place + 45]:
            check('an entry leads to its block', False, (i, place))
    check('an entry for every block', entries > 5 and (len(index) - 30) % 40 == 0, len(index))
    path = temp('two.car')
    equal('dag export -o', (kit('dag', 'export', '--car-version=2', '-o', path, root, repo=repo).code, read(path) == indexed), (0, True))
    equal('it is imported', kit('dag', 'import', path, repo=new_repo()).code, 0)
    equal('there is no version 3', kit('dag', 'export', '--car-version=3', root, repo=repo).code, 2)
    with Daemon(repo=repo) as daemon:
        equal('a daemon exports the same', kit('dag', 'export', '--car-version=2', root, repo=daemon.repo).out, indexed)
        equal('and no version 3', daemon.rpc('dag/export', root, car_version='3')[0], 500)


def segments_of(repo):
    return sorted(os.listdir(f'{repo}/segments'))


def files_are_adopted():
    repo, top = new_repo(), tree()
    root = kit('add', '-rHQ', top, repo=repo).text
    path, two = temp('adopted.car'), temp('two.car')
    kit('dag', 'export', '-o', path, root, repo=repo)
    kit('dag', 'export', '--car-version=2', '-o', two, root, repo=repo)
    car = read(path)
    for words, file, links in (['--adopt'], path, 1), (['--adopt=link'], path, 2), (['--adopt'], two, 1):
        other, out = new_repo(), temp('out')
        done = kit('dag', 'import', *words, file, repo=other)
        check(f'{words}: names the root', done.code == 0 and root in done.text, done)
        equal(f'{words}: links to the file', os.stat(file).st_nlink, links)
        check(f'{words}: its root is pinned', root in kit('pin', 'ls', '-q', '-t', 'recursive', repo=other).text)
        equal(f'{words}: it is all there', (kit('get', '-o', out, root, repo=other).code, same_tree(top, out)), (0, True))
        equal(f'{words}: it is exported as it was', kit('dag', 'export', root, repo=other).out, car)
        equal(f'{words}: repo verify', kit('repo', 'verify', repo=other).code, 0)
        check(f'{words}: repo stat', 'AdoptedFiles: 1' in kit('repo', 'stat', repo=other).text)
        listed = [entry for entry in lines_of_json(kit('wal', 'list', '--json', repo=other)) if entry['Type'] == 'adopted']
        equal(f'{words}: wal list', [entry['Linked'] for entry in listed], [links == 2])
        shutil.rmtree(f'{other}/index')
        equal(f'{words}: without the index', kit('dag', 'export', root, repo=other).out, car)
        before = segments_of(other)
        equal(f'{words}: what is here takes no file', (kit('dag', 'import', *words, file, repo=other).code, segments_of(other)), (0, before))
        shutil.rmtree(other)
    other = new_repo()
    broken = bytearray(car)
    broken[-10] ^= 1
    write(path, bytes(broken))
    done = kit('dag', 'import', '--adopt', path, repo=other)
    check('a bad block refuses the file, and is told', done.code != 0 and re.search(r'block ba\w+, at byte \d+ of the file', done.err), done)
    write(path, car[:-7])
    check('a file that is cut short', kit('dag', 'import', '--adopt=link', path, repo=other).code != 0)
    equal('nothing of them is there', (len(segments_of(other)), kit('dag', 'export', '--offline', root, repo=other).code != 0), (1, True))
    big = bytes((2 << 20) + 1)
    name = hashlib.sha256(big).digest()
    section = b'\x01\x55\x12\x20' + name + big
    length, prefix = len(section), b''
    while length:
        prefix += bytes([length & 127 | (128 if length > 127 else 0)])
        length >>= 7
    write(path, bytes.fromhex('19a265726f6f747381d82a450001550000') + bytes.fromhex('6776657273696f6e01') + prefix + section)
    done = kit('dag', 'import', '--adopt', path, repo=other)
    check('a block over 2 MiB is refused', done.code != 0 and '--allow-big-block' in done.err, done)
    equal('unless it is asked for', kit('dag', 'import', '--adopt', '--allow-big-block', path, repo=other).code, 0)
    equal('and is read', kit('block', 'get', cid_raw(big), repo=other).out, big)
    equal('a pipe is not adopted', kit('dag', 'import', '--adopt', '-', repo=other, stdin=car).code, 2)
    equal('nor is a folder', kit('dag', 'import', '--adopt', top, repo=other).code != 0, True)


def pins():
    repo = new_repo()
    root = kit('add', '-rQ', '--pin=false', os.path.dirname(write(temp('d') + '/in/a', b'x')), repo=repo).text
    equal('pin add', kit('pin', 'add', root, repo=repo).code, 0)
    check('pin ls', f'{root} recursive' in kit('pin', 'ls', repo=repo).text)
    leaf = cid_raw(b'x')
    equal('pin add --recursive=false', kit('pin', 'add', '--recursive=false', leaf, repo=repo).code, 0)
    check('pin ls --type=direct', kit('pin', 'ls', '-t', 'direct', '-q', repo=repo).text == leaf)
    keys = json.loads(kit('pin', 'ls', '--json', repo=repo).out)['Keys']
    equal('pin ls --json', {c: v['Type'] for c, v in keys.items()}, {root: 'recursive', leaf: 'direct'})
    equal('pin ls CID', kit('pin', 'ls', root, repo=repo).code, 0)
    equal('pin rm', kit('pin', 'rm', root, repo=repo).code, 0)
    equal('pin rm again', kit('pin', 'rm', root, repo=repo).code, 3)
    equal('pin ls of a wrong kind', kit('pin', 'ls', '-t', 'odd', repo=repo).code, 2)


def repo_and_id():
    repo = new_repo()
    kit('add', repo=repo, stdin=b'content')
    seen = json.loads(kit('repo', 'stat', '--json', repo=repo).out)
    check('repo stat --json', seen['NumObjects'] >= 1 and seen['RepoPath'] == repo, seen)
    check('repo stat', 'NumObjects: ' in kit('repo', 'stat', repo=repo).text)
    equal('repo verify', kit('repo', 'verify', repo=repo).code, 0)
    identity = json.loads(kit('id', '--json', repo=repo).out)
    check('id --json', identity['ID'].startswith('12D3Koo'), identity)
    equal('the identity is kept', json.loads(kit('id', '--json', repo=repo).out)['ID'], identity['ID'])
    check('version -n', re.fullmatch(r'\d+\.\d+\.\d+', kit('version', '-n').text))
    check('version --json', 'Version' in json.loads(kit('version', '--json').out))


def config_keeps_comments():
    repo = new_repo()
    path = f'{repo}/config'
    write(path, read(path) + b'\n# a comment of mine\n   # indented, ends without a line end')
    before = read(path).decode()
    equal('config set', kit('config', 'store.max', '12345', repo=repo).code, 0)
    after = read(path).decode()
    changed = [(a, b) for a, b in zip(before.split('\n'), after.split('\n')) if a != b]
    check('config set changes one line and keeps the comments',
        changed == [('store.max = 0', 'store.max = 12345')] and len(before.split('\n')) == len(after.split('\n')), changed)
    equal('config get', kit('config', 'store.max', repo=repo).text, '12345')
    equal('config show', kit('config', 'show', repo=repo).text, after.strip())
    equal('config of no such name', kit('config', 'no.such', 'x', repo=repo).code, 3)
    equal('config of no such value', kit('config', 'store.max', 'many', repo=repo).code, 2)
    for key, bad, good in (('swarm.listen', '/ip4/0.0.0.0', '/ip4/0.0.0.0/tcp/4002 /ip6/::/tcp/4002'), ('swarm.listen', '/ip4/1.2.3.4/tcp/70000', ''),
            ('swarm.listen', '/ip4/0.0.0.0/tcp/1 0.0.0.0:4001', '/ip4/127.0.0.1/tcp/0'), ('swarm.listen', '/unix/tmp/s', '/ip6/::1/tcp/0'),
            ('api.listen', 'localhost:5001', '/ip4/127.0.0.1/tcp/5002'), ('api.listen', '/ip4/127.0.0.1/udp/5001', '/unix/tmp/api.sock')):
        was = kit('config', key, repo=repo).text
        done = kit('config', key, bad, repo=repo)
        check(f'config {key} {bad!r} is refused, with the address and what to use', done.code == 2 and bad.split()[-1] in done.err and '/tcp/PORT' in
            done.err, done)
        equal('and nothing changes', kit('config', key, repo=repo).text, was)
        equal(f'config {key} {good!r} is taken', (kit('config', key, good, repo=repo).code, kit('config', key, repo=repo).text), (0, good))
    after = kit('config', 'show', repo=repo).out.decode()
    equal('config with a line end in it', kit('config', 'api.secret', 'a\nb', repo=repo).code, 2)
    equal('a refused value changes nothing', read(path).decode(), after)
    write(path, '# all is gone but this')
    kit('config', 'store.max', '7', repo=repo)
    equal('a setting that was not there is added on a line of its own', kit('config', 'store.max', repo=repo).text, '7')
    check('and the comment is whole', read(path).startswith(b'# all is gone but this\n'), read(path))


def completions():
    for shell in ('bash', 'zsh', 'fish'):
        script = kit('completion', shell)
        check(f'completion {shell} prints', script.code == 0 and b'ipfs-kit' in script.out)
        if not shutil.which(shell):
            skip(f'{shell} is not installed')
        else:
            parsed = subprocess.run([shell, '-n', '/dev/stdin'], input=script.out, capture_output=True)
            check(f'{shell} parses it', parsed.returncode == 0, parsed.stderr)
    script = kit('completion', 'bash').out.decode()
    ask = script + '\nCOMP_WORDS=(ipfs-kit pin a); COMP_CWORD=2; ' \
        'f=$(complete -p ipfs-kit | sed "s/.*-F \\([^ ]*\\).*/\\1/"); $f ipfs-kit a pin; echo "${COMPREPLY[@]}"'
    done = subprocess.run(['bash', '-c', ask], capture_output=True, text=True, env=environment())
    check('bash completes "pin a" to "add"', 'add' in done.stdout.split(), done)


def timeouts_and_interrupts():
    repo = new_repo()
    for words in (['add', '-Q'], ['dag', 'import'], ['block', 'put']):
        process = subprocess.Popen([PROGRAM, '--repo', repo, '--timeout=300ms', *words], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        equal(f'{" ".join(words)} of an input that never ends times out', process.wait(60), 5)
        check('and says so', b'timed out' in process.stderr.read())
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
    process = subprocess.Popen([PROGRAM, '--repo', repo, 'add', '-Q'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment())
    data = noise(3 << 20)
    process.stdin.write(data)  # more than a pipe holds: when this returns, it is reading
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    equal('SIGINT: exit code', process.wait(60), 130)
    check('SIGINT: prints no CID', process.stdout.read() == b'')
    for pipe in (process.stdout, process.stderr):
        pipe.close()
    try:
        process.stdin.close()
    except BrokenPipeError:
        pass
    equal('after an interrupted add the repo is whole', kit('repo', 'verify', repo=repo).code, 0)
    check('and add goes on', kit('cat', kit('add', '-Q', repo=repo, stdin=data).text, repo=repo).out == data)


run_all([init_makes_a_repo_once, wrong_use_is_told, what_is_not_there, add_one_file, folders_come_and_go_whole,
    get_into_what_is_there, cat_ranges, dag_and_block, archives_with_an_index, files_are_adopted, pins, pins_have_labels,
    what_is_not_given_of_a_label_stays, add_names_the_pin, repo_and_id, config_keeps_comments, completions, timeouts_and_interrupts])
