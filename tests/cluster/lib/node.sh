#!/usr/bin/env bash
# shellcheck disable=SC2034,SC2153,SC2154 # rooms of one script share names
# The real node: one network, mount and PID namespace that hold etcd, the control plane, containerd, the kubelet and every
# container. None of them has a name outside, so there is nothing to collide with and nothing to forget.

# The PID, as seen here, of the node's PID 1: the child of the unshare process whose PID is on file, if that still is ours.
holder() {
  local unshare child
  [[ -s $RUN/unshare ]] && unshare=$(<"$RUN/unshare") && grep -qszxF "$RUN" "/proc/$unshare/cmdline" &&
    child=$(tr -d ' ' <"/proc/$unshare/task/$unshare/children") && [[ $child ]] && echo "$child"
}
# The way into the node, as words before a command: none when this runs inside.
entrance() {
  local node
  ENTRANCE=()
  [[ ${MODELYARD_CLUSTER_INSIDE:-} != "$NAME" ]] || return 0
  node=$(holder) || die "the cluster '$NAME' is not up"
  ENTRANCE=(nsenter -t "$node" --net --mount --pid --wdns="$PWD" --)
}
# become CMD...: turn this shell into a command inside the node, with what people and tests need
become() {
  entrance
  # A shell that starts this in the background ignores Ctrl-C for it.
  exec "${ENTRANCE[@]}" env --default-signal=INT,QUIT KUBECONFIG="$RUN/admin.kubeconfig" PATH="$BIN:$HERE:$PATH" MODELYARD_CLUSTER_INSIDE="$NAME" \
    CRI_CONFIG_FILE="$RUN/crictl.yaml" \
    HELM_CACHE_HOME="$RUN/helm" HELM_CONFIG_HOME="$RUN/helm" HELM_DATA_HOME="$RUN/helm" "$@"
}
run() {
  [[ $# -gt 0 ]] || usage
  (become "$@")
}
kubectl() { run kubectl "$@"; }
node_ctr() { run ctr -a "${NODE:-$RUN}/containerd.sock" -n k8s.io "$@"; }
load() {
  local archive node
  for node in "$RUN" "$RUN/node2"; do
    [[ -S $node/containerd.sock ]] || continue
    for archive; do
      [[ -f $archive ]] || die "no image archive at $archive"
      NODE=$node node_ctr images import "$(realpath "$archive")" >/dev/null || die "containerd refuses $archive"
    done
  done
}
# spawn NAME CMD...: a service of the node, in a session of its own so that Ctrl-C does not reach it. log/NAME.outer is its PID as
# seen from here, log/NAME.pid the one inside the node, log/NAME.command what it was started with.
spawn() {
  local name=$1
  shift
  rm -f "$RUN/log/$name".{pid,outer}
  printf '%s\0' "$@" >"$RUN/log/$name.command"
  entrance
  # shellcheck disable=SC2016 # for the inner shell
  setsid "${ENTRANCE[@]}" sh -c 'echo $$ >"$0"; exec "$@"' "$RUN/log/$name.pid" "$@" >>"$RUN/log/$name.log" 2>&1 </dev/null &
  [[ ${MODELYARD_CLUSTER_INSIDE:-} ]] || echo $! >"$RUN/log/$name.outer"
  disown
}
# stop_service NAME...: end services that `spawn` started. The API server would wait a minute for its watches: who does not end soon is killed.
stop_service() {
  local name pid
  for name; do
    [[ -s $RUN/log/$name.pid ]] || continue
    pid=$(<"$RUN/log/$name.pid")
    rm -f "$RUN/log/$name.outer"
    run sh -c "kill $pid 2>/dev/null; for _ in 1 2 3 4 5 6 7 8 9 10; do test -e /proc/$pid || exit 0; sleep .5; done; kill -9 $pid 2>/dev/null || true"
    wait_for 20 "the end of $name" run test ! -e "/proc/$pid"
    rm -f "$RUN/log/$name.pid"
  done
}
# start_service NAME...: start services again that were stopped or killed, as they were
start_service() {
  local name words
  for name; do
    [[ -s $RUN/log/$name.command ]] || die "there is no service '$name'"
    if [[ -s $RUN/log/$name.pid ]] && run test -e "/proc/$(<"$RUN/log/$name.pid")"; then die "$name runs"; fi
    mapfile -d '' -t words <"$RUN/log/$name.command"
    spawn "$name" "${words[@]}"
    wait_for 10 "$name" test -s "$RUN/log/$name.pid"
    case $name in # a kubelet that finds none ends
      containerd) wait_for 30 containerd node_ctr version ;;
      containerd2) NODE=$RUN/node2 wait_for 30 "the second containerd" node_ctr version ;;
    esac
  done
}
cgroup_roots() { awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/mounts; }

# overlayfs cannot lie on itself, as in a container whose files are an overlay; plain copies do then.
snapshotter() {
  local probe=$RUN/probe
  mkdir -p "$probe"/{lower,upper,work,merged}
  if unshare --mount mount -t overlay overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" "$probe/merged" 2>/dev/null
  then echo overlayfs; else echo native; fi
  rm -rf "$probe"
}

# Network: a veth pair with both ends inside carries the node's address; the default route, which the API server wants, is a dead end.
# Files: the kubelet writes three sysctls that hold for the whole machine, so look-alike files stand in; shims, CNI and device plugins use
# fixed paths in /run and /var/lib, so private tmpfs lie there.
namespaces() {
  local group controller leash=()
  for group in $(cgroup_roots); do
    if [[ -s $group/cgroup.controllers ]]; then # version 2 hands down only what is switched on
      for controller in $(<"$group/cgroup.controllers"); do echo "+$controller" >"$group/cgroup.subtree_control" 2>/dev/null || true; done
    fi
    mkdir -p "$group/$NAME" # the kubelet's cgroupRoot: nothing outside is touched
  done
  mkdir -p "$RUN/proc" /var/lib/cni /var/lib/kubelet
  echo 1 >"$RUN/proc/one"
  echo 10 >"$RUN/proc/ten"
  [[ -z ${LEASHED:-} ]] || leash=(setpriv --pdeathsig KILL) # ends with this shell, however that ends
  # shellcheck disable=SC2016 # for the inner shell
  setsid "${leash[@]}" unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc sh -euc '
    ip link set lo up
    ip link add node0 type veth peer name node0p
    ip addr add "$2/24" dev node0
    ip link set node0 up
    ip link set node0p up
    ip route add default dev node0
    echo 1 >/proc/sys/net/ipv4/ip_forward
    nft list ruleset
    mount --make-rshared /
    for d in /run /var/lib/cni /var/lib/kubelet; do mount -t tmpfs -o mode=755 modelyard $d; done
    mount --bind "$0/proc/one" /proc/sys/vm/overcommit_memory
    mount --bind "$0/proc/ten" /proc/sys/kernel/panic
    mount --bind "$0/proc/one" /proc/sys/kernel/panic_on_oops
    touch "$0/ready"
    exec "$1"' "$RUN" "$IMAGES/pause" "$ADDRESS" >"$RUN/log/namespaces.log" 2>&1 </dev/null &
  echo $! >"$RUN/unshare"
  cp "$RUN/unshare" "$RUN/log/namespaces.outer"
  disown
  wait_for 10 "the namespaces" test -e "$RUN/ready"
  stat -Lc %i "/proc/$(holder)/ns/net" >"$RUN/netns"
}

is_up() { [[ -e $RUN/up ]] && holder >/dev/null; }

# start [--metrics]: from nothing to a node that takes pods
start() {
  local p=$RUN/pki extra config
  [[ -x $BIN/kubelet && -x $IMAGES/pause ]] || die "the programs are not built: cluster tools"
  down # what an interrupted start may have left
  mkdir -p "$RUN"/{log,cni,etcd,kubelet,helm}
  owner_of $$ >"$RUN/owner"
  SNAPSHOTTER=${CLUSTER_SNAPSHOTTER:-$(snapshotter)}
  namespaces
  for config in containerd.toml kubelet.yaml kube-proxy.yaml; do render $config "$RUN/$config"; done
  render pods.conflist "$RUN/cni/10-pods.conflist"
  printf '%s-endpoint: unix://%s/containerd.sock\n' runtime "$RUN" image "$RUN" >"$RUN/crictl.yaml"
  spawn containerd containerd -c "$RUN/containerd.toml"
  spawn etcd "$BIN/etcd" --data-dir "$RUN/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync --log-level warn
  pki "$RUN" "$ADDRESS" 6443
  read -ra extra <<<"${CLUSTER_APISERVER_ARGS:-}"
  spawn apiserver "$BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --advertise-address="$ADDRESS" \
    --secure-port=6443 --tls-cert-file="$p/apiserver.crt" --tls-private-key-file="$p/apiserver.key" --client-ca-file="$p/ca.crt" \
    --kubelet-client-certificate="$p/apiserver-kubelet-client.crt" --kubelet-client-key="$p/apiserver-kubelet-client.key" \
    --kubelet-certificate-authority="$p/ca.crt" --kubelet-preferred-address-types=InternalIP,Hostname \
    --service-cluster-ip-range=10.96.0.0/16 --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$p/sa.pub" --service-account-signing-key-file="$p/sa.key" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --requestheader-client-ca-file="$p/front-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User --proxy-client-cert-file="$p/front-proxy-client.crt" \
    --proxy-client-key-file="$p/front-proxy-client.key" --enable-aggregator-routing=true "${extra[@]}"
  wait_for 30 containerd node_ctr version
  load "$IMAGES"/*.tar
  wait_for 90 "the API server" kubectl get --raw /readyz --request-timeout=5s
  at "API server ready"
  read -ra extra <<<"${CLUSTER_CONTROLLER_ARGS:-}"
  # At the default rate of 20 requests a second the first service account comes 5 s later.
  spawn controller-manager "$BIN/kube-controller-manager" --{,authentication-,authorization-}kubeconfig="$RUN/controller-manager.kubeconfig" \
    --bind-address=127.0.0.1 --root-ca-file="$p/ca.crt" --service-account-private-key-file="$p/sa.key" --use-service-account-credentials=true \
    --cluster-signing-cert-file="$p/ca.crt" --cluster-signing-key-file="$p/ca.key" --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000 \
    --horizontal-pod-autoscaler-sync-period=5s --horizontal-pod-autoscaler-initial-readiness-delay=1s "${extra[@]}"
  spawn scheduler "$BIN/kube-scheduler" --{,authentication-,authorization-}kubeconfig="$RUN/scheduler.kubeconfig" --bind-address=127.0.0.1 \
    --leader-elect=false
  spawn kubelet "$BIN/kubelet" --config="$RUN/kubelet.yaml" --kubeconfig="$RUN/kubelet.kubeconfig" --hostname-override=node1 \
    --node-ip="$ADDRESS" --root-dir="$RUN/kubelet" --cert-dir="$RUN/kubelet/pki"
  spawn kube-proxy "$BIN/kube-proxy" --config="$RUN/kube-proxy.yaml"
  wait_for 60 "the node" kubectl wait --for=condition=Ready node/node1 --timeout=2s
  wait_for 30 "the default service account" kubectl get serviceaccount default --request-timeout=5s # pods are refused before
  at "node ready"
  [[ -z ${TWO_NODES:-} ]] || second_node
  kubectl apply -f "$HERE/manifests/coredns.yaml" >/dev/null
  [[ ${1:-} != --metrics ]] || kubectl apply -f "$HERE/manifests/metrics-server.yaml" >/dev/null
  wait_for 60 CoreDNS kubectl -n kube-system rollout status deployment/coredns --timeout=2s
  at "CoreDNS ready"
  if [[ ${1:-} == --metrics ]]; then
    wait_for 60 "the metrics server" kubectl -n kube-system rollout status deployment/metrics-server --timeout=2s
    at "metrics server ready"
  fi
  touch "$RUN/up"
}

# A second kubelet with a containerd of its own beside the first, in the same namespaces: a node to Kubernetes, though not to the machine.
# It can be drained, stopped and lost while the first and the control plane go on.
second_node() {
  local NODE=$RUN/node2 GROUP=/$NAME/node2 PODS=10.201.1.0/24 NODE_ADDRESS=$SECOND_ADDRESS KUBELET=kubelet2 group config
  mkdir -p "$NODE"/{cni,kubelet}
  for group in $(cgroup_roots); do mkdir -p "$group$GROUP"; done
  run ip addr add "$SECOND_ADDRESS/24" dev node0
  for config in containerd.toml kubelet.yaml; do render $config "$NODE/$config"; done
  render pods.conflist "$NODE/cni/10-pods.conflist"
  spawn containerd2 containerd -c "$NODE/containerd.toml"
  wait_for 30 "the second containerd" node_ctr version
  load "$IMAGES"/*.tar
  spawn kubelet2 "$BIN/kubelet" --config="$NODE/kubelet.yaml" --kubeconfig="$RUN/kubelet2.kubeconfig" --hostname-override=node2 \
    --node-ip="$SECOND_ADDRESS" --root-dir="$NODE/kubelet" --cert-dir="$NODE/kubelet/pki"
  wait_for 60 "the second node" kubectl wait --for=condition=Ready node/node2 --timeout=2s
  at "second node ready"
}

cluster_up() {
  local metrics='' keep='' option problem
  for option; do
    case $option in --metrics) metrics=$option ;; --two-nodes) TWO_NODES=1 ;; --keep) keep=1 ;; *) usage ;; esac
  done
  problem=$(obstacle)
  [[ -z $problem ]] || die "no cluster can run here: $problem"
  if is_up; then
    say "the cluster '$NAME' is up already"
    return
  fi
  # shellcheck disable=SC2064 # the option as it is now
  trap "start_failed '$keep'" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  start "$metrics"
  trap - EXIT INT TERM
  say "up. Try: $HERE/cluster kubectl get pods -A; end it with: $HERE/cluster down"
}
start_failed() {
  trap - EXIT
  trap '' INT TERM
  keep_logs "$RUN"
  if [[ $1 ]]; then say "left half up, as --keep asks"; else down; fi
}

# PID 1 of the node's PID namespace ends, and the kernel ends everything inside with it; the other namespaces go the same way.
down() {
  local node unshare outer process group mount _
  [[ -z ${MODELYARD_CLUSTER_INSIDE:-} ]] || die "a cluster is taken down from outside"
  [[ -e $RUN ]] || return 0
  if node=$(holder); then
    unshare=$(<"$RUN/unshare")
    [[ ! /proc/$node/ns/pid -ef /proc/self/ns/pid ]] || die "process $node is not in a namespace of its own: not killed"
    kill -9 "$node"
    for outer in "$RUN"/log/*.outer; do # nsenter stops itself with a service that is stopped, and then never sees it end
      [[ ! -s $outer ]] || kill -CONT "$(<"$outer")" 2>/dev/null || true
    done
    rm -f "$RUN"/log/*.outer # these end now, as they should
    wait_for 30 "the end of the node's processes" test ! -e "/proc/$node/ns/net" -a ! -e "/proc/$unshare/ns/net"
  fi
  # Who waits outside for a service that was stopped is stopped with it, and has to see that it has ended.
  for process in $(node_processes); do kill -CONT "$process" 2>/dev/null || true; done
  for _ in {1..50}; do [[ $(node_processes) ]] || break; sleep .1; done
  for group in $(cgroup_roots); do
    for _ in {1..100}; do # groups empty a little after their processes have ended
      [[ -d $group/$NAME ]] || break
      find "$group/$NAME" -depth -type d -exec rmdir {} + 2>/dev/null || sleep .1
    done
  done
  while read -r mount; do umount -l "$mount"; done < <(awk -v r="$RUN/" 'index($2, r) == 1 {print $2}' /proc/mounts | sort -r)
  nothing_left
  rm -rf --one-file-system "$RUN"
}
# The processes in the node's network namespace.
node_processes() {
  [[ -s $RUN/netns ]] || return 0
  find /proc/[0-9]*/ns/net -maxdepth 0 -lname "net:\[$(<"$RUN/netns")\]" 2>/dev/null | cut -d/ -f3 || true
}
# no process in the node's network namespace (so that is gone too), no mount, no cgroup
nothing_left() {
  local group left
  left=$(node_processes)
  [[ -z $left ]] || die "processes of the node are left: $(tr '\n' ' ' <<<"$left")"
  ! grep -F " $RUN/" /proc/mounts >&2 || die "mounts of the node are left"
  for group in $(cgroup_roots); do [[ ! -e $group/$NAME ]] || die "a cgroup of the node is left: $group/$NAME"; done
}

# Who may need a cluster: a process, told from a later one of the same number by when it started and in which PID namespace.
owner_of() {
  [[ -e /proc/$1/stat ]] && echo "$(readlink /proc/self/ns/pid) $1 $(sed 's/.*) //' "/proc/$1/stat" | awk '{print $20}')"
}
# Take down what runs of with-cluster that were killed have left.
sweep() {
  local state owner
  for state in "$CACHE"/run/test-*; do
    [[ -s $state/owner ]] || continue
    owner=$(<"$state/owner")
    [[ ${owner%% *} == "$(readlink /proc/self/ns/pid)" ]] || continue # of another container that shares the cache
    [[ $(owner_of "$(cut -d' ' -f2 <<<"$owner")") != "$owner" ]] || continue
    say "taking down $(basename "$state"), whose owner is gone"
    (called "$(basename "$state")" && down && rm -rf "$FAKE")
  done
}

status() {
  local state name
  shopt -s nullglob
  for state in "$CACHE"/run/*; do
    name=$(basename "$state")
    if [[ $name == *-fake ]]; then
      echo "$name: $([[ -e $state/up ]] && echo up || echo half up); kubeconfig $state/admin.kubeconfig; logs $state/log"
    else
      echo "$name: $(RUN=$state && is_up && echo up || echo half up); logs $state/log"
    fi
  done
  [[ -e $CACHE/run ]] && [[ $(ls "$CACHE/run") ]] || echo "nothing is up"
}
