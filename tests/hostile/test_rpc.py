#!/usr/bin/env python3
"""The HTTP RPC of a running daemon: who may call, what is answered, and what a hostile client can do."""
import base64
import contextlib
import http.client
import io
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tarfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import (BOUND, BOUNDARY, Daemon, Usage, check, cid_raw, environment, equal, form, form_type, kit, new_repo, noise, part,
    run_all, skip, temp, until, write)

POST_ID = b'POST /api/v0/id HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n'


def talk(daemon, data, bound=BOUND):
    """Sends bytes and gives all that comes until the daemon closes; the sender only half-closes."""
    with daemon.connect() as s:
        s.settimeout(bound)
        got = b''
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            while more := s.recv(65536):
                got += more
        except ConnectionError:
            pass
        return got


def status_of(answer):
    return int(answer.split(b' ', 2)[1]) if answer.startswith(b'HTTP/1.1 ') else None


class Reader:
    """Answers read one by one from a socket."""

    def __init__(self, sock):
        self.file = sock.makefile('rb')

    def head(self):
        status = int(self.file.readline().split()[1])
        return status, http.client.parse_headers(self.file)

    def chunk(self):
        data = self.file.read(int(self.file.readline(), 16))
        self.file.readline()
        return data

    def answer(self):
        status, headers = self.head()
        if headers.get('Transfer-Encoding') != 'chunked':
            return status, headers, self.file.read(int(headers['Content-Length']))
        body = b''
        while data := self.chunk():
            body += data
        return status, headers, body


# ---- Who may call ----

def callers():
    with Daemon() as daemon:
        for method in ('GET', 'HEAD', 'PUT', 'DELETE', 'PATCH'):
            equal(f'{method} is answered with 405', daemon.rpc('id', method=method)[0], 405)
        equal('POST is answered', daemon.rpc('id')[0], 200)
        for name, value in (('Origin', 'http://evil.example'), ('Referer', 'http://evil.example/page'), ('Origin', 'null'),
                ('Origin', f'http://127.0.0.1:{daemon.api_port}.evil.example'), ('Sec-Fetch-Site', 'cross-site'),
                ('Host', 'evil.example'), ('Host', f'evil.example:{daemon.api_port}'), ('Host', '127.0.0.1.evil.example')):
            status, headers, body = daemon.rpc('id', headers={name: value})
            equal(f'{name}: {value} is refused', status, 403)
            check('and what is wrong is named', (b'Host' if name == 'Host' else b'api.origins') in body, body)
            check('and no page may read the answer', 'Access-Control-Allow-Origin' not in headers)
            equal(f'{name}: {value} cannot stop the daemon', daemon.rpc('shutdown', headers={name: value})[0], 403)
        status, headers, _ = daemon.rpc('id', method='OPTIONS', headers={'Origin': 'http://evil.example',
            'Access-Control-Request-Method': 'POST'})
        equal('a preflight of a foreign origin is refused', (status, headers.get('Access-Control-Allow-Origin')), (403, None))
        for host in ('localhost', '127.0.0.1', f'127.0.0.1:{daemon.api_port}', '[::1]:1'):
            equal(f'Host: {host} is served', daemon.rpc('id', headers={'Host': host})[0], 200)
        check('nobody stopped it', daemon.alive() and daemon.serves())

    repo = new_repo()
    kit('config', 'api.origins', 'http://localhost:3000 https://app.example', repo=repo)
    with Daemon(repo=repo) as daemon:
        for origin in ('http://localhost:3000', 'https://app.example'):
            status, headers, _ = daemon.rpc('id', headers={'Origin': origin})
            equal(f'{origin} is allowed', (status, headers['Access-Control-Allow-Origin'], headers['Vary']), (200, origin, 'Origin'))
            status, headers, _ = daemon.rpc('add', method='OPTIONS', headers={'Origin': origin,
                'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type'})
            check('its preflight', status in (200, 204) and headers['Access-Control-Allow-Origin'] == origin and
                'POST' in headers['Access-Control-Allow-Methods'] and 'Content-Type' in headers['Access-Control-Allow-Headers'])
            status, headers, _ = daemon.rpc('cat', 'nonsense', headers={'Origin': origin})
            equal('errors carry it too', (status, headers['Access-Control-Allow-Origin']), (500, origin))
            equal('its referer', daemon.rpc('id', headers={'Referer': origin + '/page'})[0], 200)
        for origin in ('http://localhost:3001', 'http://app.example', 'https://app.example.evil.example', 'https://app.exampl'):
            equal(f'{origin} is refused', daemon.rpc('id', headers={'Origin': origin})[0], 403)
            equal('its referer too', daemon.rpc('id', headers={'Referer': origin + '/'})[0], 403)

    repo = new_repo()
    kit('config', 'api.secret', 'open:sesame', repo=repo)
    with Daemon(repo=repo, api='/ip4/0.0.0.0/tcp/0') as daemon:
        basic = base64.b64encode(b'open:sesame').decode()
        for value, want in ((None, 401), ('Bearer open:sesame', 200), ('bearer open:sesame', 200), (f'Basic {basic}', 200),
                ('Bearer open:sesam', 401), ('Bearer open:sesame2', 401), ('Bearer ', 401), ('Basic !!!!', 401),
                ('Basic ' + 'A' * 5000, 401), ('open:sesame', 401)):
            status, headers, _ = daemon.rpc('id', headers={'Authorization': value} if value else {})
            equal(f'a secret is demanded: Authorization {str(value)[:30]}', status, want)
        equal('the command line without it', kit('id', repo=repo, env={'IPFS_KIT_API_AUTH': 'wrong'}).code, 1)
        equal('the command line with it', kit('--api-auth=open:sesame', 'id', repo=repo).code, 0)
        equal('by the environment', kit('id', repo=repo, env={'IPFS_KIT_API_AUTH': 'open:sesame'}).code, 0)

    path = temp('api.sock')
    with Daemon(api=f'/unix/{path}') as daemon:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.sendall(POST_ID)
            equal('the API on a UNIX socket', Reader(s).answer()[0], 200)
        equal('add through it', kit('add', '-Q', repo=daemon.repo, stdin=b'x' * 100000).code, 0)


# ---- What is answered ----

def errors_are_json():
    with Daemon() as daemon:
        for command, args in (('cat', ['nonsense']), ('ls', ['nonsense']), ('block/get', ['x']), ('pin/rm', ['QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn'])):
            status, headers, body = daemon.rpc(command, *args)
            answer = json.loads(body)
            check(f'{command}: 500 with Message, Code and Type', status == 500 and headers['Content-Type'] == 'application/json'
                and answer['Message'] and answer['Code'] == 0 and answer['Type'] == 'error', body)
        for command in ('cat', 'get', 'block/get', 'dag/export', 'ls', 'pin/add', 'swarm/connect'):
            status, _, body = daemon.rpc(command)
            check(f'{command} without an argument is told so', status in (400, 500) and b'arg' in body.lower(), (status, body))
        for path in ('nonsense', '', '../id', 'id/', 'add/x', '%00', 'x' * 5000):
            status = daemon.rpc(path)[0]
            check(f'/api/v0/{path[:20]} is not found', status in (400, 404), status)
        equal('another place is not found', talk(daemon, POST_ID.replace(b'/api/v0/id', b'/webui'))[9:12], b'404')
        for query in ('arg=%zz', 'arg=%00', 'arg=%', 'arg=a%0', '&'.join('a=1' for _ in range(200))):
            with daemon.connect() as s:
                s.sendall(POST_ID.replace(b'/id', b'/cat?' + query.encode()))
                equal(f'a malformed query ({query[:10]})', Reader(s).head()[0], 400)
        for query in ('cid-version=7', 'chunker=rabin', 'profile=odd'):
            status, _, body = daemon.rpc('add?' + query, body=form([('f', b'x')]), headers=form_type())
            check(f'add with {query} is refused', status == 500 and json.loads(body)['Message'], (status, body))
        check('serves', daemon.serves())


# ---- Metrics, which are read by GET, where Kubo has them ----

METRICS = '/debug/metrics/prometheus'


def ask(daemon, method='GET', path=METRICS, headers=None, body=None):
    connection = http.client.HTTPConnection('127.0.0.1', daemon.api_port, timeout=BOUND)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def the_page_of_metrics():
    with Daemon() as daemon:
        status, headers, body = ask(daemon)
        check('GET is answered', status == 200 and headers['Content-Type'] == 'text/plain; version=0.0.4; charset=utf-8' and
            b'\nipfs_kit_store_blocks 0\n' in body, (status, body))
        for method in ('POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'):
            status, _, body = ask(daemon, method)
            check(f'{method} is answered with 405, and what it wants', status == 405 and b'use GET' in body, (status, body))
        for path in ('/debug/metrics', '/debug/metrics/', METRICS + '/', METRICS + '/x', '//debug/metrics/prometheus', '/debug/../debug/metrics/prometheus',
                '/Debug/metrics/prometheus', '/api/v0' + METRICS, '/debug/vars', '/debug/pprof/cmdline'):
            equal(f'GET {path} is no page', ask(daemon, path=path)[0], 405)
        equal('whatever is asked with it', [ask(daemon, path=METRICS + more)[0] for more in ('?', '?timeout=x', '?arg=' + 'x' * 5000)], [200] * 3)
        equal('malformed', [ask(daemon, path=METRICS + more)[0] for more in ('%00', '%zz', '?a=%z')], [400] * 3)
        for name, value in (('Origin', 'http://evil.example'), ('Referer', 'http://evil.example/page'), ('Origin', 'null'),
                ('Sec-Fetch-Site', 'cross-site'), ('Host', 'evil.example'), ('Host', f'evil.example:{daemon.api_port}')):
            for method in ('GET', 'HEAD'):
                status, headers, body = ask(daemon, method, headers={name: value})
                check(f'{method} with {name}: {value} is refused', status == 403 and b'ipfs_kit' not in body and
                    'Access-Control-Allow-Origin' not in headers, (status, body))
        with daemon.connect() as s:
            reader = Reader(s)
            for method, path, want in (('HEAD', METRICS, 200), ('HEAD', '/api/v0/id', 405)):
                s.sendall(f'{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode() + POST_ID)
                status, headers = reader.head()
                check(f'{method} {path}: the head, which tells the length', status == want and int(headers['Content-Length']) > 0, headers)
                equal('and nothing more before the next answer', reader.answer()[0], 200)
            page = f'GET {METRICS} HTTP/1.1\r\nHost: localhost\r\n'.encode()
            s.sendall((page + b'\r\n') * 20)
            equal('20 pages at once are answered in turn', [reader.answer()[0] for _ in range(20)], [200] * 20)
            s.sendall(page + b'Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n')
            equal('one that has a body', reader.answer()[0], 200)
        many = page + b'Content-Length: 300000\r\n\r\n' + b'x' * 300000
        check('and a longer one', status_of(talk(daemon, many)) == 200)
        check('one whose body never comes', status_of(talk(daemon, page + b'Content-Length: 5\r\n\r\n')) == 200)

        def many_who_read_nothing():
            with contextlib.ExitStack() as idle:
                for _ in range(50):
                    idle.enter_context(daemon.connect()).sendall((page + b'\r\n') * 50)
                check('50 who ask and read nothing', daemon.serves())
        many_who_read_nothing()
        usage = Usage(daemon)
        for _ in range(500):
            ask(daemon)
        usage.returned('500 pages')
        many_who_read_nothing()
        usage.returned('50 who read nothing')

    repo = new_repo()
    kit('config', 'api.origins', 'http://localhost:3000', repo=repo)
    kit('config', 'api.secret', 'sesame', repo=repo)
    with Daemon(repo=repo) as daemon:
        for value, want in ((None, 401), ('Bearer sesam', 401), ('Bearer sesame', 200), ('Basic ' + base64.b64encode(b'x:sesame').decode(), 401),
                ('Basic ' + base64.b64encode(b'sesame').decode(), 200)):
            status, _, body = ask(daemon, headers={'Authorization': value} if value else {})
            check(f'with a secret: Authorization {value}', status == want and (b'ipfs_kit' in body) == (want == 200), (status, body[:100]))
        status, headers, _ = ask(daemon, headers={'Authorization': 'Bearer sesame', 'Origin': 'http://localhost:3000'})
        equal('a page of an allowed origin may read it', (status, headers['Access-Control-Allow-Origin']), (200, 'http://localhost:3000'))


def adding_streams():
    with Daemon() as daemon:
        # Half the parts, their answers, then the rest, over one chunked request.
        with daemon.connect() as s:
            s.sendall(f'POST /api/v0/add HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n'
                f'Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n'.encode())

            def send(data):
                s.sendall(b'%x\r\n%s\r\n' % (len(data), data))
            for i in range(10):
                send(part(f'dir/{i}', str(i).encode()))
            send(f'--{BOUNDARY}\r\n'.encode())  # ends the tenth part
            reader = Reader(s)
            status, headers = reader.head()
            equal('add answers before its body is whole', status, 200)
            lines = []
            while len(lines) < 10:
                lines += [json.loads(line) for line in reader.chunk().splitlines()]
            check('each line is {Name, Hash, Size} with Size a string', all(line['Name'] == f'dir/{i}' and line['Hash'] and
                isinstance(line['Size'], str) and set(line) == {'Name', 'Hash', 'Size'} for i, line in enumerate(lines)), lines)
            for i in range(10, 20):
                send(part(f'dir/{i}', str(i).encode())[len(BOUNDARY) + 4:] if i == 10 else part(f'dir/{i}', str(i).encode()))
            send(f'--{BOUNDARY}--\r\n'.encode())
            s.sendall(b'0\r\n\r\n')
            while data := reader.chunk():
                lines += [json.loads(line) for line in data.splitlines()]
            equal('the rest follows, the folder last', [line['Name'] for line in lines], [f'dir/{i}' for i in range(20)] + ['dir'])

        # A client that reads nothing until all is sent.
        count = 20000
        body = b''.join(part(f'many/{i:05d}-' + 'n' * 60, b'%d' % i) for i in range(count)) + f'--{BOUNDARY}--\r\n'.encode()
        with daemon.connect() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            s.sendall(f'POST /api/v0/add?pin=false HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n'
                f'Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n'.encode())
            s.sendall(body)
            status, _, answer = Reader(s).answer()
            lines = answer.splitlines()
            check('20,000 files of a client that sends all before it reads', status == 200 and len(lines) == count + 1,
                (status, len(lines)))
            root = json.loads(lines[-1])['Hash']
        equal('one of them', daemon.rpc('cat', f'{root}/19999-' + 'n' * 60)[2], b'19999')

        # The command line adds the same.
        top = temp('many')
        for i in range(50):
            write(f'{top}/{i}', str(i).encode())
        sent = form([(f'many/{i}', str(i).encode()) for i in range(50)])
        equal('the same CID as the command line', json.loads(daemon.rpc('add', body=sent, headers=form_type())[2].splitlines()[-1])['Hash'],
            kit('add', '-rQ', top, repo=new_repo()).text)
        wrapped = [json.loads(line) for line in daemon.rpc('add', body=form([('a', b'x')]), headers=form_type(),
            wrap_with_directory=True)[2].splitlines()]
        equal('wrap-with-directory', [line['Name'] for line in wrapped], ['a', ''])
        usage = Usage(daemon, 8 << 20)
        for _ in range(3):
            daemon.rpc('add', body=body, headers=form_type(), pin=False)
        usage.returned('20,000 files added three times')


def bodies_and_connections():
    with Daemon() as daemon:
        body = form([('f', noise(300_000))])
        cid = daemon.add(noise(300_000))
        head = f'POST /api/v0/add HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n'.encode()
        with daemon.connect() as s:
            reader = Reader(s)
            for size in (1 << 20, 1000, 7):
                s.sendall(head + b'Transfer-Encoding: chunked\r\n\r\n')
                pieces = [body[i:i + size] for i in range(0, len(body), size)]
                s.sendall(b''.join(b'%x;ext=1\r\n%s\r\n' % (len(p), p) for p in pieces) + b'0\r\nTrailer: x\r\n\r\n')
                status, _, answer = reader.answer()
                equal(f'a body in chunks of {size}, on one connection', (status, json.loads(answer)['Hash']), (200, cid))
            s.sendall(head + b'Content-Length: %d\r\n\r\n' % len(body) + body)
            equal('a body with its length, on the same', json.loads(reader.answer()[2])['Hash'], cid)
            s.sendall(POST_ID)
            equal('a call without a body, on the same', reader.answer()[0], 200)
            s.sendall(head + b'Expect: 100-continue\r\nContent-Length: %d\r\n\r\n' % len(body))
            equal('Expect: 100-continue', reader.head()[0], 100)
            s.sendall(body)
            equal('and then the answer', json.loads(reader.answer()[2])['Hash'], cid)
            s.sendall(POST_ID * 20)
            equal('20 calls at once are answered in turn', [reader.answer()[0] for _ in range(20)], [200] * 20)
            s.sendall((head + b'Content-Length: %d\r\n\r\n' % len(body) + body) * 3 + POST_ID)
            equal('bodies one after another too', [reader.answer()[0] for _ in range(4)], [200] * 4)
            for i in range(len(POST_ID)):
                s.sendall(POST_ID[i:i + 1])
            equal('a call sent byte by byte', reader.answer()[0], 200)
            s.sendall(POST_ID.replace(b'Host', b'Connection: close\r\nHost'))
            equal('Connection: close', (reader.answer()[0], s.recv(1)), (200, b''))
        equal('HTTP/1.0 ends the connection', status_of(talk(daemon, b'POST /api/v0/id HTTP/1.0\r\n\r\n')), 200)


def get_is_a_tar():
    with Daemon() as daemon:
        top = temp('top')
        write(f'{top}/sub/' + 'n' * 200, noise(1_200_000))
        write(f'{top}/grüße', b'utf-8')
        os.makedirs(f'{top}/empty')
        os.symlink('l' * 180, f'{top}/long')
        write(f'{top}/exact', bytes(512))
        root = kit('add', '-rQ', top, repo=daemon.repo).text
        status, headers, body = daemon.rpc('get', root)
        equal('get: 200 and a TAR', (status, headers['Content-Type']), (200, 'application/x-tar'))
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            names = {m.name: m for m in tar}
            equal('its names', sorted(names), sorted([root, f'{root}/sub', f'{root}/sub/' + 'n' * 200, f'{root}/grüße',
                f'{root}/empty', f'{root}/long', f'{root}/exact']))
            check('its bytes', tar.extractfile(f'{root}/sub/' + 'n' * 200).read() == noise(1_200_000))
            equal('its symlink', names[f'{root}/long'].linkname, 'l' * 180)
            check('all below one folder', all(n == root or n.startswith(root + '/') for n in names))
        for path, names in ((f'{root}/exact', ['exact']), (f'/ipfs/{root}/exact', ['exact']), (f'{root}/exact/', ['exact']),
                (f'{root}/sub', ['sub', 'sub/' + 'n' * 200]), (f'/ipfs/{root}/empty', ['empty']), (f'{root}/grüße', ['grüße']),
                (f'{root}/sub/' + 'n' * 200, ['n' * 200])):
            status, _, body = daemon.rpc('get', path)
            with tarfile.open(fileobj=io.BytesIO(body)) as tar:
                equal(f'get of {path[-20:]}: the last name of the path is the first of the archive, as Kubo has it', [m.name for m in tar], names)
        with tarfile.open(fileobj=io.BytesIO(daemon.rpc('get', f'/ipfs/{root}/')[2])) as tar:
            check('of a CID alone it is the CID', all(m.name.split('/')[0] == root for m in tar))
        status, _, body = daemon.rpc('get', f'{root}/exact')
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            equal('get of one file', [m.size for m in tar], [512])
        status, _, body = daemon.rpc('get', f'{root}/none')
        equal('get of what is not there', (status, json.loads(body)['Code']), (500, 0))


def import_counts():
    """dag/import with stats counts what the archive held."""
    with Daemon() as daemon, Daemon() as other:
        data = noise(3_000_000)
        cid = daemon.add(data)
        root = json.loads(daemon.rpc('block/stat', cid)[2])['Size']
        car = daemon.rpc('dag/export', cid)[2]
        for again in ('', ' once more'):
            lines = [json.loads(line) for line in other.rpc('dag/import', body=form([('car', car)]), headers=form_type(), stats=True)[2].splitlines()]
            equal(f'the root{again}', lines[0]['Root']['Cid']['/'], cid)
            equal(f'blocks and bytes{again}', lines[1], {'Stats': {'BlockCount': 4, 'BlockBytesCount': len(data) + root}})
        both = other.rpc('dag/import', body=form([('a', car), ('b', car)]), headers=form_type(), stats=True)[2].splitlines()
        equal('of two archives together', json.loads(both[-1])['Stats'], {'BlockCount': 8, 'BlockBytesCount': 2 * (len(data) + root)})


def errors_name_the_path():
    with Daemon() as daemon:
        top = temp('top')
        write(f'{top}/sub/file', b'x')
        root = kit('add', '-rQ', top, repo=daemon.repo).text
        absent = cid_raw(b'nobody has this')
        cases = [(command, path, path, why) for command in ('cat', 'get', 'ls', 'stat', 'resolve', 'dag/export', 'pin/add') for path, why in (
            ('nonsense', 'not a CID'), ('/ipfs/nonsense/x', 'not a CID'), (f'{root}/sub/none', "no link named 'none'"),
            (f'/ipfs/{root}/none/x', "no link named 'none'"), (f'{root}/sub/file/x', 'not a folder'))]
        cases += [('cat', f'{root}/sub', f'{root}/sub', 'folder'), ('cat', root, root, 'folder')]
        cases += [(command, absent, absent, 'not in the repo') for command in ('cat', 'get', 'ls', 'block/get', 'pin/add')]
        cases += [('block/get', f'{root}/none', f'{root}/none', 'no link'), ('pin/rm', f'{root}/sub', f'{root}/sub', 'not pinned'),
            ('pin/rm', absent, absent, 'not pinned')]
        # A folder whose file is not here: the block that is missing, and what was asked for.
        write(f'{top}/sub/file', b'y' * 100)
        broken = kit('add', '-rnQ', top, repo=daemon.repo).text
        outer = kit('add', '-rQ', top, repo=(full := new_repo())).text
        equal('the same folder', outer, broken)
        for cid in (outer, kit('resolve', f'{outer}/sub', repo=full).text.split('/')[-1]):
            block = kit('block', 'get', cid, repo=full).out
            equal('its block, without what is below', kit('block', 'put', '--cid-codec=dag-pb', repo=daemon.repo, stdin=block).text, cid)
        leaf = cid_raw(b'y' * 100)
        cases += [('pin/add', f'{outer}/sub', named, 'not in the repo') for named in (f'{outer}/sub', leaf)]
        for command in ('get', 'dag/export'):
            answer = talk(daemon, POST_ID.replace(b'/id', f'/{command}?offline=true&arg={outer}/sub'.encode())).decode(errors='replace')
            trailer = answer.rpartition('\r\nX-Stream-Error: ')[2]
            check(f'{command} that fails when it has begun: the trailer names both', f'{outer}/sub' in trailer and leaf in trailer
                and 'not in the repo' in trailer, answer[-600:])
        for command, path, named, why in cases:
            status, _, body = daemon.rpc(command, path, offline=True)
            text = json.loads(body)['Message'] if status == 500 else body
            check(f'{command} {path[:6]}..{path[-9:]}: the message names it and why', status == 500 and named in text and why in text, (status, text))


# ---- What a hostile client can do ----

def malformed_http():
    with Daemon() as daemon:
        cases = {
            'no HTTP': b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + noise(200), 'text': b'hello\r\n\r\n', 'NULs': bytes(5000),
            'a wrong version': b'POST /api/v0/id HTTP/9.9\r\n\r\n', 'a header without a colon': POST_ID.replace(b'Host: ', b'Host '),
            'NUL in a header': POST_ID.replace(b'127.0.0.1', b'127\0.0.1'), 'NUL in the path': POST_ID.replace(b'/id', b'/i\0d'),
            'two lengths': POST_ID.replace(b'Length: 0', b'Length: 0\r\nContent-Length: 5'),
            'length and chunks': POST_ID.replace(b'Length: 0', b'Length: 5\r\nTransfer-Encoding: chunked'),
            'a length that overflows': POST_ID.replace(b'Length: 0', b'Length: 99999999999999999999999'),
            'a length below zero': POST_ID.replace(b'Length: 0', b'Length: -1'),
            'a head of 40 KiB': POST_ID.replace(b'Host', b'X: ' + b'a' * 40000 + b'\r\nHost'),
            'a path of 40 KiB': POST_ID.replace(b'/id', b'/' + b'a' * 40000),
            '5,000 headers': POST_ID.replace(b'Host', b'X: yyyyyy\r\n' * 5000 + b'Host'),
            'a proxy request': b'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n',
        }
        for round in range(2):
            usage = Usage(daemon)
            for what, data in cases.items():
                answer = talk(daemon, data)
                if round == 0:
                    check(f'{what}: an error and a closed connection', answer == b'' or 400 <= status_of(answer) < 500, answer[:200])
        usage.returned('malformed HTTP')
        for what, chunk in (('no number', b'zz\r\n'), ('a giant one', b'f' * 30 + b'\r\n'), ('longer than said', b'2\r\nabcdef\r\n')):
            answer = talk(daemon, f'POST /api/v0/add HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n'
                f'Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n'.encode() + chunk)
            check(f'a chunk whose length is {what}', answer == b'' or status_of(answer) in (400, 500), answer)
        check('an honest client is served', daemon.serves())

        # A head that never ends is cut off when it reaches the bound.
        with daemon.connect() as s:
            s.sendall(b'POST /api/v0/id HTTP/1.1\r\n')
            sent = 0
            try:
                while sent < 50 << 20:
                    s.sendall(b'X-Endless: ' + b'y' * 8000 + b'\r\n')
                    sent += 8013
            except OSError:
                pass
            check('endless headers are cut off', sent < 20 << 20, sent)


def many_parameters():
    """Up to the bound they are taken, and hold little; more are refused by name, as is a head that is too long."""
    def post(command, query):
        return POST_ID.replace(b'/id', b'/' + command + b'?' + query).replace(b'\r\n\r\n', b'\r\nConnection: close\r\n\r\n')
    with Daemon() as daemon:
        cid = daemon.add(b'many').encode()
        for round in range(2):
            usage = Usage(daemon)
            for what, query, wants in (('1,024', b'&'.join([b'arg=' + cid[:20]] * 1024), None), ('1,025', b'&'.join([b'a=b'] * 1025), b'at most 1024'),
                    ('16,000', b'a&' * 16000, b'at most 1024'), ('only separators', b'&' * 32000, b'at most 1024'),
                    ('5,000 CIDs', b'&'.join([b'arg=' + cid] * 5000), b'at most 32 KiB'), ('malformed ones', b'arg=%zz', b'malformed')):
                answer = talk(daemon, post(b'pin/add', query))
                if round == 0 and wants:
                    check(f'{what}: refused with the bound', (answer == b'' and what == '5,000 CIDs') or
                        (400 <= status_of(answer) < 500 and wants in answer), answer[:300])
                elif round == 0:
                    check(f'{what}: taken', status_of(answer) == 500 and b'is not a CID' in answer, answer[:300])
            answer = talk(daemon, post(b'pin/add', b'&'.join([b'arg=' + cid] * 400)))
            check('400 CIDs: all of them', status_of(answer) == 200 and answer.count(cid) == 400, answer[:300])
            answer = talk(daemon, post(b'pin/ls', b'&'.join([b'arg=' + cid] + [b'x%d=y' % i for i in range(1023)])))
            check('1,023 that nobody knows: no matter', status_of(answer) == 200, answer[:300])
            answer = talk(daemon, post(b'pin/add', b'&'.join([b'arg=' + cid] + [b'recursive=true'] * 1023)))
            check('one option 1,023 times: refused', status_of(answer) == 400 and b'more than once' in answer, answer[:300])
        usage.returned('many parameters')

        fds, memory = daemon.descriptors(), daemon.anonymous()
        absent = cid_raw(b'nobody has this').encode()
        sockets = [daemon.connect() for _ in range(200)]
        for s in sockets:
            s.sendall(post(b'pin/add', b'&'.join([b'arg=' + absent] + [b'x%d=y' % i for i in range(1023)])))
        until('200 are accepted', lambda: daemon.descriptors() >= fds + 200)
        check('an honest client is served beside them', daemon.serves())
        held = daemon.anonymous() - memory
        check('200 requests of 1,024 parameters that wait: at most 224 KiB each', held < 200 * (224 << 10), held // 200)
        for s in sockets:
            s.close()
        until('their descriptors are given back', lambda: daemon.descriptors() <= fds)
        check('an honest client is served', daemon.serves())
        equal('it stops cleanly', daemon.stop(), 0)


def malformed_multipart():
    with Daemon() as daemon:
        good = form([('f', b'x' * 1000)])
        end = f'--{BOUNDARY}--\r\n'.encode()
        wide = 'b' * 71
        cases = {
            'no content type': (good, {}), 'another content type': (good, {'Content-Type': 'application/json'}),
            'no boundary': (good, {'Content-Type': 'multipart/form-data'}),
            'an empty boundary': (good, {'Content-Type': 'multipart/form-data; boundary='}),
            'a boundary of 71 bytes': (form([('f', b'x')], wide), form_type(wide)),
            'another boundary': (good, form_type('different')),
            'truncated in a part': (good[:-200], form_type()), 'truncated in a head': (good[:60], form_type()),
            'an empty body': (b'', form_type()), 'no parts': (end, form_type()),
            'a part head of 1 MiB': (part('f', b'').replace(b'Content-Type', b'X: ' + b'y' * (1 << 20) + b'\r\nContent-Type') + end, form_type()),
            '100,000 header lines': (part('f', b'').replace(b'Content-Type', b'X: y\r\n' * 100000 + b'Content-Type') + end, form_type()),
            'a name of 5,000 bytes': (form([('n' * 5000, b'x')]), form_type()),
            'a name with NUL': (form([('a%00b', b'x')]), form_type()),
            'a raw NUL in a name': (part('NUL', b'x').replace(b'NUL', b'a\0b') + end, form_type()),
            'a preamble': (b'preamble\r\n' + good, form_type()),
            'a symlink target with NUL': (form([('l', b'a\0b', 'application/symlink')]), form_type()),
            'a symlink target of 5,000 bytes': (form([('l', b't' * 5000, 'application/symlink')]), form_type()),
        }
        for name in ('../x', 'a/../../x', '..', 'a/..', './x', 'a//b', '%2e%2e/x', '%2e%2e%2fx', 'a/%2e/b', 'a/'):
            cases[f'the name {name}'] = (form([(name, b'x')]), form_type())
        cases['a name twice'] = (form([('d/a', b'1'), ('d/a', b'2')]), form_type())
        cases['a file that is a folder too'] = (form([('d/a', b'1'), ('d/a/b', b'2')]), form_type())
        cases['2,000 folders deep'] = (form([('/'.join('d' * 2000), b'x')]), form_type())
        pins = daemon.rpc('pin/ls')[2]
        for round in range(2):
            usage = Usage(daemon)
            for what, (body, headers) in cases.items():
                try:
                    status, _, answer = daemon.rpc('add', body=body, headers=headers)
                except (http.client.HTTPException, OSError):
                    status, answer = 'closed', b''
                # Once lines have been answered an error can only be a trailer, which http.client drops.
                refused = status in (400, 500, 'closed') or b'X-Stream-Error' in answer or (
                    what in ('a name twice', 'a file that is a folder too') and b'"Name":"d"' not in answer)
                if round == 0:
                    check(f'add, {what}: refused', refused, (status, answer[:300]))
        usage.returned('malformed multipart')
        equal('nothing of it was pinned', daemon.rpc('pin/ls')[2], pins)
        status, _, answer = daemon.rpc('add', body=form([('/abs/olute', b'x')]), headers=form_type())
        names = [json.loads(line)['Name'] for line in answer.splitlines()]
        equal('an absolute name is taken relative to the tree', names, ['abs/olute', 'abs'])
        for command in ('block/put', 'dag/import'):
            for what, (body, headers) in list(cases.items())[:9]:
                try:
                    status, _, answer = daemon.rpc(command, body=body, headers=headers)
                except (http.client.HTTPException, OSError):
                    status = 'closed'
                check(f'{command}, {what}: refused', status in (400, 500, 'closed'), (status, answer))
        status, _, answer = daemon.rpc('block/put', body=form([('f', bytes((2 << 20) + 1))]), headers=form_type())
        check('block/put of more than 2 MiB', status == 500 and b'2 MiB' in answer, (status, answer))
        check('an honest client is served', daemon.serves())


def reset(sock):
    """Closes by RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


def departed_callers():
    """A caller that is gone is noticed though there is nothing to send it."""
    path = temp('api.sock')
    for api in ('/ip4/127.0.0.1/tcp/0', f'/unix/{path}'):
        with Daemon(api=api) as daemon:
            def ask(command, cid):
                s = daemon.connect() if 'tcp' in api else socket.socket(socket.AF_UNIX)
                if 'tcp' not in api:
                    s.connect(path)
                s.sendall(POST_ID.replace(b'/id', f'/{command}?arg={cid}'.encode()))
                return s

            def absent(i):
                return cid_raw(f'nobody has {i}'.encode())
            for leave in (socket.socket.close, reset):
                fds = daemon.descriptors()
                gone = [ask(('cat', 'pin/add', 'block/get', 'ls', 'get', 'dag/export')[i % 6], absent(i)) for i in range(60)]
                until('they are accepted', lambda: daemon.descriptors() >= fds + 55)
                for s in gone:
                    leave(s)
                with contextlib.suppress(TimeoutError):
                    until('they are noticed', lambda: daemon.descriptors() <= fds)
                check(f'{api[:5]}: 60 callers that left ({leave.__name__}) while their content was looked for are forgotten',
                    daemon.descriptors() <= fds, f'{daemon.descriptors() - fds} are still there')

            # One that only half-closed is answered all the same, be it with more than any buffer holds.
            if 'tcp' in api:
                data = noise(30_000_000)
                cid = daemon.add(data)
                with daemon.connect() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                    s.sendall(POST_ID.replace(b'/id', b'/cat?arg=' + cid.encode()))
                    s.shutdown(socket.SHUT_WR)
                    check('a caller that half-closed gets its answer', Reader(s).answer()[2] == data)
            equal('it stops cleanly', daemon.stop(), 0)


def readers_that_read_nothing():
    """Together they hold no more than a bound, and those that wait for them are served in the end."""
    with Daemon() as daemon:
        data = noise(24 << 20)
        cids = daemon.add(data), daemon.add(data, chunker='size-65536')
        daemon.rpc('cat', cids[0])
        usage = Usage(daemon, 48 << 20)
        sockets = []
        for i in range(150):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(('127.0.0.1', daemon.api_port))
            s.sendall(POST_ID.replace(b'/id', f'/{("cat", "get", "dag/export")[i % 3]}?arg={cids[i % 2]}'.encode()))
            sockets.append(s)
        until('they are accepted', lambda: daemon.descriptors() >= usage.fds + 145)  # the last caller may count
        most = 0
        for _ in range(40):
            most = max(most, daemon.anonymous() - usage.memory)
            daemon.rpc('id')
            select.select([], [], [], 0.05)
        bound = (128 << 20) + 150 * (160 << 10) + usage.slack
        check('150 clients that ask for 24 MiB and read nothing hold no more than the bound', most <= bound, f'{most >> 20} MiB of {bound >> 20}')
        check('a client that reads is served beside them', daemon.rpc('cat', cids[0])[2] == data)
        for s in sockets:
            s.close()
        until('their descriptors are given back', lambda: daemon.descriptors() <= usage.fds)
        check('and afterwards', daemon.serves())
        equal('it stops cleanly', daemon.stop(), 0)


def listening():
    """Every address of api.listen is served, or none."""
    paths = [temp('sock') for _ in range(9)]
    repo = new_repo()
    kit('config', 'api.listen', ' '.join(f'/unix/{path}' for path in paths[:8]), repo=repo)
    with Daemon(repo=repo, api=None) as daemon:
        equal('eight addresses are served', daemon.api, [f'/unix/{path}' for path in paths[:8]])
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(paths[7])
            s.sendall(POST_ID)
            equal('the last too', Reader(s).answer()[0], 200)
    kit('config', 'api.listen', ' '.join(f'/unix/{path}' for path in paths), repo=repo)
    done = kit('daemon', '--listen=/ip4/127.0.0.1/tcp/0', repo=repo, timeout=20)
    check('nine are refused with a reason', done.code not in (0, None) and 'api.listen' in done.err and '8' in done.err, done)


def slow_loris():
    with Daemon() as daemon:
        def many(count, data):
            sockets = []
            for _ in range(count):
                s = daemon.connect()
                s.sendall(data)
                sockets.append(s)
            return sockets
        for round in range(2):
            usage = Usage(daemon, 2 << 20)
            for what, data in (('nothing', b''), ('half a head', POST_ID[:40]), ('half a body', POST_ID.replace(b'/id', b'/add')
                    .replace(b'Length: 0', b'Length: 1000000\r\nContent-Type: multipart/form-data; boundary=b') + b'--b\r\n')):
                sockets = many(300, data)
                until('all are accepted', lambda: daemon.descriptors() >= usage.fds + 300)
                if round:
                    held = daemon.anonymous() - usage.memory
                    check(f'300 connections that send {what}: at most 160 KiB each', held < 300 * (160 << 10), held // 300)
                    check(f'an honest client is served beside them', daemon.serves())
                for s in sockets:
                    s.close()
                until('their descriptors are given back', lambda: daemon.descriptors() <= usage.fds)
        usage.returned('900 slow connections')

        # More than its descriptors: it goes on when they are back.
        import resource
        limit = daemon.descriptors() + 40
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
        sockets = many(100, POST_ID[:40])
        until('its descriptors are used up', lambda: daemon.descriptors() >= limit - 1)
        check('no descriptors left: the daemon lives', daemon.alive())
        for s in sockets:
            s.close()
        check('with descriptors again it serves', daemon.serves())

        # A reader that never reads is forgotten when it goes.
        cid = daemon.add(noise(20_000_000))
        # The allocator keeps some of what the first round took; the rounds after it must add nothing to that.
        fds = daemon.descriptors()
        for round in range(4):
            sockets = many(20, POST_ID.replace(b'/id', b'/cat?arg=' + cid.encode()))
            check('an honest client is served beside 20 that do not read', daemon.serves())
            for s in sockets:
                s.close()
            until('their descriptors are given back', lambda: daemon.descriptors() <= fds)
            if round == 0:
                usage = Usage(daemon, 32 << 20)
        usage.returned('20 clients that do not read, four times')
        equal('it stops cleanly', daemon.stop(), 0)

    with Daemon() as daemon:
        sockets = [daemon.connect() for _ in range(20)]
        for s in sockets:
            s.sendall(POST_ID[:50])
        equal('SIGTERM with open connections', daemon.stop(), 0)


def the_stock_client():
    here = os.path.dirname(os.path.abspath(__file__))
    cache = os.environ.get('IPFS_KIT_CACHE') or os.path.expanduser('~/.cache/ipfs-kit')
    found = [f'{cache}/{name}' for name in sorted(os.listdir(cache)) if name.startswith('js-')] if os.path.isdir(cache) else []
    found = [place for place in found if os.path.isfile(f'{place}/rpc-client.mjs') or os.path.isdir(f'{place}/node_modules')]
    if not found:
        return skip('the stock client: tests/interop/js is not installed; tests/interop/js/install.sh does it')
    program = f'{found[-1]}/rpc-client.mjs'
    if not os.path.isfile(program):
        program = temp('rpc-client.mjs')
        for name in ('rpc-client.mjs', 'common.mjs'):
            write(f'{os.path.dirname(program)}/{name}', open(f'{here}/../interop/js/{name}', 'rb').read())
        os.symlink(f'{found[-1]}/node_modules', f'{os.path.dirname(program)}/node_modules')
    with Daemon() as daemon, Daemon() as other:
        done = subprocess.run(['node', program, f'http://127.0.0.1:{daemon.api_port}', other.swarm[0]], capture_output=True, text=True,
            env=environment(), timeout=120)
        check('the stock kubo-rpc-client: id, add, addAll, cat, get, swarm, repo stat', done.returncode == 0, done.stdout + done.stderr)


def a_deadline_before_the_answer():
    """One that has passed before the first byte of an answer: that has a head all the same."""
    with Daemon() as daemon:
        for command in ('version', 'id', 'tier/list', 'metrics'):
            for timeout in ('0', '1us', '50us'):
                with daemon.connect() as s:
                    s.sendall(f'POST /api/v0/{command}?timeout={timeout} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'.encode())
                    answer = s.makefile('rb').read()
                check(f'{command}, {timeout}: it has a head', answer.startswith(b'HTTP/1.1 '), answer[:200])


run_all([callers, a_deadline_before_the_answer, errors_are_json, the_page_of_metrics, adding_streams, bodies_and_connections, get_is_a_tar, import_counts, errors_name_the_path, malformed_http, many_parameters, malformed_multipart,
    departed_callers, readers_that_read_nothing, listening, slow_loris, the_stock_client])
