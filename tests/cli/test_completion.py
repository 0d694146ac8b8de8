#!/usr/bin/env python3
"""What the shells offer after Tab, and that help and completions tell of the same commands."""
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import PROGRAM, check, environment, equal, kit, run_all, skip, temp, write

# Words typed, the last one unfinished, and what is offered for it.
OFFERS = [
    (['sw'], {'swarm'}),
    (['swarm', ''], {'connect', 'disconnect', 'peers'}),
    (['swarm', 'c'], {'connect'}),
    (['repo', 'st'], {'stat'}),
    (['pin', ''], {'add', 'ls', 'rm', 'update'}),
    (['dag', 'e'], {'export'}),
    (['config', 's'], {'show', 'swarm.listen', 'store.max', 'store.cache'}),
    (['config', 'api.'], {'api.listen', 'api.origins', 'api.secret'}),
    (['config', 'api.listen', ''], set()),
    (['pin', 'ls', '--type', ''], {'all', 'direct', 'recursive', 'indirect'}),
    (['pin', 'ls', '-t', 'r'], {'recursive'}),
    (['--json', 'pin', 'ls', '-q', '--type', 'd'], {'direct'}),
    (['add', '--profile', 'unixfs-v0'], {'unixfs-v0-2015'}),
    (['init', '--profile', 'k'], {'kubo-cid-v1'}),
    (['add', '--cid-version', ''], {'0', '1'}),
    (['add', '--chunker', 'size-1'], {'size-1048576'}),
    (['add', '-s', 'size-2'], {'size-262144'}),
    (['block', 'put', '--cid-codec', 'dag-'], {'dag-pb', 'dag-cbor', 'dag-json'}),
    (['block', 'put', '--mhtype', 'blake'], {'blake2b-256', 'blake2s-256', 'blake3'}),
    (['completion', ''], {'bash', 'zsh', 'fish'}),
    (['completion', 'bash', ''], set()),
    (['cat', '--offset', '/us'], set()),
    (['ping', '--count', ''], set()),
    (['--repo', '/x', 'pin', 'l'], {'ls'}),
    (['--json', 'swarm', 'd'], {'disconnect'}),
    (['dag', 'export', '--o'], {'--output', '--offline'}),
    (['pin', 'ls', '--ty'], {'--type'}),
    (['get', '-o', 'swarm', '--fo'], {'--force'}),
    (['help', 'rep'], {'repo'}),
    (['cat', '--lib'], set()),
    (['help', 'swarm', ''], {'connect', 'disconnect', 'peers'}),
    (['help', 'config', 's'], {'show'}),
    (['help', 'swarm', 'connect', ''], set()),
    (['config', 'add.profile', ''], {'unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-cid-v1'}),
    (['config', 'add.profile', 'kubo'], {'kubo-cid-v1'}),
    (['config', 'add.profile', 'kubo-cid-v1', ''], set()),
]


# What is typed, and what a Tab after it makes of it.
TYPED = [('ipfs-kit swarm conn', 'swarm connect'), ('ipfs-kit --repo /x pin l', 'pin ls'), ('ipfs-kit dag export --out', 'export --output'),
    ('ipfs-kit add --profile kubo', '--profile kubo-cid-v1'), ('ipfs-kit config store.m', 'config store.max'), ('ipfs-kit pin ls -t rec', '-t recursive')]


def commands():
    """The commands and their options, as help tells them."""
    names = re.findall(r'^  (\S+(?: \S+)?)  +[A-Z]', kit('--help').text.split('Options for every')[0], re.M)
    found = {}
    for name in names:
        text = kit(*name.split(), '--help').text
        own = text.split('\nOptions:')[1].split('\nOptions for every command:')[0] if '\nOptions:' in text else ''
        found[name] = set(re.findall(r'^  (?:-\w, |    )(--[\w-]+)', own, re.M))
    return found


def settings():
    """The keys of a config file, as the program writes it."""
    kit('init', '--test', repo=(repo := temp('repo')))
    return re.findall(r'^([a-z]+\.[a-z]+) =', kit('config', 'show', repo=repo).text, re.M)


SETTINGS = settings()


def in_bash():
    script = write(temp('completion'), kit('completion', 'bash').out)
    program = f'''source {script}
        ask() {{ COMP_WORDS=(ipfs-kit "$@"); COMP_CWORD=$#; COMPREPLY=(); _ipfs_kit; printf '%s\\n' "${{COMPREPLY[@]}}"; }}
        ask "$@"'''

    def offered(words):
        done = subprocess.run(['bash', '--norc', '-c', program, 'bash', *words], capture_output=True, text=True, cwd='/')
        check(f'bash has nothing to say of {words}', not done.stderr, done.stderr)
        return set(done.stdout.split())

    for words, wanted in OFFERS:
        equal(f'bash, {" ".join(words)!r}', offered(words), wanted)
    equal('bash, a file to add', offered(['add', '/us']), {'/usr'})
    equal('bash, no file to read', offered(['cat', '/us']), set())
    equal('bash, the value of an option', offered(['--repo', '/us']), {'/usr'})
    equal('bash, the value of an option after =', offered(['--repo', '=', '/us']), {'/usr'})
    equal('bash, values after =', offered(['pin', 'ls', '--type', '=', 'd']), {'direct'})
    equal('bash, right after =', offered(['pin', 'ls', '--type', '=']), {'all', 'direct', 'recursive', 'indirect'})
    equal('bash, a file to write', offered(['dag', 'export', '-o', '/us']), {'/usr'})
    in_a_folder_of_odd_names(script)
    for key in SETTINGS:
        equal(f'bash offers the setting {key}', key in offered(['config', key[:-1]]), True)
    for text, wanted in TYPED + [('ipfs-kit pin ls --type=dir', 'pin ls --type=direct')]:
        done, seen = typed(['bash', '--norc', '-i'], f'source {script}', text, wanted)
        check(f'bash on a terminal: {text!r}', done, seen)
    for name, options in commands().items():
        *family, last = name.split()
        equal(f'bash offers {name}', last in offered([*family, last]), True)
        equal(f'bash offers its options', options - offered([*name.split(), '--']), set())
    real = subprocess.run(['bash', '--norc', '-c', f'source {script}; complete -p ipfs-kit'], capture_output=True, text=True)
    check('bash knows whom to ask', '-F _ipfs_kit' in real.stdout, real)


def in_a_folder_of_odd_names(script, shell=('bash', '--norc', '-i'), load='source'):
    """Names with spaces and quotes are one word each, however they were begun."""
    folder = temp('odd')
    for name in ('na me.txt', "it's here", 'plain [1]'):
        write(f'{folder}/{name}', b'')
    setup = f'cd {folder}; {load} {script}'
    for text, wanted in (('ipfs-kit add na', r'add na\ me.txt'), ("ipfs-kit add 'na", "add 'na me.txt'"), ('ipfs-kit add "na', 'add "na me.txt"'),
            (r'ipfs-kit add na\ m', r'add na\ me.txt'), ('ipfs-kit get -o na', r'-o na\ me.txt'), ('ipfs-kit dag export --output=na', r'--output=na\ me.txt'),
            ('ipfs-kit add it', r"add it\'s\ here"), ('ipfs-kit add pl', r'add plain\ \[1\]')):
        done, seen = typed(shell, setup, text, wanted)
        check(f'{shell[0]} on a terminal, odd names: {text!r}', done, seen)


def in_fish():
    if not shutil.which('fish'):
        return skip('fish is not installed')
    script = write(temp('ipfs-kit.fish'), kit('completion', 'fish').out)
    home = temp('home')
    os.mkdir(home)
    for words, wanted in OFFERS:
        done = subprocess.run(['fish', '-c', f'source {script}; complete -C "ipfs-kit {" ".join(words)}"'], capture_output=True, text=True,
            cwd='/', env=environment(HOME=home))
        equal(f'fish, {" ".join(words)!r}', {line.split('\t')[0] for line in done.stdout.splitlines()}, wanted)


def typed(shell, setup, text, wanted):
    """Whether a shell on a terminal makes wanted out of text and a Tab."""
    home = temp('home')
    os.mkdir(home)
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(shell[0], shell, environment(HOME=home, TERM='dumb', PS1='> '))
    seen = b''
    try:
        os.write(terminal, setup.encode() + b'\n' + b'echo "$((40 + 2))" is ready\n')
        sent, end = False, time.monotonic() + 20
        while time.monotonic() < end and wanted.encode() not in seen.replace(b'\x07', b'').replace(b'\b', b''):
            if select.select([terminal], [], [], 0.5)[0]:
                seen += os.read(terminal, 65536)
            if not sent and b'42 is ready' in seen:
                sent, seen = True, b''
                os.write(terminal, text.encode() + b'\t')
        return wanted.encode() in seen.replace(b'\x07', b'').replace(b'\b', b''), seen
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def in_zsh():
    if not shutil.which('zsh'):
        return skip('zsh is not installed')
    script = write(temp('_ipfs-kit'), kit('completion', 'zsh').out)
    load = 'autoload -Uz compinit; compinit -u -D'
    for how, setup in (('sourced', f'{load}; source {script}'), ('found in fpath', f'fpath=({os.path.dirname(script)} $fpath); {load}')):
        for text, wanted in TYPED + [('ipfs-kit pin ls --type=dir', 'pin ls --type=direct')]:
            done, seen = typed(['zsh', '-f', '-i'], setup, text, wanted)
            check(f'zsh, {how}: {text!r}', done, seen)


def families_explain_themselves():
    families = sorted({name.split()[0] for name in commands() if ' ' in name})
    check('there are families', 'swarm' in families and 'pin' in families, families)
    for family in families:
        members = [name for name in commands() if name.startswith(family + ' ')]
        for words in ([family, '--help'], [family, '-h'], ['--help', family], ['help', family]):
            done = kit(*words)
            check(f'"{" ".join(words)}" exits 0 and lists what there is', done.code == 0 and not done.err and
                (family == 'config' or all(name in done.text for name in members)), done)
        if family != 'config':
            for words in ([family], [family, 'nonsense']):
                done = kit(*words)
                check(f'"{" ".join(words)}" exits 2 and lists what there is', done.code == 2 and not done.out and
                    all(name in done.err for name in members), done)
    for name in commands():
        text = kit(*name.split(), '--help').text
        options = re.findall(r'^  (?:-\w, |    )(--[\w-]+)', text, re.M)
        equal(f'{name} --help tells of each option once', sorted(options), sorted(set(options)))


def every_help_teaches():
    """A command's help has an example, which is a line that can be typed, and the exit codes."""
    for name in commands():
        done = kit(*name.split(), '--help')
        body = done.text.split('\nOptions')[0]
        examples = re.findall(r'^  .*?\bipfs-kit (.+?)\)?$', body, re.M)
        check(f'{name} --help has an example', any(example.startswith(name) for example in examples), body)
        check(f'{name} --help tells the exit codes', all(f'{code} ' in done.text.splitlines()[-1] for code in (0, 1, 2, 3, 4, 5, 130)), done.text[-200:])
        for example in examples:
            words = shlex.split(re.sub(r' >\S+', '', example))
            typed_out = kit(*words, '--help')
            check(f'"ipfs-kit {example}" can be typed', typed_out.code == 0 and f'ipfs-kit {name}:' in typed_out.text, typed_out)
        unlike = [line for line in done.text.splitlines() if len(line) > 120]
        equal(f'{name} --help has no line that is too long', unlike, [])
    overview = kit('--help').text
    check('ipfs-kit --help tells where to begin', all(f'ipfs-kit {words}' in overview.split('Begin with:')[1] for words in ('init', 'add', 'daemon', 'swarm connect', 'get')))
    nothing = kit()
    check('and so does ipfs-kit alone', nothing.text == overview and nothing.code == 2)


run_all([in_bash, in_fish, in_zsh, families_explain_themselves, every_help_teaches])
