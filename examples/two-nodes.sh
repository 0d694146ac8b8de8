#!/bin/sh
# Two nodes in a temporary folder: one adds a real directory and a generated file of 256 MiB and
# serves them, the other fetches both over libp2p; then everything is compared and removed.
# Usage: two-nodes.sh PATH/TO/ipfs-kit [MEBIBYTES]
set -eu

kit=$(realpath "${1:-build/ipfs-kit}")
size=${2:-256}
source=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
server= client=

clean_up() {
	for pid in $server $client; do kill "$pid" 2>/dev/null || true; done
	for pid in $server $client; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold= plain=; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
peak() { awk '/^VmHWM/ {printf "%.1f MiB", $2 / 1024}' "/proc/$1/status"; }
now() { date +%s.%N; }

start() { # start REPO LOG: a daemon on loopback; its pid in $!
	"$kit" --repo "$1" daemon --listen /ip4/127.0.0.1/tcp/0 --api "/unix/$1.sock" >"$2" 2>&1 &
}
ready() { # ready PID LOG
	until grep -q '^daemon is ready' "$2"; do
		kill -0 "$1" 2>/dev/null || { cat "$2" >&2; exit 1; }
		sleep 0.05
	done
}

say "two repos"
"$kit" --repo "$dir/a" init --test
"$kit" --repo "$dir/b" init --test

say "adding $source and a file of $size MiB to the first"
mkdir "$dir/project"
(cd "$source" && git ls-files -z 2>/dev/null | xargs -0 tar cf - 2>/dev/null || tar cf - --exclude=./build* .) |
	tar xf - -C "$dir/project"
openssl enc -aes-128-ctr -nosalt -pass pass:ipfs-kit -iter 1 -in /dev/zero 2>/dev/null |
	head -c "$((size * 1048576))" >"$dir/file"
begin=$(now)
folder_cid=$("$kit" --repo "$dir/a" add -r -Q --hidden "$dir/project")
file_cid=$("$kit" --repo "$dir/a" add -Q "$dir/file")
echo "folder $folder_cid"
echo "file   $file_cid"
echo "$begin $(now) $size" | awk '{printf "%.0f MiB/s, durable\n", $3 / ($2 - $1)}'

say "both go online"
start "$dir/a" "$dir/a.log"
server=$!
start "$dir/b" "$dir/b.log"
client=$!
ready $server "$dir/a.log"
ready $client "$dir/b.log"
address=$(sed -n 's/^listening on //p' "$dir/a.log" | head -n 1)
echo "$address"
"$kit" --repo "$dir/b" swarm connect "$address"
"$kit" --repo "$dir/b" ping -n 1 "${address##*/}"

say "the second fetches them"
begin=$(now)
"$kit" --repo "$dir/b" get -o "$dir/got-file" "$file_cid"
end=$(now)
"$kit" --repo "$dir/b" get -o "$dir/got-project" "$folder_cid"
echo "$begin $end $size" | awk '{printf "file: %.0f MiB/s\n", $3 / ($2 - $1)}'

say "comparing"
cmp "$dir/file" "$dir/got-file"
diff -r --no-dereference "$dir/project" "$dir/got-project"
echo "the same, byte for byte"
echo "peak memory: $(peak $server) serving, $(peak $client) fetching"
