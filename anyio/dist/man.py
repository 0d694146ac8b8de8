#!/usr/bin/env python3
"""A manual page out of a header: its comments and declarations, in the order in which they stand there.

man.py HEADER >PAGE                         the page of section 3
man.py --overview TEMPLATE HEADER... >PAGE  the template with a list of those pages
man.py --names HEADER...                    for each name that a page tells of: "PAGE NAME"
"""
import os
import re
import sys
import textwrap
import time

DECLARED = re.compile(r'\bANYIO_API\b[^;{(]*?\b(\w+)\s*\(|^#define (\w+)\(', re.M)


def read(path):
    with open(path) as file:
        return file.read()


def page_of(path):
    return 'anyio_' + os.path.basename(path).split('.')[0]


def names_of(path):
    """The functions and function-like macros; what only carries file and line to one of them is left out."""
    text = re.sub(r'/\*.*?\*/', '', read(path), flags=re.S)
    names = [a or b for a, b in DECLARED.findall(text) if (a or b) not in ('X', 'ANYIO_ERRORS')]
    return [name for name in dict.fromkeys(names) if not name.endswith(('_at', '_here')) or name[:name.rindex('_')] not in names]


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
            yield 'code', '\n'.join(lines[start:at + 1])
            # A comment behind the last line may go on in the next ones.
            while lines[at].count('/*') > lines[at].count('*/') or (lines[at].lstrip().startswith('*') and '*/' not in lines[at]):
                at += 1
        at += 1


def escape(text):
    return re.sub(r"^([.'])", r'\\&\1', text.replace('\\', '\\e'))


def sentences(text):
    """Running text: each sentence begins a line."""
    text = ' '.join(text.split())
    parts = re.split(r'(?<=[.?!])(?<!\.\.\.) +(?=\S)|(?<=[.?!]\)) +(?=\S)', text)
    lines = [line for part in parts for line in textwrap.wrap(part, 78, break_long_words=False, break_on_hyphens=False)]
    return '\n'.join(escape(line).replace('()', '\\&()') for line in lines)


def paragraphs(text):
    """Text, what is indented by a tab as it stands, and lists by hyphens."""
    for block in re.split(r'\n\s*\n', text.strip('\n')):
        if re.match(r'\t', block):
            body = re.sub(r'^\t', '', block, flags=re.M).split('\n')
            yield '.Bd -literal -offset indent\n' + '\n'.join(escape(line.expandtabs(8)) for line in body) + '\n.Ed'
        elif re.match(r' ?- ', block):
            entries = re.split(r'^ ?- ', block, flags=re.M)[1:]
            yield '.Bl -dash\n' + '\n'.join('.It\n' + sentences(entry) for entry in entries) + '\n.El'
        else:
            yield sentences(block)


def literal(codes):
    body = '\n'.join(codes).replace('ANYIO_API ', '')
    return '.Bd -literal\n' + '\n'.join(escape(line.expandtabs(8)) for line in body.split('\n')) + '\n.Ed'


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


def write(path):
    parts = list(items(read(path)))
    brief, rest = split_head(path)
    print(f'.Dd {date()}\n.Dt {page_of(path).upper()} 3\n.Os\n.Sh NAME')
    print(' ,\n'.join(f'.Nm {name}' for name in names_of(path) or [page_of(path)]))
    print(f'.Nd {brief}')
    print('.Sh LIBRARY\n' + ('libanyio-tls (-lanyio-tls, -lanyio)' if 'tls' in path else 'libanyio (-lanyio)'))
    print(f'.Sh SYNOPSIS\n.In anyio/{os.path.basename(path)}\n.Sh DESCRIPTION')
    out = list(paragraphs(rest)) if rest.strip() else []
    seen_head, codes, comment = False, [], None

    def flush():
        if codes:
            out.append(literal(codes))
        if comment:
            out.extend(paragraphs(comment))
        codes.clear()

    for kind, body in parts:
        if kind == 'comment' and not seen_head:
            seen_head = True
        elif kind == 'comment':
            flush()
            comment = body
        elif kind == 'code':
            codes.append(body)
        elif codes:
            flush()
            comment = None
    flush()
    if not out:
        out = [sentences(brief + '.')]
    print('\n'.join(part if part.startswith('.B') and index == 0 else ('' if index == 0 else '.Pp\n' if not part.startswith('.B') else '') + part
        for index, part in enumerate(out)))
    print('.Sh SEE ALSO\n.Xr anyio 7')


if __name__ == '__main__':
    if sys.argv[1] == '--names':
        for header in sys.argv[2:]:
            for name in names_of(header):
                print(page_of(header), name)
    elif sys.argv[1] == '--overview':
        overview(sys.argv[2], sys.argv[3:])
    else:
        write(sys.argv[1])
