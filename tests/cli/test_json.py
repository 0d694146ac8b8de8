#!/usr/bin/env python3
"""With --json every answer is JSON, one value a line: of every command, alone and through a daemon. Failures: see test_mistakes.py."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import BOUND, PROGRAM, Daemon, check, cid_raw, environment, equal, flip, kit, new_repo, read, run_all, temp, write

# What these print is content, or text for a shell or a reader; --json says nothing of it.
BYTES = {'cat', 'block get', 'dag export', 'dag get', 'completion', 'help'}
LINES = [b'one "quoted" name', b'back\\slash', b'new\nline', b'odd \xff', 'grüße'.encode()]


def commands():
    """As help names them."""
    return set(re.findall(r'^  (\S+(?: \S+)?)  +[A-Z]', kit('--help').text.split('Options for every')[0], re.M))


def help_names_the_others():
    page = kit('completion', 'man').text.replace('\\-', '-').split('.SH JSON')[1].split('.SH')[0].replace('\n', ' ')
    for what, text in (('help', kit('--help').text), ('the man page', page)):
        told = re.search(r'With --json .*? but for\s+content \(([^)]*)\)\s+and\s+text \(([^)]*)\)', text, re.S)
        equal(f'{what} names every command that prints none', set(re.split(r',\s+', f'{told[1]}, {told[2]}')), BYTES)


def values(result):
    return [json.loads(line) for line in result.out.decode().split('\n')[:-1]]


def answers(words, keys, repo, how='', **more):
    """Runs a command with --json; its last value has these keys. All of them are given back."""
    done = kit('--json', *words, repo=repo, **more)
    name = f'{how}{" ".join(words[:3])}'[:100]
    try:
        got = values(done)
    except ValueError as error:
        check(f'{name}: prints JSON', False, (error, done))
        return [{}]
    check(f'{name}: prints JSON, with {", ".join(keys)}', done.code == 0 and got and set(keys) <= set(got[-1]), done)
    check(f'{name}: and nothing else', done.err == '', done)
    return got


def odd_names():
    top = temp('odd')
    for name in LINES:
        write(os.path.join(top, os.fsdecode(name)), name)
    return top


def table(repo, top, peer=None, other=None):
    """Rows of a command, as help names it, words, and the keys of its last answer."""
    file = write(temp('file'), b'content')
    leaf, root = kit('add', '-Q', file, repo=repo).text, kit('add', '-rQ', top, repo=repo).text
    car, out = temp('car'), os.path.join(temp('out'), 'quo"te')
    os.mkdir(os.path.dirname(out))
    document = write(temp('document'), b'{"hello":"world"}')
    kit('dag', 'export', '-o', car, root, repo=repo)
    segment = str(json.loads(kit('wal', 'status', '--json', repo=repo).out)['Durable']['Segment'])
    rows = [('wal export', ['wal', 'export', '-o', out + '3', segment], ['Segment', 'Output']), ('add', ['add', '-r', top], ['Name', 'Hash', 'Size']), ('add', ['add', '-rQ', top], ['Name', 'Hash', 'Size']),
        ('add', ['add', '-q', file], ['Name', 'Hash', 'Size']), ('add', ['add', '-nQw', file], ['Name', 'Hash', 'Size']),
        ('add', ['add', '-Q', file, car], ['Name', 'Hash', 'Size']),
        ('block put', ['block', 'put', file], ['Key', 'Size']), ('block stat', ['block', 'stat', leaf], ['Key', 'Size']),
        ('config', ['config', 'swarm.listen'], ['Key', 'Value']), ('config', ['config', 'store.max', '0'], ['Key', 'Value']),
        ('config show', ['config', 'show'], ['add.profile', 'swarm.listen', 'api.listen', 'store.max']),
        ('dag import', ['dag', 'import', car], ['Root']), ('dag put', ['dag', 'put', document], ['Cid']), ('dag export', ['dag', 'export', '-o', out, root], ['Path', 'Output']),
        ('get', ['get', '-o', out + '2', root], ['Path', 'Output']), ('id', ['id'], ['ID', 'PublicKey', 'Addresses', 'AgentVersion', 'Protocols']),
        ('ls', ['ls', root, root], ['Objects']), ('pin ls', ['pin', 'ls'], ['Keys']), ('pin ls', ['pin', 'ls', '-q'], ['Keys']),
        ('pin rm', ['pin', 'rm', leaf], ['Pins']), ('pin add', ['pin', 'add', leaf], ['Pins']), ('pin update', ['pin', 'update', leaf, leaf], ['Pins']), ('repo stat', ['repo', 'stat', '-H'], ['NumObjects', 'RepoPath']),
        ('repo verify', ['repo', 'verify'], ['Msg']), ('repo gc', ['repo', 'gc'], ['Kept', 'Removed', 'FreedBytes']), ('resolve', ['resolve', root], ['Path']), ('stat', ['stat', root], ['Hash', 'Size', 'Type']),
        ('heat top', ['heat', 'top'], ['Root', 'Heat', 'Reads', 'LastUse', 'Pinned']),
        ('metrics', ['metrics'], ['Name', 'Type', 'Help', 'Values']),
        ('tier list', ['tier', 'list'], ['Name', 'Kind', 'State', 'Objects', 'Bytes', 'Why']), ('tier stat', ['tier', 'stat'], ['Name', 'Demoted', 'Errors']),
        ('tier move', ['tier', 'move', root, 'fast'], ['Blocks', 'Bytes', 'Skipped']), ('tier policy', ['tier', 'policy'], ['Tier', 'Cold', 'Hot', 'Rest']),
        ('wal checkpoint', ['wal', 'checkpoint'], ['Checkpoint']), ('wal list', ['wal', 'list', '--records'], ['Type', 'Segment', 'Offset']),
        ('wal status', ['wal', 'status'], ['Durable', 'PendingBytes']), ('wal verify', ['wal', 'verify'], ['Type', 'Blocks']),
        ('version', ['version'], ['Version']), ('version', ['version', '-n'], ['Version'])]
    if peer:
        rows += [('swarm connect', ['swarm', 'connect', peer], ['Strings']), ('swarm peers', ['swarm', 'peers', '-v'], ['Peers']),
            ('ping', ['ping', '-n', '1', peer], ['Success', 'Text']), ('swarm disconnect', ['swarm', 'disconnect', peer], ['Strings']),
            ('shutdown', ['shutdown'], [])]
    return rows


def every_command():
    repo, top, seen = new_repo(), odd_names(), set()
    init = temp('quo"te \\ \n')
    answers(['init', '--test'], ['Repo', 'ID'], repo=init)
    seen |= {'init', 'daemon', 'migrate-from-kubo'}  # the first here, the others below
    for name, words, keys in table(repo, top):
        seen.add(name)
        answers(words, keys, repo=repo)
    with Daemon() as other, Daemon(repo=repo) as daemon:
        for name, words, keys in table(repo, top, other.swarm[0]):
            seen.add(name)
            answers(words, keys, repo=repo, how='through a daemon: ')
        equal('after shutdown the daemon ends', daemon.process.wait(BOUND), 0)
    equal('no command was left out', commands() - BYTES - seen, set())


def the_root_alone():
    top = odd_names()
    for how, repo, daemon in (('alone', new_repo(), None), ('through a daemon', None, Daemon())):
        repo = repo or daemon.repo
        every, [root] = (answers(['add', words, top], ['Hash'], repo=repo, how=f'{how}: ') for words in ('-r', '-rQ'))
        equal(f'add -Q --json {how} is what add --json says last', root, every[-1])
        equal(f'add --json {how} names every file', len(every), len(LINES) + 1)
        [stdin] = answers(['add', '-Q'], ['Hash'], repo=repo, how=f'{how}: from standard input: ', stdin=b'x')
        equal(f'of standard input {how}', stdin, {'Name': cid_raw(b'x'), 'Hash': cid_raw(b'x'), 'Size': '1'})
        if daemon:
            daemon.kill()


def settings():
    repo = new_repo()
    secret = 'quo"te\\ and grüße'
    equal('a setting that is changed is answered', answers(['config', 'api.secret', secret], ['Key'], repo=repo), [{'Key': 'api.secret', 'Value': secret}])
    equal('and read', answers(['config', 'api.secret'], ['Key'], repo=repo), [{'Key': 'api.secret', 'Value': secret}])
    [shown] = answers(['config', 'show'], ['api.secret'], repo=repo)
    text = kit('config', 'show', repo=repo).out.decode()
    equal('config show --json has each line of the file', shown, dict(line.split(' = ') if ' = ' in line else (line.rstrip(' ='), '')
        for line in text.splitlines() if line and line[0] != '#'))


def the_daemon_tells_where():
    process = subprocess.Popen([PROGRAM, '--json', '--repo', new_repo(), 'daemon'], stdout=subprocess.PIPE, env=environment())
    lines = []
    for line in process.stdout:
        lines.append(json.loads(line))
        if 'Ready' in lines[-1]:
            break
    process.terminate()
    process.wait(BOUND)
    process.stdout.close()
    check('daemon --json: where peers, where the API, then ready', [list(line) for line in lines] == [['Swarm'], ['API'], ['Ready']] and
        lines[0]['Swarm'].startswith('/ip4/127.0.0.1/tcp/') and lines[1]['API'].startswith('/ip4/127.0.0.1/tcp/') and lines[2]['Ready'] is True, lines)


def damage_is_told():
    """The same from a node that is opened here and from a daemon: values of what is damaged, then a failure."""
    repo = new_repo()
    kit('add', '-Q', repo=repo, stdin=b'kept whole')
    segment = f'{repo}/segments/{sorted(os.listdir(f"{repo}/segments"))[0]}'
    data = bytearray(read(segment))
    data[data.index(b'kept')] ^= 1
    write(segment, bytes(data))
    for how in ('alone', 'through a daemon'):
        daemon = Daemon(repo=repo) if how != 'alone' else None
        done = kit('--json', 'repo', 'verify', repo=repo)
        told = values(done)
        check(f'repo verify --json of a damaged repo, {how}: a value for each problem', done.code == 4 and told and all('Msg' in v for v in told), done)
        check(f'repo verify --json, {how}: and one line for the failure', len(done.err.splitlines()) == 1 and json.loads(done.err)['Exit'] == 4, done)
        if daemon:
            daemon.kill()


def damage_is_told_to_programs():
    """What is damaged, where, and in which way, without reading the sentence: the same alone and through a daemon."""
    repo = new_repo()
    root = kit('add', '-Q', '--chunker=size-1000', repo=repo, stdin=b'kept whole' + bytes(2000)).text
    (segment,) = os.listdir(f'{repo}/segments')
    place, file = f'{repo}/segments/{segment}', f'segments/{segment}'
    whole = read(place)
    leaf = next(entry for entry in values(kit('wal', 'list', '--json', repo=repo)) if entry['Type'] == 'block' and whole[entry['Offset']:entry['End']].find(b'kept') > 0)
    write(place, whole.replace(b'kept', b'lost'))

    def verify(*more):
        """What it tells, without the sentence: of each it is there."""
        done = kit('--json', 'repo', 'verify', *more, repo=repo)
        told = values(done)
        check(f'repo verify {more}: sentences for people', all(set(line) > {'Msg', 'Progress', 'Kind'} and line['Msg'] for line in told if 'Kind' in line), done)
        return [{key: value for key, value in line.items() if key not in ('Msg', 'Progress')} for line in told]

    block = {'Kind': 'block', 'Cid': leaf['Cid'], 'File': file, 'Offset': leaf['Offset'], 'End': leaf['End']}
    pin = {'Kind': 'pin', 'Cid': root, 'Blocks': 1, 'Missing': leaf['Cid']}
    alone = verify()
    equal('a block, and the pin that needs it', alone, [block, pin])
    with Daemon(repo=repo) as daemon:
        equal('the same through a daemon', verify(), alone)
        equal('and by its RPC', [json.loads(line)['Kind'] for line in daemon.rpc('repo/verify')[2].splitlines() if b'Kind' in line], ['block', 'pin'])
        told = verify('--heal')
        check('what nobody has is not healed', {'Kind': 'unhealed', 'Cid': leaf['Cid']} in told, told)
    equal('what is given up', verify('--accept-loss')[0], {**block, 'GivenUp': True})
    write(place, whole)

    repo = new_repo()
    kit('add', '-Q', repo=repo, stdin=b'kept whole')
    (log,) = os.listdir(f'{repo}/ops')
    flip(f'{repo}/ops/{log}', os.path.getsize(f'{repo}/ops/{log}') - 1)
    (told,) = verify()
    check('the operation log', told['Kind'] == 'operations' and told['File'] == f'ops/{log}' and 0 <= told['Offset'] < told['End'], told)
    os.remove(f'{repo}/segments/{segment}')
    told = verify()
    check('a segment that is missing', any(line['Kind'] == 'segment' and line['File'] == file and line['Offset'] == 0 < line['End'] and
        line['Blocks'] == 1 for line in told), told)


run_all([damage_is_told_to_programs, help_names_the_others, every_command, the_root_alone, settings, the_daemon_tells_where, damage_is_told])
