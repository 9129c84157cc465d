# Sourced by cluster.sh: one node on this machine, in a network namespace of its own, with a containerd of its own.
#
# It is joined to the machine by one link, keelson0, whose near end carries an address for each server, so that pods
# reach the servers as they would on other machines. Everything vanishes with the namespace.
#
# Needs from cluster.sh: $root $var $bin, say, die, start_process, stop_process, address.

readonly node=node-1
readonly node_namespace=keelson-node node_link=keelson0
readonly node_network=${KEELSON_NODE_NETWORK:-172.31.255}
readonly node_address=$node_network.10 node_gateway=$node_network.1
readonly pod_network=10.244.0.0/16 service_network=10.96.0.0/16 cluster_dns=10.96.0.10
readonly node_folder=$var/lib/$node containerd_folder=$var/lib/$node/containerd image_folder=$var/images
readonly node_cgroup=keelson-$node

containerd_of_node() { "$root/deploy/dev/containerd.sh" "$@"; }

# What this machine lacks for a node, a line each.
node_lacks() {
    containerd_of_node missing
    [[ -f $image_folder/busybox.tar ]] || command -v busybox >/dev/null || echo "the command busybox (Debian: busybox-static)"
}

in_node_namespace() { nsenter --net="/run/netns/$node_namespace" "$@"; }

# Another checkout's cluster, if one has a node on this machine: the link says whose it is. There can be one only.
other_cluster() {
    local owner
    owner=$(cat "/sys/class/net/$node_link/ifalias" 2>/dev/null) || return 1
    [[ -n $owner && $owner != "$root" ]] || return 1
    echo "$owner"
}

# A route of the machine's own is left alone; then that network is reached from within the node only.
route_to_node() {
    if [[ -n $(ip route show exact "$1") ]]; then
        ip route show exact "$1" | grep -q "dev $node_link" || say "this machine has a route to $1 already; leaving it"
        return
    fi
    ip route add "$1" via "$node_address" dev "$node_link"
}

node_network_up() {
    local server
    if [[ ! -e /run/netns/$node_namespace ]]; then
        ip netns add "$node_namespace"
        in_node_namespace ip link set lo up
    fi
    if [[ ! -e /sys/class/net/$node_link ]]; then
        ip link add "$node_link" type veth peer name eth0 netns "$node_namespace"
        ip link set "$node_link" alias "$root"
        ip address add "$node_gateway/24" dev "$node_link"
        for server in "${servers[@]}"; do ip address add "$(address "$server")/24" dev "$node_link"; done
        ip link set "$node_link" up
        in_node_namespace ip address add "$node_address/24" dev eth0
        in_node_namespace ip link set eth0 up
        in_node_namespace ip route add default via "$node_gateway"
    fi
    route_to_node "$pod_network"
    route_to_node "$service_network"
}

node_network_down() {
    # In this order: with the namespace its end of the link goes, and so does ours, a little later.
    if [[ -e /sys/class/net/$node_link ]]; then ip link delete "$node_link"; fi
    if [[ -e /run/netns/$node_namespace ]]; then ip netns delete "$node_namespace"; fi
}

server_urls() {
    local server urls=()
    for server in "${servers[@]}"; do urls+=("https://$(address "$server"):$api_port"); done
    joined , "${urls[@]}"
}

# A developer's disk may be nearly full and still have room enough for the node.
node_flags() {
    cat <<FLAGS
--name=$node
--node-ip=$node_address
--servers=$(server_urls)
--pki-dir=$var/pki
--data-dir=$node_folder
--container-runtime-endpoint=unix://$containerd_folder/containerd.sock
--cni-conf-dir=$containerd_folder/cni
--images-dir=$image_folder
--cgroup-root=/$node_cgroup
--eviction-hard=memory.available<100Mi,nodefs.available<1Gi
--cluster-cidr=$pod_network
--service-cidr=$service_network
--cluster-dns=$cluster_dns
FLAGS
}

node_up() {
    local flags
    "$root/deploy/images/build.sh" "$image_folder"
    node_network_up
    mkdir -p "$containerd_folder"
    containerd_of_node start "$containerd_folder" "$node_namespace"
    mapfile -t flags < <(node_flags)
    start_process "$node" "$node_address" nsenter --net="/run/netns/$node_namespace" "$bin" node "${flags[@]}"
}

# Removes the control groups of the node's pods, on hosts of both versions, after what is left in them has ended.
remove_node_cgroups() {
    local base folder pids
    for base in /sys/fs/cgroup /sys/fs/cgroup/*; do
        [[ -d $base/$node_cgroup ]] || continue
        mapfile -t pids < <(find "$base/$node_cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null)
        ((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" 2>/dev/null || true
        for folder in $(find "$base/$node_cgroup" -depth -type d); do
            for ((try = 0; try < 100; try++)); do
                rmdir "$folder" 2>/dev/null && break
                sleep 0.02
            done
        done
    done
}

unmount_node_volumes() {
    local target
    while read -r target; do
        umount --lazy "$(printf '%b' "$target")" 2>/dev/null || true
    done < <(awk -v dir="$node_folder/" 'index($2, dir) == 1 { print $2 }' /proc/self/mounts | sort --reverse)
}

# Also after a `kill -9` of everything, and when there is nothing to stop.
node_down() {
    stop_process "$node"
    [[ $(id -u) -eq 0 ]] || return 0
    if [[ -d $containerd_folder ]]; then containerd_of_node stop "$containerd_folder"; fi
    unmount_node_volumes
    # The control group and the network have the same names in every checkout.
    if other_cluster >/dev/null; then return; fi
    remove_node_cgroups
    node_network_down
}
