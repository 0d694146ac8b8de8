#!/usr/bin/env python3
"""The options of Kubo's RPC: done, or refused by name; never passed over when they change the answer."""
import http.client
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import ABSENT, BOUNDARY, Daemon, check, equal, form, form_type, noise, part, run_all


def message(body):
    try:
        return json.loads(body)['Message']
    except (ValueError, KeyError):
        return body.decode(errors='replace')


def timeouts():
    with Daemon() as daemon:
        for command in ('cat', 'get', 'ls', 'block/get', 'block/stat', 'dag/export', 'pin/add', 'resolve', 'stat'):
            path = ABSENT + ('/x' if command == 'resolve' else '')
            status, headers, body = daemon.rpc(command, path, timeout='300ms')
            check(f'{command} with a timeout ends by it, naming the path and the time', status == 500 and path in message(body)
                and '300ms' in message(body) and 'context deadline exceeded' in message(body), (status, body))
            equal(f'and as JSON', headers['Content-Type'], 'application/json')
        for time in ('0', '1ns', '1us', '1µs', '0.2s', '.1s', '1ms200us', '-1s', '0h0m0.1s', '0.1', '-3'):
            status, _, body = daemon.rpc('cat', ABSENT, timeout=time)
            check(f'timeout={time}', status == 500 and 'deadline' in message(body), (status, body))
        for time in ('abc', '', '1m30', '1.2.3', '1e3', '10x', 's', '1.2.3s', '5s6', '1e3s', ' 1s', '-', '99999999999999h', 'nans', '0x1s'):
            status, _, body = daemon.rpc('cat', ABSENT, timeout=time)
            check(f'timeout={time!r} is refused and named', status == 400 and b'timeout' in body, (status, body))
        cid = daemon.add(b'here')
        for time in ('10s', '1m30s', '1h', '1.5h', '+5m', '90'):
            equal(f'what is here is answered within timeout={time}', daemon.rpc('cat', cid, timeout=time)[::2], (200, b'here'))
        # A body that does not come is what an add waits for.
        body = part('f', b'half')[:-2]
        with daemon.connect() as s:
            s.sendall((f'POST /api/v0/add?timeout=500ms HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) + 100}\r\n'
                f'Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n').encode() + body)
            answer = b''
            while more := s.recv(65536):
                answer += more
            check('an add ends by its timeout too', b' 500 ' in answer and b'500ms' in answer, answer)
        for command in ('add', 'block/put', 'dag/put', 'dag/import'):
            with daemon.connect() as s:
                s.sendall((f'POST /api/v0/{command}?timeout=500ms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n'
                    f'Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n').encode())
                answer = b''
                while more := s.recv(65536):
                    answer += more
                check(f'{command} of which no part came says so', b' 500 ' in answer and b'500ms' in answer, answer)
        check('it serves', daemon.serves())


def offline():
    with Daemon() as holder, Daemon() as daemon:
        data = noise(2_500_000, 3)
        cid = holder.add(data)
        equal('two nodes are connected', daemon.rpc('swarm/connect', holder.swarm[0])[0], 200)
        for command in ('cat', 'get', 'ls', 'block/get', 'block/stat', 'dag/export', 'pin/add', 'stat'):
            for query in ({'offline': 'true'}, {'offline': ''}, {'local': '1'}):
                status, _, body = daemon.rpc(command, cid, **query)
                check(f'{command} with {query}: what is not here is not fetched', status == 500 and cid in message(body)
                    and 'offline' in message(body), (status, body))
        equal('nothing was fetched', json.loads(daemon.rpc('repo/stat')[2])['NumObjects'], 0)
        check('offline=false fetches it', daemon.rpc('cat', cid, offline='false')[2] == data)
        check('and then it is here, offline too', daemon.rpc('cat', cid, offline='true')[2] == data)
        check('offline=no is the same', daemon.rpc('cat', cid, offline='no')[2] == data)
        equal('a value that is none', daemon.rpc('cat', cid, offline='maybe')[0], 400)
        # The same connection asks peers again for the next call.
        other = holder.add(b'another')
        connection = http.client.HTTPConnection('127.0.0.1', daemon.api_port, timeout=60)
        got = []
        for query in ('&offline=true', ''):
            connection.request('POST', f'/api/v0/cat?arg={other}{query}')
            answer = connection.getresponse()
            got.append((answer.status, answer.read()))
        equal('offline is of one call', (got[0][0], got[1]), (500, (200, b'another')))


def what_is_not_done_is_refused():
    with Daemon() as daemon:
        sent, kind = form([('f', b'x' * 1000)]), form_type()
        before = daemon.rpc('repo/stat')[2], daemon.rpc('pin/ls')[2]

        def refused(command, query, *args, body=None, headers=None, name=None):
            status, _, answer = daemon.rpc(command + '?' + query + ''.join(f'&arg={a}' for a in args), body=body, headers=headers)
            check(f'{command}?{query} is refused and named', status == 500 and (name or query.split('=')[0]) in message(answer)
                and 'not done here' in message(answer), (status, answer))
        for query in ('hash=sha2-512', 'hash=blake3', 'trickle=true', 'trickle=1', 'trickle', 'trickle=T', 'inline=true', 'mode=0644', 'mtime=5',
                'mtime-nsecs=5', 'nocopy=true', 'fscache=true', 'to-files=/x', 'max-file-links=100', 'max-directory-links=10',
                'max-hamt-fanout=64', 'preserve-mode=true', 'preserve-mtime=true', 'cid-base=base58btc',
                'upgrade-cidv0-in-output=true', 'encoding=text'):
            refused('add', query, body=sent, headers=kind)
        refused('add', 't=true', body=sent, headers=kind, name='trickle')
        # Before the body is read: none comes.
        with daemon.connect() as s:
            s.sendall(b'POST /api/v0/add?trickle=true HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n')
            check('before its body is read', b' 500 ' in s.recv(65536))
        # A client that sends all before it reads is not cut off in the middle of it.
        with daemon.connect() as s:
            s.sendall(b'POST /api/v0/add?trickle=true HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n')
            for _ in range(4):
                s.sendall(bytes(1_000_000))
            answer = b''
            while more := s.recv(65536):
                answer += more
            check('though its body is sent first', b' 500 ' in answer and b'trickle' in answer, answer)
        for command, query in (('get', 'compress=true'), ('ls', 'stream=true'), ('pin/rm', 'recursive=false'),
                ('repo/verify', 'drop=true'), ('swarm/peers', 'streams=true'), ('dag/export', 'local-only=true'),
                ('id', 'peerid-base=base36'), ('files/stat', 'with-local=true'), ('config', 'json=true'), ('bitswap/wantlist', 'peer=x'),
                ('cat', 'cid-base=base36')):
            refused(command, query, *([ABSENT] if command not in ('repo/verify', 'id', 'swarm/peers', 'bitswap/wantlist') else []))
        for command, query in (('block/put', 'mhlen=20'), ('block/put', 'allow-big-block=true'), ('dag/import', 'allow-big-block=true')):
            refused(command, query, body=sent, headers=kind)
        equal('nothing was stored or pinned', (daemon.rpc('repo/stat')[2], daemon.rpc('pin/ls')[2]), before)

        for query in ('trickle=maybe', 'pin=2', 'cid-version=x', 'max-file-links=x', 'only-hash=TrUe'):
            status, _, answer = daemon.rpc('add?' + query, body=sent, headers=kind)
            check(f'add?{query} is malformed', status == 400 and query.split('=')[0].encode() in answer, (status, answer))
        status, _, answer = daemon.rpc('add?pin=false&pin=true', body=sent, headers=kind)
        check('an option given twice', status == 400 and b'pin' in answer and b'more than once' in answer, (status, answer))
        cid = daemon.add(b'0123456789')
        for command in ('cat', 'get', 'dag/get', 'dag/export', 'block/get'):
            status, _, answer = daemon.rpc(command, cid, ABSENT)
            check(f'{command} of two is refused, naming the second', status == 400 and ABSENT.encode() in answer, (status, answer))
        for query in ('offset=-1', 'length=-1', 'offset=x', 'offset=99999999999999999999'):
            equal(f'cat?{query} is malformed', daemon.rpc(f'cat?{query}&arg={cid}')[0], 400)
        equal('short names are names', daemon.rpc(f'cat?o=2&l=3&arg={cid}')[2], b'234')
        hashed = json.loads(daemon.rpc('add?n=true', body=form([('f', b'not kept')]), headers=kind)[2])['Hash']
        equal('n=true is only-hash', daemon.rpc('block/stat', hashed, offline=True)[0], 500)


def what_changes_nothing_is_taken():
    with Daemon() as daemon:
        sent, kind = form([('f', b'x' * 1000)]), form_type()
        plain = daemon.rpc('add', body=sent, headers=kind)[2]
        for query in ('hash=sha2-256', 'trickle=false', 'trickle=0', 'inline=false', 'inline-limit=32', 'quiet=true', 'quieter=true',
                'silent=true', 'stream-channels=true', 'pin=true', 'nocopy=false', 'mode=', 'to-files=', 'max-hamt-fanout=256', 'recursive=true',
                'encoding=json', 'unknown=1', 'wrap-with-directory=false', 'w=f', 'fast-provide-root=true', 'cid-base='):
            status, _, answer = daemon.rpc('add?' + query, body=sent, headers=kind)
            equal(f'add?{query}: as without', (status, answer), (200, plain))
        for command, query in (('id', 'format=x'), ('version', 'number=true'), ('repo/stat', 'human=true'), ('swarm/peers', 'verbose=true'),
                ('pin/ls', 'names=true'), ('pin/ls', 'quiet=true&stream=true')):
            equal(f'{command}?{query}', daemon.rpc(f'{command}?{query}')[0], 200)
        # What the file was like is sent by Kubo's clients always, and kept only with preserve-mode and preserve-mtime.
        named = sent.replace(b'name="file"', b'name="file?mode=0644&mtime=5&mtime-nsecs=1"')
        equal('a part that tells its mode and mtime: as without', daemon.rpc('add', body=named, headers=kind)[::2], (200, plain))
        root = daemon.add(noise(100_000))
        for query in ('archive=true', 'progress=false', 'output=x', 'compress=false&compression-level=5'):
            equal(f'get?{query}', daemon.rpc(f'get?arg={root}&{query}')[0], 200)


run_all([timeouts, offline, what_is_not_done_is_refused, what_changes_nothing_is_taken])
