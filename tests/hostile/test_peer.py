#!/usr/bin/env python3
"""Hostile peers against a running node, over a real socket: yamux, Noise, identify and bitswap.

After each: the sender got an error or a closed connection (or was ignored, where the protocol says so),
the node serves an honest peer, and memory and descriptors went back."""
import hashlib
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import BOUND, check, cid_raw, equal, field, kit, noise, run_all, until, varint
import peer as raw
from peer import DATA, FIN, HEADER, PING, RST, SYN, WINDOW, Peer, Scene, frame, line

BITSWAP = '/ipfs/bitswap/1.2.0'
PUSH = '/ipfs/id/push/1.0.0'


def refused_stream(scene, what, body):
    """Connects, sends bytes above Noise, and shows that the stream or connection ends."""
    def act(first):
        with Peer(scene.node) as peer:
            peer.send(body)
            how = peer.refused()
            if first:
                check(f'{what}: ended', how, how)
    scene.attack(what, act)


def yamux():
    with Scene() as scene:
        big = bytes(262145)
        refused_stream(scene, 'Data+SYN over the window in one frame', frame(DATA, SYN, 1, len(big), big))
        refused_stream(scene, 'Data over the window in many', frame(DATA, SYN, 1, 0) + b''.join(
            frame(DATA, 0, 1, 60000, bytes(60000)) for _ in range(6)))
        refused_stream(scene, 'a length of 4 GiB', frame(DATA, SYN, 1, 0xffffffff, bytes(1000)))
        refused_stream(scene, 'WindowUpdate over 32 bits', frame(WINDOW, SYN, 1, 0) + frame(WINDOW, 0, 1, 0xffffffff) * 2)
        refused_stream(scene, 'WindowUpdate over 32 bits with the SYN', frame(WINDOW, SYN, 1, 0xffffffff))
        refused_stream(scene, '5,000 SYNs', b''.join(frame(WINDOW, SYN, 2 * i + 1, 0) for i in range(5000)))
        refused_stream(scene, 'a stream id twice', frame(WINDOW, SYN, 1, 0) * 2)
        refused_stream(scene, 'an even stream id of a client', frame(DATA, SYN, 2, 5, b'12345'))
        refused_stream(scene, 'another version', b'\x01' + frame(DATA, SYN, 1, 0)[1:])
        refused_stream(scene, 'another kind of frame', frame(9, SYN, 1, 0))
        refused_stream(scene, 'stream 0', frame(DATA, SYN, 0, 5, b'12345'))

        def floods(first):
            with Peer(scene.node) as peer:
                for i in range(20000):
                    if not peer.send(frame(WINDOW, SYN, 2 * i + 1, 0) + frame(WINDOW, RST, 2 * i + 1, 0)):
                        break
                peer.send(frame(PING, SYN, 0, 7) * 5000)
        scene.attack('20,000 streams begun and reset, 5,000 pings', floods)

        def half(first):
            peers = [Peer(scene.node) for _ in range(5)]
            for i, peer in enumerate(peers):
                # Half a head; half a body; a message whose promised length never comes; half a protocol id.
                peer.send([frame(DATA, SYN, 1, 100)[:7], frame(DATA, SYN, 1, 200000, b'x' * 10),
                    frame(DATA, SYN, 1, 500, (HEADER + line(BITSWAP) + varint(4 << 20) + b'x').ljust(500, b'y')),
                    frame(DATA, SYN, 1, 30, (HEADER + varint(200)).ljust(30, b'z')),
                    frame(DATA, SYN, 1, 500, (HEADER + line(PUSH) + varint(4000)).ljust(500, b'y'))][i])
            scene.serves_honest('while half-sent frames wait', quiet=not first)
            for peer in peers:
                peer.close()
        scene.attack('half-sent frames and lengths never kept', half)

        def no_reading(first):
            # Asks for a large file by bitswap and never gives a window back: the process is stopped, in effect.
            with Peer(scene.node) as peer:
                for _ in range(200):
                    peer.open('/ipfs/ping/1.0.0', os.urandom(32))
                peer.refused(bound=0.2)
        scene.attack('200 streams left open at the end', no_reading)


def before_noise():
    """Connections that never get as far as Noise, or stop inside it."""
    with Scene() as scene:
        starts = {'nothing': b'', 'text': b'GET / HTTP/1.1\r\n\r\n', 'half a multistream line': b'\x13/multistr',
            'a length of 1 MiB': varint(1 << 20) + b'x' * 100, 'a length that never ends': b'\xff' * 100,
            'a length of 0': b'\0' * 50, 'another security': HEADER + line('/tls/1.0.0') + line('/plaintext/2.0.0'),
            '10,000 proposals': HEADER + line('/nothing') * 10000,
            'a Noise message that never comes': HEADER + line('/noise') + b'\xff\xff' + b'x' * 10,
            'an empty Noise message': HEADER + line('/noise') + b'\0\0',
            'a Noise message of zeros': HEADER + line('/noise') + b'\0\x20' + bytes(32),
            'noise inside Noise': HEADER + line('/noise') + b'\x20\x00' + noise(8192)}

        def act(first):
            usage = scene.node.descriptors()
            sockets = []
            for what, data in starts.items():
                for _ in range(20 if what in ('nothing', 'half a multistream line') else 2):
                    s = socket.create_connection(('127.0.0.1', scene.node.swarm_port), BOUND)
                    try:
                        s.sendall(data)
                    except OSError:
                        pass
                    sockets.append((what, s))
            scene.serves_honest('beside 60 that never shake hands', quiet=not first)
            if first:
                # Those that said something wrong are cut off at once, the silent ones by the deadline (15 s).
                left_open = []
                for what, s in sockets:
                    s.settimeout(30)
                    try:
                        while s.recv(65536):
                            pass
                    except TimeoutError:
                        left_open.append(what)
                    except OSError:
                        pass
                check('each start that is not a handshake is closed, the silent ones at the deadline', not left_open, left_open)
            for _, s in sockets:
                s.close()
            until('they are forgotten', lambda: scene.node.descriptors() <= usage)
        scene.attack('before Noise', act)


def keys():
    with Scene() as scene:
        def integer(value):
            data = value.to_bytes(value.bit_length() // 8 + 1, 'big')
            return b'\x02' + der_length(len(data)) + data

        def der_length(n):
            return bytes([n]) if n < 128 else (lambda b: bytes([128 | len(b)]) + b)(n.to_bytes((n.bit_length() + 7) // 8, 'big'))

        def sequence(data):
            return b'\x30' + der_length(len(data)) + data

        def rsa(bits):
            modulus = int.from_bytes(noise(bits // 8, bits), 'big') | 1 << (bits - 1) | 1
            inner = sequence(integer(modulus) + integer(65537))
            algorithm = sequence(bytes.fromhex('06092a864886f70d0101010500'))
            return sequence(algorithm + b'\x03' + der_length(len(inner) + 1) + b'\0' + inner)
        ed25519 = field(1, 1) + field(2, noise(32))
        payloads = {'an RSA key of 16,384 bits': field(1, field(1, 0) + field(2, rsa(16384))) + field(2, noise(2048)),
            'an RSA key of 8,200 bits': field(1, field(1, 0) + field(2, rsa(8200))) + field(2, noise(1025)),
            'an RSA key of 1,024 bits': field(1, field(1, 0) + field(2, rsa(1024))) + field(2, noise(128)),
            'a signature by another key': field(1, ed25519) + field(2, noise(64)),
            'no signature': field(1, ed25519), 'no key': field(2, noise(64)), 'an empty payload': b'',
            'a payload that is no protobuf': b'\xff' * 200, 'a key of another type': field(1, field(1, 77) + field(2, noise(32))) + field(2, noise(64))}

        def act(first):
            for what, payload in payloads.items():
                with Peer(scene.node, payload=payload) as peer:
                    peer.send(frame(PING, SYN, 0, 1))
                    how = peer.refused()
                    if first:
                        equal(f'{what}: the connection is closed', how, 'closed')
        scene.attack('wrong keys', act)


def identify():
    with Scene() as scene:
        with Peer(scene.honest) as peer:
            stream = peer.open('/ipfs/id/1.0.0')
            answer = b''
            while body := peer.message(stream, 3):
                answer += body
            answer = answer[len(HEADER + line('/ipfs/id/1.0.0')):]
        check('an identify answer to borrow the signed record from', len(answer) > 200, answer)
        own = answer[2:] if answer[0] & 128 else answer[1:]

        def push(what, *messages):
            def act(first):
                with Peer(scene.node) as peer:
                    stream = peer.open(PUSH, b''.join(varint(len(m)) + m for m in messages))
                    peer.data(stream, b'', FIN)
                    peer.open('/ipfs/ping/1.0.0', b'p' * 32)
                    # The stream ends one way or the other; then ping shows whether the connection lives.
                    peer.refused(bound=0.3)
            scene.attack(what, act)

        push('a signed record of another peer', own)
        stranger = kit('ping', '-n', '1', '--timeout=5s', '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN', repo=scene.node.repo)
        check('nobody learnt an address from it', stranger.code != 0)
        protocols = b''.join(field(3, f'/protocol/{i}'.encode()) for i in range(300))
        push('20,000 protocols in 67 chunks', *[protocols] * 67)
        push('a protocol id of 60 KiB', field(3, b'/' + b'x' * 60000))
        push('5,000 addresses', *[b''.join(field(2, b'\x04\x01\x02\x03\x04\x06' + i.to_bytes(2, 'big')) for i in range(500))] * 10)
        push('not a protobuf', b'\xff' * 1000)
        push('an agent of 8 KiB', field(6, b'a' * 8000))

        def flood(first):
            with Peer(scene.node) as peer:
                for i in range(1000):
                    message = field(3, f'/flood/{i}'.encode())
                    stream = peer.open(PUSH, varint(len(message)) + message)
                    if not peer.data(stream, b'', FIN):
                        break
                peer.refused(bound=0.3)
        scene.attack('a flood of 1,000 pushes', flood)

        def lengths(first):
            for what, start in (('a length of 2^60', varint(1 << 60)), ('a length of 11 bytes', b'\xff' * 10 + b'\x01'),
                    ('a length that is not minimal', b'\x85\x80\x00' + b'x' * 5)):
                for protocol in (PUSH, BITSWAP):
                    with Peer(scene.node) as peer:
                        stream = peer.open(protocol, start)
                        how = peer.refused(stream)
                        if first:
                            check(f'{what} ({protocol}): reset or closed', how, how)
        scene.attack('lengths', lengths)


def cid_v1(codec, code, digest):
    return b'\x01' + varint(codec) + varint(code) + varint(len(digest)) + digest


def entry(cid, want=1, cancel=False, dont_have=True, priority=1):
    return field(1, field(1, cid) + field(2, priority) + (field(3, 1) if cancel else b'') + field(4, want) + field(5, int(dont_have)))


def wantlist(entries, full=False):
    message = field(1, b''.join(entries) + field(2, int(full)))
    return varint(len(message)) + message


def bitswap_wants():
    with Scene() as scene:
        absent = [cid_v1(0x55, 0x12, hashlib.sha256(b'%d' % i).digest()) for i in range(5000)]
        present = kit('add', '-Q', repo=scene.node.repo, stdin=noise(100_000, 77)).text

        def many(first):
            with Peer(scene.node, accept={BITSWAP: lambda *_: len(_[2])}) as peer:
                for i in range(0, 5000, 500):
                    peer.open(BITSWAP, wantlist([entry(c, dont_have=False, want=i // 500 % 2) for c in absent[i:i + 500]]))
                peer.refused(bound=0.3)
                held = scene.node.anonymous()
                if first:
                    check('5,000 wants: bounded while the peer is there', held < 64 << 20, held)
        scene.attack('5,000 wants of one peer', many)

        def each_new(first):
            for i in range(20):
                with Peer(scene.node, accept={BITSWAP: lambda *_: len(_[2])}) as peer:
                    peer.open(BITSWAP, wantlist([entry(c, want=0, dont_have=False) for c in absent[i * 200:i * 200 + 200]]))
                    peer.open('/ipfs/ping/1.0.0', b'x' * 32)
                    peer.refused(bound=0.05)
        scene.attack('20 peers with 200 wants each, gone again', each_new)

        def odd(first):
            cids = {'a CID of 4 KiB': cid_v1(0x55, 0, b'x' * 4096), 'an empty CID': b'', 'identity over 128 B': cid_v1(0x55, 0, b'i' * 129),
                'a digest of 19 B': cid_v1(0x55, 0x12, b'd' * 19), 'a digest of 129 B': cid_v1(0x55, 0x13, b'd' * 129),
                'CID version 9': b'\x09\x55\x12\x20' + b'x' * 32, 'a CID of varints that never end': b'\xff' * 40,
                'a varint that is not minimal': b'\x81\x00\x55\x12\x20' + b'x' * 32}
            for what, cid in cids.items():
                said = threading.Event()
                with Peer(scene.node, accept={BITSWAP: lambda p, s, data: (said.set(), len(data))[1]}) as peer:
                    good = cid_v1(0x55, 0x12, hashlib.sha256(b'nothing has this').digest())
                    stream = peer.open(BITSWAP, wantlist([entry(cid, want=0), entry(good)]))
                    # Either the whole is refused, or the good entry beside it is answered.
                    until(f'{what}: an answer', lambda: said.is_set() or not peer.frames.empty() or peer.closed.is_set())
            for message in (b'', field(4, 1), field(1, b''), field(5, 1 << 60), field(4, field(1, b'') + field(2, 9)), b'\x0a', field(1, b'\x0a\xff'), b'\x0f' * 50):
                with Peer(scene.node) as peer:
                    peer.open(BITSWAP, varint(len(message)) + message)
                    peer.open('/ipfs/ping/1.0.0', b'x' * 32)
                    peer.refused(bound=0.1)
        scene.attack('odd CIDs and messages', odd)

        def oversized(first):
            with Peer(scene.node) as peer:
                stream = peer.open(BITSWAP, varint((4 << 20) + 1) + b'x' * 1000)
                how = peer.refused(stream)
                if first:
                    check('a message over 4 MiB: reset or closed', how, how)
        scene.attack('a message over its bound', oversized)


def block(data, prefix=b'\x01\x55\x12\x20'):
    return field(3, field(1, prefix) + field(2, data))


def bitswap_blocks():
    with Scene() as scene:
        unasked = [noise(50_000, 1000 + i) for i in range(100)]

        def unrequested(first):
            with Peer(scene.node) as peer:
                for data in unasked:
                    message = field(1, b'') + block(data)
                    if not peer.data(peer.open(BITSWAP, varint(len(message)) + message), b'', FIN):
                        break
                peer.refused(bound=0.3)
        scene.attack('100 blocks that nobody asked for', unrequested)
        kept = [kit('--timeout=200ms', 'block', 'stat', cid_raw(data), repo=scene.node.repo).code for data in unasked[:3]]
        check('none of them was kept', 0 not in kept, kept)

        # The node wants a block; a hostile peer answers with others, a liar's HAVE, damage; then an honest one comes.
        for what, lie in {
                'other bytes': lambda want: field(1, b'') + block(noise(50_000, 5)),
                'a HAVE and nothing more': lambda want: field(1, b'') + field(4, field(1, want) + field(2, 0)),
                'a block with one bit flipped': lambda want: field(1, b'') + block(bytes([noise(300_000, 4000)[0] ^ 1]) + noise(300_000, 4000)[1:]),
                'the right digest claimed by identity': lambda want: field(1, b'') + block(b'lie', b'\x01\x55\x00\x03'),
                'an unknown hash': lambda want: field(1, b'') + block(b'lie', b'\x01\x55\xff\x7f\x20'),
                'a prefix cut short': lambda want: field(1, b'') + block(b'lie', b'\x01\x55'),
                'a block of 3 MiB': lambda want: field(1, b'') + block(bytes(3 << 20))}.items():
            data = noise(300_000, 4000 + len(what))
            wanted = hashlib.sha256(data).digest()
            asked = threading.Event()

            def answer(peer, stream, got, lie=lie):
                asked.set()
                message = lie(cid_v1(0x55, 0x12, wanted))
                number = peer.open(BITSWAP)
                whole = varint(len(message)) + message
                for i in range(0, min(len(whole), 200_000), 50_000):
                    peer.data(number, whole[i:i + 50_000])
                return len(got)
            with Peer(scene.node, accept={BITSWAP: answer}) as peer:
                identity = field(3, BITSWAP.encode())
                peer.data(peer.open(PUSH, varint(len(identity)) + identity), b'', FIN)
                got = []
                caller = threading.Thread(target=lambda: got.append(kit('--timeout=40s', 'block', 'get', cid_raw(data), repo=scene.node.repo)))
                caller.start()
                came = asked.wait(20)
                kit('block', 'put', repo=scene.honest.repo, stdin=data)
                kit('block', 'get', cid_raw(data), repo=scene.honest.repo)
                caller.join(BOUND)
                check(f'{what}: the hostile peer was asked, the honest one\'s block was taken', came and got and got[0].out == data,
                    (came, got))
        scene.serves_honest('lies')
        equal('the repo is whole after all of it', kit('repo', 'verify', repo=scene.node.repo).code, 0)


raw.HELPER = sys.argv[2] if len(sys.argv) > 2 else raw.HELPER
run_all([yamux, before_noise, keys, identify, bitswap_wants, bitswap_blocks])
