#!/bin/sh
# SPDX-License-Identifier: MIT
# Gives the Go module another path, in go.mod and wherever the present one stands.
#
#   sh scripts/module.sh example.com/new/path
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

[ $# -eq 1 ] || die 'usage: sh scripts/module.sh NEW/PATH'
new=$1
case $new in *[!A-Za-z0-9._~/-]* | /* | */ | '') die "'$new' is no module path" ;; esac
old=$(sed -n 's/^module //p' go.mod)
[ -n "$old" ] || die 'go.mod names no module'
pattern=$(printf '%s' "$old" | sed 's/[.]/[.]/g')

find . -name .git -prune -o -name 'build*' -type d -prune -o -type f \
    \( -name '*.go' -o -name go.mod -o -name '*.md' -o -name '*.sh' \) -print |
    while IFS= read -r file; do
        if grep -q "$pattern" "$file"; then
            sed "s|$pattern|$new|g" "$file" >"$file.new"
            cat "$file.new" >"$file" # its permissions stay
            rm "$file.new"
            echo "$file"
        fi
    done
