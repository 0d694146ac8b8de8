#!/bin/sh
# Rules a compiler does not check: who may include whom, file sizes, words that must not stay.
set -u
cd "$(dirname "$0")/.."
bad=0
complain() {
	echo "lint: $1" >&2
	bad=1
}

# A folder may include only the public headers of the folders named after it.
allowed() {
	case $1 in
	multiformats) echo "multiformats" ;;
	ipld) echo "ipld multiformats" ;;
	anyio) echo "anyio" ;;
	libp2p) echo "libp2p anyio multiformats" ;;
	store) echo "store anyio ipld multiformats" ;;
	remote) echo "remote anyio multiformats" ;;
	exchange) echo "exchange store libp2p anyio ipld multiformats" ;;
	kit) echo "kit exchange remote store libp2p anyio ipld multiformats" ;;
	serve) echo "serve kit exchange store libp2p anyio ipld multiformats" ;;
	cli) echo "cli serve kit exchange store libp2p anyio ipld multiformats" ;;
	esac
}
for folder in multiformats ipld anyio libp2p store remote exchange kit serve cli; do
	[ -d "$folder" ] || continue
	[ -f "$folder/README.md" ] || complain "$folder has no README.md"
	may=$(allowed "$folder")
	for layer in multiformats ipld anyio libp2p store remote exchange kit serve cli; do
		case " $may " in *" $layer "*) continue ;; esac
		found=$(git grep -nE "#include [<\"]$layer/" -- "$folder/*.c" "$folder/*.h" | head -3)
		[ -z "$found" ] || complain "$folder reaches up into $layer: $found"
	done
done

# Of the runtime's parts each stands on core/ and on those named after it; core/ on the backends' table.
parts() {
	case $1 in
	core) echo "backend/backend.h" ;;
	sync | thread | service) echo "core/core.h" ;;
	backend) echo "core/core.h core/cursor.h ../core/core.h ../core/cursor.h" ;; # the second pair: from its sim/
	file) echo "core/core.h core/cursor.h" ;;
	stream | signal | process | tls) echo "core/core.h core/cursor.h sync/[a-z]*.h" ;;
	net) echo "core/core.h core/cursor.h sync/[a-z]*.h thread/detached.h" ;;
	esac
}
# The public headers that each may see: those it implements, and those of what it stands on.
sees() {
	case $1 in
	core) echo "cancel error host instrument local memory run task testing tree version" ;;
	backend) echo "file net run testing" ;; # names, addresses, the simulation's options
	sync) echo "sync" ;;
	file) echo "error file plain" ;;
	thread) echo "portal sync thread" ;;
	stream) echo "attribute channel choose file reader stream sync testing text" ;;
	signal) echo "signal" ;;
	process) echo "file process stream sync" ;;
	net) echo "datagram net serve stream sync testing" ;;
	service) echo "service signal sync" ;;
	tls) echo "tls" ;;
	esac
}
for part in core backend sync file thread stream signal process net service tls; do
	found=$(git grep -nE '#include <anyio/' -- "anyio/$part/*.[ch]" | grep -vE "<anyio/($(sees $part | sed 's/ /|/g'))\.h>" | head -3)
	[ -z "$found" ] || complain "anyio/$part sees more than it stands on: $found"
	may=$(parts $part | sed 's/ /|/g')
	found=$(git grep -nE '#include "\.\./' -- "anyio/$part/*.[ch]" | grep -vE "\"\.\./($may)\"" | head -3)
	[ -z "$found" ] || complain "anyio/$part reaches past its neighbours: $found"
done
[ -z "$(git ls-files 'anyio/*' | cut -d/ -f2 | sort -u | grep -vxE 'README.md|meson.build|include|model|tests|dist|examples|core|backend|sync|file|thread|stream|signal|process|net|service|tls')" ] ||
	complain "anyio has a part that lint does not know"

long=$(git ls-files '*.c' '*.h' '*.cc' '*.hpp' | xargs wc -l | awk '$2 != "total" && $1 > 600 {print $2 ": " $1}')
[ -z "$long" ] || complain "files past 600 lines: $long"

wide=$(git ls-files '*.c' '*.h' '*.cc' '*.hpp' | while read -r file; do
	expand "$file" | awk -v file="$file" 'length($0) > 140 {print file ":" NR}'
done)
[ -z "$wide" ] || complain "lines past 140 columns: $wide"

badly=$(git ls-files '*.c' '*.h' '*.cc' '*.hpp' | xargs clang-format --dry-run 2>&1 | grep -c warning)
[ "$badly" = 0 ] || complain "$badly places are not as clang-format (14) lays them out: git ls-files '*.c' '*.h' '*.cc' '*.hpp' | xargs clang-format -i"

words=$(git grep -nwE 'TODO|FIXME|XXX|HACK' -- '*.c' '*.h' '*.py' '*.mjs' '*.go' ':!tests/lint.sh' | head -5)
[ -z "$words" ] || complain "unfinished: $words"

exit $bad
