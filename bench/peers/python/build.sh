#!/bin/sh
# Makes a virtual environment with what requirements.txt pins and prints on the last line the command
# that runs the program beside this script. Kept under the hash of the requirements; exits 77 when there
# is no Python 3.11 with venv.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cd "$here"
if ! python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	echo "python: Python 3.11 or later with venv is needed" >&2
	exit 77
fi
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/bench-python-$({ cat requirements.txt; python3 --version; } | sha256sum | cut -c1-16)
if [ ! -e "$dir/installed" ]; then
	echo "python: installing (a minute the first time)" >&2
	python3 -m venv "$dir"
	"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt >&2
	touch "$dir/installed"
fi
echo "$dir/bin/python $here/bench.py"
