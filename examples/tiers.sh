#!/bin/sh
# Content moves by itself: what nobody reads goes to an S3 store (versitygw, on loopback), what is read again comes back. In a
# temporary folder, which is removed; with a heat that halves every few seconds instead of every day.
# Usage: tiers.sh PATH/TO/ipfs-kit. The first time it builds versitygw, which takes Go and some
# minutes; exits 77 where there is no Go to do it.
set -eu

kit=$(realpath "${1:-build/ipfs-kit}")
source=$(cd "$(dirname "$0")/.." && pwd)
versitygw=$("$source/tests/interop/versitygw/build.sh")
dir=$(mktemp -d)
store= daemon=
export IPFS_KIT_PATH="$dir/repo" HOME="$dir"

clean_up() {
	for pid in $daemon $store; do kill "$pid" 2>/dev/null || true; done
	for pid in $daemon $store; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold= plain=; fi
say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
show() { # the command, and what it prints
	echo "\$ ipfs-kit $*"
	"$kit" "$@"
}
give_up() {
	echo "$1" >&2
	cat "$dir"/*.log >&2
	exit 1
}
make_file() { # make_file NAME MEBIBYTES: the same bytes every time
	openssl enc -aes-128-ctr -nosalt -pass "pass:$1" -iter 1 -in /dev/zero 2>/dev/null | head -c "$(($2 * 1048576))" >"$dir/$1"
}
number() { # number TIER KEY, as tier stat has it
	"$kit" tier stat --json | sed -n "s/.*\"Name\":\"$1\".*\"$2\":\([0-9]*\).*/\1/p"
}
read_until() { # read_until CID TIER KEY TEST MEBIBYTES: reads it again and again, until that is so
	tries=0
	until [ "$(number "$2" "$3")" "$4" $(($5 * 1048576)) ]; do
		"$kit" cat "$1" >/dev/null
		tries=$((tries + 1))
		[ $tries -lt 600 ] || give_up "of the tier $2, $3 never was $4 $5 MiB"
		sleep 0.2
	done
}

# Keys that live as long as this. Whoever has the port already is no reason to give up.
AWS_ACCESS_KEY_ID=$(openssl rand -hex 8) AWS_SECRET_ACCESS_KEY=$(openssl rand -hex 16)
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
mkdir -p "$dir/s3/bucket"
: >"$dir/s3.log"
: >"$dir/daemon.log"
for _ in 1 2 3 4 5; do
	port=$(shuf -i 20000-31999 -n 1)
	ROOT_ACCESS_KEY=$AWS_ACCESS_KEY_ID ROOT_SECRET_KEY=$AWS_SECRET_ACCESS_KEY \
		"$versitygw" --port "127.0.0.1:$port" posix "$dir/s3" >"$dir/s3.log" 2>&1 &
	store=$!
	until grep -q "http://127.0.0.1:$port" "$dir/s3.log"; do
		kill -0 $store 2>/dev/null || { store=; break; }
		sleep 0.05
	done
	[ -z "$store" ] || break
done
[ "$store" ] || give_up "versitygw does not start"

say "a repo of at most 24 MiB with an S3 store beside it; looked at every second instead of every ten minutes"
"$kit" init --test >/dev/null
show config tier.places "cold=s3+http://127.0.0.1:$port/bucket/node-1"
show config store.max 24MiB
show config tier.interval 1s
show config heat.half_life 5s

say "two files; only one is in use"
make_file archive 12
make_file news 4
echo "\$ ipfs-kit add -Q archive; ipfs-kit add -Q news"
archive=$("$kit" add -Q "$dir/archive")
news=$("$kit" add -Q "$dir/news")
echo "$archive"
echo "$news"
for _ in 1 2 3; do "$kit" cat "$news" >/dev/null; done

say "a daemon finds the repo two thirds full, and moves what is cold"
"$kit" daemon --listen /ip4/127.0.0.1/tcp/0 --api "/unix/$dir/api" >"$dir/daemon.log" 2>&1 &
daemon=$!
until grep -q '^daemon is ready' "$dir/daemon.log"; do
	kill -0 $daemon 2>/dev/null || give_up "the daemon has ended"
	sleep 0.05
done
read_until "$news" fast Bytes -lt 8
show heat top -v
show tier stat

say "it can be read all the same; when that is done again and again, it comes back"
"$kit" cat "$archive" | cmp - "$dir/archive"
read_until "$archive" cold PromotedBytes -ge 12
show heat top -v
show tier stat

say "meanwhile nobody reads the other one any more: it goes in its turn"
read_until "$archive" cold DemotedBytes -ge 16
read_until "$archive" fast Bytes -lt 14
read_until "$archive" cold Bytes -lt 8
show heat top -v
show tier stat

"$kit" cat "$archive" | cmp - "$dir/archive"
"$kit" cat "$news" | cmp - "$dir/news"
say "both are the same, byte for byte"
