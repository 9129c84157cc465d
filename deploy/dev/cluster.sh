#!/usr/bin/env bash
# A cluster of this checkout on this machine: three servers, each with an address of its own and the same port, and
# all of them on 127.0.0.1, too, where kubectl finds whichever is alive; and one node, where the machine and the user
# allow it. Everything that it makes lies below var/, or vanishes with the node's network namespace.
#
#   cluster.sh up       make certificates, start what does not run, wait until all is well
#   cluster.sh down     stop what runs
#   cluster.sh status   print servers, leaders and nodes
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
with_node=no
# The oldest kubectl that works with this API: older ones look for its schema in a form that is not served.
readonly kubectl_minor=27

say() { echo "cluster: $*"; }
die() { echo "cluster: $*" >&2; exit 1; }

# shellcheck source=node.sh
source "$root/deploy/dev/node.sh"

# server_number NAME: the last part of its addresses.
server_number() {
    case $1 in
        a) echo 2 ;;
        b) echo 3 ;;
        c) echo 4 ;;
        *) die "unknown server $1" ;;
    esac
}

# Where its store is reached by the others.
peer_address() { echo "127.0.0.$(server_number "$1")"; }

# Where it serves the API: on the node's network, if there is a node, because pods cannot reach the loopback.
address() {
    if [[ $with_node == yes ]]; then
        echo "$node_network.$(server_number "$1")"
    else
        peer_address "$1"
    fi
}

data_dir() {
    case $1 in
        "$node") echo "$node_folder" ;;
        *) echo "$var/lib/server-$1" ;;
    esac
}
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
    for server in "${servers[@]}"; do parts+=("$server=https://$(peer_address "$server"):$peer_port"); done
    joined , "${parts[@]}"
}

# Prints the pid of the running server or node. A pid file may outlive its process, and the pid may be another's by
# now: only a process of this binary with its data folder counts.
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

# Whatever is missing now: certificates name both the loopback and the node's network, so that the cluster can be
# started with and without a node.
make_certificates() {
    local server flags=(--node "$node=$node_address")
    for server in "${servers[@]}"; do
        flags+=(--server "$server=$(peer_address "$server"),$node_network.$(server_number "$server")")
    done
    "$bin" pki init --dir "$var/pki" --server-url "https://$shared_address:$api_port" "${flags[@]}" | sed 's/^/pki: /'
    ln -sfn pki/clients/admin.kubeconfig "$kubeconfig"
}

# The servers that have no data while others have: their disks are gone.
lost_servers() {
    local server lost=()
    for server in "${servers[@]}"; do
        if [[ ! -e $(data_dir "$server") ]] && ! running_pid "$server" >/dev/null; then lost+=("$server"); fi
    done
    ((${#lost[@]} == ${#servers[@]})) || printf '%s\n' "${lost[@]}" | grep . || true
}

# A disk that is gone never comes back: its server leaves the cluster, and one of its name joins anew.
replace_server() {
    local said deadline=$((SECONDS + ready_seconds))
    say "$1 has no data, and others have: it joins anew"
    until said=$("$bin" remove-server "$1" --kubeconfig "$kubeconfig" 2>&1) || grep -q 'no server is called' <<<"$said"; do
        ((SECONDS < deadline)) || die "$1 cannot be replaced: $said"
        sleep 0.2
    done
    start_server "$1" --initial-cluster-state=existing
}

server_flags() {
    cat <<FLAGS
--name=$1
--data-dir=$(data_dir "$1")
--listen=$(address "$1"):$api_port
--shared-listen=$shared_address:$api_port
--peer-listen=$(peer_address "$1"):$peer_port
--initial-cluster=$(initial_cluster)
--pki-dir=$var/pki
--cluster-cidr=$pod_network
--service-cidr=$service_network
FLAGS
}

# Until then it is still this shell or setsid, and looks like a foreign process.
wait_until_executed() {
    local exe
    while exe=$(readlink "/proc/$1/exe" 2>/dev/null) && [[ ${exe% (deleted)} != "$bin" ]]; do sleep 0.01; done
}

# start_process NAME WHERE COMMAND...: starts a server or node unless it runs.
start_process() {
    local name=$1 where=$2 pid
    shift 2
    if pid=$(running_pid "$name"); then
        say "$name runs (pid $pid)"
        if runs_an_older_build "$pid"; then
            say "$name runs an older build; to change to the new one: make down && make up"
        fi
        return
    fi
    # A session of its own, so that Ctrl-C at the terminal reaches it no more.
    setsid "$@" >>"$(log_file "$name")" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$(pid_file "$name")"
    wait_until_executed "$pid"
    say "started $name (pid $pid) at $where"
}

# start_server NAME [FLAG...]
start_server() {
    local server=$1 flags
    shift
    mapfile -t flags < <(server_flags "$server")
    start_process "$server" "https://$(address "$server"):$api_port" "$bin" server "${flags[@]}" "$@"
}

status() {
    [[ -f $kubeconfig ]] || die "there is no cluster here: make up"
    "$bin" status --kubeconfig "$kubeconfig"
}

# Who ended says why in the last lines of its log.
fail_if_any_ended() {
    local name
    for name in "${started[@]}"; do
        running_pid "$name" >/dev/null && continue
        tail -n 20 "$(log_file "$name")" >&2
        die "$name ended; the last lines of $(log_file "$name") are above"
    done
}

# A node that has not registered yet is no problem to the servers, which do not know of it.
all_are_listed() {
    local name
    for name in "${started[@]}"; do
        grep -q "^$name " <<<"$1" || return
    done
}

wait_until_well() {
    local deadline=$((SECONDS + ready_seconds)) report="" last=""
    say "waiting until all is well: ${started[*]} (at most $ready_seconds s)"
    until report=$(status 2>&1) && all_are_listed "$report"; do
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

# Sets with_node: whether this machine and this user can have a node, and says what is missing if not.
decide_on_node() {
    local lacks
    mapfile -t lacks < <(node_lacks)
    if ((${#lacks[@]} == 0)); then
        with_node=yes
        return
    fi
    say "starting the control plane without a node, because this machine lacks:"
    printf '  %s\n' "${lacks[@]}"
}

# Servers that run already keep the addresses that they have: with them up, a node can neither come nor go.
respect_running_servers() {
    local server pid
    for server in "${servers[@]}"; do
        pid=$(running_pid "$server") || continue
        if ! tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -- "--listen=$(address "$server"):$api_port"; then
            die "$server runs with other addresses than it would get now, because a node has become possible or impossible since: make down && make up"
        fi
    done
}

up() {
    local server started=("${servers[@]}") other lost
    if other=$(other_cluster); then
        die "the cluster of $other runs on this machine, and its addresses and names are the same: make down there first"
    fi
    mkdir -p "$var"/{run,log,lib}
    decide_on_node
    respect_running_servers
    make_certificates
    # The servers' addresses are on the node's link.
    if [[ $with_node == yes ]]; then node_network_up; fi
    mapfile -t lost < <(lost_servers)
    for server in "${servers[@]}"; do
        [[ " ${lost[*]} " == *" $server "* ]] || start_server "$server"
    done
    for server in "${lost[@]}"; do replace_server "$server"; done
    if [[ $with_node == yes ]]; then
        node_up
        started+=("$node")
    fi
    wait_until_well
    tell_about_kubectl
    tell_what_next
}

tell_what_next() {
    local next="kubectl get namespaces" what="three servers"
    if [[ $with_node == yes ]]; then
        next="kubectl apply -f examples/shop.yaml
    kubectl -n shop rollout status deployment/web"
        what="three servers and a node"
    fi
    cat <<NEXT

The cluster is ready: $what. Next:

    export KUBECONFIG=$kubeconfig
    $next

How it is: make status. Logs: ${var#"$PWD"/}/log. What was killed is started again by \`make up\`; \`make down\` stops all.
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

stop_process() {
    local pid
    if pid=$(running_pid "$1"); then
        kill -TERM "$pid" 2>/dev/null || true
        wait_until_gone "$1" "$pid"
        say "stopped $1"
    fi
    rm -f "$(pid_file "$1")"
}

# One server after the other, so that each but the last can hand its leadership over.
down() {
    local server
    for server in "${servers[@]}"; do stop_process "$server"; done
    node_down
}

case ${1:-} in
    up) up ;;
    down) down ;;
    status) status ;;
    *) die "usage: $0 up|down|status" ;;
esac
