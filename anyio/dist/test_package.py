#!/usr/bin/env python3
"""What `meson install --tags anyio` puts down is enough to build a program on the runtime alone, in C and in C++,
with the shared library and with the archive; and it gives the names that its headers declare and no others."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../tests'))
from told import check, equal, run_all, skip

BUILD = sys.argv[1]
SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
ENVIRONMENT = {**os.environ, 'LC_ALL': 'C'}


def run(*words, env={}, **more):
    return subprocess.run(words, capture_output=True, text=True, env={**ENVIRONMENT, **env}, timeout=120, **more)


def read(path):
    with open(path) as file:
        return file.read()


OPTIONS = {o['name']: o['value'] for o in json.loads(run('meson', 'introspect', BUILD, '--buildoptions').stdout)}
DESTINATION = tempfile.mkdtemp()
PLACE = DESTINATION + OPTIONS['prefix']
LIBRARIES = f'{PLACE}/{OPTIONS["libdir"]}'
HEADERS = f'{PLACE}/{OPTIONS["includedir"]}'
COMMANDS = read(f'{BUILD}/compile_commands.json')
CLANG = 'clang' in json.loads(COMMANDS)[0]['command'].split(' -')[0]
SANITIZERS = [] if OPTIONS['b_sanitize'] == 'none' else [f'-fsanitize={OPTIONS["b_sanitize"]}']
COMPILERS = [pair for pair in (('gcc', 'c'), ('clang', 'c'), ('g++', 'c++'), ('clang++', 'c++')) if shutil.which(pair[0])]
# A sanitizer's runtime is its compiler's own: no other may link against what that one made.
LINKERS = [pair for pair in COMPILERS if not SANITIZERS or ('clang' in pair[0]) == CLANG]
STANDARDS = {'c': ['c11', 'c17'], 'c++': ['c++11', 'c++17', 'c++20']}
STRICT = ['-Wall', '-Wextra', '-Wshadow', '-pedantic', '-Werror']


TLS = os.path.exists(f'{BUILD}/anyio/dist/anyio-tls.pc')
# What one library of the two may ask of the other, and nobody else.
PRIVATE = {'anyio_pass', 'anyio_wait', 'anyio_wait_wake_all'}


def flags(*what, package='anyio'):
    """What pkg-config says of the installed library, its prefix moved to where it lies now."""
    done = run('pkg-config', f'--define-variable=prefix={PLACE}', *what, package, env={'PKG_CONFIG_PATH': f'{LIBRARIES}/pkgconfig'})
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.split()


def installs():
    done = run('meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', DESTINATION, '--tags', 'anyio')
    if not check('meson install --tags anyio', done.returncode == 0, done.stdout + done.stderr):
        return
    for name in ('anyio', 'anyio-tls') if TLS else ('anyio',):
        for path in (f'lib{name}.so', f'lib{name}.so.0', f'lib{name}.a', f'pkgconfig/{name}.pc'):
            check(f'{path} is there', os.path.exists(f'{LIBRARIES}/{path}'))
    found = [os.path.relpath(path, PLACE) for path in glob.glob(f'{PLACE}/**', recursive=True) if os.path.isfile(path)]
    strange = [path for path in found if not re.search(r'(^|/)(lib)?anyio[^/]*(/[^/]*)?$', path, re.I)]
    check('and nothing that is not of the runtime', strange == [], strange)
    for name in ('anyio', 'anyio_sleep', 'anyio_run', 'ANYIO_TASK_GROUP') if shutil.which('man') else ():
        done = run('man', '-M', f'{PLACE}/{OPTIONS["mandir"]}', name)
        check(f'man {name}', done.returncode == 0 and name in done.stdout, done)
    pages = {name: f'{PLACE}/{OPTIONS["mandir"]}/man3/{name}.3' for name in declared() if TLS or not is_tls(name)}
    equal('every function has a page of its name', [name for name, page in pages.items() if not os.path.exists(page)], [])
    if shutil.which('man'):
        found = run('man', '-M', f'{PLACE}/{OPTIONS["mandir"]}', '-w', '3', *pages)
        check('and man finds it there', found.returncode == 0 and len(found.stdout.splitlines()) == len(pages), found)
    check('the shared library is found by its soname', '[libanyio.so.0]' in run('readelf', '-d', f'{LIBRARIES}/libanyio.so').stdout)
    told = re.search(r'ANYIO_VERSION "(.*)"', read(f'{HEADERS}/anyio/version.h')).group(1)
    check('headers and anyio.pc are of one version', flags('--modversion') == [told], told)


def headers_compile_alone():
    headers = sorted(glob.glob('anyio/*.h*', root_dir=HEADERS))
    check('there are headers', len(headers) > 15, headers)
    for compiler, language in COMPILERS:
        for standard in STANDARDS[language]:
            bad = {}
            for header in headers:
                if header.endswith('.hpp') and standard not in ('c++17', 'c++20'):
                    continue
                done = run(compiler, f'-x{language}', f'-std={standard}', *STRICT, '-fsyntax-only', f'-I{HEADERS}', '-',
                    input=f'#include <{header}>\n#include <{header}>\nint there_is_one;\n')
                if done.returncode:
                    bad[header] = done.stderr[:400]
            check(f'every header compiles alone, {compiler} -std={standard}', bad == {}, bad)


def make_says_what_is_next():
    """Of a build of the runtime alone, which has no ipfskit.pc."""
    with tempfile.TemporaryDirectory() as alone:
        os.makedirs(f'{alone}/anyio/dist')
        shutil.copy(f'{BUILD}/anyio/dist/anyio.pc', f'{alone}/anyio/dist')
        libraries = f'/opt/runtime/{OPTIONS["libdir"]}'
        equal('in a place of its own the settings that find library and pages', run(f'{SOURCE}/dist/installed.sh', alone, '/opt/runtime').stdout,
            f'installed in /opt/runtime: to build programs with the library: export PKG_CONFIG_PATH={libraries}/pkgconfig '
            f'LD_LIBRARY_PATH={libraries} MANPATH=/opt/runtime/share/man:\n')


def declared():
    names = set()
    for path in glob.glob(f'{HEADERS}/anyio/*.h'):
        text = re.sub(r'/\*.*?\*/|//[^\n]*|^#.*?$', '', read(path), flags=re.S | re.M)
        names.update(re.findall(r'\bANYIO_API\b[^;{(]*?\b(\w+)\s*\(', text))
    return names


def is_tls(name):
    return name.startswith('anyio_tls_')


def names_are_the_public_ones():
    check('headers declare functions', len(declared()) > 150, len(declared()))
    for library in ('anyio', 'anyio-tls') if TLS else ('anyio',):
        wanted = {name for name in declared() if is_tls(name) == (library != 'anyio')}
        lines = run('nm', '-D', '--defined-only', f'{LIBRARIES}/lib{library}.so').stdout.split('\n')
        shared = {line.split()[-1] for line in lines if line and line.split()[-2] != 'A' and '__odr_asan' not in line}
        private = {name.split('@')[0] for name in shared if name.endswith('@@ANYIO_PRIVATE')}
        equal(f'{library}: what is private', private, PRIVATE if library == 'anyio' else set())
        shared = {name for name in shared if not name.endswith('@@ANYIO_PRIVATE')}
        check(f'{library}: every symbol carries a version', all(re.search(r'@@ANYIO_\d+\.\d+$', name) for name in shared), shared)
        lines = run('nm', '-g', '--defined-only', f'{LIBRARIES}/lib{library}.a').stdout.split('\n')
        static = {line.split()[-1] for line in lines if len(line.split()) == 3 and '__odr_asan' not in line} - private
        for kind, names in (('shared', {name.split('@')[0] for name in shared}), ('static', static)):
            equal(f'{library}: the {kind} library has every function its headers declare', sorted(wanted - names), [])
            equal(f'{library}: the {kind} library gives nothing else', sorted(names - wanted), [])


# Names that the library has inside, too: they must not meet. C that is C++ as well.
PROGRAM = r'''
#include <anyio/anyio.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
int task_spawn(void);
int scope_init(void);
int context_switch(void);
int stack_take(void);
int task_spawn(void) { return 1; }
int scope_init(void) { return 2; }
int context_switch(void) { return 3; }
int stack_take(void) { return 4; }
#ifdef __cplusplus
}
#endif

static int child(void *arg)
{
	++*(int *)arg;
	return anyio_sleep(ANYIO_MILLISECOND);
}

static int body(void *arg)
{
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 3; i++)
		anyio_start_soon(&group, child, arg, "child");
	return anyio_task_group_exit(&group, 0);
}

typedef void (*any_function)(void);
static const any_function all[] = { @ALL@ };

int main(void)
{
	int count = task_spawn() + scope_init() + context_switch() + stack_take();
	int rc = anyio_run(body, &count, NULL);
	if (rc < 0)
		printf("%s: %s\n", anyio_error_name(rc), anyio_error_text(rc));
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		count += all[i] == (any_function)0;
	return rc == 0 && count == 13 && strcmp(anyio_version(), ANYIO_VERSION) == 0 ? 0 : 1;
}
'''

# What is caught and uncaught travels with its task only when the library has found the C++ runtime of the program.
EXCEPTIONS = r'''
#include <anyio/anyio.hpp>
#include <stdexcept>

static int wrong;

static int throws_on(int number)
{
	try {
		try {
			throw number;
		} catch (int) {
			anyio_checkpoint();
			throw;
		}
	} catch (int value) {
		wrong += value != number;
	}
	return 0;
}

int main(int argc, char **)
{
	int rc = anyio::run([&] {
		anyio::task_group group;
		for (int i = 0; i < 3; i++)
			group.start_soon([i] { return throws_on(i); });
		if (argc > 1)
			group.start_soon([]() -> int { throw std::runtime_error("what was thrown"); }, "careless");
		return group.exit(0);
	});
	return rc || wrong ? 1 : 0;
}
'''


def exceptions_stay_with_their_tasks():
    source, program = f'{DESTINATION}/exceptions.cc', f'{DESTINATION}/exceptions'
    with open(source, 'w') as file:
        file.write(EXCEPTIONS)
    static = flags('--cflags', '--libs', '--static')
    archive = [word.replace('-lanyio', '-l:libanyio.a') for word in static]
    kinds = {'shared': flags('--cflags', '--libs'), 'archive': archive, 'static C++ runtime': ['-static-libstdc++', '-static-libgcc', *archive],
        'static': ['-static', *[word.replace('-luv', '-luv_a') for word in static]]}
    for compiler in [name for name, language in LINKERS if language == 'c++']:
        for kind, libraries in kinds.items():
            if SANITIZERS and 'static' in kind:
                continue
            done = run(compiler, '-std=c++17', '-O2', *STRICT, *SANITIZERS, source, *libraries, '-o', program)
            if check(f'C++ with exceptions builds with {compiler}, {kind}', done.returncode == 0, done.stderr):
                done = run(program, env={'LD_LIBRARY_PATH': LIBRARIES})
                check('and each task has its own', done.returncode == 0, done)
                done = run(program, 'leave', env={'LD_LIBRARY_PATH': LIBRARIES})
                check('and one that leaves its task is named', done.returncode != 0 and 'left the body of task "careless"' in done.stderr
                    and 'what was thrown' in done.stderr, done)


def programs_are_built():
    words = ', '.join(f'(any_function){name}' for name in sorted(declared()) if not is_tls(name))
    for compiler, language in LINKERS:
        ending, standard = ('c', 'c17') if language == 'c' else ('cc', 'c++17')
        source = f'{DESTINATION}/program.{ending}'
        with open(source, 'w') as file:
            file.write(PROGRAM.replace('@ALL@', words))
        static = flags('--cflags', '--libs', '--static')
        for kind, libraries in (('shared', flags('--cflags', '--libs')),
                ('archive', [word.replace('-lanyio', '-l:libanyio.a') for word in static]), ('static', ['-static', *[word.replace('-luv', '-luv_a') for word in static]])):
            if kind == 'static' and SANITIZERS:
                continue
            program = f'{DESTINATION}/program'
            strict = [] if kind == 'static' else STRICT  # The C library warns of getaddrinfo in static programs.
            done = run(compiler, f'-std={standard}', *strict, '-Wno-cast-function-type', *SANITIZERS, source, *libraries, '-o', program)
            if not check(f'a program builds with {compiler}, {kind}', done.returncode == 0, done.stderr):
                continue
            needs = 'libanyio.so.0' in run('readelf', '-d', program).stdout
            check('and needs the shared library' if kind == 'shared' else 'and stands alone', needs == (kind == 'shared'))
            for backend in ('uring', 'uv'):
                done = run(program, env={'LD_LIBRARY_PATH': LIBRARIES, 'ANYIO_BACKEND': backend})
                if 'ANYIO_NO_BACKEND' in done.stdout:
                    skip(f'{backend} does not work here')
                else:
                    check(f'and runs on {backend}', done.returncode == 0, done)


def examples_are_built():
    """Each by `cc NAME.c $(pkg-config ...)`, as a reader of its manual page would."""
    compiler = LINKERS[0][0]
    more = {'tls': flags('--cflags', '--libs', package='anyio-tls') if TLS else None, 'host': run('pkg-config', '--cflags', '--libs', 'libuv').stdout.split()}
    paths = sorted(glob.glob(f'{SOURCE}/anyio/examples/short/*.c'))
    bad = {}
    for path in paths:
        own = more.get(os.path.basename(path)[:-2], [])
        if own is not None:
            done = run(compiler, *STRICT, '-Wno-unused-parameter', '-Wno-missing-field-initializers', *SANITIZERS, path,
                *flags('--cflags', '--libs'), *own, '-o', f'{DESTINATION}/example')
            if done.returncode:
                bad[path] = done.stderr[:400]
    for other in [name for name, language in LINKERS if language == 'c++'][:1]:
        done = run(other, '-std=c++17', *STRICT, '-Wold-style-cast', *SANITIZERS, f'{SOURCE}/anyio/examples/short/anyio.cc', *flags('--cflags', '--libs'), '-o',
            f'{DESTINATION}/example')
        if done.returncode:
            bad['anyio.cc'] = done.stderr[:400]
    check(f'every short example builds with {compiler}', bad == {} and len(paths) > 40, bad)


TLS_PROGRAM = r'''
#include <anyio/anyio.h>

typedef void (*any_function)(void);
static const any_function all[] = { @ALL@ };

static int body(void *arg)
{
	struct anyio_tls_context_options options = { 0 };
	struct anyio_tls_context *context;
	struct anyio_tls_options stream_options = { .server_name = "example.org" };
	struct anyio_stream *ends[2], *stream;
	int rc = anyio_tls_context_create(&options, &context);
	if (rc == 0)
		rc = anyio_stream_pair(0, ends);
	if (rc == 0)
		rc = anyio_tls_wrap(ends[0], context, &stream_options, &stream);
	if (rc < 0)
		return rc;
	anyio_stream_close(ends[1]);
	rc = anyio_tls_handshake(stream); /* the other side is not there */
	anyio_stream_free(stream);
	anyio_stream_free(ends[1]);
	anyio_tls_context_free(context);
	return rc < 0 && all[0] ? 0 : 1;
}

int main(void)
{
	return anyio_run(body, NULL, NULL) == 0 ? 0 : 1;
}
'''


def tls_is_beside_it():
    if not TLS:
        return skip('TLS is not built')
    source, program = f'{DESTINATION}/tls.c', f'{DESTINATION}/tls'
    with open(source, 'w') as file:
        file.write(TLS_PROGRAM.replace('@ALL@', ', '.join(f'(any_function){name}' for name in sorted(declared()) if is_tls(name))))
    check('libanyio itself does not load OpenSSL', 'libssl' not in run('readelf', '-d', f'{LIBRARIES}/libanyio.so').stdout)
    archives = [word.replace('-lanyio', '-l:libanyio') + '.a' if word.startswith('-lanyio') else word
        for word in flags('--cflags', '--libs', '--static', package='anyio-tls')]
    compiler = LINKERS[0][0]
    for kind, libraries in (('shared', flags('--cflags', '--libs', package='anyio-tls')), ('archive', archives)):
        done = run(compiler, *STRICT, '-Wno-unused-parameter', '-Wno-cast-function-type', '-Wno-missing-field-initializers', *SANITIZERS,
            source, *libraries, '-o', program)
        if check(f'a program with TLS builds, {kind}', done.returncode == 0, done.stderr):
            done = run(program, env={'LD_LIBRARY_PATH': LIBRARIES})
            check('and runs', done.returncode == 0, done)


try:
    run_all((installs, make_says_what_is_next, headers_compile_alone, names_are_the_public_ones, programs_are_built,
        examples_are_built, exceptions_stay_with_their_tasks, tls_is_beside_it))
finally:
    shutil.rmtree(DESTINATION)
