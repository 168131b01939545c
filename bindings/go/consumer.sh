#!/bin/sh
# SPDX-License-Identifier: MIT
# Uses the Go package as others do: from an empty module in another folder.
#
#   sh bindings/go/consumer.sh [BUILD-FOLDER]
#
#   replace   names this tree
#   proxy     takes a module zip from a file:// proxy
#   vendor    builds from a vendor folder alone
#   no cgo    stops with a message that says what is missing
#   module    another module path (scripts/module.sh), with the first Go only
#   system    the tests, against the library of a build folder of meson's, if one is given,
#             installed into a temporary folder
#
# With each version of Go there is. Nothing is fetched, nothing is installed.
set -eu
export CGO_CFLAGS=-O0 # what is tried is whether it builds; that is done often
top=$(CDPATH='' cd "$(dirname "$0")/../.." && pwd)
build=${1:+$(cd "$1" && pwd)}
cd "$top/bindings/go"
# shellcheck source=bindings/go/gos.sh
. ./gos.sh
module=$(sed -n 's/^module //p' "$top/go.mod")
version=v0.0.0-test

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

die() {
    echo "consumer.sh: $*" >&2
    exit 1
}

# A tree without what git does not have, and without modules of their own.
tree() {
    mkdir "$1"
    (cd "$top" && tar -cf - --exclude=.git --exclude='./build*' --exclude=__pycache__ --exclude=./bench/go .) |
        tar -xf - -C "$1"
}

# consumer FOLDER: an empty module with a program that adds and reads.
consumer() {
    mkdir "$1"
    cat >"$1/main.go" <<END
package main

import (
	"fmt"
	"log"
	"os"

	librv "$module/bindings/go"
)

func main() {
	store, err := librv.NewVisitManager(os.Args[1], 10)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.AddVisit(42, 7, "https://example.org/", "An example"); err != nil {
		log.Fatal(err)
	}
	visits, err := store.GetRecentVisits(42)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(visits), visits[0].VisitID, visits[0].URL, visits[0].Text)
}
END
    printf 'module example.com/consumer\n\ngo 1.19\n' >"$1/go.mod"
}

# runs FOLDER: the program there does what it should.
runs() {
    output=$(cd "$1" && ./consumer visits.rv)
    [ "$output" = '1 7 https://example.org/ An example' ] || die "the program says '$output'"
}

# pack TREE FOLDER: a proxy with one module.
pack() {
    proxy=$2/$module/@v
    mkdir -p "$proxy"
    echo "$version" >"$proxy/list"
    printf '{"Version":"%s","Time":"2026-01-01T00:00:00Z"}\n' "$version" >"$proxy/$version.info"
    cp "$1/go.mod" "$proxy/$version.mod"
    python3 - "$1" "$proxy/$version.zip" "$module@$version" <<'END'
import os
import sys
import zipfile

tree, path, prefix = sys.argv[1:]
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    for folder, _, names in os.walk(tree):
        for name in names:
            file = os.path.join(folder, name)
            if not os.path.islink(file):
                archive.write(file, prefix + "/" + os.path.relpath(file, tree))
END
}

try_replace() {
    consumer "$at/replace"
    cd "$at/replace"
    "$go" mod edit -require "$module@v0.0.0" -replace "$module=$top"
    "$go" build -o consumer .
    runs .
}

try_proxy() {
    consumer "$at/proxy"
    cd "$at/proxy"
    export GOPROXY="file://$folder/registry" GOMODCACHE="$at/cache" GOFLAGS="$GOFLAGS -modcacherw"
    "$go" get "$module/bindings/go@$version"
    "$go" build -o consumer .
    runs .
    "$go" mod vendor
}

# What try_proxy left, without proxy, cache and this tree.
try_vendor() {
    cd "$at/proxy"
    rm -rf "$at/cache" consumer visits.rv
    GOMODCACHE="$at/none" "$go" build -mod=vendor -o consumer .
    runs .
}

try_no_cgo() {
    cd "$at/replace"
    if CGO_ENABLED=0 "$go" build -o none . 2>"$at/message"; then
        die 'builds without cgo'
    fi
    grep -q 'needs_64_bit_Linux_and_CGO_ENABLED_1_and_a_C_compiler' "$at/message" || die "says: $(cat "$at/message")"
}

try_module() {
    tree "$at/moved"
    sh "$at/moved/scripts/module.sh" example.com/some/where.else >/dev/null
    if grep -rqF "$module" "$at/moved" --include='*.go' --include=go.mod; then
        die "module.sh left $module somewhere"
    fi
    cd "$at/moved"
    "$go" build ./...
    "$go" vet ./...
}

try_system() {
    cd "$top/bindings/go"
    pc=$(find "$folder/installed" -name librv.pc)
    # Go's cache does not see what pkg-config says, but it does see this.
    export CGO_LDFLAGS="-g -O2 -L${pc%/*}/.."
    export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$folder/installed"
    LD_LIBRARY_PATH=$(dirname "${pc%/*}") "$go" test -tags librv_system -count=1 -timeout 0 .
    # The C sources are not in it.
    "$go" list -tags librv_system -deps . >"$at/packages"
    if grep -qx "$module/lib" "$at/packages"; then
        die 'librv_system compiles lib/ along'
    fi
}

gos=$(each_go)
[ -n "$gos" ] || die 'there is no Go; on Debian: apt-get install golang-go'
tree "$folder/tree"
pack "$folder/tree" "$folder/registry"
[ -z "$build" ] ||
    meson install -C "$build" --no-rebuild --quiet --destdir "$folder/installed" >"$folder/install.log" ||
    die "meson install: $(cat "$folder/install.log")"
number=0
done=
trap 'rm -rf "$folder"; [ -n "$done" ] || echo "consumer.sh: FAILED" >&2' EXIT
for go in $gos; do
    echo "== $("$go" version)"
    number=$((number + 1))
    at=$folder/$number
    mkdir "$at"
    ways='replace proxy vendor no_cgo'
    [ "$number" -gt 1 ] || ways="$ways module"
    for way in $ways ${build:+system}; do
        echo "$way"
        ("try_$way") # set -e ends it, and then this script
    done
done
done=yes
echo 'consumer.sh: ok'
