"""Compares what was added with what arrived."""

import os
import pathlib
import stat


def same_bytes(a, b):
    with open(a, "rb") as left, open(b, "rb") as right:
        while True:
            chunk = left.read(1 << 20)
            if chunk != right.read(1 << 20):
                return False
            if not chunk:
                return True


def difference(a, b):
    """The first difference between two files, symlinks or folders, or None; modes do not count."""
    a, b = pathlib.Path(a), pathlib.Path(b)
    if not os.path.lexists(b):
        return f"{b} is missing"
    kind = stat.S_IFMT(a.lstat().st_mode)
    if kind != stat.S_IFMT(b.lstat().st_mode):
        return f"{b} is of another kind"
    if kind == stat.S_IFLNK:
        same = os.readlink(a) == os.readlink(b)
        return None if same else f"{b} links to {os.readlink(b)}, not {os.readlink(a)}"
    if kind == stat.S_IFREG:
        return None if same_bytes(a, b) else f"{b} has other bytes"
    names, arrived = sorted(os.listdir(a)), sorted(os.listdir(b))
    if names != arrived:
        return f"{b}: {len(arrived)} names where {len(names)} were added, " \
               f"first odd one {min(set(names) ^ set(arrived))!r}"
    return next(filter(None, (difference(a / name, b / name) for name in names)), None)
