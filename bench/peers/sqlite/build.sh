#!/bin/sh
# Builds the program beside this script with the SQLite of the system and prints its path on the last
# line; it is cached under the hash of what it is made of. Exits 77 without SQLite (Debian:
# libsqlite3-dev).
set -eu
cd "$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)"
if ! echo '#include <sqlite3.h>' | cc -fsyntax-only -x c - 2>/dev/null; then
	echo "sqlite: libsqlite3-dev is needed" >&2
	exit 77
fi
root=../../..
parts="sqlite.c ../../store/work.c ../../store/work.h $root/multiformats/sha256.c"
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/bench-sqlite-$({ cat build.sh $parts; cc --version; } | sha256sum | cut -c1-16)
if [ ! -x "$dir/bench" ]; then
	mkdir -p "$dir"
	cc -std=gnu17 -O2 -D_GNU_SOURCE -I "$root/multiformats/include" $(echo "$parts" | tr ' ' '\n' | grep '\.c$') \
		-o "$dir/bench.$$" -lsqlite3 -lcrypto >&2
	mv "$dir/bench.$$" "$dir/bench"
fi
echo "$dir/bench"
