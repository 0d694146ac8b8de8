#!/usr/bin/env python3
"""store.py PROGRAM [SECONDS [LIMIT_MIB]]: adds, reads, pins, unpins and collects at random, through a daemon whose repo has a limit
that is much smaller than what flows through; by hand, twenty minutes.

Fails when the repo is ever more than 2% over its limit, when memory grows, when something pinned cannot be read back byte for byte,
or when `repo verify` finds anything at the end. Half of the limit is pinned at most.
"""
import hashlib
import json
import os
import random
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import Daemon, check, equal, finish, kit, new_repo

MIB = 1 << 20
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 1200
LIMIT = (int(sys.argv[3]) if len(sys.argv) > 3 else 256) * MIB
WORKERS, SAMPLE = 3, 0.25


class Soak:
    def __init__(self, daemon):
        self.daemon, self.lock = daemon, threading.Lock()
        self.pinned = {}  # CID: (seed, size)
        self.held, self.flowed, self.done, self.full = 0, 0, {}, 0
        self.over = threading.Event()
        self.failures, self.most, self.memory = [], 0, []

    def did(self, what):
        with self.lock:
            self.done[what] = self.done.get(what, 0) + 1

    def add(self, rng):
        seed, size = rng.getrandbits(40), int(2 ** rng.uniform(8, 23.5))
        data = random.Random(seed).randbytes(size)
        with self.lock:
            keep = rng.random() < 0.3 and self.held + size < LIMIT // 2
            if keep:
                self.held += size
        status, _, body = self.daemon.rpc('add', body=self.form(data), headers=self.head, pin='true' if keep else 'false')
        if b'store.max' in body:
            with self.lock:
                self.full += 1
                self.held -= size if keep else 0
            return 'refused for want of room'
        if status != 200 or b'Hash' not in body:
            raise RuntimeError(f'add: {status} {body[-300:]!r}')
        cid = json.loads(body.splitlines()[-1])['Hash']
        with self.lock:
            self.flowed += size
            if keep and cid not in self.pinned:
                self.pinned[cid] = (seed, size)
        return 'added, pinned' if keep else 'added'

    def some_pin(self, rng, take=False):
        with self.lock:
            if not self.pinned:
                return None, None
            cid = rng.choice(list(self.pinned))
            return cid, self.pinned.pop(cid) if take else self.pinned[cid]

    def read(self, rng):
        cid, what = self.some_pin(rng)
        if not cid:
            return 'nothing'
        status, _, body = self.daemon.rpc('cat', cid)
        with self.lock:
            still = cid in self.pinned
        if still and (status != 200 or body != random.Random(what[0]).randbytes(what[1])):
            raise RuntimeError(f'cat of {cid}, which is pinned: {status}, {len(body)} bytes of {what[1]}')
        return 'read'

    def unpin(self, rng):
        cid, what = self.some_pin(rng, take=True)
        if not cid:
            return 'nothing'
        status, _, body = self.daemon.rpc('pin/rm', cid)
        if status != 200:
            raise RuntimeError(f'pin/rm: {status} {body!r}')
        with self.lock:
            self.held -= what[1]
        return 'unpinned'

    def pin_again(self, rng):
        cid, what = self.some_pin(rng)
        if not cid:
            return 'nothing'
        status, _, body = self.daemon.rpc('pin/add', cid, name=f'soak {what[1]}')
        with self.lock:
            still = cid in self.pinned
        if still and status != 200:
            raise RuntimeError(f'pin/add of what is pinned: {status} {body!r}')
        if not still and status == 200:
            self.daemon.rpc('pin/rm', cid)
        return 'pinned again'

    def collect(self, rng):
        status, _, body = self.daemon.rpc('repo/gc', silent='true')
        if status != 200 and b'already' not in body:
            raise RuntimeError(f'repo/gc: {status} {body!r}')
        return 'collected'

    def work(self, seed):
        rng = random.Random(seed)
        acts = [self.add] * 10 + [self.read] * 8 + [self.unpin] * 2 + [self.pin_again]
        try:
            while not self.over.is_set():
                act = self.collect if rng.random() < 0.002 else rng.choice(acts)
                self.did(act(rng))
        except Exception:
            self.failures.append(traceback.format_exc())
            self.over.set()

    def disk(self):
        total = 0
        for part in ('segments', 'index', 'ops'):
            for entry in os.scandir(f'{self.daemon.repo}/{part}'):
                try:
                    total += entry.stat().st_size if part != 'index' else entry.stat().st_blocks * 512
                except FileNotFoundError:
                    pass
        return total

    def run(self):
        boundary = 'soak-6d1b'
        self.head = {'Content-Type': f'multipart/form-data; boundary={boundary}'}
        self.form = lambda data: (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
            'Content-Type: application/octet-stream\r\n\r\n').encode() + data + f'\r\n--{boundary}--\r\n'.encode()
        workers = [threading.Thread(target=self.work, args=(n,)) for n in range(WORKERS)]
        for worker in workers:
            worker.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not self.over.wait(SAMPLE):
            self.most = max(self.most, self.disk())
            self.memory.append(self.daemon.anonymous())
        self.over.set()
        for worker in workers:
            worker.join()


def main():
    repo = new_repo()
    equal('storage_max', kit('config', 'storage_max', str(LIMIT), repo=repo).code, 0)
    with Daemon(repo=repo) as daemon:
        soak = Soak(daemon)
        soak.run()
        equal('nothing went wrong', soak.failures, [])
        print(f'{SECONDS:.0f} s, limit {LIMIT / MIB:.0f} MiB: {soak.flowed / MIB:.0f} MiB added, {soak.done}')
        print(f'most on disk: {soak.most / MIB:.1f} MiB, {soak.most / LIMIT:.3f} of the limit')
        first, last = (sorted(part)[len(part) // 2] for part in (soak.memory[len(soak.memory) // 4:len(soak.memory) // 2], soak.memory[-len(soak.memory) // 4:]))
        print(f'anonymous memory, medians: second quarter {first / MIB:.1f} MiB, last {last / MIB:.1f} MiB, most {max(soak.memory) / MIB:.1f} MiB')
        check('the limit was kept within 2%', soak.most <= LIMIT * 1.02, soak.most)
        check('more than ten times the limit flowed through' if SECONDS >= 600 else 'something flowed through', soak.flowed > LIMIT * (10 if SECONDS >= 600 else 0.5), soak.flowed)
        check('memory is flat', last < first * 1.15 + 2 * MIB, (first, last))
        for cid, (seed, size) in soak.pinned.items():
            status, _, body = daemon.rpc('cat', cid)
            if status != 200 or hashlib.sha256(body).digest() != hashlib.sha256(random.Random(seed).randbytes(size)).digest():
                check('what is pinned is there', False, (cid, status, len(body), size))
        check(f'all {len(soak.pinned)} pinned files are there, byte for byte', True)
        check('the daemon lives', daemon.alive())
    equal('repo verify', kit('repo', 'verify', repo=repo).code, 0)
    finish()


main()
