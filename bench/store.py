"""The store beside RocksDB, LMDB, SQLite, flat files and Kubo, and the machine's limits.

All write the same blocks under the same keys, 64 between two syncs, and hash what they read: store/work.c.
Counts are full sizes; BENCH_BLOCKS is how many blocks the repo has that is opened.
"""

import os
import shutil
import time

import peers
from add import CORES, write_rate
from memory import settled
from place import MIB, build_peer, median, run
from rows import rounds

SIZES = ((1024, 65536, "1 KiB"), (256 << 10, 1024, "256 KiB"), (MIB, 256, "1 MiB"))
NAMES = {"ours": None, "file": "one file", "direct": "one file by O_DIRECT", "rocksdb": "RocksDB",
         "sqlite": "SQLite", "lmdb": "LMDB", "flat": "flat files"}
BUILT = ("rocksdb", "sqlite")  # peers/; the others are in our own program
LIMITS = {"file": 0.9, "direct": 0.9}
PUT_GOALS = {"1 KiB": {"sqlite": 3, "rocksdb": 1}, "256 KiB": LIMITS, "1 MiB": LIMITS}
GET_GOALS = {"lmdb": 0.8, "rocksdb": 1, "sqlite": 1, "flat": 1}
FLAT_PART, FLAT_LEAST = 64, 256  # are written: a file and a sync for each take long; rates are compared

COMMIT = 1000
INDEX_BYTES = 130
TAIL = 60000  # blocks after the last checkpoint when the process is killed; it checkpoints at 65,536
OPEN_SECONDS, ASKED_BLOCKS, ANONYMOUS = 1, 10000000, 100e6 / MIB  # the first and the last are for that many

KUBO_STORES = {
    "Kubo, flatfs synced": {"sync_store": True},
    "Kubo, flatfs as shipped": {},
    "Kubo, badger synced": {"sync_store": True, "datastore": "badgerds"},
    "Kubo, pebble": {"datastore": "pebbleds"},
}


class Engines:
    """What starts each engine, and why some do not start."""

    def __init__(self, place):
        self.place = place
        self.words, self.missing = {}, {}
        for name in NAMES:
            try:
                self.words[name] = build_peer(name) if name in BUILT else [place.program("bench/store/bench-store")]
            except peers.Missing as why:
                self.missing[name] = why

    def round(self, name, count, size):
        """One engine's turn, in a folder of its own: {measure: operations a second}."""
        def rate(what, engine=name, count=count):
            return self.place.number(*self.words[name], engine, what, folder, count, size)

        with self.place.temporary() as folder:
            if name == "flat":
                done = {"puts": rate("puts", count=min(count, max(count // FLAT_PART, FLAT_LEAST)))}
            else:
                done = {"puts": rate("puts")}
            if size == MIB or name == "direct":
                return done
            if name == "flat":
                rate("puts", "loose")
            done["gets"] = rate("gets")
            if name == "ours":
                done["cached"] = rate("gets", "cached")
            if name == "lmdb":
                done["raw"] = rate("raw")
            return done


def block_rows(place, table):
    engines = Engines(place)
    for size, full, words in SIZES:
        count = place.scaled(full)
        names = [name for name in engines.words if name != "direct" or size > 4096]
        took = rounds({name: lambda name=name: engines.round(name, count, size) for name in names}, place.runs)
        others = [name for name in NAMES if name != "ours" and (name in names or name in engines.missing)]

        def compare(title, ours, name, theirs, goal=None):
            if name in engines.missing:
                table.not_run(title, "op/s", goal, engines.missing[name])
            elif theirs in took[name][0]:
                table.compare(title, "op/s", [each[ours] for each in took["ours"]], goal, quartiles=True,
                              **{"limit" if name in LIMITS else "peer": [each[theirs] for each in took[name]]})

        for name in others:
            compare(f"put {count} of {words}, a sync every 64 / {NAMES[name]}", "puts", name, "puts",
                    PUT_GOALS[words].get(name))
        if size == MIB:
            continue
        for name in others:
            compare(f"get {words} at random, warm, all hash / {NAMES[name]}", "gets", name, "gets",
                    GET_GOALS.get(name))
        compare(f"get {words} from the verified cache / LMDB, hashed", "cached", "lmdb", "gets")
        compare(f"get {words} from the verified cache / LMDB, not hashed", "cached", "lmdb", "raw")


def into_the_page_cache(path):
    with open(path, "rb") as file:
        while file.read(8 * MIB):
            pass


def out_of_the_page_cache(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def car_file(place, count, size):
    """A CAR of raw blocks, in the page cache."""
    path = place.folder / f"{count}-{size}.car"
    run([place.program("bench/store/bench-repo"), "car", path, count, size])
    into_the_page_cache(path)
    return path


def our_import(place, car, cores=None):
    """Seconds of a command from its start to its end, when all of it is on disk."""
    repo = place.new_repo()
    os.sync()
    _, seconds = place.kit_run(repo, "dag", "import", "--pin-roots=false", car, cores=cores)
    shutil.rmtree(repo.parent)
    return seconds


def our_adoption(place, car, cores):
    """Seconds of a command, and the bytes that it had written to disk."""
    repo = place.new_repo()
    words = ["taskset", "-c", cores, place.kit, "--repo", repo, "dag", "import", "--adopt=link", "--pin-roots=false", car]
    os.sync()
    began = time.monotonic()
    pid = os.posix_spawnp(words[0], [str(word) for word in words], os.environ,
                          file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, used = os.wait4(pid, 0)
    seconds = time.monotonic() - began
    if status:
        raise peers.Failed(f"dag import --adopt=link: {status}")
    shutil.rmtree(repo.parent)
    return seconds, used.ru_oublock * 512


def kubo_import(place, car, options):
    with place.temporary() as folder:
        node = peers.KuboNode(folder, **options)
        node.init()
        os.sync()
        began = time.monotonic()
        node.command("dag", "import", "--pin-roots=false", "--silent", car)
        return time.monotonic() - began


def import_rows(place, table):
    count = place.scaled(1024)
    car = car_file(place, count, MIB)
    limits = place.program("bench/bench-limits")
    for threads, cores in ((1, "0"), (2, "0,1")):
        title = f"dag import of {count} MiB, {threads} {'core' if threads == 1 else 'cores'}"
        if threads > CORES:
            table.not_run(f"{title} / lower of the two limits", "MiB/s", 0.85, "too few cores")
            continue
        took = rounds({
            "write": lambda: write_rate(place, "uncached", count * MIB),
            "ours": lambda: count / our_import(place, car, cores),
            "sha256": lambda: place.number(limits, "sha256", threads, count * MIB, cores=cores),
        }, place.runs)
        lower = [min(pair) for pair in zip(took["write"], took["sha256"])]
        table.compare(f"{title} / lower of the two limits", "MiB/s", took["ours"], 0.85, limit=lower, quartiles=True)
        table.compare(f"{title} / OpenSSL SHA-256", "MiB/s", took["ours"], limit=took["sha256"], quartiles=True)
        table.compare(f"{title} / write around the page cache", "MiB/s", took["ours"], limit=took["write"],
                      quartiles=True)
    took = rounds({
        "ours": lambda: our_adoption(place, car, "0"),
        "sha256": lambda: place.number(limits, "sha256", 1, count * MIB, cores="0"),
    }, place.runs)
    title = f"dag import --adopt=link of {count} MiB, 1 core"
    table.compare(f"{title} / OpenSSL SHA-256", "MiB/s", [count / seconds for seconds, _ in took["ours"]], 0.85,
                  limit=took["sha256"], quartiles=True)
    table.compare(f"{title}: written to disk / a hundredth of it", "MiB", [written / MIB for _, written in took["ours"]], 1,
                  limit=[count / 100] * len(took["ours"]), less_is_better=True, quartiles=True)
    car.unlink()


def kubo_rows(place, table):
    for size, full, words in ((1024, 8192, "1 KiB"), (256 << 10, 512, "256 KiB")):
        count = place.scaled(full)
        title = f"dag import of {count} blocks of {words}"
        try:
            peers.kubo_program()
        except peers.Missing as why:
            for name in KUBO_STORES:
                table.not_run(f"{title} / {name}", "op/s", None, why)
            continue
        car = car_file(place, count, size)
        measures = {name: lambda options=options: count / kubo_import(place, car, options)
                    for name, options in KUBO_STORES.items()}
        took = rounds({"ours": lambda: count / our_import(place, car), **measures}, min(3, place.runs))
        for name in KUBO_STORES:
            table.compare(f"{title} / {name}", "op/s", took["ours"], peer=took[name], quartiles=True)
        car.unlink()


class BigRepo:
    """A repo that was filled in commits of COMMIT, and grows by TAIL each time it is opened and killed."""

    def __init__(self, place, count):
        self.place = place
        self.program = place.program("bench/store/bench-repo")
        self.repo = place.new_repo()
        self.count = count
        self.tail = None  # blocks that the index did not have when it was opened last
        place.number(self.program, "fill", self.repo, count, COMMIT)

    def index_bytes(self):
        files = (self.repo / "index").iterdir()
        return sum(file.stat().st_blocks * 512 for file in files) / self.count

    def anonymous(self):
        """MiB of RssAnon of a daemon that has nothing to do."""
        with self.place.daemon(self.repo) as (process, _):
            return settled(process.child.pid, "RssAnon") / 1024

    def opened(self):
        """Seconds until it was open and two blocks were read; then it is killed as it writes."""
        process = peers.Process([self.program, "grow", self.repo, self.count, TAIL],
                                self.place.folder / "grow.log")
        try:
            seconds, self.tail = process.line(peers.COMMAND_SECONDS).split()
            self.count = int(process.line(peers.COMMAND_SECONDS))
            return float(seconds)
        finally:
            process.child.kill()
            process.stop()


def repo_rows(place, table):
    count = int(os.environ.get("BENCH_BLOCKS", place.scaled(1000000)))
    empty, big = BigRepo(place, 1), BigRepo(place, count)

    def asked(name, unit, values, limit, goal=1):
        table.compare(name, unit, values, goal, limit=[limit] * len(values), less_is_better=True, quartiles=True)

    asked(f"index on disk a block, {count} in commits of {COMMIT} / asked", "B", [big.index_bytes()], INDEX_BYTES)
    took = rounds({"empty": empty.anonymous, "big": big.anonymous}, min(3, place.runs))
    flat = median(took["empty"])
    share = (ANONYMOUS - flat) / ASKED_BLOCKS
    asked(f"idle daemon, {count} blocks: RssAnon / its share of 100 MB", "MiB", took["big"], flat + count * share)
    asked("of that above an empty repo's, a block / its share", "B",
          [max(size - flat, 1 / 256) * MIB / count for size in took["big"]], share * MIB, goal=None)
    big.opened()  # it had been closed in order until now
    seconds = rounds({"open": big.opened}, place.runs)["open"]
    asked(f"open {count} blocks after kill -9, {big.tail} of them new / 1 s", "s", seconds, OPEN_SECONDS)
    for one in (empty, big):
        shutil.rmtree(one.repo.parent)


HALVED = {"rocksdb": "RocksDB, compacted", "sqlite": "SQLite, VACUUM"}


def halved_rows(place, table):
    """Half of all blocks go and their room is given back, as each store does that; ours finds out itself which, from pins."""
    engines, program = Engines(place), place.program("bench/store/bench-collect")
    count, size = place.scaled(131072), 1024

    def theirs(name):
        with place.temporary() as folder:
            place.number(*engines.words[name], name, "puts", folder, count, size)
            return place.number(*engines.words[name], name, "halves", folder, count, size)

    def ours():
        with place.temporary() as folder:
            run([program, "fill", folder / "repo", count, size])
            return count / float(run([program, "alone", folder / "repo", count, size]).split()[0])

    names = [name for name in HALVED if name in engines.words]
    took = rounds({"ours": ours, **{name: lambda name=name: theirs(name) for name in names}}, min(3, place.runs))
    for name, words in HALVED.items():
        title = f"collect {count} blocks of 1 KiB, half dead / {words}"
        if name in names:
            table.compare(title, "op/s", took["ours"], peer=took[name], quartiles=True)
        else:
            table.not_run(title, "op/s", None, engines.missing[name])


def collect_rows(place, table):
    """Every other tree is dead, so that each segment is read whole, and half of it written again."""
    program = place.program("bench/store/bench-collect")
    for size, full, words in ((1024, 2000000, "1 KiB"), (16 << 10, 131072, "16 KiB, cold"), (256 << 10, 8192, "256 KiB")):
        ready = out_of_the_page_cache if "cold" in words else into_the_page_cache
        count = int(os.environ.get("BENCH_BLOCKS", place.scaled(full))) if size == 1024 else place.scaled(full)

        def collected(reader):
            with place.temporary() as folder:
                repo = folder / "repo"
                run([program, "fill", repo, count, size])
                # Alike for both: the first to read would warm it for the other.
                for segment in (repo / "segments").iterdir():
                    ready(segment)
                bare = place.number(program, "bare", repo)
                for segment in (repo / "segments").iterdir():
                    ready(segment)
                took = run([program, "run" if reader else "alone", repo, count, size]).split()
                index = (repo / "index" / "data.mdb").stat().st_size
            seconds, segments, _, before, meanwhile = map(float, took)
            return {"ours": segments / seconds / MIB, "bare": segments / bare / MIB, "before": before, "meanwhile": meanwhile,
                    "index": index / (count / 2)}

        def rated(title, took):
            table.compare(f"{title} / read all, write half", "MiB/s", [each["ours"] for each in took],
                          limit=[each["bare"] for each in took], quartiles=True)

        title = f"collect {count} blocks of {words}, half dead"
        took = [collected(False) for _ in range(min(3, place.runs))]
        rated(title, took)
        if size == 1024:
            table.compare("index on disk a block after that / asked", "B", [each["index"] for each in took], 1,
                          limit=[INDEX_BYTES] * len(took), less_is_better=True, quartiles=True)
        if "cold" in words:
            continue  # the reader would warm it for ours
        took = [collected(True) for _ in range(min(3, place.runs))]
        rated(f"{title}, beside a reader that never pauses", took)
        table.compare(f"{title}: a reader's 99th percentile / twice what it was", "µs", [each["meanwhile"] for each in took], 1,
                      limit=[2 * each["before"] for each in took], less_is_better=True, quartiles=True)


def rows(place, table):
    block_rows(place, table)
    import_rows(place, table)
    kubo_rows(place, table)
    repo_rows(place, table)
    halved_rows(place, table)
    collect_rows(place, table)
