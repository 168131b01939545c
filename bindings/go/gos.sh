# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Functions for the scripts of this folder, which source it.

# Nothing is fetched: the module has no dependency, and a newer Go is not asked for.
export GOPROXY=off GOTOOLCHAIN=local GOSUMDB=off GOWORK=off CGO_ENABLED=1
export GOFLAGS=-buildvcs=false
unset GOOS GOARCH CGO_CFLAGS CGO_LDFLAGS 2>/dev/null || true

# each_go: prints the path of every Go there is, one for each version: $GO, the first on PATH, the
# distribution's.
each_go() {
    versions=
    for candidate in ${GO:+"$GO"} "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
        version=$("$candidate" env GOVERSION 2>/dev/null) || continue
        case " $versions " in *" $version "*) continue ;; esac
        versions="$versions $version"
        echo "$candidate"
    done
}
