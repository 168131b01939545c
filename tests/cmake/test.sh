#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the library into a folder; a CMake project finds it there, is built and runs. One that wants another
# version does not find it.
#
#   test.sh SOURCE BUILD CMAKE VERSION
set -eu
source=$1/tests/cmake
build=$2
cmake=$3
version=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset LD_LIBRARY_PATH # the installed library, not that of the build folder

meson install -C "$build" --no-rebuild --tags devel,runtime --destdir "$folder/root" >/dev/null
config=$(find "$folder/root" -name librvConfig.cmake)

"$cmake" -G Ninja -S "$source" -B "$folder/build" -Dlibrv_DIR="${config%/*}" -DWANTED="${version%.*}"
"$cmake" --build "$folder/build"
"$folder/build/version"

if "$cmake" -G Ninja -S "$source" -B "$folder/other" -Dlibrv_DIR="${config%/*}" -DWANTED=99.1 2>"$folder/refused"; then
    echo 'version 99.1 was found' >&2
    exit 1
fi
grep -F "version: $version" "$folder/refused"
