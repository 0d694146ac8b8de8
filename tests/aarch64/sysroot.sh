#!/bin/sh
# The libraries that the runtime needs, for aarch64, unpacked into a folder of the cache: sysroot.sh prints
# where. They come from the machine's own package sources through an apt of their own, so that its
# dpkg is not told of a second architecture. 77 when they cannot be had.
set -eu
packages="libuv1-dev libuv1 liburing-dev liburing2 libssl-dev libssl3 libcmocka-dev libcmocka0"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ipfs-kit/aarch64
sysroot=$cache/sysroot
if [ "$(cat "$sysroot/packages" 2>/dev/null)" = "$packages" ]; then
	echo "$sysroot"
	exit
fi

fail() {
	echo "aarch64: $1" >&2
	exit 77
}

rm -rf "$cache"
mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial" "$sysroot"
trap 'rm -rf "$cache/apt"' EXIT
: >"$cache/apt/status"
cd "$cache/apt"
cat >apt.conf <<-END
	APT::Architecture "arm64";
	#clear APT::Architectures;
	APT::Architectures { "arm64"; };
	APT::Sandbox::User "root";
	Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
	Dir::State "$cache/apt";
	Dir::State::status "$cache/apt/status";
	Dir::Cache "$cache/apt";
END
export APT_CONFIG="$cache/apt/apt.conf"
apt-get update >log 2>&1 || true # a source without this architecture is no matter
apt-get download $packages >>log 2>&1 || {
	tail -5 log >&2
	fail "the packages cannot be fetched"
}
for package in *.deb; do
	dpkg-deb -x "$package" "$sysroot"
done
echo "$packages" >"$sysroot/packages"
echo "$sysroot"
