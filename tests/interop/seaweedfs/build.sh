#!/bin/sh
# SeaweedFS, all of its servers in one program.
exec "$(dirname -- "$0")/../build-go.sh" seaweedfs weed github.com/seaweedfs/seaweedfs/weed
