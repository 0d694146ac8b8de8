#!/bin/sh
# Kubo's `ipfs`, as released.
exec "$(dirname -- "$0")/../build-go.sh" kubo ipfs .
