#!/usr/bin/env bash
# Installs the Debian packages that building and testing need and this machine lacks. Without root, or where there
# is no apt-get, it says what to install.
set -euo pipefail

# A package, and a command that succeeds where what it provides is there, from whatever source.
readonly NEEDED=(
    "gcc|command -v cc"
    "g++|command -v c++"
    "libclang-dev|has_libclang"
    "etcd-client|command -v etcdctl"
)

has_libclang() {
    [[ -n ${LIBCLANG_PATH:-} ]] && return
    dpkg -s libclang-dev && return
    ldconfig -p | grep -q 'libclang\(-[0-9.]*\)\?\.so'
}

missing_packages() {
    local entry
    for entry in "${NEEDED[@]}"; do
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
    apt-get update --quiet=2
    $install --quiet=2
}

main() {
    check_rust
    local missing
    mapfile -t missing < <(missing_packages)
    if [[ ${#missing[@]} -gt 0 ]]; then
        install_packages "${missing[@]}"
    fi
}

main
