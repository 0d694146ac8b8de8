#!/bin/sh
# Builds the program beside this script with the Boost of the system and prints its path on the last
# line; it is cached under the hash of what it is made of. Exits 77 without g++ or Boost (Debian:
# libboost-fiber-dev).
set -eu
cd "$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)"
if ! echo '#include <boost/fiber/all.hpp>' | g++ -std=c++17 -fsyntax-only -x c++ - 2>/dev/null; then
	echo "boost: g++ and libboost-fiber-dev are needed" >&2
	exit 77
fi
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/bench-boost-$({ cat fibers.cpp; g++ --version; } | sha256sum | cut -c1-16)
if [ ! -x "$dir/bench" ]; then
	mkdir -p "$dir"
	g++ -std=c++17 -O2 -DNDEBUG fibers.cpp -o "$dir/bench.$$" -lboost_fiber -lboost_context -pthread >&2
	mv "$dir/bench.$$" "$dir/bench"
fi
echo "$dir/bench"
