#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the library into a folder; a CMake project finds it there, is built and runs. One that wants another
# version does not find it.
#
#   test.sh SOURCE BUILD CMAKE
set -eu
source=$1/tests/cmake
build=$2
cmake=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset LD_LIBRARY_PATH # the installed library, not that of the build folder

meson install -C "$build" --no-rebuild --tags devel,runtime --destdir "$folder/root" >/dev/null
config=$(find "$folder/root" -name librvConfig.cmake)

"$cmake" -G Ninja -S "$source" -B "$folder/build" -Dlibrv_DIR="${config%/*}"
"$cmake" --build "$folder/build"
"$folder/build/version"

sed 's/librv 0\.1/librv 99.1/' "$source/CMakeLists.txt" >"$folder/CMakeLists.txt"
cp "$source/version.c" "$folder/"
if "$cmake" -G Ninja -S "$folder" -B "$folder/other" -Dlibrv_DIR="${config%/*}" 2>"$folder/refused"; then
    echo 'version 99.1 was found' >&2
    exit 1
fi
grep 'version: 0.1' "$folder/refused"
