#!/usr/bin/env python3
"""Makes the inputs of cases.py and keeps expected.tsv, the CIDs that Kubo gives for them.

    cids.py record [CASE...]       ask Kubo for the CIDs of the cases, or of all; write expected.tsv
    cids.py inputs DIR [CASE...]   make the inputs of the cases under DIR, each named by its case
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from cases import PROFILES, all_cases  # noqa: E402

TABLE = HERE / "expected.tsv"


def build_generator(folder):
    """Compiles gen.c into folder and returns the program's path."""
    program = pathlib.Path(folder) / "gen"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", program, HERE.parent / "gen.c"],
                   check=True)
    return program


def make_input(gen, case, folder):
    """Makes the input of one case of all_cases() under folder and returns its path."""
    name, words, _, _ = case
    path = pathlib.Path(folder) / name
    subprocess.run([gen, *words, path], check=True)
    return path


def remove_input(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def profiles_of(case):
    """A case that chooses the CID version itself does not apply to the profile that is one."""
    chooses = any(option.startswith("--cid-version") for option in case[2])
    return [name for name in PROFILES if not (chooses and name == "kubo-cid-v1")]


def read_table():
    """Returns {(case, profile): cid} of expected.tsv."""
    table = {}
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            case, profile, cid = line.split("\t")[:3]
            table[case, profile] = cid
    return table


def kubo_repos(ipfs, folder):
    """One initialised repo for each profile: {profile: environment}."""
    environments = {}
    for profile, (config, _) in PROFILES.items():
        env = dict(os.environ, IPFS_PATH=str(pathlib.Path(folder) / f"repo-{profile}"))
        quiet = dict(env=env, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([ipfs, "init", "--profile=test"], **quiet)
        if config:
            subprocess.run([ipfs, "config", "profile", "apply", config], **quiet)
        environments[profile] = env
    return environments


def kubo_cid(ipfs, env, profile, case, path):
    # Files are only hashed; a directory goes through the repo, as in real use.
    mode = [] if "-r" in case[2] else ["--only-hash"]
    words = [ipfs, "add", "-Q", "--pin=false", *mode, *PROFILES[profile][1], *case[2], "--", path]
    return subprocess.run(words, env=env, check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def record(wanted):
    """Asks Kubo for the CIDs of the wanted cases, or of all, and writes the table in cases' order."""
    ipfs = subprocess.run([HERE.parent / "kubo" / "build.sh"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.splitlines()[-1]
    version = subprocess.run([ipfs, "version"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout.strip()
    known = read_table() if wanted else {}
    rows = [f"# {version}; made by cids.py record from cases.py; columns:",
            "# case, profile, cid, arguments of gen, options of add"]
    with tempfile.TemporaryDirectory(prefix="kit-cids-") as folder:
        gen = build_generator(folder)
        repos = kubo_repos(ipfs, folder)
        for case in all_cases():
            path = None
            if not wanted or case[0] in wanted:
                path = make_input(gen, case, folder)
            for profile in profiles_of(case):
                cid = kubo_cid(ipfs, repos[profile], profile, case, path) if path else \
                    known[case[0], profile]
                rows.append("\t".join([case[0], profile, cid, " ".join(case[1]),
                                       " ".join(case[2])]).rstrip())
            if path:
                remove_input(path)
                print(rows[-1], flush=True)
    TABLE.write_text("\n".join(rows) + "\n")


def inputs(folder, wanted):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kit-gen-") as tools:
        gen = build_generator(tools)
        for case in all_cases():
            if case[0] in wanted or (not wanted and not case[3]):
                make_input(gen, case, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("record").add_argument("case", nargs="*")
    make = commands.add_parser("inputs")
    make.add_argument("dir")
    make.add_argument("case", nargs="*")
    arguments = parser.parse_args()
    if arguments.command == "record":
        record(arguments.case)
    else:
        inputs(arguments.dir, arguments.case)


if __name__ == "__main__":
    main()
