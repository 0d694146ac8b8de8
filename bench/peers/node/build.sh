#!/bin/sh
# Installs the Node that package-lock.json pins and prints on the last line the command that runs the
# program beside this script. Kept under the hash of the lock; exits 77 when npm is missing.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cd "$here"
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/bench-node-$(cat package.json package-lock.json .npmrc | sha256sum | cut -c1-16)
if [ ! -e "$dir/installed" ]; then
	if ! command -v npm >/dev/null 2>&1; then
		echo "node: npm is needed and is not on PATH" >&2
		exit 77
	fi
	echo "node: installing (a minute the first time)" >&2
	mkdir -p "$dir"
	cp package.json package-lock.json .npmrc "$dir/"
	(cd "$dir" && npm ci --loglevel=error >&2)
	touch "$dir/installed"
fi
echo "$(echo "$dir"/node_modules/node-linux-*/bin/node) $here/bench.mjs"
