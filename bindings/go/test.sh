#!/bin/sh
# SPDX-License-Identifier: MIT
# Tests the Go package: gofmt, vet, and the tests with the race detector, with each version of Go there is.
#
#   sh bindings/go/test.sh
set -eu
CDPATH='' cd "$(dirname "$0")"
# shellcheck source=bindings/go/gos.sh
. ./gos.sh

gos=$(each_go)
[ -n "$gos" ] || {
    echo 'test.sh: there is no Go; on Debian: apt-get install golang-go' >&2
    exit 1
}
unformatted=$(find ../.. -name .git -prune -o -name 'build*' -type d -prune -o -name '*.go' -exec gofmt -l {} +)
[ -z "$unformatted" ] || {
    echo "test.sh: gofmt has something to change in: $unformatted" >&2
    exit 1
}
for go in $gos; do
    echo "== $("$go" version)"
    "$go" vet ../../...
    "$go" test -race -count=1 -timeout 0 ../../...
done
