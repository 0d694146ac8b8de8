#!/usr/bin/env python3
"""What the documents say is so: every program of the tutorial compiles without a warning and prints what stands below it; the map
names every public name of AnyIO and Trio, where those are installed, and no name of ours that does not exist.
test_documents.py BUILD PACKAGE...: the packages are what the library needs."""
import glob
import importlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../anyio/tests'))
from told import check, equal, run_all, skip

BUILD, PACKAGES = sys.argv[1], sys.argv[2:]
HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = os.path.abspath(f'{HERE}/../../anyio/include')
BOUND = 60


def read(name):
    with open(f'{HERE}/{name}') as file:
        return file.read()


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=BOUND, **more)


def programs():
    """Of the tutorial: name, source, and what it prints."""
    blocks = re.findall(r'^```(c|text)\n(.*?)^```', read('tutorial.md'), re.M | re.S)
    for (kind, source), (after, printed) in zip(blocks, blocks[1:]):
        if kind == 'c' and source.startswith('/* '):
            yield re.match(r'/\* (\w+)\.c \*/', source).group(1), source, printed if after == 'text' else None


def talk(program, printed):
    """The two servers: a client is answered; then Ctrl-C while it is there."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([program, str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        client = None
        while client is None:
            try:
                client = socket.create_connection(('127.0.0.1', port), timeout=BOUND)
            except ConnectionRefusedError:
                if process.poll() is not None:
                    return check(f'{program} runs', False, process.communicate()[0])
        with client, client.makefile('r') as answers:
            client.sendall(b'a line\nand')
            equal('it answers', answers.readline(), 'A LINE\n')
            process.send_signal(signal.SIGINT)
            equal('the client sees the end', answers.read(), '')
        equal('it prints what is said', (process.communicate(timeout=BOUND)[0], process.returncode), (printed, 0))
    finally:
        process.kill()


def tutorial():
    options = {o['name']: o['value'] for o in json.loads(run('meson', 'introspect', BUILD, '--buildoptions').stdout)}
    with open(f'{BUILD}/compile_commands.json') as file:
        compiler = 'clang' if 'clang' in json.load(file)[0]['command'].split(' -')[0] else 'gcc'
    sanitizers = [] if options['b_sanitize'] == 'none' else [f'-fsanitize={options["b_sanitize"]}']
    needs = run('pkg-config', '--libs', *PACKAGES).stdout.split()
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, source, printed in programs():
            count += 1
            with open(f'{folder}/{name}.c', 'w') as file:
                file.write(source)
            done = run(compiler, '-std=c17', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', *sanitizers, f'-I{HEADERS}',
                f'{folder}/{name}.c', f'{BUILD}/anyio/dist/libanyio.a', *needs, '-pthread', '-o', f'{folder}/{name}')
            if not check(f'{name}.c compiles', done.returncode == 0, done.stderr):
                continue
            for backend in ('uring', 'uv'):
                os.environ['ANYIO_BACKEND'] = backend
                if name in ('server', 'graceful'):
                    talk(f'{folder}/{name}', printed)
                else:
                    done = run(f'{folder}/{name}')
                    equal(f'{name} prints what stands below it', (done.stdout, done.stderr, done.returncode), (printed, '', 0))
    check('there are programs', count >= 8, count)


def sections():
    """Of the map: module, and its rows as lists of cells."""
    for title, body in re.findall(r'^## `([\w.]+)`[^\n]*\n(.*?)(?=^## |\Z)', read('map.md'), re.M | re.S):
        rows = [[cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]] for line in body.splitlines() if line.startswith('|')]
        yield title, rows[2:]


def public(module):
    if module.__name__ == 'trio.socket':  # Python's own socket module is repeated there
        import socket as stdlib
        return {name for name in vars(module) if not name.startswith('_') and name != 'annotations'
            and (not hasattr(stdlib, name) or name in documented_names('trio.socket'))}
    if hasattr(module, '__all__'):
        return set(module.__all__)
    return {name for name, value in vars(module).items() if not name.startswith('_') and name != 'annotations'
        and not isinstance(value, type(sys))}


def documented_names(module):
    return {name for title, rows in sections() if title == module for row in rows for name in re.findall(r'`([\w.]+)`', row[0])}


def map_is_whole():
    sys.path[:] = [path for path in sys.path if path not in ('', os.getcwd())]  # a folder here is called anyio
    titles = [title for title, _ in sections()]
    for root in ('anyio', 'trio'):
        check(f'{root} has sections', root in titles)
        try:
            importlib.import_module(f'{root}.lowlevel')
        except ImportError:
            print(f'note  {root} is not installed: whether the map has all its names is not checked')
            continue
        for title in (title for title in titles if title.split('.')[0] == root):
            missing = public(importlib.import_module(title)) - documented_names(title)
            equal(f'the map has every name of {title}', sorted(missing), [])


def map_tells_no_lies():
    text = ''.join(open(path).read() for path in glob.glob(f'{HEADERS}/anyio/*.h*'))
    ours = set()
    for _, rows in sections():
        for row in rows:
            told = ' '.join(row[1:])
            absent = [name for name in re.findall(r'`(\w+\.h)`', told) if not os.path.exists(f'{HEADERS}/anyio/{name}')]
            if absent:
                skip(f'{absent[0]} is not there yet')
            else:
                ours |= set(re.findall(r'\b(?:anyio|ANYIO)_\w+', told))
    check('the map names ours', len(ours) > 100, len(ours))
    equal('every name of ours exists', sorted(name for name in ours if not re.search(rf'\b{name}\b', text)), [])


def examples_of(header):
    """Those of anyio/examples/short: HEADER.c and HEADER_*.c."""
    paths = sorted(glob.glob(f'{HEADERS}/../examples/short/*.c'))
    return [name for name in (os.path.basename(path)[:-2] for path in paths) if name.split('_')[0] == header]


def manuals_are_clean():
    pages = sorted(glob.glob(f'{BUILD}/anyio/dist/*.[37]'))
    headers = [path for path in glob.glob(f'{HEADERS}/anyio/*.h') if not path.endswith(('/anyio.h', '/export.h'))]
    equal('a page for every header, and one over all', len(pages), len(headers) + 1)
    overview = open(f'{BUILD}/anyio/dist/anyio.7').read()
    for page in pages:
        name = os.path.basename(page)
        check(f'anyio(7) tells of {name}', name == 'anyio.7' or f'Xr {name[:-2]} 3' in overview)
        shown = re.findall(r'^\.Ss (\w+)\.c$', open(page).read(), re.M)
        programs = re.findall(r'^\.Bd -literal[^\n]*\n(.*?)^\.Ed$', open(page).read().partition('.Sh EXAMPLES')[2], re.M | re.S)
        lines = ''.join(programs).replace('\\e', ' ').split('\n')
        equal(f'{name} shows programs within 80 columns', [line for line in lines if len(line) > 75], [])
        check(f'{name} has its examples', name == 'anyio.7' or shown == examples_of(name[len('anyio_'):-2]), shown)
    for path in sorted(headers):
        manual_has_all_of(path, f'{BUILD}/anyio/dist/anyio_{os.path.basename(path)[:-2]}.3')
    manuals_have_no_fault(pages)


def squeezed(text):
    """Without the spaces that mean nothing, and without what roff does not show."""
    return re.sub(r'\s*([(),*;])\s*', r'\1', ' '.join(re.sub(r'\\[%&:]', '', text).replace('\\e', '\\').split()))


def manual_has_all_of(path, page):
    name, header, page = os.path.basename(path), open(path).read(), open(page).read()
    synopsis, description = re.search(r'^\.Sh SYNOPSIS\n(.*?)^\.Sh DESCRIPTION\n(.*?)^\.Sh (?:EXAMPLES|SEE ALSO)', page, re.M | re.S).groups()
    bare = re.sub(r'/\*.*?\*/', '', header, flags=re.S)
    declared = {squeezed(text): text for text in re.findall(r'^ANYIO_API\s+([^;]*);', bare, re.M)}
    shown = {squeezed(f'{kind} {function}({", ".join(re.findall(r"Fa .(.*).$", arguments, re.M))})')
        for kind, function, arguments in re.findall(r'^\.Ft "(.*)"\n\.Fo (\w+)\n((?:\.Fa ".*"\n)*)\.Fc$', synopsis, re.M)}
    equal(f'{name}: every prototype stands in the synopsis', sorted(shown), sorted(declared))
    functions = [re.search(r'(\w+)\s*\(', text)[1] for text in declared.values()]
    macros = [macro for macro in re.findall(r'^#define (\w+)\(', header, re.M) if macro != 'X']
    for what, told in (('the name of', re.findall(r'^\.Nm (\w+)', page, re.M)), ('in the synopsis', re.findall(r'^\.F[on] (\w+)', synopsis, re.M)),
            ('a text under the name of', re.findall(r'^\.It Fn (\w+)', description, re.M))):
        equal(f'{name}: {what} every function and macro, once', sorted(told), sorted(functions + macros))
    lost = []
    said = squeezed(re.sub(r'^\..*', '', description, flags=re.M))
    for comment in re.findall(r'/\*(.*?)\*/', header, re.S)[1:]:
        for part in re.split(r'\n\s*\n|\n ?- ', re.sub(r'^[ \t]+\* ?', '', comment, flags=re.M)):
            if not part.startswith('\t') and squeezed(part.lstrip(' -')) not in said:
                lost.append(part)
    equal(f'{name}: nothing that its comments say is lost', lost, [])


def manuals_have_no_fault(pages):
    for tool, words in (('mandoc', ['mandoc', '-T', 'lint']), ('groff', ['groff', '-mandoc', '-Tutf8', '-ww', '-z'])):
        if not shutil.which(tool):
            skip(f'{tool} is not installed')
            continue
        done = run(*words, *pages)
        # mandoc knows the pages they refer to only once these are installed and listed.
        equal(f'{tool} finds no fault', [line for line in (done.stdout + done.stderr).splitlines()
            if not re.search('referenced manual not found|outdated mandoc.db', line)], [])
    if not shutil.which('man'):
        return skip('man is not installed')
    for page in pages:
        done = run('man', '--warnings', '-l', page, env={**os.environ, 'MANWIDTH': '80', 'LC_ALL': 'C.UTF-8'})
        check(f'man shows {os.path.basename(page)} without a warning', done.returncode == 0 and done.stdout and not done.stderr, done.stderr)
        equal('within 80 columns', [line for line in done.stdout.split('\n') if len(line) > 80], [])


def reference_is_whole():
    if not shutil.which('doxygen'):
        return skip('doxygen is not installed')
    root = os.path.abspath(f'{HERE}/../..')
    with tempfile.TemporaryDirectory() as folder:
        done = run('doxygen', '-', cwd=root, input=read('Doxyfile') + f'\nOUTPUT_DIRECTORY = {folder}\n')
        check('every declaration has its comment, and Doxygen finds no fault', done.returncode == 0, done.stderr)
        if check('and makes pages', os.path.exists(f'{folder}/html/run_8h.html')):
            for header in {os.path.basename(path)[:-2] for path in glob.glob(f'{HEADERS}/anyio/*.h')} - {'anyio', 'export'}:
                pages = [f'{folder}/html/{header}_8h.html', *glob.glob(f'{folder}/html/struct*.html')]
                named = re.findall(r'href="(\w+)_8c-example', ''.join(open(page).read() for page in pages))
                missing = set(examples_of(header)) - {name.replace('__', '_') for name in named}
                check(f'the page of {header}.h, or of its structs, names its examples', not missing, missing)


run_all((tutorial, map_is_whole, map_tells_no_lies, manuals_are_clean, reference_is_whole))
