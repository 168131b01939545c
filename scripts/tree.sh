# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# A bare Debian in a folder, and commands in it. For scripts that source this after lib.sh; they need root.

tree=    # the folder
suite=bookworm
tarball= # what keeps the bare tree for later runs, if it is set
mounted=

# open_tree: makes the tree and mounts in it what programs expect.
open_tree() {
    say "a bare Debian $suite in $tree"
    bootstrap
    chmod 755 "$tree"
    mount_in proc proc
    mount_in tmpfs dev/shm
    mount_in devpts dev/pts newinstance,ptmxmode=0666,mode=0620 # tests run rvdump on a terminal
    cp -L /etc/resolv.conf /etc/hosts "$tree/etc/"
}

# close_tree KEEP: takes the mounts away, and the tree too, unless it is to be kept.
close_tree() {
    for place in $mounted; do
        umount "$place" || umount -l "$place"
    done
    if [ -n "$1" ]; then
        echo "the tree is kept: $tree"
    else
        rm -rf --one-file-system "$tree"
    fi
}

bootstrap() {
    if [ -n "$tarball" ] && [ -f "$tarball" ]; then
        run tar -xpf "$tarball" --numeric-owner -C "$tree"
        return
    fi
    command -v debootstrap >/dev/null || die 'debootstrap is missing (apt-get install debootstrap)'
    log=$tree.log
    echo "\$ debootstrap --variant=minbase $suite $tree $(debian_mirror "$suite")"
    debootstrap --variant=minbase "$suite" "$tree" "$(debian_mirror "$suite")" >"$log" 2>&1 || {
        tail -n 20 "$log"
        die "debootstrap failed; see $log"
    }
    rm -f "$log"
    [ -z "$tarball" ] || run tar -cpf "$tarball" --numeric-owner -C "$tree" .
}

# mount_in TYPE FOLDER [OPTIONS]: mounts a file system in the tree, until the end.
mount_in() {
    mkdir -p "$tree/$2"
    mount -t "$1" -o "${3:-defaults}" "$1" "$tree/$2"
    mounted="$tree/$2 $mounted"
}

# inside COMMAND...: runs a command in the tree with nothing of the host's environment but its proxies.
inside() {
    chroot "$tree" /usr/bin/env -i HOME=/root CI=true LC_ALL=C.UTF-8 \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin ${http_proxy:+"http_proxy=$http_proxy"} \
        "$@" </dev/null
}
