#!/bin/sh
# How much of anyio/ its tests have run: coverage.sh BUILD, after the suite anyio in a build with
# -Db_coverage=true. Prints each file and both figures; fails below 95 of a hundred lines or 85 of a
# hundred branches.
#
# Left out, and why:
# - anyio/tests, anyio/model, anyio/examples: what tests or uses it. The tests that run what is installed
#   from outside (suite outside) are not run for this.
# - Branches to anyio_die(), which tells of a bug in the program and ends it: those that a test can
#   provoke are tested in child processes, those that would need a bug in the runtime itself cannot be.
# - Branches that the compiler made and the source has not (exclude-unreachable, exclude-throw).
set -eu
cd "$(dirname "$0")/../.."
build=$1
gcovr --version >/dev/null 2>&1 || {
	echo "coverage: gcovr is missing" >&2
	exit 1
}
gcovr --root . --object-directory "$build" --filter anyio/ --exclude anyio/tests/ --exclude anyio/model/ --exclude anyio/examples/ \
	--exclude-unreachable-branches --exclude-throw-branches --exclude-lines-by-pattern '.*anyio_die\(.*' \
	--exclude-branches-by-pattern '.*anyio_die\(.*' --txt "$build/coverage.txt" --html-details "$build/coverage.html" \
	--csv "$build/coverage.csv" --print-summary --fail-under-line 95 --fail-under-branch 85 "$build/anyio"
