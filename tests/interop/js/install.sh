#!/bin/sh
# Installs what package-lock.json pins, with a Node of its own, and prints on the last line the
# folder that holds our programs beside a link `node`. Kept under the hash of the lock; exits 77
# when npm is missing.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cd "$here"
lock=$(cat package.json package-lock.json .npmrc | sha256sum | cut -c1-16)
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/js-$lock

if [ ! -e "$dir/installed" ]; then
	if ! command -v npm >/dev/null 2>&1; then
		echo "js: npm is needed and is not on PATH" >&2
		exit 77
	fi
	echo "js: installing (a minute or two the first time)" >&2
	mkdir -p "$dir"
	cp package.json package-lock.json .npmrc "$dir/"
	(cd "$dir" && npm ci --loglevel=error >&2)
	touch "$dir/installed"
fi

# A module finds node_modules by its own place, so the programs go below it, a folder a version.
programs=$dir/$(cat ./*.mjs | sha256sum | cut -c1-16)
if [ ! -e "$programs/node" ]; then
	node=$(echo "$dir"/node_modules/node-linux-*/bin/node)
	mkdir -p "$programs"
	cp ./*.mjs "$programs/"
	ln -sf "$node" "$programs/node"
fi
echo "$programs"
