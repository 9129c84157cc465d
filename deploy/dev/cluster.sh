#!/usr/bin/env bash
# A cluster of this checkout on this machine: three members of the store on 127.0.0.1 to 127.0.0.3, with the same
# ports and mutual TLS. Everything that it makes lies below var/.
#
#   cluster.sh up       make certificates, start the members that do not run, wait until all are well
#   cluster.sh down     stop the members that run
#   cluster.sh status   print the members
set -euo pipefail
umask 077

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
readonly var=$root/var
readonly bin=${KEELSON_BIN:?the keelson binary; make sets it}
readonly members=(a b c)
# etcd's ports, unless they are taken on this machine.
readonly client_port=${KEELSON_CLIENT_PORT:-2379} peer_port=${KEELSON_PEER_PORT:-2380}
readonly ready_seconds=60 stop_seconds=20

say() { echo "cluster: $*"; }
die() { echo "cluster: $*" >&2; exit 1; }

address() {
    case $1 in
        a) echo 127.0.0.1 ;;
        b) echo 127.0.0.2 ;;
        c) echo 127.0.0.3 ;;
        *) die "unknown member $1" ;;
    esac
}

client_url() { echo "https://$(address "$1"):$client_port"; }
peer_url() { echo "https://$(address "$1"):$peer_port"; }
data_dir() { echo "$var/lib/$1"; }
pid_file() { echo "$var/run/$1.pid"; }
log_file() { echo "$var/log/$1.log"; }

# joined SEPARATOR WORD...
joined() {
    local IFS=$1
    shift
    echo "$*"
}

initial_cluster() {
    local member parts=()
    for member in "${members[@]}"; do parts+=("$member=$(peer_url "$member")"); done
    joined , "${parts[@]}"
}

endpoints() {
    local member urls=()
    for member in "${members[@]}"; do urls+=("$(client_url "$member")"); done
    joined , "${urls[@]}"
}

# Prints the pid of the running member. A pid file may outlive its process, and the pid may be another's by now:
# only a process of this binary with this member's data folder counts.
running_pid() {
    local pid exe
    pid=$(cat "$(pid_file "$1")" 2>/dev/null) || return 1
    exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || return 1
    [[ ${exe% (deleted)} == "$bin" ]] || return 1
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "--data-dir=$(data_dir "$1")" || return 1
    echo "$pid"
}

# The binary was built anew while the process ran.
runs_an_older_build() { [[ $(readlink "/proc/$1/exe") == *" (deleted)" ]]; }

make_certificates() {
    local member flags=()
    for member in "${members[@]}"; do flags+=(--member "$member=$(address "$member"),localhost"); done
    "$bin" pki init --dir "$var/pki" "${flags[@]}" | sed 's/^/pki: /'
}

member_flags() {
    local own=$var/pki/members/$1
    cat <<FLAGS
--name=$1
--data-dir=$(data_dir "$1")
--listen-client-urls=$(client_url "$1")
--advertise-client-urls=$(client_url "$1")
--listen-peer-urls=$(peer_url "$1")
--initial-advertise-peer-urls=$(peer_url "$1")
--initial-cluster=$(initial_cluster)
--cert-file=$own/server.crt
--key-file=$own/server.key
--trusted-ca-file=$var/pki/client-ca.crt
--client-cert-auth
--peer-cert-file=$own/peer.crt
--peer-key-file=$own/peer.key
--peer-trusted-ca-file=$var/pki/peer-ca.crt
--peer-client-cert-auth
FLAGS
}

# Until then it is still this shell or setsid, and looks like a foreign process.
wait_until_executed() {
    local exe
    while exe=$(readlink "/proc/$1/exe" 2>/dev/null) && [[ ${exe% (deleted)} != "$bin" ]]; do sleep 0.01; done
}

start_member() {
    local pid flags
    if pid=$(running_pid "$1"); then
        say "$1 runs (pid $pid)"
        if runs_an_older_build "$pid"; then
            say "$1 runs an older build; to change to the new one: make down && make up"
        fi
        return
    fi
    mapfile -t flags < <(member_flags "$1")
    # A session of its own, so that Ctrl-C at the terminal reaches it no more.
    setsid "$bin" store "${flags[@]}" >>"$(log_file "$1")" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$(pid_file "$1")"
    wait_until_executed "$pid"
    say "started $1 (pid $pid) at $(client_url "$1")"
}

# What etcdctl and `keelson store status` need, as environment variables.
write_environment() {
    cat >"$var/etcdctl.env" <<ENVIRONMENT
export ETCDCTL_API=3
export ETCDCTL_ENDPOINTS=$(endpoints)
export ETCDCTL_CACERT='$var/pki/client-ca.crt'
export ETCDCTL_CERT='$var/pki/clients/root.crt'
export ETCDCTL_KEY='$var/pki/clients/root.key'
ENVIRONMENT
}

status() {
    [[ -f $var/etcdctl.env ]] || die "there is no cluster here: make up"
    # shellcheck source=/dev/null
    (. "$var/etcdctl.env" && "$bin" store status)
}

# A member that ended says why in the last lines of its log.
fail_if_any_ended() {
    local member
    for member in "${members[@]}"; do
        running_pid "$member" >/dev/null && continue
        tail -n 20 "$(log_file "$member")" >&2
        die "$member ended; the last lines of $(log_file "$member") are above"
    done
}

wait_until_well() {
    local deadline=$((SECONDS + ready_seconds)) report="" last=""
    say "waiting until all members answer and agree on a leader (at most $ready_seconds s)"
    until report=$(status 2>&1); do
        fail_if_any_ended
        if [[ $SECONDS -ge $deadline ]]; then
            die "not well after $ready_seconds s: $report"
        fi
        # One line per new reason, not one per attempt.
        report=$(grep -E '^(problem|  https)' <<<"$report" | head -1 || true)
        if [[ -n $report && $report != "$last" ]]; then
            say "  $report"
            last=$report
        fi
        sleep 0.2
    done
    echo "$report"
}

up() {
    local member
    mkdir -p "$var"/{run,log,lib}
    make_certificates
    for member in "${members[@]}"; do start_member "$member"; done
    write_environment
    wait_until_well
    cat <<NEXT

The store is ready: three members, mutual TLS. Next:

    . ${var#"$PWD"/}/etcdctl.env
    etcdctl put hello world && etcdctl get hello
    $bin store status

Logs: ${var#"$PWD"/}/log. A member that was killed is started again by \`make up\`; \`make down\` stops all.
NEXT
}

wait_until_gone() {
    local deadline=$((SECONDS + stop_seconds))
    while running_pid "$1" >/dev/null; do
        if [[ $SECONDS -ge $deadline ]]; then
            say "$1 did not stop within $stop_seconds s; killing it (its data is safe: see its log for what held it)"
            kill -KILL "$2" 2>/dev/null || true
            deadline=$((SECONDS + stop_seconds))
        fi
        sleep 0.05
    done
}

stop_member() {
    local pid
    if pid=$(running_pid "$1"); then
        kill -TERM "$pid" 2>/dev/null || true
        wait_until_gone "$1" "$pid"
        say "stopped $1"
    fi
    rm -f "$(pid_file "$1")"
}

# One after the other, so that each but the last can hand its leadership over.
down() {
    local member
    for member in "${members[@]}"; do stop_member "$member"; done
}

case ${1:-} in
    up) up ;;
    down) down ;;
    status) status ;;
    *) die "usage: $0 up|down|status" ;;
esac
