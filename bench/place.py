"""Where a run of the benchmarks works: its folder, its programs, its sizes, and our own node there."""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "interop"))
os.environ.setdefault("FULL", "1")  # peers.py: full sizes take long
import measure  # noqa: E402
import peers  # noqa: E402

MIB = 1 << 20


class Place:
    """A temporary folder. Sizes are the issue's divided by scale."""

    def __init__(self, folder, build, scale, runs):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(build)
        self.scale = scale
        self.runs = runs
        self.count = 0

    @property
    def kit(self):
        return peers.kit_program()

    def scaled(self, full):
        return max(1, int(full / self.scale))

    def new_folder(self):
        self.count += 1
        path = self.folder / f"run-{self.count}"
        path.mkdir()
        return path

    def program(self, name):
        """One of the programs that Meson builds for us."""
        return self.build / name

    def file(self, size):
        """A file of random bytes, in the page cache."""
        path = measure.big_file(self.folder, size)
        with open(path, "rb") as file:
            while file.read(8 * MIB):
                pass
        return path

    def small_files(self, count):
        path = self.folder / "small"
        if not path.exists():
            generator = measure.cids.build_generator(self.folder)
            subprocess.run([generator, "dir", "1", str(count), "8", "8", str(measure.SMALL_SIZE), path],
                           check=True)
        return path

    def number(self, *words, cores=None):
        """The number that a program prints."""
        return float(run(words, cores))

    def new_repo(self):
        repo = self.new_folder() / "repo"
        run([self.kit, "--repo", repo, "init", "--test"])
        return repo

    def kit_run(self, repo, *words, cores=None):
        """Runs one of our commands; returns (what it printed, seconds)."""
        began = time.monotonic()
        printed = run([self.kit, "--repo", repo, *words], cores)
        return printed, time.monotonic() - began

    @contextlib.contextmanager
    def daemon(self, repo, *options):
        """Our daemon on a repo; gives (process, address)."""
        process = peers.Process([self.kit, "--repo", repo, "daemon", "--listen", "/ip4/127.0.0.1/tcp/0",
                                 "--api", f"/unix/{repo}.sock", *options], f"{repo}.log")
        try:
            address = None
            while (line := process.line(peers.READY_SECONDS)) != "daemon is ready":
                if line.startswith("listening on ") and not address:
                    address = line.split()[-1]
            process.drain()
            yield process, address
        finally:
            process.stop()

    @contextlib.contextmanager
    def temporary(self):
        """A folder that goes when it is left, with the disk at rest before and after."""
        path = self.new_folder()
        try:
            os.sync()
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def build_peer(folder):
    """The words that start the program under peers/, built or installed; peers.Missing where that cannot be."""
    script = ROOT / "bench" / "peers" / folder / "build.sh"
    done = subprocess.run([script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise peers.Missing((done.stderr.strip() or folder)[-300:])
    return done.stdout.splitlines()[-1].split()


def run(words, cores=None):
    """Runs a command to its end, on some cores only when they are named; returns what it printed."""
    words = [str(word) for word in words]
    if cores:
        words = ["taskset", "-c", cores, *words]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode:
        raise peers.Failed(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout.strip()


def status(pid, field):
    """A field of /proc/PID/status in KiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+)", text, re.M).group(1))


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def rates(size, seconds):
    """MiB/s of each run."""
    return [size / MIB / each for each in seconds]


def median(values):
    return statistics.median(values)
