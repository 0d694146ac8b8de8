#!/bin/sh
# Makes a static library of one object in which only the public names are left, so that linking it
# into a program cannot clash with that program's own: one_archive.sh OUT IN.a 'NAME_*...' OBJCOPY AR COMPILER...
set -eu
out=$1 in=$2 public=$3 objcopy=$4 ar=$5
shift 5
trap 'rm -f "$out.o"' EXIT
"$@" -r -nostdlib -o "$out.o" -Wl,--whole-archive "$in" -Wl,--no-whole-archive
set -f --
for names in $public; do
	set -- "$@" --keep-global-symbol="$names"
done
"$objcopy" --wildcard "$@" --localize-hidden "$out.o"
rm -f "$out"
"$ar" rcs "$out" "$out.o"
