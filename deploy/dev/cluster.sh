#!/usr/bin/env bash
# A cluster of this checkout on this machine: three servers on 127.0.0.2 to 127.0.0.4, with the same port, and all
# of them on 127.0.0.1, too, where kubectl finds whichever is alive. Everything that it makes lies below var/.
#
#   cluster.sh up       make certificates, start the servers that do not run, wait until all are well
#   cluster.sh down     stop the servers that run
#   cluster.sh status   print the servers
set -euo pipefail
umask 077

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
readonly var=$root/var
readonly bin=${KEELSON_BIN:?the keelson binary; make sets it}
readonly servers=(a b c)
# Kubernetes' and etcd's ports, unless they are taken on this machine.
readonly api_port=${KEELSON_API_PORT:-6443} peer_port=${KEELSON_PEER_PORT:-2380}
readonly shared_address=127.0.0.1
readonly kubeconfig=$var/admin.kubeconfig
readonly ready_seconds=60 stop_seconds=20
# The oldest kubectl that works with this API: older ones look for its schema in a form that is not served.
readonly kubectl_minor=27

say() { echo "cluster: $*"; }
die() { echo "cluster: $*" >&2; exit 1; }

address() {
    case $1 in
        a) echo 127.0.0.2 ;;
        b) echo 127.0.0.3 ;;
        c) echo 127.0.0.4 ;;
        *) die "unknown server $1" ;;
    esac
}

data_dir() { echo "$var/lib/server-$1"; }
pid_file() { echo "$var/run/$1.pid"; }
log_file() { echo "$var/log/$1.log"; }

# joined SEPARATOR WORD...
joined() {
    local IFS=$1
    shift
    echo "$*"
}

initial_cluster() {
    local server parts=()
    for server in "${servers[@]}"; do parts+=("$server=https://$(address "$server"):$peer_port"); done
    joined , "${parts[@]}"
}

# Prints the pid of the running server. A pid file may outlive its process, and the pid may be another's by now:
# only a process of this binary with this server's data folder counts.
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
    local server flags=()
    for server in "${servers[@]}"; do flags+=(--server "$server=$(address "$server")"); done
    "$bin" pki init --dir "$var/pki" --server-url "https://$shared_address:$api_port" "${flags[@]}" | sed 's/^/pki: /'
    ln -sfn pki/clients/admin.kubeconfig "$kubeconfig"
}

server_flags() {
    cat <<FLAGS
--name=$1
--data-dir=$(data_dir "$1")
--listen=$(address "$1"):$api_port
--shared-listen=$shared_address:$api_port
--peer-listen=$(address "$1"):$peer_port
--initial-cluster=$(initial_cluster)
--pki-dir=$var/pki
FLAGS
}

# Until then it is still this shell or setsid, and looks like a foreign process.
wait_until_executed() {
    local exe
    while exe=$(readlink "/proc/$1/exe" 2>/dev/null) && [[ ${exe% (deleted)} != "$bin" ]]; do sleep 0.01; done
}

start_server() {
    local pid flags
    if pid=$(running_pid "$1"); then
        say "$1 runs (pid $pid)"
        if runs_an_older_build "$pid"; then
            say "$1 runs an older build; to change to the new one: make down && make up"
        fi
        return
    fi
    mapfile -t flags < <(server_flags "$1")
    # A session of its own, so that Ctrl-C at the terminal reaches it no more.
    setsid "$bin" server "${flags[@]}" >>"$(log_file "$1")" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$(pid_file "$1")"
    wait_until_executed "$pid"
    say "started $1 (pid $pid) at https://$(address "$1"):$api_port"
}

status() {
    [[ -f $kubeconfig ]] || die "there is no cluster here: make up"
    "$bin" status --kubeconfig "$kubeconfig"
}

# A server that ended says why in the last lines of its log.
fail_if_any_ended() {
    local server
    for server in "${servers[@]}"; do
        running_pid "$server" >/dev/null && continue
        tail -n 20 "$(log_file "$server")" >&2
        die "$server ended; the last lines of $(log_file "$server") are above"
    done
}

wait_until_well() {
    local deadline=$((SECONDS + ready_seconds)) report="" last=""
    say "waiting until all servers are ready and agree on a leader (at most $ready_seconds s)"
    until report=$(status 2>&1); do
        fail_if_any_ended
        if [[ $SECONDS -ge $deadline ]]; then
            die "not well after $ready_seconds s: $report"
        fi
        # One line per new reason, not one per attempt.
        report=$(grep -E '^(problem|keelson):' <<<"$report" | head -1 || true)
        if [[ -n $report && $report != "$last" ]]; then
            say "  $report"
            last=$report
        fi
        sleep 0.2
    done
    echo "$report"
}

# What is installed is left alone; the user should know what to expect of it.
tell_about_kubectl() {
    local minor
    if ! command -v kubectl >/dev/null; then
        say "kubectl is not installed; any of version 1.$kubectl_minor or newer will do"
        return
    fi
    minor=$(kubectl version --client 2>/dev/null | sed -n 's/^Client Version:.*v1\.\([0-9]*\).*/\1/p')
    if [[ -z $minor || $minor -lt $kubectl_minor ]]; then
        say "the kubectl on PATH is older than 1.$kubectl_minor, and will not do all: apply needs OpenAPI v3"
    fi
}

up() {
    local server
    mkdir -p "$var"/{run,log,lib}
    make_certificates
    for server in "${servers[@]}"; do start_server "$server"; done
    wait_until_well
    tell_about_kubectl
    cat <<NEXT

The control plane is ready: three servers. Next:

    export KUBECONFIG=$kubeconfig
    kubectl get namespaces
    $bin status

Logs: ${var#"$PWD"/}/log. A server that was killed is started again by \`make up\`; \`make down\` stops all.
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

stop_server() {
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
    local server
    for server in "${servers[@]}"; do stop_server "$server"; done
}

case ${1:-} in
    up) up ;;
    down) down ;;
    status) status ;;
    *) die "usage: $0 up|down|status" ;;
esac
