#!/usr/bin/env bash
# Installs the Debian packages that building, testing and a node on this machine need and it lacks. Without root, or
# where there is no apt-get, it says what to install for building; a node needs root anyway, and `make up` says so.
set -euo pipefail

# A package, and a command that succeeds where what it provides is there, from whatever source.
readonly NEEDED=(
    "gcc|command -v cc"
    "g++|command -v c++"
    "libclang-dev|has_libclang"
    "etcd-client|command -v etcdctl"
)

# What only a node on this machine needs, or a store under real faults, installed where that is possible.
readonly NODE_NEEDED=(
    "busybox-static|command -v busybox"
    "conntrack|command -v conntrack"
    "containerd|command -v containerd"
    "containernetworking-plugins|has_cni_plugins"
    "e2fsprogs|command -v mkfs.ext4"
    "faketime|command -v faketime"
    "iproute2|command -v ip"
    "iptables|command -v iptables"
    "nftables|command -v nft"
    "runc|command -v runc"
)

has_libclang() {
    [[ -n ${LIBCLANG_PATH:-} ]] && return
    dpkg -s libclang-dev && return
    ldconfig -p | grep -q 'libclang\(-[0-9.]*\)\?\.so'
}

has_cni_plugins() { [[ -x /usr/lib/cni/bridge || -x /opt/cni/bin/bridge ]]; }

# missing_packages ENTRY...
missing_packages() {
    local entry
    for entry in "$@"; do
        ${entry#*|} >/dev/null 2>&1 || echo "${entry%%|*}"
    done
}

check_rust() {
    command -v cargo >/dev/null && return
    echo "cargo is missing: install Rust 1.95 or newer, for instance with rustup (https://rustup.rs)" >&2
    exit 1
}

install_packages() {
    local install="apt-get install --yes --no-install-recommends $*"
    if ! command -v apt-get >/dev/null; then
        echo "missing: $*. This is no Debian; install what these packages hold there" >&2
        exit 1
    fi
    if [[ $(id -u) -ne 0 ]]; then
        echo "missing: $*. Run as root: apt-get update && $install" >&2
        exit 1
    fi
    echo "deps: installing $*"
    export DEBIAN_FRONTEND=noninteractive
    forbid_service_starts
    apt-get update --quiet=2
    $install --quiet=2
}

# Some packages bring services, which Debian would start; what runs here is started by who needs it, with a
# configuration of its own.
forbid_service_starts() {
    local policy=/usr/sbin/policy-rc.d
    [[ ! -e $policy ]] || return 0
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    # shellcheck disable=SC2064 # The path is known now.
    trap "rm -f '$policy'" EXIT
}

can_install() { [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; }

main() {
    check_rust
    local missing
    mapfile -t missing < <(missing_packages "${NEEDED[@]}")
    if can_install; then
        mapfile -t -O "${#missing[@]}" missing < <(missing_packages "${NODE_NEEDED[@]}")
    fi
    if [[ ${#missing[@]} -gt 0 ]]; then
        install_packages "${missing[@]}"
    fi
}

main
