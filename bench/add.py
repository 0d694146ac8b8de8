"""Adding: one large file, and many small ones, against the disk, the processor and Kubo."""

import os
import shutil

import measure
import peers
from place import MIB
from rows import rounds

CORES = os.cpu_count()


def our_rate(place, path, amount, *options, cores=None):
    """What a second of `add` in a new repo does, of the amount that path holds."""
    repo = place.new_repo()
    os.sync()
    _, seconds = place.kit_run(repo, "add", "-Q", *options, path, cores=cores)
    shutil.rmtree(repo.parent)
    return amount / seconds


def kubo_rate(place, path, amount, sync_store):
    with place.temporary() as folder:
        return amount / measure.add_seconds(peers.KuboNode(folder, sync_store=sync_store), path)


def write_rate(place, how, size):
    with place.temporary() as folder:
        return place.number(place.program("bench/bench-limits"), how, folder / "file", size)


def against_the_machine(place, table):
    size = place.scaled(1024 * MIB)
    path = place.file(size)
    limits = place.program("bench/bench-limits")
    for count, cores in ((1, "0"), (2, "0,1")):
        if count > CORES:
            table.not_run(f"add {size // MIB} MiB, {count} cores / lower limit", "MiB/s", 0.85, "too few cores")
            continue
        took = rounds({
            "write": lambda: write_rate(place, "write", size),
            "uncached": lambda: write_rate(place, "uncached", size),
            "ours": lambda: our_rate(place, path, size / MIB, cores=cores),
            "sha256": lambda: place.number(limits, "sha256", count, size, cores=cores),
        }, place.runs)
        lower = [min(pair) for pair in zip(took["write"], took["sha256"])]
        words = "core" if count == 1 else "cores"
        table.compare(f"add {size // MIB} MiB, {count} {words} / lower of the two limits", "MiB/s", took["ours"],
                      0.85, limit=lower)
        table.compare(f"add {size // MIB} MiB, {count} {words} / OpenSSL SHA-256", "MiB/s", took["ours"],
                      limit=took["sha256"])
        for how, name in (("write", "write and fdatasync"), ("uncached", "the same around the page cache")):
            table.compare(f"add {size // MIB} MiB, {count} {words} / {name}", "MiB/s", took["ours"],
                          limit=took[how])


def against_kubo(place, table, what, path, amount, unit, goal, *options):
    """Two rows: Kubo as shipped, which syncs nothing, and Kubo told to sync, as we always do."""
    names = {label: f"{what} / {label}" for label in ("Kubo as shipped", "Kubo, Datastore sync true")}
    try:
        peers.kubo_program()
    except peers.Missing as missing:
        for name in names.values():
            table.not_run(name, unit, goal, missing)
        return
    took = rounds({
        "ours": lambda: our_rate(place, path, amount, *options),
        "Kubo as shipped": lambda: kubo_rate(place, path, amount, False),
        "Kubo, Datastore sync true": lambda: kubo_rate(place, path, amount, True),
    }, place.runs)
    for label, name in names.items():
        table.compare(name, unit, took["ours"], goal, peer=took[label])


def rows(place, table):
    size = place.scaled(1024 * MIB)
    against_the_machine(place, table)
    against_kubo(place, table, f"add {size // MIB} MiB", place.file(size), size / MIB, "MiB/s", 4)
    count = place.scaled(measure.SMALL_FILES)
    against_kubo(place, table, f"add {count} files of 4 KiB", place.small_files(count), count, "files/s", 10,
                 "-r")
