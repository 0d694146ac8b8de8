#!/bin/sh
# build-go.sh FOLDER PROGRAM PACKAGE: builds a peer from the module in that folder and prints its path on the last line.
# The result is cached under the hash of go.sum; exits 77 when no suitable Go toolchain is here.
set -eu
name=$1 program=$2 package=$3
here=$(CDPATH= cd -- "$(dirname -- "$0")/$name" && pwd)
sum=$(sha256sum "$here/go.sum" | cut -c1-16)
dir=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/$name-$sum
if [ -x "$dir/$program" ]; then
	echo "$dir/$program"
	exit 0
fi

need=$(sed -n 's/^go //p' "$here/go.mod")
if ! command -v go >/dev/null 2>&1; then
	echo "$name: Go $need or later is needed and there is no 'go' on PATH" >&2
	exit 77
fi
have=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//; s/[^0-9.].*//')
oldest=$(printf '%s\n%s\n' "$need" "$have" | sort -V | head -n 1)
if [ "$oldest" != "$need" ]; then
	echo "$name: Go $need or later is needed, 'go' on PATH is $have" >&2
	exit 77
fi

mkdir -p "$dir"
partial=$dir/$program.$$
trap 'rm -f "$partial"' EXIT
echo "$name: building (some minutes the first time)" >&2
cd "$here"
go build -mod=readonly -p "${PEER_BUILD_JOBS:-2}" -trimpath -ldflags '-s -w' -o "$partial" "$package" >&2
mv "$partial" "$dir/$program"
echo "$dir/$program"
