#!/usr/bin/env python3
"""The systemd unit: systemd takes it, and what it does by hand gives a daemon, as the user and in the folder that it names."""
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import BOUND, PROGRAM, Daemon, check, environment, equal, kit, new_repo, noise, read, run_all, skip, temp, write

BUILD = os.path.dirname(os.path.dirname(os.path.realpath(PROGRAM)))
UNIT = read(f'{BUILD}/dist/ipfs-kit.service').decode()
INSTALLED = re.search(r'^ExecStart=(\S+)', UNIT, re.M)[1]
SETTINGS = dict(re.findall(r'^(\w+)=(.*)$', UNIT, re.M))
NOBODY = 65534


def systemd_takes_it():
    if not shutil.which('systemd-analyze'):
        return skip('what systemd says of the unit: there is no systemd-analyze')
    place = write(f'{temp("unit")}/ipfs-kit.service', UNIT.replace(INSTALLED, PROGRAM))
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', place], capture_output=True, text=True)
    check('systemd-analyze verify has nothing to say', done.returncode == 0 and not done.stderr.strip() and not done.stdout.strip(), done)
    done = subprocess.run(['systemd-analyze', 'security', '--offline=true', '--threshold=20', place], capture_output=True, text=True)
    if 'unrecognized' in done.stderr:
        skip('its exposure: this systemd-analyze is too old')
    else:
        check('its exposure is at most 2.0 of 10', done.returncode == 0, done.stdout[-200:] + done.stderr)
    check('it may ask which addresses the machine has', 'AF_NETLINK' in SETTINGS['RestrictAddressFamilies'])


def filter_of(name):
    """The system calls of a set, as systemd knows it."""
    listed = subprocess.run(['systemd-analyze', 'syscall-filter', name], capture_output=True, text=True).stdout
    calls = set()
    for word in re.findall(r'^ {4}([@\w-]+)', listed, re.M):
        calls |= filter_of(word) if word[0] == '@' else {word}
    return calls


def it_calls_what_the_filter_lets_through():
    trace = temp('trace')
    if not shutil.which('systemd-analyze') or subprocess.run(['strace', '-o', trace, 'true'], capture_output=True).returncode:
        return skip('the system calls that it makes: that takes systemd-analyze and strace')
    allowed = filter_of(SETTINGS['SystemCallFilter'])
    check('the filter is known', 'openat' in allowed, SETTINGS)
    for backend in ('uring', 'uv'):
        with Daemon(wrap=['strace', '-f', '-o', trace], env={'ANYIO_BACKEND': backend}) as daemon, Daemon() as other:
            cid = kit('add', '-Q', repo=daemon.repo, stdin=noise(8_000_000)).text
            kit('swarm', 'connect', daemon.swarm[0], repo=other.repo)
            equal(f'{backend}: it serves under strace', kit('cat', cid, repo=other.repo).out, noise(8_000_000))
            kit('repo', 'verify', repo=daemon.repo)
            daemon.rpc('shutdown')
            daemon.process.wait(BOUND)
        made = set(re.findall(r'^\d+ +(\w+)\(', read(trace).decode(errors='replace'), re.M))
        check(f'{backend}: it calls nothing that the filter refuses', len(made) > 20 and not made - allowed, made - allowed)


def by_hand():
    """ExecStartPre and ExecStart as systemd runs them: in an empty folder of mode 0700, as a user who owns nothing else."""
    equal('it tells when it is ready', SETTINGS['Type'], 'notify')
    place = temp('state')
    os.mkdir(place, int(SETTINGS['StateDirectoryMode'], 8))
    variable, name = SETTINGS['Environment'].split('=')
    equal('the repo is its folder of state', name, f'/var/lib/{SETTINGS["StateDirectory"]}')
    env, root = {variable: place, 'HOME': '/'}, os.geteuid() == 0

    def become():
        os.umask(int(SETTINGS['UMask'], 8))
        if root:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
    if root:
        os.chown(place, NOBODY, NOBODY)
        folder = os.path.dirname(place)
        while folder != '/tmp' and folder != '/':
            os.chmod(folder, os.stat(folder).st_mode | 0o711)
            folder = os.path.dirname(folder)
    before = shlex.split(SETTINGS['ExecStartPre'].replace(INSTALLED, PROGRAM))
    for time in ('first', 'second'):
        done = subprocess.run(before, capture_output=True, text=True, env=environment(**env), preexec_fn=become)
        check(f'ExecStartPre, the {time} time', done.returncode == 0 and ('made a repo' in done.stdout) == (time == 'first'), done)
    files = [os.path.join(where, file) for where, _, names in os.walk(place) for file in names]
    check('nobody else may read what it made', files and not any(os.stat(file).st_mode & 0o077 for file in files), files)
    # What the unit says root may do. The ports of the default may be taken here.
    for key in ('swarm.listen', 'api.listen'):
        equal(f'root changes {key}', kit('config', key, '/ip4/127.0.0.1/tcp/0', repo=place).code, 0)
    state = os.stat(f'{place}/config')
    equal('and the config stays whose it was', (state.st_uid, stat.S_IMODE(state.st_mode)), (NOBODY if root else os.getuid(), 0o600))
    for address in (f'{temp("notify")}', '@ipfs-kit-test-notify-' + str(os.getpid())):
        started(become, env, address)


def started(become, env, address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace('@', '\0'))
        if address[0] == '/':
            os.chmod(address, 0o777)
            os.chmod(os.path.dirname(address), 0o755)
        manager.settimeout(BOUND)
        command = shlex.split(SETTINGS['ExecStart'].replace(INSTALLED, PROGRAM))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=become, env=environment(NOTIFY_SOCKET=address, **env))
        kind = 'an abstract socket' if address[0] == '@' else 'a socket'
        equal(f'by {kind} it tells that it is ready', manager.recv(100), b'READY=1')
        api = next(line.split()[-1] for line in process.stdout if line.startswith('API'))
        equal('and is: another user reaches it by its API', kit('--api', api, 'id').code, 0)
        process.send_signal(signal.SIGTERM)
        equal('and that it stops', manager.recv(100), b'STOPPING=1')
        equal('which is no failure to systemd', process.wait(BOUND), 0)
        process.stdout.close()


run_all([systemd_takes_it, it_calls_what_the_filter_lets_through, by_hand])
