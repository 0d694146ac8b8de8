#!/usr/bin/env python3
"""What `meson install` puts down is enough for a program with a node inside, in C, in C++ and in Python."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import PROGRAM, Daemon, check, environment, equal, finish, noise, read, run_all, skip, temp, write

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
BUILD = os.path.dirname(os.path.dirname(os.path.realpath(PROGRAM)))
DESTINATION = temp('destination')


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, env=environment(**more.pop('env', {})), **more)


def option(name):
    options = json.loads(run('meson', 'introspect', BUILD, '--buildoptions').stdout)
    return next(o['value'] for o in options if o['name'] == name)


PREFIX = option('prefix')
PLACE = DESTINATION + PREFIX
LIBRARIES = f'{PLACE}/{option("libdir")}'
HEADERS = f'{PLACE}/{option("includedir")}/ipfs-kit'
CLANG = 'clang' in json.loads(read(f'{BUILD}/compile_commands.json'))[0]['command'].split(' -')[0]
SANITIZERS = [] if option('b_sanitize') == 'none' else [f'-fsanitize={option("b_sanitize")}']
ALL = (('gcc', 'c'), ('g++', 'c++'), ('clang', 'c'), ('clang++', 'c++'))
COMPILERS = [(name, language) for name, language in ALL if shutil.which(name)]
# A sanitizer's runtime is its compiler's own: no other may link against what that one made.
LINKERS = [(name, language) for name, language in COMPILERS if not SANITIZERS or ('clang' in name) == CLANG]
C_COMPILER = LINKERS[0][0]


def flags(*what):
    """What pkg-config says of the installed library, its prefix moved to where it lies now."""
    done = run('pkg-config', f'--define-variable=prefix={PLACE}', *what, 'ipfskit', env={'PKG_CONFIG_PATH': f'{LIBRARIES}/pkgconfig'})
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.split()


def everything_is_put_down():
    done = run('meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', DESTINATION)
    if not check('meson install', done.returncode == 0, done.stdout[-600:] + done.stderr):
        finish()
    for path in (f'{PLACE}/bin/ipfs-kit', f'{LIBRARIES}/libipfskit.so', f'{LIBRARIES}/libipfskit.a', f'{LIBRARIES}/pkgconfig/ipfskit.pc',
            f'{HEADERS}/kit/kit.h', f'{HEADERS}/anyio/anyio.h', f'{HEADERS}/multiformats/cid.h',
            f'{PLACE}/share/bash-completion/completions/ipfs-kit.bash'):
        check(f'{path.removeprefix(PLACE)} is installed', os.path.exists(path))
    equal('the installed program runs', run(f'{PLACE}/bin/ipfs-kit', 'version', '-n').stdout.strip(),
        run('pkg-config', '--modversion', 'ipfskit', env={'PKG_CONFIG_PATH': f'{LIBRARIES}/pkgconfig'}).stdout.strip())
    manuals = f'{PLACE}/{option("mandir")}'
    commands = re.findall(r'^  (\S+(?: \S+)?)  +[A-Z]', run(f'{PLACE}/bin/ipfs-kit', '--help').stdout.split('Options for every')[0], re.M)
    equal('a manual page of each command is installed', sorted(os.listdir(f'{manuals}/man1')),
        sorted(['ipfs-kit.1', *(f'ipfs-kit-{name.replace(" ", "-")}.1' for name in commands)]))
    for words in (['ipfs-kit'], ['ipfs-kit-block-get'], ['ipfs-kit', 'add']) if shutil.which('man') else ():
        shown = run('man', '-M', manuals, *words)
        check(f'man {" ".join(words)}', shown.returncode == 0 and '-'.join(words) in shown.stdout, shown)
    named = [path for path in glob.glob(f'{PLACE}/**', recursive=True) if os.path.isfile(path) and not os.path.islink(path)
        and not path.endswith(('.so', '.a')) and '/lib' not in path.removeprefix(PLACE) and SOURCE.encode() in read(path)]
    equal('no installed text names where it was built', [p for p in named if '/bin/' not in p], [])


def make_says_what_is_next():
    told = lambda prefix: run(f'{SOURCE}/dist/installed.sh', BUILD, prefix).stdout
    equal('in a place of the system', told('/usr/local'), "installed in /usr/local: 'ipfs-kit init' makes a repo\n")
    libraries = f'/opt/kit/{option("libdir")}'
    equal('in another the settings that find it', told('/opt/kit'), 'installed in /opt/kit: put /opt/kit/bin on PATH; to build programs with the '
        f'library: export PKG_CONFIG_PATH={libraries}/pkgconfig LD_LIBRARY_PATH={libraries}\n')
    listed = run('make', '-s', '-C', SOURCE, 'help').stdout
    rules = re.findall(r'^([a-z]+):', read(f'{SOURCE}/Makefile').decode(), re.M)
    check('make help lists all rules', all(f'{rule} ' in listed for rule in rules), (rules, listed))


def headers_compile_alone():
    headers = sorted(os.path.relpath(path, HEADERS) for path in glob.glob(f'{HEADERS}/*/*.h'))
    check('there are headers', len(headers) > 15, headers)
    for compiler, _ in set(ALL) - set(COMPILERS):
        skip(f'{compiler} is not installed')
    for compiler, language in COMPILERS:
        for standard in ('c++11', 'c++17', 'c++20') if language == 'c++' else ('c11', 'c17'):
            bad = {}
            for header in headers:
                source = f'#include <{header}>\n#include <{header}>\nint there_is_one;\n'
                done = run(compiler, f'-x{language}', f'-std={standard}', '-Wall', '-Wextra', '-Wshadow', '-Wpedantic', '-Werror', '-fsyntax-only',
                    f'-I{HEADERS}', '-', input=source)
                if done.returncode:
                    bad[header] = done.stderr[:300]
            equal(f'every header compiles alone, {compiler} -std={standard}', bad, {})


def declared():
    names = set()
    for path in glob.glob(f'{HEADERS}/*/*.h'):
        text = re.sub(r'/\*.*?\*/|^#.*?$', '', read(path).decode(), flags=re.S | re.M)
        names.update(re.findall(r'\b(?:KIT|ANYIO|MF)_API\b[^;{]*?\b(\w+)\s*\(', text))
    return names


def names_are_the_public_ones():
    wanted = declared()
    check('headers declare functions', len(wanted) > 250, len(wanted))
    shared = {line.split()[-1].split('@')[0] for line in run('nm', '-D', '--defined-only', f'{LIBRARIES}/libipfskit.so').stdout.splitlines()
        if line.split()[-2] != 'A'}
    static = {line.split()[-1] for line in run('nm', '-g', '--defined-only', f'{LIBRARIES}/libipfskit.a').stdout.splitlines()
        if len(line.split()) == 3}
    for kind, names in (('shared', shared), ('static', static)):
        equal(f'the {kind} library has every function its headers declare', sorted(wanted - names), [])
        equal(f'the {kind} library gives nothing else', sorted(n for n in names - wanted if not n.startswith('__odr_asan')), [])


def fetches(what, program, **env):
    data = noise(3_000_000)
    done = subprocess.run([program, temp('nodes'), write(temp('input'), data)], capture_output=True, env=environment(**env), timeout=60)
    check(f'{what} adds, serves and fetches', done.returncode == 0 and done.stdout == data, done.stderr.decode())


def the_example_builds_against_it():
    example = f'{SOURCE}/examples/embed/embed.c'
    common = [C_COMPILER, *SANITIZERS, '-Wall', '-Werror', example]
    program = temp('embed')
    done = run(*common, *flags('--cflags', '--libs'), '-o', program)
    if check('examples/embed builds with pkg-config', done.returncode == 0, done.stderr):
        check('and needs libipfskit.so', 'libipfskit.so.0' in run('readelf', '-d', program).stdout)
        fetches('it', program, LD_LIBRARY_PATH=LIBRARIES)
    program = temp('embed-static')
    done = run(*common, *[word.replace('-lipfskit', '-l:libipfskit.a') for word in flags('--cflags', '--libs', '--static')], '-o', program)
    if check('it builds with the archive', done.returncode == 0, done.stderr):
        check('and then does not need libipfskit.so', 'libipfskit' not in run('readelf', '-d', program).stdout)
        fetches('the static one', program)


CXX = r'''
#include <kit/call.h>
#include <cstdio>
#include <string>

/* Names that the library has inside, too: they must not meet. */
extern "C" int store_open() { return 1; }
extern "C" int log_append() { return 1; }

struct Version {
	std::string answer;
	static int take(void *self, const char *json, size_t len)
	{
		static_cast<Version *>(self)->answer.assign(json, len);
		return 0;
	}
};

static int body(void *directory)
{
	kit_options options = {};
	kit_node *node = nullptr;
	char error[256];
	options.create = true;
	int rc = kit_open(static_cast<const char *>(directory), &options, &node, error, sizeof error);
	if (rc)
		return rc;
	Version version;
	kit_call call = {};
	kit_add_options adding = KIT_ADD_DEFAULTS;
	mf_cid root;
	kit_source empty = {};
	adding.only_hash = true;
	empty.read = [](void *, void *, size_t) -> ssize_t { return 0; };
	int added = kit_add_source(node, &empty, &adding, &root);
	call.command = "version";
	call.answer = Version::take;
	call.arg = &version;
	ANYIO_TASK_GROUP(group);
	rc = anyio_task_group_exit(&group, kit_call_run(node, &call));
	int closed = kit_close(node);
	std::puts(version.answer.c_str());
	return rc ? rc : added ? added : closed;
}

int main(int, char **argv)
{
	return anyio_run(body, argv[1], nullptr) ? 1 : store_open() + log_append() - 2;
}
'''


def a_program_in_cxx():
    for compiler in [name for name, language in LINKERS if language == 'c++']:
        for kind in ('shared', 'static'):
            program, source = temp('program'), write(temp('program.cc'), CXX)
            words = flags('--cflags', '--libs', *(['--static'] if kind == 'static' else []))
            if kind == 'static':
                words = [word.replace('-lipfskit', '-l:libipfskit.a') for word in words]
            done = run(compiler, '-std=c++11', '-Wall', '-Wextra', '-pedantic', '-Werror', *SANITIZERS, source, *words, '-o', program)
            if check(f'a C++ program builds, {compiler}, {kind}', done.returncode == 0, done.stderr):
                done = run(program, temp('repo'), env={'LD_LIBRARY_PATH': LIBRARIES})
                check('and runs', done.returncode == 0 and 'Version' in json.loads(done.stdout), done)


PYTHON = r'''
import ctypes, sys
kit = ctypes.CDLL('libipfskit.so.0')
kit.kit_error_text.restype = kit.kit_peer_id.restype = ctypes.c_char_p
kit.kit_error_text.argtypes = kit.kit_peer_id.argtypes = kit.kit_close.argtypes = [ctypes.c_void_p]

class Options(ctypes.Structure):  # struct anyio_options
    _fields_ = [('backend', ctypes.c_char_p), ('strict', ctypes.c_bool), ('mock_clock', ctypes.c_bool), ('seeded', ctypes.c_bool),
        ('seed', ctypes.c_uint64), ('stack_size', ctypes.c_size_t), ('rest', ctypes.c_uint64 * 16)]

class KitOptions(ctypes.Structure):  # struct kit_options
    _fields_ = [('create', ctypes.c_bool), ('read_only_config', ctypes.c_bool), ('reserved', ctypes.c_void_p * 4)]

@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
def body(_):
    node, error = ctypes.c_void_p(), ctypes.create_string_buffer(256)
    rc = kit.kit_open(sys.argv[1].encode(), ctypes.byref(KitOptions(create=True)), ctypes.byref(node), error, 256)
    if rc:
        print(error.value.decode())
        return rc
    print(kit.kit_peer_id(node).decode())
    return kit.kit_close(node)

sys.exit(1 if kit.anyio_run(body, None, ctypes.byref(Options(stack_size=1 << 20))) else 0)
'''


def a_program_in_python():
    if SANITIZERS:
        return skip("a program in Python: a sanitizer's runtime wants to be in the program itself")
    done = run(sys.executable, '-c', PYTHON, temp('repo'), env={'LD_LIBRARY_PATH': LIBRARIES})
    check('a Python program opens a node in its own task', done.returncode == 0 and done.stdout.startswith('12D3KooW'), done)
    with Daemon() as daemon:
        done = run(sys.executable, '-c', PYTHON, daemon.repo, env={'LD_LIBRARY_PATH': LIBRARIES})
        check('of a repo that a daemon has it is told where that one answers', done.returncode == 1 and f'its API at {daemon.api[0]},' in done.stdout, done)


run_all([everything_is_put_down, make_says_what_is_next, headers_compile_alone, names_are_the_public_ones, the_example_builds_against_it, a_program_in_cxx, a_program_in_python])
