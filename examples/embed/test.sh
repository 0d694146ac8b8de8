#!/bin/sh
# The example fetches from itself what it added, byte for byte.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
head -c 3000000 /dev/urandom >"$dir/input"
for backend in uring uv; do
	ANYIO_BACKEND=$backend timeout 60 "$1" "$dir/$backend" "$dir/input" >"$dir/output"
	cmp "$dir/input" "$dir/output"
done
