#!/usr/bin/env bash
# Builds RocksDB's static archive into $ROCKSDB_LIB_DIR unless it is there. The archive appears by a rename, so
# that one which is there is whole.
set -euo pipefail

readonly ARCHIVE=${ROCKSDB_LIB_DIR:?set by the Makefile}/librocksdb.a
readonly BUILD=$ROCKSDB_LIB_DIR/build
readonly REPORT_EVERY_SECONDS=60

# The compiler says nothing for 20 minutes; whoever waits should see that it works.
report_progress() {
    local start=$SECONDS objects sleeper=
    # The sleep must not outlive the report: it would hold the output open.
    trap 'kill "$sleeper"; exit' TERM
    while true; do
        sleep "$REPORT_EVERY_SECONDS" &
        sleeper=$!
        wait "$sleeper"
        objects=$(find "$BUILD" -name '*.o' -path '*librocksdb-sys*' | wc -l)
        echo "rocksdb: $objects of about 350 files compiled after $(((SECONDS - start) / 60)) min"
    done
}

compile() {
    # With these variables set, the crate would look for the archive instead of building it.
    env --unset=ROCKSDB_LIB_DIR --unset=ROCKSDB_STATIC \
        cargo build --release --package librocksdb-sys --target-dir "$BUILD"
}

install_archive() {
    local built
    built=$(find "$BUILD" -path '*/out/librocksdb.a' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-)
    cp "$built" "$ARCHIVE.new"
    sync "$ARCHIVE.new"
    mv "$ARCHIVE.new" "$ARCHIVE"
    rm -rf "$BUILD"
}

main() {
    [[ -f $ARCHIVE ]] && return
    mkdir -p "$ROCKSDB_LIB_DIR"
    exec 9>"$ROCKSDB_LIB_DIR/.lock"
    flock 9
    # Another run may have built it while this one waited.
    [[ -f $ARCHIVE ]] && return
    echo "rocksdb: building $ARCHIVE, once; about 20 minutes on two cores"
    report_progress &
    local reporter=$!
    trap 'kill "$reporter" 2>/dev/null || true' EXIT
    compile
    install_archive
    echo "rocksdb: done"
}

main
