#!/usr/bin/env bash
# A containerd of its own below one folder: own config, data, state, socket. The machine's containerd is left alone.
#
#   containerd.sh start DIR [NETNS]   write DIR/config.toml, start it unless it runs (in that network namespace), wait
#                                     until it answers at DIR/containerd.sock
#   containerd.sh stop DIR            end it as a power cut would, its shims and containers too; undo their mounts
#   containerd.sh missing             print what this machine lacks for it, a line each; nothing if all is there
#
# Pods are put below the control group that the node agent names, not here: whoever made that removes it.
set -euo pipefail

die() { echo "containerd: $*" >&2; exit 1; }

# Linux' bit of CAP_SYS_RESOURCE in a capability set.
readonly cap_sys_resource=24
readonly start_seconds=20 stop_seconds=10
# Linux' limit for the path of a socket.
readonly socket_path_bytes=107

cni_plugins() {
    local dir
    for dir in /opt/cni/bin /usr/lib/cni; do
        if [[ -x $dir/bridge && -x $dir/host-local && -x $dir/portmap && -x $dir/loopback ]]; then
            echo "$dir"
            return
        fi
    done
    return 1
}

# What the kernel lets this user do, tried in a network namespace that is gone afterwards.
kernel_lacks() {
    local scratch=keelson-probe-$$ folder
    if ! ip netns add "$scratch" 2>/dev/null; then
        echo "the right to make network namespaces"
        return
    fi
    nsenter --net="/run/netns/$scratch" ip link add b0 type bridge 2>/dev/null || echo "bridges in the kernel"
    nsenter --net="/run/netns/$scratch" ip link add v0 type veth peer name v1 2>/dev/null || echo "veth links in the kernel"
    nsenter --net="/run/netns/$scratch" nft -f - 2>/dev/null <<'NFT' || echo "nftables with NAT in the kernel"
table ip probe {
    chain services { type nat hook prerouting priority dstnat; dnat ip to numgen random mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }; }
}
NFT
    ip netns del "$scratch"
    folder=$(mktemp -d)
    mkdir "$folder"/{lower,upper,work,merged}
    if mount -t overlay overlay -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/merged" 2>/dev/null; then
        umount "$folder/merged"
    else
        echo "overlay mounts in $folder"
    fi
    rm -rf "$folder"
}

cgroups_lack() {
    local controller root=/sys/fs/cgroup
    [[ -f $root/cgroup.controllers ]] && return
    for controller in memory cpu cpuacct cpuset devices freezer pids; do
        if mkdir "$root/$controller/keelson-probe-$$" 2>/dev/null; then
            rmdir "$root/$controller/keelson-probe-$$"
        else
            echo "the control group $controller, writable"
        fi
    done
}

missing() {
    local entry
    if [[ $(id -u) -ne 0 ]]; then
        echo "root: containers need it"
        return
    fi
    for entry in containerd:containerd ctr:containerd containerd-shim-runc-v2:containerd runc:runc nft:nftables \
        ip:iproute2 nsenter:util-linux iptables:iptables conntrack:conntrack; do
        command -v "${entry%%:*}" >/dev/null || echo "the command ${entry%%:*} (Debian: ${entry##*:})"
    done
    cni_plugins >/dev/null || echo "the CNI plugins bridge, host-local, portmap and loopback (Debian: containernetworking-plugins)"
    command -v ip >/dev/null && command -v nft >/dev/null && command -v nsenter >/dev/null && kernel_lacks
    cgroups_lack
}

# Without that capability the runtime may not make a container less likely to be killed than it is itself.
may_lower_oom_score() {
    local effective
    effective=$(awk '/^CapEff:/ { print $2 }' /proc/self/status)
    (((16#$effective >> cap_sys_resource) & 1))
}

has_apparmor() { [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]]; }

# boolean COMMAND...: true or false, as TOML writes them.
boolean() { if "$@"; then echo true; else echo false; fi; }

write_config() {
    local dir=$1 plugins
    plugins=$(cni_plugins) || die "the CNI plugins are missing: $0 missing"
    cat >"$dir/config.toml" <<TOML
# Written by containerd.sh at every start.
version = 2
root = "$dir/root"
state = "$dir/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.restart"]

[grpc]
  address = "$dir/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/keelson/pause:1"
  disable_apparmor = $(boolean eval '! has_apparmor')
  restrict_oom_score_adj = $(boolean eval '! may_lower_oom_score')
  # The namespaces of pods lie below the state folder, not in /run/netns, which is the machine's.
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  tolerate_missing_hugetlb_controller = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$plugins"
    conf_dir = "$dir/cni"
    max_conf_num = 1

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "$dir/state/runc"

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$dir/certs.d"
TOML
}

# The pid in the pid file, if it is still this folder's containerd.
running_pid() {
    local pid
    pid=$(cat "$1/containerd.pid" 2>/dev/null) || return 1
    { tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qxF -- "$1/config.toml" || return 1
    echo "$pid"
}

start() {
    local dir=$1 namespace=${2:-} socket=$1/containerd.sock deadline prefix=()
    ((${#socket} <= socket_path_bytes)) || die "$socket is longer than the $socket_path_bytes bytes that a socket's path may have: use a shorter folder"
    running_pid "$dir" >/dev/null && return
    mkdir -p "$dir"/{cni,certs.d}
    write_config "$dir"
    # Not `ip netns exec`: that makes a mount namespace of its own, and pods' mounts would be seen by nobody else.
    [[ -z $namespace ]] || prefix=(nsenter --net="/run/netns/$namespace")
    # What containerd and its shims make below containers' roots is for the containers' users, whoever starts them here.
    (umask 022 && exec setsid "${prefix[@]}" containerd --config "$dir/config.toml") >>"$dir/containerd.log" 2>&1 </dev/null &
    echo $! >"$dir/containerd.pid"
    deadline=$((SECONDS + start_seconds))
    until ctr --address "$socket" version >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            tail -n 20 "$dir/containerd.log" >&2
            die "containerd does not answer after $start_seconds s; the last lines of $dir/containerd.log are above"
        fi
        sleep 0.05
    done
}

# Processes that outlive containerd: each shim names the socket of the containerd that it belongs to.
shim_pids() {
    local file words
    for file in /proc/[0-9]*/cmdline; do
        # A process may end while it is looked at.
        words=$({ tr '\0' '\n' <"$file"; } 2>/dev/null) || continue
        if grep -q 'containerd-shim' <<<"$words" && grep -qxF -- "$1/containerd.sock" <<<"$words"; then
            basename "$(dirname "$file")"
        fi
    done
}

# What ended without notice leaves outside of the folder: shims their sockets, CNI what it knew of pods' networks.
forget_outside() {
    local file socket
    for file in "$1"/state/io.containerd.runtime.v2.task/*/*/address; do
        socket=$(cat "$file" 2>/dev/null) || continue
        rm -f "${socket#unix://}"
    done
    while read -r file; do
        rm -f "$file"
    done < <(grep --recursive --files-with-matches --fixed-strings -- "$1/" /var/lib/cni/results 2>/dev/null)
}

kill_and_wait() {
    local pid deadline=$((SECONDS + stop_seconds))
    (($# > 0)) || return 0
    kill -KILL "$@" 2>/dev/null || true
    for pid in "$@"; do
        while [[ -e /proc/$pid && $(awk '{ print $3 }' "/proc/$pid/stat" 2>/dev/null) != Z ]]; do
            ((SECONDS < deadline)) || die "process $pid does not end"
            sleep 0.02
        done
    done
}

unmount_below() {
    local target
    # The deepest first. /proc/self/mounts writes spaces and the like as octal escapes.
    while read -r target; do
        umount --lazy "$(printf '%b' "$target")" 2>/dev/null || true
    done < <(awk -v dir="$1/" 'index($2, dir) == 1 { print $2 }' /proc/self/mounts | sort --reverse)
}

stop() {
    local dir=$1 pid containers
    if pid=$(running_pid "$dir"); then kill_and_wait "$pid"; fi
    # The first processes of the containers are the shims' children.
    mapfile -t shims < <(shim_pids "$dir")
    containers=()
    for pid in "${shims[@]}"; do
        mapfile -t -O "${#containers[@]}" containers < <(tr ' ' '\n' <"/proc/$pid/task/$pid/children" 2>/dev/null | grep . || true)
    done
    kill_and_wait "${shims[@]}" "${containers[@]}"
    forget_outside "$dir"
    unmount_below "$dir"
    rm -f "$dir/containerd.pid" "$dir/containerd.sock"
}

case ${1:-} in
    start) start "${2:?DIR}" "${3:-}" ;;
    stop) stop "${2:?DIR}" ;;
    missing) missing ;;
    *) die "usage: $0 start DIR [NETNS] | stop DIR | missing" ;;
esac
