#!/usr/bin/env python3
"""dag import of an archive that lacks blocks: what is not pinned is told, with the block that is missing, and by the exit code."""
import base64
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import Daemon, check, cid_raw, equal, kit, new_repo, noise, run_all, temp, varint, write

SIZE = 600_000


def binary(cid):
    text = cid[1:].upper()
    return base64.b32decode(text + '=' * (-len(text) % 8))


def archive(roots, blocks):
    """A CARv1; roots are CIDs, blocks pairs of CID and bytes."""
    head = b'\xa2\x65roots' + bytes([0x80 + len(roots)])
    for root in roots:
        head += b'\xd8\x2a\x58' + bytes([1 + len(binary(root))]) + b'\0' + binary(root)
    head += b'\x67version\x01'
    sections = [head] + [binary(cid) + data for cid, data in blocks]
    return b''.join(varint(len(section)) + section for section in sections)


def lacking():
    """An archive of two roots, of which the first lacks its last leaf; the CIDs of root, leaf and whole root."""
    repo = new_repo()
    root = kit('add', '-Q', '--cid-version=1', '--chunker=size-262144', repo=repo, stdin=noise(SIZE)).text
    leaf, whole = cid_raw(noise(SIZE)[2 * 262144:]), cid_raw(b'whole')
    blocks = [(cid, kit('block', 'get', cid, repo=repo).out) for cid in (root, cid_raw(noise(SIZE)[:262144]), cid_raw(noise(SIZE)[262144:2 * 262144]))]
    return archive([root, whole], blocks + [(whole, b'whole')]), root, leaf, whole


def is_told(how, words, repo, path, root, leaf, whole):
    done = kit('dag', 'import', *words, path, repo=repo)
    lines = done.err.splitlines()
    check(f'{how}: exit code 1', done.code == 1, done)
    check(f'{how}: the root, and the block that is missing', any(root in line and f'{leaf} is neither in the archive nor in the repo' in line for line in lines), done)
    check(f'{how}: how many, and what to do', '1 of 2 roots' in lines[-1] and 'keep the archive' in lines[-1] and 'pin add' in lines[-1], lines)
    check(f'{how}: the other is pinned', whole in done.text and root not in done.text, done)
    done = kit('dag', 'import', *words, '--json', path, repo=repo)
    messages = {line['Root']['Cid']['/']: line['Root']['PinErrorMsg'] for line in map(json.loads, done.out.splitlines())}
    check(f'{how}, --json: 1 too', done.code == 1 and json.loads(done.err.splitlines()[-1])['Exit'] == 1, done)
    check(f'{how}, --json: PinErrorMsg', messages[whole] == '' and leaf in messages[root], messages)
    done = kit('dag', 'import', *words, '--pin-roots=false', path, repo=repo)
    check(f'{how}: who asks for no pin is not failed', done.code == 0 and not done.err, done)
    equal(f'{how}: pins', kit('pin', 'ls', '-q', repo=repo).text.split(), [whole])


def a_root_that_is_not_pinned_fails():
    car, root, leaf, whole = lacking()
    path = write(temp('x.car'), car)
    is_told('alone', [], new_repo(), path, root, leaf, whole)
    is_told('--adopt', ['--adopt'], new_repo(), path, root, leaf, whole)
    with Daemon() as daemon:
        is_told('through a daemon', [], daemon.repo, path, root, leaf, whole)


def what_is_missing_may_come_later():
    car, root, leaf, whole = lacking()
    repo = new_repo()
    path = write(temp('x.car'), car)
    equal('not yet', kit('dag', 'import', path, repo=repo).code, 1)
    rest = write(temp('y.car'), archive([leaf], [(leaf, noise(SIZE)[2 * 262144:])]))
    equal('the rest', kit('dag', 'import', rest, repo=repo).code, 0)
    equal('then it is pinned', [kit(*words, repo=repo).code for words in (('pin', 'add', root), ('dag', 'import', path))], [0, 0])
    done = kit('dag', 'import', path, rest, repo=new_repo())
    check('of several archives all are taken, and the missing block told', done.code == 1 and '1 of 3 roots' in done.err and leaf in done.text, done)


run_all([a_root_that_is_not_pinned_fails, what_is_missing_may_come_later])
