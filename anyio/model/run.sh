#!/bin/sh
# Checks wake.pml: both backends in bounds that end within seconds each, then each seeded fault,
# which must be caught; a minute altogether. "run.sh wide" takes bounds that need minutes and some
# GB instead. "run.sh show BACKEND FAULT" prints the calls that lead to a fault.
set -u
cd "$(dirname "$0")" || exit 1
here=$PWD
for tool in spin gcc; do
	command -v $tool >/dev/null || {
		echo "model: $tool is missing, nothing was checked"
		exit 77
	}
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

scopes="-DCHANGES=2 -DPOSTS=0 -DSPAWNS=1"
wakes="-DCHANGES=1 -DPOSTS=2 -DSPAWNS=1 -DAGAIN=0 -DNO_ROOM=0 -DDEADLINES=0"
groups="-DCHANGES=1 -DPOSTS=1 -DSPAWNS=2 -DAGAIN=0 -DNO_ROOM=0 -DEARLY=0"

# explore LEVEL BACKEND DEFINE...: leaves what pan said in out; 0: it found nothing.
explore() {
	level=$1 backend=$2
	shift 2
	[ "$backend" = uring ] || set -- -DUV "$@"
	rm -f ./*.trail
	spin "$@" -a "$here/wake.pml" >out 2>&1 &&
		gcc "$level" -w -DSAFETY -DVECTORSZ=512 pan.c -o pan >>out 2>&1 &&
		./pan -m100000 -w22 -n >out 2>&1 || return 2
	grep -q 'errors: 0' out && ! grep -q 'Search not completed' out
}

passes() { # passes NAME BACKEND DEFINE...
	name=$1 backend=$2
	shift 2
	if explore -O1 "$backend" "$@"; then
		echo "model: $backend, $name: $(awk '/states, stored/ {print $1}' out) states, no error"
	else
		cat out
		echo "model: $backend, $name: FAILED ($*)"
		failed=1
	fi
}

caught() { # caught FAULT BACKEND DEFINE...
	fault=$1 backend=$2
	explore -O0 "$backend" -D"$fault" $3
	if [ -f wake.pml.trail ]; then
		echo "model: $backend, $fault: caught, $(grep '^pan:1:' out | sed 's/^pan:1: //; s/(at depth.*//' | cut -c1-60)"
	else
		cat out
		echo "model: $backend, $fault: NOT caught"
		failed=1
	fi
}

show() { # the calls of the shortest counterexample that is found quickly
	explore -O1 "$1" "-D$2" -DCHANGES=1 -DSPAWNS=2
	[ "$1" = uring ] || set -- "$1" "$2" -DUV
	[ -f wake.pml.trail ] || { echo "model: none"; exit 1; }
	spin "-D$2" ${3:-} -DCHANGES=1 -DSPAWNS=2 -t -k wake.pml.trail "$here/wake.pml" |
		sed -n 's/^ *//; /^[a-z_]*\(\[[0-9]\]\)\{0,1\} = /d; /^#processes/q; p'
	exit 0
}

failed=0
case ${1:-} in
show) show "$2" "$3" ;;
wide)
	for backend in uring uv; do
		passes "all together" $backend -DPOSTS=1
	done
	exit $failed
	;;
esac
for backend in uring uv; do
	passes scopes $backend $scopes
	passes wakes $backend $wakes
	passes groups $backend $groups
done
caught LOST_WAKE uring "$wakes"
caught DOUBLE uv "$scopes"
caught REUSE uring "$scopes"
caught REMEMBERED uv "$scopes"
caught RESUBMIT uring "$scopes"
caught DATA_LOST uring "$scopes"
caught UNLOCKED uv "$wakes"
# Two that the code had.
caught HOST_TWICE uring "$groups"
caught UNFENCED uv "$wakes"
exit $failed
