#!/usr/bin/env python3
"""What README shows is what happens: its commands are run and their output compared; the example it names runs."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import BOUND, PROGRAM, Daemon, check, environment, equal, kit, read, run_all, temp

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
README = read(f'{SOURCE}/README.md').decode()
IDENTITY, ADDRESS = r'12D3KooW\w+(?:\.\.\.)?', r'/ip4/192\.0\.2\.7/tcp/4001/p2p/' + r'12D3KooW\w+(?:\.\.\.)?'


def sessions():
    """The blocks that show commands: lists of (command, what it prints)."""
    for block in re.findall(r'^```\n(\$ .*?)^```', README, re.M | re.S):
        yield [(part.split('\n', 1)[0], part.split('\n', 1)[1]) for part in re.split(r'^\$ ', block, flags=re.M)[1:]]


def place():
    """A home with the program on the path."""
    home = temp('home')
    os.makedirs(f'{home}/bin')
    os.symlink(PROGRAM, f'{home}/bin/ipfs-kit')
    return home


def shell(command, home):
    return subprocess.run(['sh', '-c', command], cwd=home, capture_output=True, text=True, timeout=BOUND,
        env=environment(HOME=home, PATH=f'{home}/bin:{os.environ["PATH"]}'))


def same(text, home):
    """Without what differs from machine to machine: home, identity, ports."""
    text = text.replace(home, '/home/ada')
    return re.sub(r'/tcp/\d+', '/tcp/PORT', re.sub(IDENTITY, 'IDENTITY', text))


def the_commands_do_what_it_shows():
    shown = list(sessions())
    working, safe, collecting, serving, fetching, alone, failing = shown
    home, other, third = place(), place(), place()
    for command, output in working:
        done = shell(command, home)
        equal(f'$ {command}', (done.returncode, same(done.stdout + done.stderr, home)), (0, same(output, home)))
    for command, output in safe: # how many bytes depends on the file system
        done = shell(command, home)
        equal(f'$ {command}', (done.returncode, re.sub(r'\d+', 'N', done.stdout)), (0, re.sub(r'\d+', 'N', output)))
    for command, output in collecting:
        done = shell(command, home)
        equal(f'$ {command}', (done.returncode, done.stdout + done.stderr), (0, output))
    for command, output in failing:
        done = shell(command, home)
        equal(f'$ {command}', (done.returncode, done.stdout, done.stderr), (3, '', output.rstrip('\n') + '\n'))
    equal('then comes the daemon', [command for command, _ in serving], ['ipfs-kit daemon'])
    repo = f'{home}/.ipfs-kit'
    kit('init', '--test', repo=f'{other}/.ipfs-kit')
    kit('init', '--test', repo=f'{third}/.ipfs-kit')
    with Daemon(repo=repo) as daemon, Daemon(repo=f'{other}/.ipfs-kit'):
        equal('$ ipfs-kit daemon', same('\n'.join(daemon.lines), home), same(serving[0][1].strip(), home))
        root = shell('ipfs-kit add -rQ notes', home).stdout.strip()
        for where, commands in ((other, fetching), (third, alone)):
            for command, output in commands:
                real = re.sub(r'bafybei\w+\.\.\.', root, re.sub(ADDRESS, daemon.swarm[0], command))
                done = shell(real, where)
                check(f'$ {command}', done.returncode == 0 and (not output.strip() or
                    same(done.stdout + done.stderr, where).strip() == same(output, where).strip()), done)
            there = subprocess.run(['diff', '-r', '--no-dereference', f'{home}/notes', f'{where}/notes'], capture_output=True)
            equal('and what was fetched is the same', (there.returncode, there.stdout), (0, b''))


def what_it_names_is_there():
    for name in re.findall(r'`([\w./-]+/)`', README):
        check(f'{name} is a folder', os.path.isdir(f'{SOURCE}/{name}'))
    known = read(f'{SOURCE}/Makefile').decode()
    for goal in sorted(set(re.findall(r'\bmake ([a-z]+)\b', README))):
        check(f'make {goal} is a rule', re.search(rf'^{goal}:', known, re.M))
    for key in sorted(set(re.findall(r'`((?:add|api|swarm|store)\.\w+)`', README))):
        equal(f'{key} is a setting', kit('config', key, repo=REPO).code, 0)
    for command in sorted(set(re.findall(r'`ipfs-kit ([a-z]+(?: [a-z]+)?)', README))):
        check(f'ipfs-kit {command} is a command', kit(*command.split(), '--help').code == 0)


def the_example_runs():
    done = subprocess.run([f'{SOURCE}/examples/two-nodes.sh', PROGRAM, '4'], capture_output=True, text=True, timeout=4 * BOUND, env=environment())
    check('two-nodes.sh compares what it fetched', done.returncode == 0 and 'the same, byte for byte' in done.stdout, done)
    check('and writes no escapes into a pipe', '\x1b' not in done.stdout + done.stderr and '\r' not in done.stdout + done.stderr, done)


REPO = temp('repo')
kit('init', '--test', repo=REPO)
run_all([the_commands_do_what_it_shows, what_it_names_is_there, the_example_runs])
