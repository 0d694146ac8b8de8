#!/usr/bin/env python3
"""Memory that callers of the API make the daemon hold: bounded together, whatever it is for, and given back."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import Daemon, check, equal, form, form_type, run_all


def documents_too_large():
    """Each bound is told by its own name."""
    with Daemon() as daemon:
        for what, data, words in (
                ('too deep', b'[' * 600 + b']' * 600, b'nested deeper than 512'),
                ('too long', b'"' + b'x' * (2 << 20) + b'"', b'is at most 2 MiB')):
            status, _, body = daemon.rpc('dag/put', body=form([('d', data)]), headers=form_type())
            equal(f'dag/put of a document {what}: refused', status, 500)
            check(f'dag/put of a document {what}: told so', words in body, body)
        check('it serves', daemon.serves())
        equal('it stops cleanly', daemon.stop(), 0)


run_all([documents_too_large])
