#!/bin/sh
# An S3 gateway over a folder.
exec "$(dirname -- "$0")/../build-go.sh" versitygw versitygw github.com/versity/versitygw/cmd/versitygw
