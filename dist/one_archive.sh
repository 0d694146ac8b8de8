#!/bin/sh
# Makes a static library of one object in which only the public names are left, so that linking it
# into a program cannot clash with that program's own: one_archive.sh OUT IN.a COMPILER...
set -eu
out=$1 in=$2
shift 2
trap 'rm -f "$out.o"' EXIT
"$@" -r -nostdlib -o "$out.o" -Wl,--whole-archive "$in" -Wl,--no-whole-archive
objcopy --wildcard --keep-global-symbol='kit_*' --keep-global-symbol='anyio_*' \
	--keep-global-symbol='mf_*' --localize-hidden "$out.o"
rm -f "$out"
ar rcs "$out" "$out.o"
