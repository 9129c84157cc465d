#!/usr/bin/env bash
# Proves the store anew, with seeds that nobody has tried: simulation, known bugs that must be found, and real processes
# under real faults. In: the programs' folder, where cargo has put keelson and keelson-jepsen. Out: verdicts, and seeds
# with which to repeat them; what this machine cannot do is skipped, by name.
set -euo pipefail

readonly PROGRAMS=$1
readonly SIMULATION_SECONDS=${SIMULATION_SECONDS:-240}
# The first seed; where it is not given, the time of day draws it.
readonly SIMULATION_FROM=${SIMULATION_FROM:-}
readonly MATRIX_SECONDS=${MATRIX_SECONDS:-180}
readonly SECONDS_PER_RUN=${SECONDS_PER_RUN:-15}
readonly MUTANTS=${MUTANTS:-3}
# Most are caught within 10 s; a machine that is busy with other things needs longer.
readonly SECONDS_PER_MUTANT=${SECONDS_PER_MUTANT:-180}

# After `helix` no member has to serve again, so nothing is ever proven with it.
readonly FAULTS=none,kill,pause,restart,partition,packets,clock,power,disk,damage,raft,membership

simulate() {
    echo "== simulation, $SIMULATION_SECONDS s"
    cargo xtask sim ${SIMULATION_FROM:+--from "$SIMULATION_FROM"} --time-limit "$SIMULATION_SECONDS"
}

hunt() {
    echo "== $MUTANTS known bugs, other ones every day"
    cargo xtask mutants --rotate "$MUTANTS" --budget "$SECONDS_PER_MUTANT"
}

# Runs that could not be checked are no failures, as long as there are others. The folder of results stays.
run_matrix() {
    local why status=0
    local -r results=var/jepsen/prove
    why=$("$PROGRAMS/keelson-jepsen" list | sed -n 's/^This machine cannot run them: //p')
    if [[ -n $why ]]; then
        echo "skipped: real processes: $why"
        return
    fi
    rm -rf "$results"
    echo "== real processes, $MATRIX_SECONDS s"
    "$PROGRAMS/keelson-jepsen" matrix --faults "$FAULTS" --time-per-run "$SECONDS_PER_RUN" \
        --budget "$MATRIX_SECONDS" --out "$results" || status=$?
    if ((status == 0)) || { ((status == 3)) && grep -q '"outcome": "kept"' "$results/matrix.json"; }; then
        return
    fi
    grep --files-without-match '^KEPT: ' "$results"/*.txt | xargs --no-run-if-empty tail -n 40
    return "$status"
}

simulate
hunt
run_matrix
