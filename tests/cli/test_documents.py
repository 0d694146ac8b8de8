#!/usr/bin/env python3
"""Documents: what dag put makes of them, and where paths through them lead; alone, through a daemon, over the RPC."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import ABSENT, Daemon, check, cid_raw, equal, form, form_type, kit, new_repo, run_all, temp, write

# As Kubo's documentation and others' have it.
HELLO, HELLO_CID = b'{"hello":"world"}', 'bafyreidykglsfhoixmivffc5uwhcgshx4j465xwqntbmu43nb2dzqwfvae'
ABSENT_DOCUMENT = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'


def both(test):
    """Runs it with a repo opened by the command, and with one that a daemon has."""
    def run():
        test('alone', new_repo())
        with Daemon() as daemon:
            test('through a daemon', daemon.repo)
    run.__name__ = test.__name__
    return run


def put(repo, document, *words):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return kit('dag', 'put', *words, repo=repo, stdin=data).text


def get(repo, path, *words):
    done = kit('dag', 'get', *words, path, repo=repo)
    return done.out if done.code == 0 else done


@both
def what_is_put(how, repo):
    equal(f'{how}: dag put', put(repo, HELLO), HELLO_CID)
    equal(f'{how}: dag get', get(repo, HELLO_CID), HELLO)
    equal(f'{how}: dag get --output-codec', get(repo, HELLO_CID, '--output-codec=dag-cbor'), b'\xa1\x65hello\x65world')
    equal(f'{how}: from dag-cbor', put(repo, b'\xa1\x65hello\x65world', '--input-codec=dag-cbor'), HELLO_CID)
    equal(f'{how}: as dag-json', get(repo, put(repo, b' { "b":1, "a" : 2 }', '--store-codec', 'dag-json')), b'{"a":2,"b":1}')
    equal(f'{how}: raw bytes', put(repo, {'/': {'bytes': 'aGVsbG8'}}, '--store-codec=raw'), cid_raw(b'hello'))
    check(f'{how}: --hash', put(repo, HELLO, '--hash', 'blake2b-256').startswith('bafy2bz'), put(repo, HELLO, '--hash', 'blake2b-256'))
    equal(f'{how}: --json', kit('dag', 'put', '--json', repo=repo, stdin=HELLO).out, b'{"Cid":{"/":"%s"}}\n' % HELLO_CID.encode())
    files = [write(temp('a'), HELLO), write(temp('b'), b'[]')]
    equal(f'{how}: two files', kit('dag', 'put', *files, repo=repo).text.split(), [HELLO_CID, put(repo, b'[]')])
    equal(f'{how}: nothing is pinned', kit('pin', 'ls', repo=repo).out, b'')
    put(repo, HELLO, '--pin')
    check(f'{how}: --pin', HELLO_CID in kit('pin', 'ls', repo=repo).text)


@both
def where_paths_lead(how, repo):
    top = put(repo, {'link': {'/': HELLO_CID}, 'list': [1, {'deep': {'/': HELLO_CID}}, [True, None]], 'n': -5, 'half': 2.5})
    put(repo, HELLO)
    for path, wanted in (('link', HELLO), ('link/hello', b'"world"'), ('list/0', b'1'), ('list/1/deep/hello', b'"world"'),
            ('list/2', b'[true,null]'), ('n', b'-5'), ('half', b'2.5'), ('list', b'[1,{"deep":{"/":"%s"}},[true,null]]' % HELLO_CID.encode())):
        equal(f'{how}: {path}', get(repo, f'{top}/{path}'), wanted)
        equal(f'{how}: /ipfs/ and {path}', get(repo, f'/ipfs/{top}/{path}'), wanted)
    for path in ('none', 'list/3', 'list/01', 'n/x', 'link/none'):
        done = kit('dag', 'get', f'{top}/{path}', repo=repo)
        check(f'{how}: {path} is not found', done.code == 3 and f"'{path.split('/')[-1]}'" in done.err and not done.out, done)

    folder = os.path.dirname(os.path.dirname(write(temp('x') + '/sub/file', b'content')))
    root = kit('add', '-rQ', folder, repo=repo).text
    sub, file = (kit('resolve', f'{root}/{path}', repo=repo).text.split('/')[-1] for path in ('sub', 'sub/file'))
    document = json.loads(get(repo, f'{root}/sub'))
    equal(f'{how}: a folder by name', document['Links'], [{'Hash': {'/': file}, 'Name': 'file', 'Tsize': 7}])
    equal(f'{how}: a file in it', get(repo, f'{root}/sub/file', '--output-codec=raw'), b'content')
    equal(f'{how}: /ipld/ goes by fields', get(repo, f'/ipld/{sub}/Links/0/Name'), b'"file"')
    equal(f'{how}: which are no names otherwise', kit('dag', 'get', f'{sub}/Links', repo=repo).code, 3)
    plain = put(repo, {'Links': [{'Hash': {'/': HELLO_CID}, 'Name': 'other'}]}, '--store-codec=dag-pb')
    equal(f'{how}: a link of dag-pb that is no folder', get(repo, f'{plain}/other/hello'), b'"world"')
    equal(f'{how}: dag-pb comes back as it was', put(repo, get(repo, sub), '--store-codec=dag-pb'), sub)


@both
def what_is_refused(how, repo):
    put(repo, HELLO)
    for what, words, data, code, told in (
            ('no JSON', ['put'], b'{"a":', 1, 'not well-formed dag-json'), ('no form in dag-pb', ['put', '--store-codec=dag-pb'], HELLO, 1, 'no form in dag-pb'),
            ('no form in raw', ['get', HELLO_CID, '--output-codec=raw'], b'', 1, 'no form in raw'),
            ('no such codec', ['put', '--store-codec=x'], HELLO, 2, "cannot be 'x'"), ('none to write', ['get', HELLO_CID, '--output-codec=x'], b'', 2, "'x'"),
            ('one that is not written', ['get', HELLO_CID, '--output-codec=cbor'], b'', 2, "cannot be 'cbor'"),
            ('no such hash', ['put', '--hash=x'], HELLO, 2, "'x'"), ('no such file', ['put', '/no/file'], b'', 3, '/no/file'),
            ('too long', ['put'], b'"' + b'x' * (4 << 20) + b'"', 1, '2 MiB'),
            ('too deep', ['put'], b'[' * 600 + b']' * 600, 1, 'nested deeper than 512'), ('no CID', ['get', 'x'], b'', 2, "'x'")):
        done = kit('dag', *words, repo=repo, stdin=data)
        check(f'{how}: {what}', done.code == code and told in done.err and not done.out, done)
    other = kit('block', 'put', '--cid-codec=json', repo=repo, stdin=b'{}').text
    done = kit('dag', 'get', other, repo=repo)
    check(f'{how}: a block of a codec that is not read', done.code == 1 and 'is json' in done.err, done)
    missing = kit('--timeout', '2s', 'dag', 'get', f'{ABSENT_DOCUMENT}/a', repo=repo)
    check(f'{how}: a block that is not here', missing.code in (3, 5) and ABSENT_DOCUMENT in missing.err, missing)


@both
def a_pin_of_what_is_not_here(how, repo):
    for what, words, data in (('dag put', ['dag', 'put'], b'{"link":{"/":"%s"},"%s":1}' % (ABSENT.encode(), how.encode())),
            ('block put', ['block', 'put', '--cid-codec=dag-json'], b'{"link":{"/":"%s"}}' % ABSENT.encode())):
        done = kit('--timeout=2s', *words, '--pin', repo=repo, stdin=data)
        check(f'{how}: {what} --pin names the block that is missing', done.code in (3, 5) and ABSENT in done.err and not done.out, done)
        equal(f'{how}: {what}: nothing is pinned', kit('pin', 'ls', repo=repo).out, b'')
        cid = kit(*words, repo=repo, stdin=data).text
        if how == 'alone':
            check(f'{how}: {what}: the block is told, and that it is stored', f'{cid} is stored, and not pinned' in done.err, done)
        equal(f'{how}: {what}: the repo is whole', kit('repo', 'verify', repo=repo).code, 0)


def a_pin_fetches_what_is_missing():
    with Daemon() as one, Daemon() as two:
        linked = put(one.repo, HELLO)
        equal('swarm connect', kit('swarm', 'connect', one.swarm[0], repo=two.repo).code, 0)
        document = {'link': {'/': linked}}
        body, headers = form([('a', json.dumps(document).encode())]), form_type()
        status, _, answer = two.rpc('dag/put', body=body, headers=headers, pin=True, offline=True)
        check('offline: the block is stored and not pinned', status == 500 and b'is stored, and not pinned' in answer and linked.encode() in answer, answer)
        equal('offline: nothing is pinned', kit('pin', 'ls', repo=two.repo).out, b'')
        top = put(two.repo, document, '--pin')
        check('dag put --pin of what a peer has', top in kit('pin', 'ls', repo=two.repo).text)
        equal('it is here now', two.rpc('block/get', linked, offline=True)[::2], (200, b'\xa1\x65hello\x65world'))
        equal('the repo is whole', kit('repo', 'verify', repo=two.repo).code, 0)


def over_the_rpc():
    with Daemon() as daemon:
        body = form([('a', HELLO), ('b', b'[1]')])
        status, headers, answer = daemon.rpc('dag/put', body=body, headers=form_type(), store_codec='dag-cbor', input_codec='dag-json', pin=True)
        cids = [json.loads(line)['Cid']['/'] for line in answer.splitlines()]
        equal('dag/put of two', (status, headers['Content-Type'], cids[0], len(cids)), (200, 'application/json', HELLO_CID, 2))
        equal('dag/get', daemon.rpc('dag/get', f'/ipfs/{HELLO_CID}/hello')[::2], (200, b'"world"'))
        equal('dag/get by codec', daemon.rpc('dag/get', HELLO_CID, output_codec='dag-cbor')[2], b'\xa1\x65hello\x65world')
        for what, call in (('no argument', ['dag/get']), ('no codec', ['dag/get', HELLO_CID, {'output_codec': 'x'}]), ('no body', ['dag/put'])):
            more = call.pop() if isinstance(call[-1], dict) else {}
            status, _, answer = daemon.rpc(*call, **more)
            check(f'{what}: refused', status in (400, 500), (status, answer))
        check('the daemon serves', daemon.serves())


run_all([what_is_put, where_paths_lead, what_is_refused, a_pin_of_what_is_not_here, a_pin_fetches_what_is_missing, over_the_rpc])
