#!/usr/bin/env python3
"""The manual pages: one of the whole and one of each command, which say what --help says, and in which nobody finds a fault."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile'))
from node import check, environment, equal, kit, read, run_all, skip, temp

PAGES = temp('pages')
ESCAPES = {'\\-': '-', '\\(aq': "'", '\\(ga': '`', '\\(ha': '^', '\\(ti': '~', '\\e': '\\', '\\&': '', '\\fB': '', '\\fI': '', '\\fR': ''}
OPTION = r'^  (?:(-\w), |    )(--[\w-]+)(?: (\S+))? +(\S.*)$'


def plain(text):
    """As it reads, spaces and line ends alike."""
    text = re.sub(r'\\(?:\(..|f.|.)', lambda found: ESCAPES[found[0]], text)
    return ' '.join(re.sub(r'^\.(?:PP|RS|RE|nf|fi|TP|[BI]R?)\b', '', text, flags=re.M).split())


def page_of(name):
    return f'ipfs-kit-{name.replace(" ", "-")}'


def commands():
    """As ipfs-kit --help lists them: what each does."""
    return dict(re.findall(r'^  (\S+(?: \S+)?)  +([A-Z].*)$', kit('--help').text.split('Options for every')[0], re.M))


def sections(page):
    text = read(f'{PAGES}/{page}.1').decode()
    return dict(re.findall(r'^\.SH ([A-Z ]+)\n(.*?)(?=^\.SH |\Z)', text, re.M | re.S))


def items(section):
    """What stands beside each tag."""
    return {plain(tag): plain(text) for tag, text in re.findall(r'^\.TP\n(.*)\n((?:(?!\.).*\n)*)', section, re.M)}


def use(help):
    return re.search(r'^Usage: (.*)$', help, re.M)[1]


def options(help):
    """By what stands at the left of each, what it does."""
    return {f'{letter}{", " if letter else ""}{name}{" " if value else ""}{value}': text
        for letter, name, value, text in re.findall(OPTION, help, re.M)}


def each_command_has_a_page():
    os.mkdir(PAGES)
    day = {'SOURCE_DATE_EPOCH': 86400}
    done = kit('completion', 'man', PAGES, env=day)
    check('the pages are written', done.code == 0 and not done.out and not done.err, done)
    equal('of each command and of the whole, and no others', sorted(os.listdir(PAGES)),
        sorted(f'{page}.1' for page in ('ipfs-kit', *map(page_of, commands()))))
    whole = read(f'{PAGES}/ipfs-kit.1')
    equal('without a folder that of the whole is printed', kit('completion', 'man', env=day).out, whole)
    check('of the day that SOURCE_DATE_EPOCH says', b'"1970-01-02"' in whole.split(b'\n')[0], whole[:100])
    done = kit('completion', 'man', f'{PAGES}/none')
    check('a folder that is not there is named', done.code == 3 and f'{PAGES}/none/ipfs-kit.1' in done.err, done)
    done = kit('completion', 'bash', PAGES)
    check('a shell takes no folder', done.code == 2 and f"unexpected argument '{PAGES}'" in done.err, done)


def it_says_what_help_says():
    for name, summary in commands().items():
        page, text = sections(page_of(name)), kit(*name.split(), '--help').text
        equal(f'{name}: the sections', list(page), ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXAMPLES', 'EXIT STATUS', 'SEE ALSO'])
        equal(f'{name}: its name', plain(page['NAME']), f'{page_of(name)} - {summary}')
        usage = use(text)
        equal(f'{name}: its use', plain(page['SYNOPSIS']), usage)
        body = text.split(f'Usage: {usage}\n', 1)[1].split('\nOptions')[0].strip('\n')
        example = [line.strip() for line in body.split('\n') if line.startswith('  ')]
        told = [plain(part) for block in body.split('\n\n') if not block.startswith('  ') for part in re.split(r'(?<=[^.]\.)\s', block)]
        said = plain(page['DESCRIPTION']), re.sub(r' \\ ', ' ', plain(page['EXAMPLES']))
        equal(f'{name}: every sentence of its help', [part for part in told if part not in said[0] and part not in said[1]], [])
        equal(f'{name}: every example', [line for line in example if ' '.join(line.split()) not in said[1]], [])
        wanted = options(text.split('\nOptions', 1)[1])
        got = items(page['OPTIONS'])
        equal(f'{name}: its options', sorted(got), sorted(wanted))
        equal(f'{name}: what they do', [tag for tag in wanted if not got.get(tag, '').startswith(plain(wanted[tag]))], [])
        equal(f'{name}: its own options stand first', list(got), list(wanted))
        equal(f'{name}: the exit codes', list(items(page['EXIT STATUS'])), ['0', '1', '2', '3', '4', '5', '130'])
        check(f'{name}: it leads to the whole', plain(page['SEE ALSO']).endswith('ipfs-kit (1)'), page['SEE ALSO'])
        family = [other for other in commands() if other != name and other.split()[0] == name.split()[0]]
        equal(f'{name}: and to its family', [other for other in family if f'{page_of(other)} (1)' not in plain(page['SEE ALSO'])], [])


def what_only_the_table_knows():
    asks = sections('ipfs-kit-config')['DESCRIPTION']
    equal('config: all settings', [key for key in re.findall(r'^(\S+) = ', kit('config', 'show', repo=fresh()).text, re.M)
        if key not in plain(asks)], [])
    for name, option, value in (('block put', '--mhtype NAME', 'blake3'), ('add', '-s, --chunker ALGORITHM', 'size-1048576')):
        said = items(sections(page_of(name))['OPTIONS'])[option]
        check(f'{name} {option}: what it may be', value in said, said)
    for name, wanted in (('cat', True), ('repo stat', False)):
        equal(f'{name}: whether blocks are fetched', 'are fetched from connected peers' in plain(sections(page_of(name))['DESCRIPTION']), wanted)
    said = plain(sections('ipfs-kit-pin-add')['DESCRIPTION'])
    check('pin add: what a second run does', 'run it again: it goes on where it stopped.' in said, said)
    said = plain(sections('ipfs-kit-tier-move')['DESCRIPTION'])
    check('tier move: what a second run does', 'run it again: it goes on behind the last part, of up to 256 MiB, that was moved whole.' in said, said)


def fresh():
    repo = temp('repo')
    equal('init', kit('init', '--test', repo=repo).code, 0)
    return repo


def the_whole_leads_to_each():
    page, text = sections('ipfs-kit'), kit('--help').text
    listed = items(page['COMMANDS'])
    equal('what each command does', sorted(listed.values()), sorted(commands().values()))
    equal('how it is used', sorted(f'ipfs-kit {tag}' for tag in listed), sorted(use(kit(*name.split(), '--help').text) for name in commands()))
    equal('SEE ALSO has every page', re.findall(r'^\.BR (\S+) \(1\)', page['SEE ALSO'].replace('\\-', '-'), re.M), [page_of(name) for name in commands()])
    equal('the options for every command', list(items(page['OPTIONS'])), list(options(text.split('Options for every command:')[1].split('Begin with')[0])))
    steps = dict(re.findall(r'^  (ipfs-kit .*?)  +(.*)$', text.split('Begin with:')[1], re.M))
    equal('what to begin with', items(page['EXAMPLES']), steps)
    check('the exit codes', set(items(page['EXIT STATUS'])) == {'0', '1', '2', '3', '4', '5', '130'}, page['EXIT STATUS'])


def nobody_finds_a_fault():
    pages = [f'{PAGES}/{name}' for name in sorted(os.listdir(PAGES))]
    for tool, words in (('mandoc', ['mandoc', '-T', 'lint']), ('groff', ['groff', '-man', '-Tutf8', '-ww', '-z'])):
        if not shutil.which(tool):
            skip(f'{tool} is not installed')
            continue
        done = {page: subprocess.run([*words, page], capture_output=True, text=True) for page in pages}
        # mandoc knows the pages they refer to only once these are installed and listed.
        said = {page: [line for line in (run.stdout + run.stderr).splitlines()
            if not re.search('referenced manual not found|outdated mandoc.db', line)] for page, run in done.items()}
        equal(f'{tool} says nothing', {page: lines for page, lines in said.items() if lines}, {})


def they_read_well_on_a_terminal():
    if not shutil.which('man'):
        return skip('man is not installed')
    for name in [None, *commands()]:
        path = f'{PAGES}/{page_of(name) if name else "ipfs-kit"}.1'
        done = subprocess.run(['man', '--warnings', '-l', path], capture_output=True, text=True, env=environment(MANWIDTH='80', LC_ALL='C.UTF-8'))
        check(f'man shows {os.path.basename(path)} without a warning', done.returncode == 0 and done.stdout and not done.stderr, done.stderr)
        equal('within 80 columns', [line for line in done.stdout.split('\n') if len(line) > 80], [])
        if name:
            shown = re.sub(r' \\\n +', ' ', done.stdout.split('\nEXAMPLES\n')[1])
            examples = re.findall(r'^  (\S.*)$', kit(*name.split(), '--help').text.split('\nOptions')[0], re.M)
            equal('and the examples can be copied', [line for line in examples if line not in shown], [])


run_all([each_command_has_a_page, it_says_what_help_says, what_only_the_table_knows, the_whole_leads_to_each, nobody_finds_a_fault,
    they_read_well_on_a_terminal])
