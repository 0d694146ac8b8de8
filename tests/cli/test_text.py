#!/usr/bin/env python3
"""What strangers wrote reaches a terminal as text that can only be read: names in folders, refusals, what a daemon says.

The folders are made by hand, as a peer would make them that means harm."""
import hashlib
import http.server
import json
import os
import re
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import Daemon, check, cid_raw, cid_text, equal, field, kit, new_repo, on_terminal, run_all, temp, varint, write

# What a terminal obeys or reorders, and what it must be shown as.
UNSAFE = {
    'escape sequence': (b'\x1b]0;owned\x07', r'\x1B]0;owned\x07'),
    'line end': (b'a\nipfs-kit: all is well', r'a\x0Aipfs-kit: all is well'),
    'carriage return': (b'safe\rreal', r'safe\x0Dreal'),
    'delete': (b'x\x7fy', r'x\x7Fy'),
    'C1 control': ('x\u009b2Jy'.encode(), r'x\u009B2Jy'),
    'a C1 byte alone': (b'x\x9b2Jy', r'x\x9B2Jy'),
    'override of direction': ('gpj\u202e.exe'.encode(), r'gpj\u202E.exe'),
    'isolate': ('a\u2066b\u2069'.encode(), r'a\u2066b\u2069'),
    'marks of direction': ('\u200e\u200f\u061c'.encode(), r'\u200E\u200F\u061C'),
    'separators': ('a\u2028b\u2029c'.encode(), r'a\u2028b\u2029c'),
    'cut off': (b'cut \xe6\x97', r'cut \xE6\x97'),
    'overlong': (b'\xc0\xaf', r'\xC0\xAF'),
    'a surrogate': (b'\xed\xa0\x9b', r'\xED\xA0\x9B'),
}
SAFE = 'grüße 目录 🦆 שלום'
LEAF = b'content'


def folder(links):
    """A dag-pb folder of (name, binary CID): (binary CID, bytes)."""
    data = b''.join(field(2, field(1, cid) + field(2, name) + b'\x18' + varint(len(LEAF))) for name, cid in sorted(links))
    data += field(1, b'\x08\x01')
    return b'\x01\x70\x12\x20' + hashlib.sha256(data).digest(), data


LEAF_CID = b'\x01\x55\x12\x20' + hashlib.sha256(LEAF).digest()


def put(repo, data, codec='dag-pb'):
    done = kit('block', 'put', f'--cid-codec={codec}', repo=repo, stdin=data)
    if done.code:
        raise RuntimeError(done)
    return done.text


def shown_by(*words, repo):
    return on_terminal(*words, repo=repo)[1]


def is_harmless(what, shown):
    """Nothing that a terminal obeys, but the line ends that are ours and the progress line's own erasing."""
    text = re.sub(rb'\r(?=adding|\x1b\[K)|\x1b\[K', b'', shown)
    try:
        text = text.decode()
    except UnicodeDecodeError as error:
        return check(f'{what}: is UTF-8', False, error)
    found = re.findall('[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]', text)
    return check(f'{what}: holds nothing that a terminal obeys', not found, (found, shown))


def listed_names():
    repo = new_repo()
    put(repo, LEAF, 'raw')
    root = put(repo, folder([(name, LEAF_CID) for name, _ in UNSAFE.values()] + [(SAFE.encode(), LEAF_CID)])[1])
    with Daemon(repo=repo):
        shown = {how: shown_by('ls', root, repo=repo) for how in ('through a daemon',)}
    shown['alone'] = shown_by('ls', root, repo=repo)
    for how, text in shown.items():
        is_harmless(f'ls {how} on a terminal', text)
        check(f'ls {how}: letters of all scripts are left as they are', SAFE.encode() in text, text)
        for what, (name, escaped) in UNSAFE.items():
            # JSON, in which a daemon and a node answer, has U+FFFD for what is not UTF-8.
            wanted = escaped if re.search(rb'^[\x00-\x7f]*$', name) or '\\u' in escaped else '\ufffd'
            check(f'ls {how}: {what} is told as text', wanted in text.decode(), text)
    is_harmless('ls --json on a terminal', shown := shown_by('ls', '--json', root, repo=repo))
    names = [link['Name'] for link in json.loads(shown)['Objects'][0]['Links']]
    check('ls --json on a terminal: and says the same as into a pipe', names == [link['Name'] for link in
        json.loads(kit('ls', '--json', root, repo=repo).out)['Objects'][0]['Links']], names)
    piped = kit('ls', root, repo=repo).out
    for what in ('escape sequence', 'C1 control', 'override of direction'):
        check(f'ls into a pipe gives the bytes: {what}', UNSAFE[what][0] in piped, piped)


def refusals():
    """A name stands in the reason why a folder, or one of its entries, cannot be had."""
    repo = new_repo()
    put(repo, LEAF, 'raw')
    nowhere = b'\x01\x55\x12\x20' + bytes(32)
    strange = b'\x01\x51\x12\x20' + hashlib.sha256(b'\x01').digest()  # of a codec that is no file
    put(repo, b'\x01', 'cbor')
    for what, (name, escaped) in UNSAFE.items():
        for why, links in (('a name with a slash', [(name + b'/../../x', LEAF_CID)]), ('a block that is not here', [(name, nowhere)]),
                ('no file', [(name, strange)]), ('a name that is too long', [(name + b'x' * 300, LEAF_CID)])):
            root = put(repo, folder(links)[1])
            done = kit('get', '-o', temp('out'), root, repo=repo)
            if not check(f'get, {what}, {why}: is refused', done.code != 0 and done.err, done):
                continue
            is_harmless(f'get, {what}, {why}', done.err.encode('utf-8', 'surrogateescape'))
        for words in (['cat', f'{root}/' + os.fsdecode(name)], ['get', f'{root}/' + os.fsdecode(name) + '/deeper'], [os.fsdecode(name)],
                ['config', os.fsdecode(name)], ['cat', os.fsdecode(name)], ['add', '/no/' + os.fsdecode(name)], ['add', '--' + os.fsdecode(name)]):
            done = kit(*words, repo=repo, cwd='/')
            check(f'{words[0]!r}, {what}: fails', done.code != 0, done)
            is_harmless(f'{words[0]!r} of {what}', done.err.encode('utf-8', 'surrogateescape'))
        with_json = kit('--json', 'cat', os.fsdecode(name), repo=repo)
        check(f'--json, {what}: one line of JSON', len(with_json.err.splitlines()) == 1 and json.loads(with_json.err)['Exit'] == 2, with_json)
    with Daemon(repo=repo):
        for what, (name, escaped) in UNSAFE.items():
            root = put(repo, folder([(name + b'/../../x', LEAF_CID)])[1])
            done = kit('get', '-o', temp('out'), root, repo=repo)
            check(f'get through a daemon, {what}: is refused', done.code != 0 and done.err, done)
            is_harmless(f'get through a daemon, {what}', done.err.encode('utf-8', 'surrogateescape'))


def places_on_disk():
    repo = new_repo()
    for what, (name, escaped) in UNSAFE.items():
        place = os.path.join(temp('place'), os.fsdecode(name))
        write(place, LEAF)
        is_harmless(f'add, {what}', shown_by('add', place, repo=repo))
        cid = cid_raw(LEAF)
        done = kit('get', '-o', place, cid, repo=repo)
        check(f'saved to {what}', done.code == 0 and escaped in done.err, done)
        is_harmless(f'saved to {what}', done.err.encode('utf-8', 'surrogateescape'))


EVIL = 'go-evil/"\u009b2J\x1b[31m\u202eknaht'


class EvilDaemon(http.server.BaseHTTPRequestHandler):
    """Answers as a daemon that means harm: every text is the same, and the last word of a refusal too."""

    def do_POST(self):
        command = self.path.split('?')[0][len('/api/v0/'):]
        answers = {'id': {key: EVIL for key in ('ID', 'PublicKey', 'AgentVersion')} | {'Addresses': [EVIL], 'Protocols': [EVIL]},
            'version': {key: EVIL for key in ('Version', 'Commit', 'Repo', 'System')}, 'resolve': {'Path': EVIL},
            'swarm/peers': {'Peers': [{'Addr': EVIL, 'Peer': EVIL, 'Latency': EVIL, 'Direction': 1}]}, 'swarm/connect': {'Strings': [EVIL]},
            'ping': {'Success': True, 'Time': 0, 'Text': EVIL}, 'pin/ls': {'Keys': {EVIL: {'Type': EVIL}}}, 'pin/add': {'Pins': [EVIL]},
            'repo/stat': {'RepoPath': EVIL, 'Version': EVIL}, 'repo/verify': {'Msg': EVIL, 'Progress': 0}, 'stat': {'Hash': EVIL, 'Type': EVIL},
            'block/stat': {'Key': EVIL, 'Size': 1}, 'block/put': {'Key': EVIL, 'Size': 1}, 'dag/put': {'Cid': {'/': EVIL}},
            'dag/import': {'Root': {'Cid': {'/': EVIL}, 'PinErrorMsg': ''}}, 'ls': {'Objects': [{'Hash': EVIL, 'Links': [{'Name': EVIL, 'Hash': EVIL,
            'Size': 1, 'Type': 2}]}]}, 'wal/status': {'Stopped': EVIL}, 'wal/list': {'Type': EVIL, 'Cid': EVIL}, 'heat/top': {'Root': EVIL},
            'metrics': {'Name': EVIL, 'Type': EVIL, 'Help': EVIL, 'Values': [{'Labels': {EVIL: EVIL}, 'Value': 1e300}, EVIL]}, 'bitswap/wantlist': {'Keys': [{'/': EVIL}], 'Offers': [0]}}
        answer = answers.get(command)
        body = json.dumps(answer if answer else {'Message': EVIL, 'Code': 0, 'Type': 'error'}).encode() + b'\n'
        self.send_response(200 if answer else 500)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def is_json(line):
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def what_a_daemon_says():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), EvilDaemon)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    api, repo = f'--api=/ip4/127.0.0.1/tcp/{server.server_port}', new_repo()
    cid = cid_raw(LEAF)
    some = write(temp('some'), LEAF)
    for words in (['id'], ['version'], ['version', '-n'], ['resolve', cid], ['swarm', 'peers', '-v'], ['swarm', 'connect', 'x'], ['ping', 'x'],
            ['pin', 'ls'], ['pin', 'add', cid], ['repo', 'stat'], ['repo', 'verify'], ['stat', cid], ['block', 'stat', cid],
            ['block', 'put', some], ['dag', 'put', some], ['dag', 'import', some], ['ls', cid], ['ls', cid, cid], ['cat', cid], ['get', '-o', temp('x'), cid],
            ['dag', 'export', '-o', temp('x'), cid], ['block', 'get', cid], ['pin', 'rm', cid], ['wal', 'status'], ['wal', 'list'], ['wal', 'verify'], ['heat', 'top'], ['metrics'], ['add', some], ['shutdown']):
        for more in ([], ['--json']):
            shown = shown_by(api, *more, *words, repo=repo)
            name = ' '.join([*more, *words[:2]])
            is_harmless(f'{name} from a daemon that means harm', shown)
            check(f'{name}: but tells what it said', b'knaht' in shown, shown)
            if more:
                check(f'{name}: each line is JSON', all(is_json(line) for line in shown.splitlines()), shown)
    server.shutdown()


def lines_beside_progress():
    """What is printed while the progress line stands there takes its place."""
    repo, car = new_repo(), temp('car')
    kit('dag', 'export', '-o', car, kit('add', '-Q', write(temp('some'), LEAF), repo=repo).text, repo=repo)
    repo = new_repo()
    for words, line in ((['dag', 'import', car], b'imported '), (['pin', 'rm', cid_raw(LEAF)], None), (['repo', 'gc'], b'removed ')):
        code, shown, _ = on_terminal(*words, repo=repo)
        if line:
            check(f'{words[:2]}: the progress line is wiped away first', code == 0 and b'\r\x1b[K' + line in shown, shown)


run_all([listed_names, refusals, places_on_disk, what_a_daemon_says, lines_beside_progress])
