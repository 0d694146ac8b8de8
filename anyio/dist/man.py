#!/usr/bin/env python3
"""A manual page out of a header: the prototypes in the synopsis, and in the description what the comments say, each under the name of
what it is of, in the order in which they stand there.

man.py HEADER [PROGRAM...] >PAGE            the page of section 3, with these examples
man.py --overview TEMPLATE HEADER... >PAGE  the template with a list of those pages
man.py --names HEADER...                    for each name that a page tells of: "PAGE NAME"
"""
import itertools
import os
import re
import sys
import textwrap
import time

# Columns of code as it stands, of the declarations and in the text of one: with the indents these make 80.
WIDTH, WIDTH_INSIDE = 74, 60


def read(path):
    with open(path) as file:
        return file.read()


def page_of(path):
    return 'anyio_' + os.path.basename(path).split('.')[0]


def without_comments(code):
    return re.sub(r'[ \t]*/\*.*?\*/', '', code, flags=re.S)


def split_arguments(text):
    """At the commas that are in no parentheses."""
    return [part.strip() for part in re.split(r',(?![^()]*\))', ' '.join(text.split()))] if text.strip() else []


def callable_of(code):
    """Of a prototype or a function-like macro: type (None for a macro), name and arguments; else None."""
    bare = without_comments(code)
    prototype = re.match(r'ANYIO_API\s+(.*?)(\w+)\s*\((.*)\)\s*;', bare, re.S)
    if prototype:
        return ' '.join(prototype[1].split()), prototype[2], split_arguments(prototype[3])
    macro = re.match(r'#define (\w+)\((.*?)\)', bare)
    return (None, macro[1], split_arguments(macro[2])) if macro else None


def callables(path):
    found = [callable_of(body) for kind, body in items(read(path)) if kind == 'code']
    return [each for each in found if each]


def names_of(path):
    return [name for _, name, _ in callables(path)]


def items(text):
    """The header as a list of ('comment', text), ('code', text) and ('gap', '')."""
    lines = text.split('\n')
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith('/*'):
            start = at
            while '*/' not in lines[at]:
                at += 1
            body = '\n'.join(lines[start:at + 1])
            body = re.sub(r'^/\*[ \t]?\n?|\s*\*/$', '', body)
            yield 'comment', re.sub(r'^ \* ?', '', body, flags=re.M)
        elif re.match(r'#(ifdef|ifndef|if|endif|include|undef)|extern "C"|}$|#define ANYIO_\w+_H$', line) or not line.strip():
            if not line.strip():
                yield 'gap', ''
        else:
            start, depth = at, 0
            while True:
                code = re.sub(r'/\*.*?(\*/|$)', '', lines[at])
                depth += code.count('{') - code.count('}')
                ended = code.rstrip().endswith('\\') is False if lines[start].startswith('#') else \
                    depth == 0 and re.search(r'[;}]\s*$', code.rstrip())
                if ended:
                    break
                at += 1
            # A comment behind the last line may go on in the next ones.
            while '/*' in lines[at] and '*/' not in lines[at][lines[at].rindex('/*'):] or re.match(r'\s*\*(?!.*\*/)', lines[at]):
                at += 1
            yield 'code', '\n'.join(lines[start:at + 1])
        at += 1


def escape(text):
    return re.sub(r"^([.'])", r'\\&\1', text.replace('\\', '\\e'))


def sentences(text):
    """Running text: each sentence begins a line, and no line that only looks so ends one. Names are not hyphenated."""
    text = ' '.join(text.split())
    lines = []
    for part in re.split(r'(?<=[.?!])(?<!\.\.\.) +(?=\S)|(?<=[.?!]\))(?<!\.\.\.\)) +(?=\S)', text):
        wrap = textwrap.wrap(part, 70, break_long_words=False, break_on_hyphens=False)
        lines += [re.sub(r'([.?!]\)?)$', r'\1\\&', escape(line)) for line in wrap[:-1]] + [escape(line) for line in wrap[-1:]]
    return '\n'.join(re.sub(r'(?<!\S)(?=\S*\w_\w)', r'\\%', line).replace('()', '\\&()') for line in lines)


def paragraphs(text):
    """Text, what is indented by a tab as it stands, and lists by hyphens."""
    for block in re.split(r'\n\s*\n', text.strip('\n')):
        if re.match(r'\t', block):
            yield literal(re.sub(r'^\t', '', block, flags=re.M), WIDTH_INSIDE, ' -offset indent')
        elif re.match(r' ?- ', block):
            entries = re.split(r'^ ?- ', block, flags=re.M)[1:]
            yield '.Bl -dash\n' + '\n'.join('.It\n' + sentences(entry) for entry in entries) + '\n.El'
        else:
            yield sentences(block)


def wrapped(line, width):
    """A line of code: between arguments if there are any, else between words."""
    indent = ' ' * (len(line) - len(line.lstrip()) + 8)
    glued = re.sub(r'(?<![,\s]) (?=\S)', '\xa0', line) if ', ' in line else line
    lines = textwrap.wrap(glued, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [part.replace('\xa0', ' ') for part in lines] or ['']


def literal(code, width=WIDTH, where=''):
    lines = [part for line in code.expandtabs(4).split('\n') for part in wrapped(line, width)]
    return f'.Bd -literal{where}\n' + '\n'.join(escape(line) for line in lines) + '\n.Ed'


def declaration(code):
    """Without its comments and the lines these had for themselves; what goes on in the next line is joined."""
    bare = re.sub(r'\n[ \t]*(?=\n)', '', without_comments(code))
    bare = re.sub(r'(?<=\()\n\s+', '', bare)
    return bare if '#' in bare else re.sub(r'(?<=[\w,])\n\s+(?=[*\w][^\n]*\);|\*)', ' ', bare)


def comment_text(comment):
    return re.sub(r'^\s*\* ?', '', comment, flags=re.M)


def tag_in(code):
    """Of a member, a constant or a type."""
    code = ' '.join(code.split())
    if re.match(r'struct \w+;$', code):
        return f'Vt "{code[:-1]}"'
    found = re.search(r'\(\*(\w+)\)', code) or re.match(r'#define (\w+)', code) or re.search(r'(\w+)\s*(?:\[[^]]*\])?\s*[;,{]?$', code)
    return ('Dv ' if found[1].isupper() else 'Fa ') + found[1]


def members(code):
    """What the comments within code are of, and say: a comment stands behind what it is of, or on lines of its own above it."""
    parts = re.split(r'/\*(.*?)\*/', code, flags=re.S)
    for before, comment, after in zip(parts[::2], parts[1::2], parts[2::2]):
        behind = before.rsplit('\n', 1)[-1].strip()
        of = re.split(r'[;,{]\s*\n', before.rstrip())[-1] if behind else re.match(r'[^;{]*[;{]', after)[0]
        yield tag_in(of), comment_text(comment)


def tag_list(entries):
    """Of (what stands behind .It, text)."""
    return '.Bl -tag -width Ds\n' + '\n'.join(f'.It {tag}\n' + joined(paragraphs(text)) for tag, text in entries) + '\n.El'


def joined(parts):
    """Paragraphs and displays; the latter need no .Pp between."""
    parts = list(parts)
    return '\n'.join(('.Pp\n' if at and not part.startswith('.B') else '') + part for at, part in enumerate(parts))


def errors(code):
    """The table of which ANYIO_ERRORS is made."""
    rows = re.findall(r'X\((\w+), (\d+), "(.*)"\)', code)
    return tag_list((f'Dv ANYIO_{name}', f'{-20000 - int(number)}: {text}') for name, number, text in rows)


def described(codes, comment):
    """Of declarations that stand together: ('other', mdoc) and ('function', mdoc), an entry of a list."""
    functions = [body for body in codes if callable_of(body)]
    others = [body for body in codes if not callable_of(body)]
    behind = re.findall(r';\s*/\*(.*?)\*/', '\n'.join(functions), re.S)
    text = '\n\n'.join(part for part in [comment or '', *map(comment_text, behind)] if part)
    if others:
        yield 'other', literal('\n'.join(map(declaration, others)))
    if text and not functions:
        yield 'other', joined(paragraphs(text))
    told = [each for body in others for each in members(body)]
    if told:
        yield 'other', tag_list(told)
    if functions:
        tags = '\n'.join('.It ' + tag_of(*callable_of(body)) for body in functions)
        table = [errors(body) for body in functions if body.startswith('#define ANYIO_ERRORS(')]
        yield 'function', tags + '\n' + joined([*paragraphs(text), *table])


def argument_name(argument):
    found = re.search(r'\(\*(\w+)\)', argument) or re.search(r'(\w+)(?:\[[^]]*\])?$', argument)
    return found[1] if found else argument


def tag_of(_, name, arguments):
    return ' '.join(['Fn', name, *(argument_name(argument) for argument in arguments if argument != 'void')])


def prototype(kind, name, arguments):
    if kind is None:
        return ' '.join(['.Fn', name, *(f'"{argument}"' for argument in arguments)])
    # Where even one argument is too long for the line of the name, that line may end before it.
    first = '\\:' if len(f'{name}({arguments[0]});') > WIDTH else ''
    return f'.Ft "{kind}"\n.Fo {name}\n.Fa "{first}' + '"\n.Fa "'.join(arguments) + '"\n.Fc'


def date():
    when = time.gmtime(int(os.environ.get('SOURCE_DATE_EPOCH', time.time())))
    return f'{time.strftime("%B", when)} {when.tm_mday}, {when.tm_year}'


def split_head(path):
    """Of the comment at the top: what the header is of, as a phrase, and the rest."""
    head = next((body for kind, body in items(read(path)) if kind == 'comment'), '')
    first, rest = (re.split(r'(?<=\.)\s+', head.strip('\n'), maxsplit=1) + [''])[:2]
    brief = ' '.join(first.rstrip('.').split())
    return brief if brief[1:2].isupper() else brief[:1].lower() + brief[1:], rest


def overview(template, headers):
    pages = ''.join(f'.It Xr {page_of(path)} 3\n{sentences(split_head(path)[0])}\n' for path in headers)
    print(read(template).replace('@DATE@', date()).replace('@PAGES@\n', pages), end='')


def description(path):
    """The header from top to bottom, as described() has it."""
    _, rest = split_head(path)
    if rest.strip():
        yield 'other', joined(paragraphs(rest))
    seen_head, codes, comment = False, [], None
    for kind, body in [*items(read(path)), ('comment', '')]:
        if kind == 'comment' or (kind == 'gap' and codes):
            if seen_head and (codes or comment):
                yield from described(codes, comment)
            seen_head, codes, comment = seen_head or kind == 'comment', [], body if kind == 'comment' and seen_head else None
        elif kind == 'code':
            codes.append(body)


def narrow(line, width=74):
    """Of a program: what is too wide has its comment above it, and ends between arguments or words, but not inside a string."""
    if len(line) <= width:
        return [line]
    indent = line[:len(line) - len(line.lstrip())]
    commented = re.match(r'(\s*[^\s/].*?)\s+(/\*.*\*/)$', line)
    if commented:
        return [*narrow(indent + commented[2]), *narrow(commented[1])]
    bare = re.sub(r'"(\\.|[^"\\])*"', lambda text: '_' * len(text[0]), line)
    at = max(bare.rfind(', ', len(indent), width) + 1, 0) or bare.rfind(' ', len(indent), width)
    return [line] if at <= len(indent) else [line[:at], *narrow(indent + '    ' + line[at + 1:])]


def examples(programs):
    """Each with what its head says of it as text, and the rest as it stands."""
    for path in programs:
        head = next(items(read(path)))[1]
        rest = read(path).split('*/\n', 1)[1].rstrip('\n').expandtabs(4)
        lines = [escape(part) for line in rest.split('\n') for part in narrow(line)]
        text = re.sub(r'[^\x00-\x7f]', lambda letter: f'\\[u{ord(letter[0]):04X}]', '\n'.join(lines))
        yield f'.Ss {os.path.basename(path)}'
        yield from paragraphs(head)
        yield f'.Bd -literal\n{text}\n.Ed'


def write(path, programs):
    brief, _ = split_head(path)
    declared = callables(path)
    print(f'.Dd {date()}\n.Dt {page_of(path).upper()} 3\n.Os\n.Sh NAME')
    print(' ,\n'.join(f'.Nm {name}' for name in names_of(path) or [page_of(path)]))
    print(f'.Nd {brief}')
    print('.Sh LIBRARY\n' + ('libanyio-tls (-lanyio-tls, -lanyio)' if page_of(path) == 'anyio_tls' else 'libanyio (-lanyio)'))
    print(f'.Sh SYNOPSIS\n.In anyio/{os.path.basename(path)}')
    print('\n'.join(prototype(*each) for each in declared))
    print('.Sh DESCRIPTION')
    out = []
    for kind, group in itertools.groupby(description(path), lambda part: part[0]):
        parts = [mdoc for _, mdoc in group]
        out += parts if kind == 'other' else ['.Bl -tag -width Ds\n' + '\n'.join(parts) + '\n.El']
    print(joined(out) or sentences(brief + '.'))
    if programs:
        print('.Sh EXAMPLES')
        print('\n'.join(examples(programs)))
    print('.Sh SEE ALSO\n.Xr anyio 7')


if __name__ == '__main__':
    if sys.argv[1] == '--names':
        for header in sys.argv[2:]:
            for name in names_of(header):
                print(page_of(header), name)
    elif sys.argv[1] == '--overview':
        overview(sys.argv[2], sys.argv[3:])
    else:
        write(sys.argv[1], sys.argv[2:])
