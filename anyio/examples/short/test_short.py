#!/usr/bin/env python3
"""The short examples: each prints what its last comment says, every public header has one, and the table in ../README.md
has every row of the feature table with files that are there. test_short.py FOLDER; the backend is $ANYIO_BACKEND."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../tests'))
from told import check, equal, run_all, skip

FOLDER, BACKEND = sys.argv[1], os.environ['ANYIO_BACKEND']
HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = os.path.abspath(f'{HERE}/../../include/anyio')
BOUND = 60  # seconds that anything here may take before it counts as hanging
# What needs the kernel itself: processes, signals, threads that run beside the loop, what else the simulation has not.
NOT_SIMULATED = {'plain', 'process', 'process_open', 'process_worker', 'signal', 'thread', 'thread_abandon'}
# The groups of what the runtime promises.
FEATURES = {'run', 'tasks', 'cancel', 'low level', 'sync', 'streams', 'sockets', 'threads', 'processes', 'files', 'signals', 'looking in',
    'testing', 'beyond AnyIO'}


def read(path):
    with open(path) as file:
        return file.read()


def names():
    return sorted(os.path.basename(path).split('.')[0] for path in glob.glob(f'{HERE}/*.c') + glob.glob(f'{HERE}/*.cc'))


def source(name):
    return read(f'{HERE}/{name}.' + ('cc' if name == 'anyio' else 'c'))


def header_of(name):
    return 'anyio.hpp' if name == 'anyio' else name.split('_')[0] + '.h'


def promised(name):
    """What the comment at the end says that it prints."""
    said = re.search(r'\n/\* Prints:\n(.*?) \*/\n\Z', source(name), re.S)
    return ''.join(line[3:] + '\n' for line in said.group(1).splitlines()) if said else None


def printed(output):
    """With the one backend's name that the comments have, and no folders before the names of source files."""
    return re.sub(r'\S*/(?=\w+\.c:\d)', '', re.sub(rf'\bon {BACKEND};', 'on uring;', output))


def certificate(folder):
    """As the head of tls.c says it is made."""
    words = re.search(r'\*\t(openssl .*?KEY -out CERTIFICATE)', source('tls'), re.S).group(1)
    paths = {'KEY': f'{folder}/key.pem', 'CERTIFICATE': f'{folder}/certificate.pem'}
    words = [paths.get(word, word) for word in re.sub(r'\\\n \*', ' ', words).split()]
    subprocess.run(words, check=True, capture_output=True, timeout=BOUND)
    return [paths['CERTIFICATE'], paths['KEY']]


def each_does_what_it_says():
    with tempfile.TemporaryDirectory() as folder:
        for name in names():
            words = []
            if BACKEND == 'sim' and name in NOT_SIMULATED:
                continue
            if name in ('anyio', 'tls') and not os.path.exists(f'{FOLDER}/{name}'):
                skip(f'{name} is not built, without C++ or OpenSSL')
                continue
            if name == 'tls':
                if not shutil.which('openssl'):
                    skip('the program openssl is not installed')
                    continue
                words = certificate(folder)
            done = subprocess.run([f'{FOLDER}/{name}', *words], capture_output=True, text=True, timeout=BOUND)
            equal(f'{name} prints what it says', (printed(done.stdout), done.stderr, done.returncode), (promised(name), '', 0))


def each_is_short():
    for name in names():
        lines = source(name).splitlines()
        check(f'{name} is short', 15 <= len(lines) <= (100 if name == 'tls' else 80), len(lines))
        header = header_of(name)
        check(f'{name} is of a header and includes it', f'#include <anyio/{header}>' in lines and os.path.exists(f'{HEADERS}/{header}'))


def every_header_has_one():
    headers = {os.path.basename(path) for path in glob.glob(f'{HEADERS}/*.h*')} - {'anyio.h', 'export.h'}
    equal('every public header has an example', sorted(headers - {header_of(name) for name in names() if '_' not in name}), [])


def rows():
    """Of the table: group, header, manual page and examples."""
    for line in read(f'{HERE}/../README.md').splitlines():
        cells = [cell.strip() for cell in line.split('|')[1:-1]]
        if len(cells) == 5 and '.h' in cells[1]:
            yield cells[0], re.match(r'\[(\w+\.h\w*)\]', cells[1]).group(1), cells[2], re.findall(r'\[(\w+)\]\(short/\1\.cc?\)', cells[3])


def the_table_has_them_all():
    equal('every group of the feature table is there', sorted(FEATURES - {group for group, *_ in rows()}), [])
    equal('and every example, once', sorted(name for *_, names in rows() for name in names), names())
    for _, header, page, examples in rows():
        wrong = [name for name in examples if header_of(name) != header]
        told = 'anyio(7)' if header == 'anyio.hpp' else f'anyio_{header[:-2]}(3)'
        check(f'the row of {header}', page == told and examples and not wrong, (page, examples))


run_all((each_does_what_it_says, each_is_short, every_header_has_one, the_table_has_them_all))
