#!/bin/sh
# Builds Kubo's `ipfs` from the module beside this script and prints its path on the last line.
# The result is cached under the hash of go.sum; exits 77 when no suitable Go toolchain is here.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
sum=$(sha256sum "$here/go.sum" | cut -c1-16)
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/kubo-$sum
if [ -x "$dir/ipfs" ]; then
	echo "$dir/ipfs"
	exit 0
fi

need=$(sed -n 's/^go //p' "$here/go.mod")
if ! command -v go >/dev/null 2>&1; then
	echo "kubo: Go $need or later is needed and there is no 'go' on PATH" >&2
	exit 77
fi
have=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//; s/[^0-9.].*//')
oldest=$(printf '%s\n%s\n' "$need" "$have" | sort -V | head -n 1)
if [ "$oldest" != "$need" ]; then
	echo "kubo: Go $need or later is needed, 'go' on PATH is $have" >&2
	exit 77
fi

mkdir -p "$dir"
partial=$dir/ipfs.$$
trap 'rm -f "$partial"' EXIT
echo "kubo: building (some minutes the first time)" >&2
cd "$here"
go build -mod=readonly -p "${KUBO_BUILD_JOBS:-2}" -trimpath -ldflags '-s -w' -o "$partial" . >&2
mv "$partial" "$dir/ipfs"
echo "$dir/ipfs"
