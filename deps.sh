#!/bin/sh
# Installs the Debian packages that are missing: of those that building and running need, with "test"
# those of the tests too, with "anyio" what the runtime alone needs, with "bench" the peers of the benchmarks.
set -eu

anyio="gcc make pkg-config meson ninja-build liburing-dev libuv1-dev libssl-dev"
packages="$anyio python3 libsodium-dev libxxhash-dev liblmdb-dev libhttp-parser-dev libjansson-dev
libcmocka-dev libcurl4-openssl-dev libexpat1-dev libssh2-1-dev openssl"
[ "${1:-}" != anyio ] || packages=$anyio
[ "${1:-}" != bench ] || packages="g++ libboost-fiber-dev librocksdb-dev libsqlite3-dev"
[ "${1:-}" != test ] || packages="$packages clang llvm libclang-rt-14-dev clang-format strace libleveldb1d
spin gcovr valgrind g++ g++-aarch64-linux-gnu qemu-user bash fish zsh man-db mandoc doxygen systemd
openssh-server openssh-client python3-paramiko python3-prometheus-client"

missing=
for package in $packages; do
	case "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" in
	"install ok installed") ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "deps: not root and no sudo; install these yourself:$missing" >&2
		exit 1
	}
	sudo=sudo
fi
echo "deps: installing$missing"
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
