#!/usr/bin/env bash
# Builds the images that a node without a registry needs, as archives that a container runtime imports:
#
#   build.sh FOLDER      pause.tar (the pods' sandboxes) and busybox.tar (the examples and tests)
#
# One layer each; the same input gives the same bytes. An archive that is there is left alone.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly out=${1:?usage: $0 FOLDER}
# Never pulled: whoever looks for it and does not find it has not imported it.
readonly pause_image=localhost/keelson/pause:1
# What Debian's busybox-static is near to, under the name that manifests use.
readonly busybox_image=docker.io/library/busybox:1.36

die() { echo "images: $*" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# reproducible_tar ARCHIVE FOLDER: the folder's contents, whoever packs them and whenever.
reproducible_tar() {
    tar --create --file "$1" --directory "$2" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu .
}

digest() { sha256sum "$1" | cut -d' ' -f1; }

architecture() {
    case $(uname -m) in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) uname -m ;;
    esac
}

# add_blob ARCHIVE_FOLDER FILE: moves the file to its place by content; prints its digest.
add_blob() {
    local sum
    sum=$(digest "$2")
    mv "$2" "$1/blobs/sha256/$sum"
    echo "$sum"
}

# write_image ARCHIVE REFERENCE ROOT_FOLDER RUN: packs ROOT_FOLDER as an image; RUN is the config's JSON of what it
# runs. Readable as an OCI layout and as a `docker save` archive.
write_image() {
    local archive=$1 reference=$2 root=$3 run=$4 folder=$work/layout arch layer layer_bytes config config_bytes manifest
    arch=$(architecture)
    rm -rf "$folder"
    mkdir -p "$folder/blobs/sha256"
    reproducible_tar "$work/layer" "$root"
    layer_bytes=$(stat --format=%s "$work/layer")
    layer=$(add_blob "$folder" "$work/layer")
    cat >"$work/config" <<JSON
{"architecture":"$arch","os":"linux","created":"1970-01-01T00:00:00Z","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/",$run},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
JSON
    config_bytes=$(stat --format=%s "$work/config")
    config=$(add_blob "$folder" "$work/config")
    cat >"$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$config_bytes},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer","size":$layer_bytes}]}
JSON
    local manifest_bytes
    manifest_bytes=$(stat --format=%s "$work/manifest")
    manifest=$(add_blob "$folder" "$work/manifest")
    echo '{"imageLayoutVersion":"1.0.0"}' >"$folder/oci-layout"
    cat >"$folder/index.json" <<JSON
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$manifest_bytes,"platform":{"architecture":"$arch","os":"linux"},"annotations":{"io.containerd.image.name":"$reference","org.opencontainers.image.ref.name":"${reference##*:}"}}]}
JSON
    cat >"$folder/manifest.json" <<JSON
[{"Config":"blobs/sha256/$config","RepoTags":["$reference"],"Layers":["blobs/sha256/$layer"]}]
JSON
    reproducible_tar "$archive.new" "$folder"
    mv "$archive.new" "$archive"
    echo "images: built $archive ($reference)"
}

build_pause() {
    local root=$work/pause
    mkdir -p "$root"
    cc -Os -static -s -o "$root/pause" "$here/pause.c" || die "pause does not compile: is a C compiler installed?"
    write_image "$out/pause.tar" "$pause_image" "$root" '"Entrypoint":["/pause"]'
}

build_busybox() {
    local root=$work/busybox busybox applet
    busybox=$(command -v busybox) || die "busybox is missing: install Debian's busybox-static"
    mkdir -p "$root"/{bin,etc,home,var}
    mkdir -m 1777 "$root/tmp"
    mkdir -m 700 "$root/root"
    install -m 755 "$(readlink -f "$busybox")" "$root/bin/busybox"
    for applet in $("$busybox" --list); do
        [[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    chmod 644 "$root"/etc/*
    write_image "$out/busybox.tar" "$busybox_image" "$root" '"Cmd":["sh"]'
}

main() {
    # What lies in an image is readable by all, whatever the umask of who builds it.
    umask 022
    mkdir -p "$out"
    [[ -f $out/pause.tar ]] || build_pause
    [[ -f $out/busybox.tar ]] || build_busybox
}

main
