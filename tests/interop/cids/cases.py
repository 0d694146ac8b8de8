"""The cases whose CIDs are compared with Kubo's: name, how gen.c makes it, options of `add`, size.

A boundary comes as three cases: one byte below, at it, and one byte above. Chunkers smaller than a
profile's own keep the link boundaries small: what matters is the number of links.
"""

KIB, MIB = 1 << 10, 1 << 20

# How `add` is told each profile: Kubo's profile for `ipfs config profile apply`, and add's options.
# ipfs-kit takes all three by name.
PROFILES = {
    "unixfs-v1-2025": ("unixfs-v1-2025", []),
    "unixfs-v0-2015": ("unixfs-v0-2015", []),
    "kubo-cid-v1": (None, ["--cid-version=1"]),
}


def around(name, size, options=(), big=False):
    return [(f"{name}{tag}", ["file", str(7 + size % 97), str(size + step)], list(options), big)
            for tag, step in (("-below", -1), ("", 0), ("-above", 1))]


def around_dir(name, count, length, last):
    return [(f"{name}{tag}", ["dir", "1", str(count), str(length), str(last + step), "0"], ["-r"],
             False) for tag, step in (("-below", -1), ("", 0), ("-above", 1))]


def all_cases():
    cases = [
        ("file-empty", ["file", "1", "0"], [], False),
        ("file-1", ["file", "1", "1"], [], False),
        ("file-100", ["file", "1", "100"], [], False),
        ("file-1000000", ["file", "1", "1000000"], [], False),
        ("file-5000000", ["file", "1", "5000000"], [], False),
        ("file-64m", ["file", "2", str(64 * MIB)], [], False),
    ]
    # Chunk boundaries of the three profiles.
    for chunks in (1, 2, 3):
        cases += around(f"file-256k-x{chunks}", chunks * 256 * KIB)
        cases += around(f"file-1m-x{chunks}", chunks * MIB)
    # Link boundaries with the profiles' own chunks, then with small ones: one level, two, three.
    cases += around("file-174-links", 174 * 256 * KIB)
    cases += around("file-1024-links", 1024 * MIB, big=True)
    small = ["--chunker=size-256"]
    cases += around("small-174-links", 174 * 256, small)
    cases += around("small-348-links", 2 * 174 * 256, small)
    cases += around("small-174-squared", 174 * 174 * 256, small)
    cases += around("small-1024-links", 1024 * 256, small)
    cases += around("small-2048-links", 2 * 1024 * 256, small)
    cases += around("tiny-1024-squared", 1024 * 1024 * 16, ["--chunker=size-16"], big=True)
    # The other ways to say what leaves are.
    for name, options in (("raw-v0", ["--cid-version=0", "--raw-leaves"]),
                          ("pb-v1", ["--cid-version=1", "--raw-leaves=false"])):
        for size in (0, 1, 256 * KIB, 256 * KIB + 1, 3 * MIB + 1):
            cases.append((f"{name}-{size}", ["file", "3", str(size)], options, False))
    # Shard boundaries: by links bytes with CIDv0 (34 + name) and CIDv1 (36 + name), by block bytes.
    cases += around_dir("dir-links-v0", 4096, 30, 30)
    cases += around_dir("dir-links-v1", 4096, 28, 28)
    cases += around_dir("dir-block", 4033, 21, 16)
    cases += [
        ("dir-empty", ["dir", "1", "0", "1", "1", "0"], ["-r"], False),
        ("dir-one-empty-file", ["dir", "1", "1", "1", "1", "0"], ["-r"], False),
        ("dir-one-file", ["dir", "1", "1", "4", "4", "1000"], ["-r"], False),
        ("dir-100-files", ["dir", "1", "100", "8", "8", "300"], ["-r"], False),
        ("dir-names-255", ["dir", "1", "300", "255", "255", "10"], ["-r"], False),
        ("dir-2000-sharded", ["dir", "1", "2000", "120", "120", "100"], ["-r"], False),
        ("dir-9000-sharded", ["dir", "1", "9000", "60", "60", "0"], ["-r"], False),
        ("dir-20000-sharded", ["dir", "1", "20000", "10", "10", "16"], ["-r"], True),
        ("mixed", ["mixed", "5"], ["-r"], False),
        ("mixed-hidden", ["mixed", "5"], ["-r", "--hidden"], False),
        ("mixed-small-chunks", ["mixed", "6"], ["-r", "--hidden", "--chunker=size-64"], False),
        ("shared-100", ["shared", "11", "100"], ["-r"], False),
        ("deep-40", ["deep", "9", "40"], ["-r"], False),
        ("symlink", ["symlink", "some/where"], [], False),
        ("symlink-utf8", ["symlink", "../grüße/日本語"], [], False),
        ("symlink-dot", ["symlink", "."], [], False),
    ]
    return cases
