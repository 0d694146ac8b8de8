#!/bin/sh
# Builds the program beside this script and prints its path on the last line; it is cached under the
# hash of what it is made of. Exits 77 when there is no Go toolchain.
set -eu
cd "$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)"
if ! command -v go >/dev/null 2>&1; then
	echo "go: there is no 'go' on PATH" >&2
	exit 77
fi
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/bench-go-$({ cat go.mod main.go; go version; } | sha256sum | cut -c1-16)
if [ ! -x "$dir/bench" ]; then
	mkdir -p "$dir"
	GOTOOLCHAIN=local go build -trimpath -o "$dir/bench.$$" . >&2
	mv "$dir/bench.$$" "$dir/bench"
fi
echo "$dir/bench"
