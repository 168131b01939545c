# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Functions for the scripts of this folder, which source it from the top of the tree.

# say TEXT...: a heading for what comes next.
say() {
    printf '\n== %s\n' "$*"
}

# die TEXT...: gives up.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# run COMMAND...: shows a command, then runs it.
run() {
    printf '$ %s\n' "$*"
    "$@"
}

# find_python MODULE...: prints the path of a Python 3 that has all of these modules. The distribution's
# packages went to the one in /usr/bin; the first on PATH may be another.
find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} /usr/bin/python3 python3 /usr/local/bin/python3; do
        "$candidate" -c 'import sys
for name in sys.argv[1:]:
    __import__(name)
print(sys.executable)' "$@" 2>/dev/null && return
    done
    return 1
}

# configure FOLDER OPTION...: sets up a build folder that is not there yet. The tests' Python goes into
# a machine file, so that meson finds that one and no other: find_program() looks there for the name,
# find_installation() for "python".
configure() {
    folder=$1
    shift
    [ ! -f "$folder/build.ninja" ] || return 0
    if python=$(find_python pytest xxhash yaml cffi hypothesis mesonpy); then
        mkdir -p "$folder"
        printf "[binaries]\npython = '%s'\npython3 = '%s'\n" "$python" "$python" >"$folder/python.ini"
        set -- --native-file "$folder/python.ini" "$@"
    fi
    run meson setup "$folder" "$@"
}

# count_tests FOLDER: prints "N passed, N failed, N skipped" of the last `meson test` in a build folder.
# Without a log nothing ran, which is a failure.
count_tests() {
    awk '
        /^(Ok|Expected Fail|Fail|Unexpected Pass|Skipped|Timeout): +[0-9]+ *$/ {
            name = $0
            sub(/:.*/, "", name)
            n[name] = $NF
        }
        END {
            if (!("Ok" in n))
                n["Fail"] = 1
            printf "%d passed, %d failed, %d skipped\n", n["Ok"] + n["Expected Fail"],
                n["Fail"] + n["Unexpected Pass"] + n["Timeout"], n["Skipped"]
        }' "$1/meson-logs/testlog.txt" 2>/dev/null || echo '0 passed, 1 failed, 0 skipped'
}

# debian_mirror SUITE: prints the Debian mirror that this host's apt uses for the suite, or the general one.
debian_mirror() {
    # shellcheck disable=SC2016 # the format is apt-get's
    found=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' \
        'Created-By: Packages' 2>/dev/null |
        awk -v suite="$1" '$2 == suite && $3 == "main" && $4 == "Debian" { print $1; exit }')
    echo "${found:-http://deb.debian.org/debian}"
}

# copy_tree FOLDER: copies the tree as it stands, without build folders and history.
copy_tree() {
    mkdir -p "$1"
    tar -c --exclude-vcs --exclude='./build*' --exclude='./obj-*' . | tar -x -C "$1"
}
