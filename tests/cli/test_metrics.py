#!/usr/bin/env python3
"""What a node counts: the page that Prometheus reads, held against its format, and the command; what each use of a node moves in it."""
import json
import os
import re
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import Daemon, check, equal, kit, new_repo, noise, run_all, skip, temp, until, write

PAGE = '/debug/metrics/prometheus'
# The one that Prometheus's own client library has, in Debian's package of it.
THEIRS = '''import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]]
    for f in text_string_to_metric_families(sys.stdin.read())]))'''
NAME, LABEL = r'[a-zA-Z_:][a-zA-Z0-9_:]*', r'[a-zA-Z_][a-zA-Z0-9_]*'
NUMBER = r'-?(?:0|[1-9]\d*)(?:\.\d+)?'


def unescaped(text, escapes):
    """What a text stands for; an escape that is none is an error."""
    def one(found):
        return escapes[found[0]]
    if re.sub('|'.join(map(re.escape, escapes)), '', text).count('\\'):
        raise ValueError(f'no escape: {text!r}')
    return re.sub('|'.join(map(re.escape, escapes)), one, text)


def labels_of(text):
    out, at = {}, 0
    while at < len(text):
        found = re.compile(rf'({LABEL})="((?:[^"\\\n]|\\.)*)"(,|$)').match(text, at)
        if not found or found[1] in out:
            raise ValueError(f'labels: {text!r}')
        out[found[1]] = unescaped(found[2], {'\\\\': '\\', '\\"': '"', '\\n': '\n'})
        at = found.end()
    return out


def parse(text):
    """A page of the text format 0.0.4, and nothing that is not of it: by name (type, help, values by their labels)."""
    families, name = {}, None
    if not text.endswith('\n'):
        raise ValueError('the last line has no end')
    lines = text[:-1].split('\n')
    for line in lines:
        if found := re.fullmatch(rf'# HELP ({NAME}) (.+)', line):
            name, help, kind = found[1], unescaped(found[2], {'\\\\': '\\', '\\n': '\n'}), None
            if name in families:
                raise ValueError(f'a second time, or not together: {name}')
            families[name] = None
        elif found := re.fullmatch(rf'# TYPE ({NAME}) (counter|gauge)', line):
            if found[1] != name or families[name]:
                raise ValueError(f'a type of another, or a second one: {line}')
            families[name] = (found[2], help, {})
        elif found := re.fullmatch(rf'({NAME})(?:\{{(.*)\}})? ({NUMBER})', line):
            if found[1] != name or not families[name]:
                raise ValueError(f'a value of another: {line}')
            labels = tuple(sorted(labels_of(found[2] or '').items()))
            if labels in families[name][2]:
                raise ValueError(f'a second time: {line}')
            families[name][2][labels] = float(found[3])
        else:
            raise ValueError(f'no line of the format: {line!r}')
    for name, family in families.items():
        if not family or not family[2]:
            raise ValueError(f'{name} has no value')
    return families


def page(daemon):
    with urllib.request.urlopen(f'http://127.0.0.1:{daemon.api_port}{PAGE}') as answer:
        return answer.read().decode()


def values(text):
    """As NAME or NAME{label="value"}, the usual way to write them."""
    return {name + ('{%s}' % ','.join(f'{key}="{value}"' for key, value in labels) if labels else ''): number
        for name, (_, _, samples) in parse(text).items() for labels, number in samples.items()}


def read(daemon):
    return {name.removeprefix('ipfs_kit_'): number for name, number in values(page(daemon)).items()}


def moved(before, after):
    return {name: after[name] - before[name] for name in after if name in before and after[name] != before[name] and not name.startswith('process_')}


def it_is_of_the_format():
    cold = temp('cold')
    os.mkdir(cold)
    repo = new_repo()
    kit('config', 'tier.places', f'cold=file://{cold} colder=file://{cold}er', repo=repo)
    with Daemon(repo=repo) as daemon:
        text = page(daemon)
        ours = parse(text)
        with urllib.request.urlopen(f'http://127.0.0.1:{daemon.api_port}{PAGE}') as answer:
            equal('what it says it is', answer.headers['Content-Type'], 'text/plain; version=0.0.4; charset=utf-8')
        equal('names are ours, or of every program', [name for name in ours if not re.fullmatch(r'(ipfs_kit|process)_[a-z]+(_[a-z]+)*', name)], [])
        equal('what only grows is called _total, and nothing else', [name for name, (kind, _, _) in ours.items() if (kind == 'counter') != name.endswith('_total')], [])
        equal('each says in a sentence what it is', [name for name, (_, help, _) in ours.items() if not re.fullmatch(r'[A-Z1].*\.', help)], [])
        equal('tiers have a label', {dict(labels)['tier'] for name, (_, _, samples) in ours.items() if name.startswith('ipfs_kit_tier_') for labels in samples},
            {'cold', 'colder'})
        check('of each floor there is some', all(any(name.startswith(f'ipfs_kit_{floor}_') for name in ours)
            for floor in ('store', 'log', 'cache', 'heat', 'collection', 'tier', 'bitswap', 'swarm')))
        python = '/usr/bin/python3'
        theirs = subprocess.run([python, '-c', THEIRS], input=text.encode(), capture_output=True) if os.path.exists(python) else None
        if not theirs or b'No module named' in theirs.stderr:
            skip('python3-prometheus-client is not installed')
            return
        equal('their parser takes it', (theirs.returncode, theirs.stderr), (0, b''))
        equal('and reads the same', {name if kind == 'gauge' else f'{name}_total': (kind, help, {tuple(sorted(labels.items())): value for _, labels, value in samples})
            for name, kind, help, samples in json.loads(theirs.stdout)}, ours)


def the_command_says_the_same():
    repo = new_repo()
    kit('add', '-Q', write(temp('file'), noise(2_000_000, 1)), repo=repo)
    alone = values(kit('metrics', repo=repo).out.decode())
    equal('without a daemon: what the repo has', [alone[f'ipfs_kit_store_{name}'] for name in ('blocks', 'pins', 'segments')], [3, 1, 1])
    equal('and nothing of peers', [name for name in alone if 'bitswap' in name or 'swarm' in name], [])
    with Daemon(repo=repo) as daemon:
        def steady(text):
            return re.sub(r'(?m)^(process_\w+) .*$', r'\1', text)
        equal('through a daemon', steady(kit('metrics', repo=repo).out.decode()), steady(page(daemon)))
        rows = [json.loads(line) for line in kit('metrics', '--json', repo=repo).out.splitlines()]
        of = parse(page(daemon))
        equal('in JSON', {row['Name']: (row['Type'], row['Help'], [tuple(sorted(value.get('Labels', {}).items())) for value in row['Values']]) for row in rows},
            {name: (kind, help, list(samples)) for name, (kind, help, samples) in of.items()})
        equal('with the same numbers', [row['Values'] for row in rows if row['Name'] == 'ipfs_kit_store_blocks'], [[{'Value': 3}]])
        equal('by the RPC', daemon.rpc('metrics')[0], 200)
        now = read(daemon)
        with open(f'/proc/{daemon.pid}/status') as status:
            resident = int(re.search(r'VmRSS:\s+(\d+)', status.read())[1]) * 1024
        check('memory is what the kernel says', abs(now['process_resident_memory_bytes'] - resident) < 4 << 20, (now, resident))
        # The page's own connection, which may be gone by now.
        check('descriptors too', abs(now['process_open_fds'] - daemon.descriptors()) <= 2, (now, daemon.descriptors()))
        start = os.stat(f'/proc/{daemon.pid}').st_mtime
        check('it began lately', abs(now['process_start_time_seconds'] - time.time()) < 600, (now, start))
        equal('and that stays', read(daemon)['process_start_time_seconds'], now['process_start_time_seconds'])
    equal('it takes no argument', kit('metrics', 'x', repo=repo).code, 2)


def adding_and_reading_and_collecting():
    repo = new_repo()
    path = write(temp('file'), noise(3_000_000, 1))
    with Daemon(repo=repo) as daemon:
        before = read(daemon)
        root = kit('add', '-Q', path, repo=repo).text
        added = read(daemon)
        change = moved(before, added)
        equal('an add: blocks and pins', [change[f'store_{name}'] for name in ('blocks', 'pins')], [4, 1])
        check('their bytes', 3_000_000 < change['store_block_bytes'] < 3_001_000, change)
        check('the files, and the sum of them', 3_000_000 < change['store_file_bytes{part="segments"}'] <= change['store_used_bytes'], change)
        check('what made it durable', change['log_commits_total'] >= 1 and change['log_syncs_total'] >= 1, change)
        equal('nothing of it is pending', [added[f'log_pending_bytes{{log="{log}"}}'] for log in ('blocks', 'operations')], [0, 0])

        kit('cat', root, repo=repo)
        once = moved(added, read(daemon))
        equal('a read: heat, and misses of the cache', [once['heat_roots'], once['cache_misses_total'], once.get('cache_hits_total')], [1, 4, None])
        equal('which are in it now', once['cache_blocks'], 4)
        check('with their bytes', 3_000_000 < once['cache_bytes'] < 3_010_000, once)
        first = read(daemon)
        kit('cat', root, repo=repo)
        again = moved(first, read(daemon))
        equal('and again: hits', [again.get('cache_hits_total'), again.get('cache_misses_total')], [4, None])

        kit('pin', 'rm', root, repo=repo)
        before = read(daemon)
        equal('no collection yet', [before['collections_total'], before['collection_last_duration_seconds']], [0, 0])
        kit('repo', 'gc', '--silent', repo=repo)
        after = read(daemon)
        change = moved(before, after)
        equal('a collection: that it was, and what went', [change[f'collection{name}'] for name in ('s_total', '_removed_blocks_total', '_removed_segments_total')], [1, 4, 1])
        equal('blocks', change['store_blocks'], -4)
        equal('their bytes', change['collection_removed_bytes_total'], -change['store_block_bytes'])
        check('bytes given back', change['collection_freed_bytes_total'] > 3_000_000 and change['store_used_bytes'] < -2_900_000, change)
        check('how long it took', 0 < after['collection_last_duration_seconds'] < 600, after)
        equal('it did not fail, and is over', [after['collections_failed_total'], after['collection_running']], [0, 0])


def a_collection_that_fails():
    repo, top = new_repo(), temp('top')
    write(f'{top}/inner/file', b'x')
    root = kit('add', '-rQ', top, repo=repo).text
    node = kit('block', 'get', f'{root}/inner', repo=repo).out
    segment = f'{repo}/segments/{os.listdir(f"{repo}/segments")[0]}'
    with open(segment, 'rb') as file:
        data = file.read()
    write(segment, data.replace(node, node[:-1] + bytes([node[-1] ^ 1])))
    with Daemon(repo=repo) as daemon:
        check('what a pin keeps cannot be told', kit('repo', 'gc', '--silent', repo=repo).code != 0)
        now = read(daemon)
        equal('it counts as a failure', [now[f'collection{name}'] for name in ('s_total', 's_failed_total', '_removed_blocks_total')], [1, 1, 0])


def the_limit():
    repo = new_repo()
    with Daemon(repo=repo) as daemon:
        equal('there is none', read(daemon)['store_limit_bytes'], 0)
        kit('config', 'store.max', '64MiB', repo=repo)
        kit('add', '-Q', repo=repo, stdin=b'x')
        equal('as it is kept since something was written', read(daemon)['store_limit_bytes'], 64 << 20)


def tiers():
    repo, cold = new_repo(), temp('cold')
    os.mkdir(cold)
    for key, value in (('tier.places', f'cold=file://{cold}'), ('store.cache', '0')):
        kit('config', key, value, repo=repo)
    with Daemon(repo=repo) as daemon:
        root = kit('add', '-Q', write(temp('file'), noise(3_000_000, 3)), repo=repo).text

        def tier():
            return {re.sub(r'^tier_|\{.*', '', name): number for name, number in read(daemon).items() if name.startswith('tier_')}
        before = tier()
        equal('empty, and up', [before[name] for name in ('up', 'objects', 'blocks', 'bytes', 'reads_total', 'errors_total')], [1, 0, 0, 0, 0, 0])
        kit('tier', 'move', root, 'cold', repo=repo)
        there = tier()
        equal('moved there', [there[name] for name in ('objects', 'blocks', 'demoted_blocks_total', 'demoted_bytes_total', 'promoted_blocks_total')],
            [1, 3, 3, 3_000_000, 0])
        equal('bytes of the files', there['bytes'], sum(os.path.getsize(f'{cold}/{name}') for name in os.listdir(cold) if name != 'ipfs-kit-tier'))
        kit('cat', root, repo=repo)
        had = tier()
        check('read from there', had['reads_total'] > there['reads_total'] and had['read_bytes_total'] - there['read_bytes_total'] >= 3_000_000, had)
        kit('tier', 'move', root, 'fast', repo=repo)
        back = tier()
        equal('and back', [back[name] for name in ('promoted_blocks_total', 'promoted_bytes_total')], [3, 3_000_000])
        kit('repo', 'gc', '--silent', repo=repo)
        until('the object goes', lambda: [tier()[name] for name in ('objects', 'unwanted_objects')] == [0, 0])
        kit('tier', 'move', root, 'cold', repo=repo)
        os.rename(cold, cold + '.away')
        check('it fails', kit('cat', '--timeout=20s', root, repo=repo).code != 0)
        check('which is counted', tier()['errors_total'] > 0, tier())
        os.rename(cold + '.away', cold)


def peers():
    with Daemon() as daemon, Daemon() as other:
        root = kit('add', '-Q', write(temp('file'), noise(3_000_000, 4)), repo=daemon.repo).text
        before, others = read(daemon), read(other)
        kit('swarm', 'connect', daemon.swarm[0], repo=other.repo)
        equal('fetched', kit('cat', root, repo=other.repo).code, 0)
        until('whoever sent it has counted it', lambda: read(daemon)['bitswap_sent_blocks_total'] >= 4)
        now, theirs = read(daemon), read(other)
        sent, got = moved(before, now), moved(others, theirs)
        equal('connections, by who opened them', [now['swarm_connections{direction="in"}'], now['swarm_connections{direction="out"}'],
            theirs['swarm_connections{direction="in"}'], theirs['swarm_connections{direction="out"}']], [1, 0, 0, 1])
        equal('blocks', [sent['bitswap_sent_blocks_total'], got['bitswap_received_blocks_total']], [4, 4])
        equal('their bytes', [sent['bitswap_sent_bytes_total'], got['bitswap_received_bytes_total']], [got['store_block_bytes']] * 2)
        equal('peers that speak it', [now['bitswap_peers'], theirs['bitswap_peers']], [1, 1])
        check('memory counts', now['swarm_memory_bytes'] > 0, now)
        equal('nothing is wanted any more', theirs['bitswap_wants'], 0)
        kit('swarm', 'disconnect', daemon.swarm[0], repo=other.repo)
        until('and again there are none', lambda: read(daemon)['swarm_connections{direction="in"}'] == 0)


run_all([it_is_of_the_format, the_command_says_the_same, adding_and_reading_and_collecting, a_collection_that_fails, the_limit, tiers, peers])
