#!/bin/sh
# Builds the program beside this script and prints its path on the last line; it is cached under the
# hash of what it is made of. Exits 77 when there is no cargo.
#
# Cargo.lock is kept without the lines that name the registry; they are put back from a lock that
# cargo makes here, so that versions and checksums are those of ours.
set -eu
cd "$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)"
if ! command -v cargo >/dev/null 2>&1; then
	echo "tokio: there is no 'cargo' on PATH" >&2
	exit 77
fi
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/bench-tokio-$({ cat Cargo.toml Cargo.lock src/main.rs; cargo --version; } | sha256sum | cut -c1-16)
if [ ! -x "$dir/bench" ]; then
	echo "tokio: building (a minute the first time)" >&2
	mkdir -p "$dir/src"
	cp Cargo.toml "$dir/"
	cp src/main.rs "$dir/src/"
	(cd "$dir" && cargo generate-lockfile --quiet)
	source=$(grep -m 1 '^source = ' "$dir/Cargo.lock")
	awk -v source="$source" '/^checksum = / { print source } { print }' Cargo.lock >"$dir/Cargo.lock"
	(cd "$dir" && cargo build --release --locked --quiet >&2)
	mv "$dir/target/release/bench" "$dir/bench"
	rm -rf "$dir/target"
fi
echo "$dir/bench"
