#!/usr/bin/env bash
# libFuzzer over every target of apiserver/fuzz and raft-store/fuzz, FUZZ_SECONDS each (60), or over FUZZ_TARGET alone.
#
# What it learns stays in the cache folder; an input that breaks a promise is left there, too: name it well and add it to
# the corpus/ of its target. It needs a nightly compiler and cargo-fuzz, and says so where one is missing; the targets and
# their seeds are tested everywhere by `cargo test -p keelson-api-fuzz -p keelson-store-fuzz`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "skipped: fuzz: there is no nightly compiler (rustup toolchain install nightly)"
    exit 0
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "skipped: fuzz: cargo-fuzz is not installed (cargo install cargo-fuzz)"
    exit 0
fi

# cargo-fuzz puts its own flags in the place of those of .cargo/config.toml, and adds these.
export RUSTFLAGS="--cfg tokio_unstable ${RUSTFLAGS:-}"
learned=${KEELSON_CACHE:-$HOME/.cache/keelson}/fuzz
for crate in apiserver/fuzz raft-store/fuzz; do
    for target in $(ls "$crate/corpus"); do
        [ "${FUZZ_TARGET:-$target}" = "$target" ] || continue
        mkdir -p "$learned/$target"
        (cd "$crate" && KEELSON_FUZZ_TARGET=$target cargo +nightly fuzz run --fuzz-dir libfuzzer any "$learned/$target" \
            "corpus/$target" -- -max_total_time="${FUZZ_SECONDS:-60}" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
            -artifact_prefix="$learned/$target-")
    done
done
