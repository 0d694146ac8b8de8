#!/usr/bin/env python3
"""docs/store.md names for each sentence the tests that show it: they are there, and no sentence is without."""
import glob
import json
import re
import subprocess
import sys

SOURCE, BUILD = sys.argv[1:3]

page = open(f'{SOURCE}/docs/store.md').read()
listed = {test['name'] for test in json.loads(subprocess.run(['meson', 'introspect', '--tests', BUILD], capture_output=True, text=True, check=True).stdout)}
code = '\n'.join(open(path).read() for path in glob.glob(f'{SOURCE}/store/tests/*.c') + glob.glob(f'{SOURCE}/tests/cli/*.py'))
# Tests that run: what cmocka is given, what run_all is given, and what meson knows.
known = set(re.findall(r'cmocka_unit_test\((?:test_)?(\w+)\)', code)) | listed
for named in re.findall(r'^run_all\(\[(.*?)\]\)', code, re.M | re.S):
    known |= set(re.findall(r'\w+', named))
promises = re.findall(r'^(\d+)\. (.*?)(?=^\d+\. |^## |\Z)', page, re.M | re.S)
bad = []
for at, (number, text) in enumerate(promises, 1):
    names = re.findall(r'`([a-z][a-z0-9_-]*[_-][a-z0-9_-]+)`', re.sub(r'`(store_sync|ipfs-kit)`', '', text))
    if int(number) != at:
        bad.append(f'sentence {number} stands at place {at}')
    if not names:
        bad.append(f'sentence {number} names no test')
    bad += [f'sentence {number} names {name}, which is no test' for name in names if name not in known]
for line in bad:
    print(line)
print(f'{len(promises)} sentences')
sys.exit(bool(bad) or len(promises) < 10)
