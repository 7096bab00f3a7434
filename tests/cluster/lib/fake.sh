#!/usr/bin/env bash
# shellcheck disable=SC2034,SC2153,SC2154 # rooms of one script share names
# The cluster without kubelets: etcd, API server, controllers, scheduler and KWOK on 127.0.0.1, as any user. Nodes and pods are only
# objects there: good for scale, scheduling and autoscaling, never as proof that a container ran.

# Pods here have addresses of nobody: this machine refuses to connect to a multicast address, so nothing leaves it.
FAKE_PODS=239.0.0.1/8

fake() {
  WATCHED=$FAKE
  case ${1:-} in
    up) fake_up ;;
    down) fake_down ;;
    kubectl) fake_kubectl "${@:2}" ;;
    *) usage ;;
  esac
}
fake_kubectl() { "$BIN/kubectl" --kubeconfig "$FAKE/admin.kubeconfig" "$@"; }
# fake_spawn NAME CMD...: a service; its PID goes to log/NAME.outer
fake_spawn() {
  local name=$1
  shift
  setsid "$@" >"$FAKE/log/$name.log" 2>&1 </dev/null &
  echo $! >"$FAKE/log/$name.outer"
  disown
}
# ended PID: whether it has ended, its sockets closed: its program goes before them
ended() {
  local tasks=("/proc/$1/task/"*)
  [[ ! -e /proc/$1/stat ]] || { ((${#tasks[@]} == 1)) && [[ $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) == [ZX]* ]]; }
}
# fake_stop NAME...: end services, as far as their PIDs still are programs of ours
fake_stop() {
  local name pid file
  for name; do
    file=$FAKE/log/$name.outer
    [[ -s $file ]] || continue
    pid=$(<"$file")
    rm "$file"
    if [[ $(readlink "/proc/$pid/exe") == "$BIN"/* ]]; then
      kill -9 "$pid"
      wait_for 20 "the end of $name" ended "$pid"
    fi
  done
}

fake_up() {
  local port
  [[ -x $BIN/kwok ]] || die "the programs are not built: cluster tools"
  if [[ -e $FAKE/up ]] && ! ended_service >/dev/null; then
    say "the fake cluster '$NAME' is up already"
    return
  fi
  fake_down # what an interrupted start may have left
  for port in $(seq "$FAKE_PORT" $((FAKE_PORT + 7))); do
    ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || die "port $port of 127.0.0.1 is taken: set CLUSTER_FAKE_PORT to the first of eight free ones"
  done
  trap fake_failed EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  fake_start
  trap - EXIT INT TERM
  at "fake cluster up: $FAKE/admin.kubeconfig"
}
fake_failed() {
  trap - EXIT
  trap '' INT TERM
  keep_logs "$FAKE"
  fake_down
}
fake_start() {
  local p=$FAKE/pki port=$FAKE_PORT
  mkdir -p "$FAKE"/{log,etcd}
  fake_spawn etcd "$BIN/etcd" --data-dir "$FAKE/etcd" --{listen,advertise}-client-urls="http://127.0.0.1:$((port + 1))" \
    --listen-peer-urls "http://127.0.0.1:$((port + 2))" --unsafe-no-fsync --log-level warn
  pki "$FAKE" 127.0.0.1 "$port"
  fake_spawn apiserver "$BIN/kube-apiserver" --etcd-servers="http://127.0.0.1:$((port + 1))" --bind-address=127.0.0.1 --secure-port="$port" \
    --endpoint-reconciler-type=none --tls-cert-file="$p/apiserver.crt" --tls-private-key-file="$p/apiserver.key" --client-ca-file="$p/ca.crt" \
    --service-cluster-ip-range=10.97.0.0/16 --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$p/sa.pub" --service-account-signing-key-file="$p/sa.key" --authorization-mode=RBAC \
    --max-requests-inflight=2000 --max-mutating-requests-inflight=1000
  wait_for 90 "the API server" fake_kubectl get --raw /readyz --request-timeout=5s
  fake_spawn controller-manager "$BIN/kube-controller-manager" --{,authentication-,authorization-}kubeconfig="$FAKE/controller-manager.kubeconfig" \
    --bind-address=127.0.0.1 --secure-port=$((port + 3)) --root-ca-file="$p/ca.crt" --service-account-private-key-file="$p/sa.key" \
    --use-service-account-credentials=true --leader-elect=false --kube-api-qps=1000 --kube-api-burst=2000
  render fake-scheduler.yaml "$FAKE/scheduler.yaml"
  fake_spawn scheduler "$BIN/kube-scheduler" --config="$FAKE/scheduler.yaml" --{authentication,authorization}-kubeconfig="$FAKE/scheduler.kubeconfig" \
    --bind-address=127.0.0.1 --secure-port=$((port + 4))
  fake_spawn kwok "$BIN/kwok" --kubeconfig="$FAKE/admin.kubeconfig" --config="$HERE/etc/kwok-stages.yaml" --manage-all-nodes=true \
    --server-address="127.0.0.1:$((port + 5))" --node-lease-duration-seconds=40 --cidr="$FAKE_PODS"
  wait_for 60 "the default service account" fake_kubectl get serviceaccount default --request-timeout=5s
  touch "$FAKE/up"
}
fake_down() {
  fake_stop karpenter kwok scheduler controller-manager apiserver etcd
  rm -rf "$FAKE"
}

# Karpenter with its KWOK provider: pods without room become NodeClaims, those become Node objects that KWOK makes Ready; and back. On
# the real node KWOK minds only nodes annotated as fake: real pods there, fake ones beside them.
autoscaler() {
  local kubectl=fake_kubectl spawn=fake_spawn state=$FAKE
  case ${2:-} in '') WATCHED=$FAKE ;; node) kubectl=kubectl spawn=spawn state=$RUN ;; *) usage ;; esac
  [[ -e $state/up ]] || die "there is no cluster: cluster up, or cluster fake up"
  case ${1:-} in
    up)
      [[ -x $BIN/karpenter ]] || die "Karpenter is not built: cluster tools karpenter"
      [[ ! -e $state/log/karpenter.outer ]] || die "the autoscaler is up"
      $kubectl apply -f "$BIN/karpenter-crds" >/dev/null
      wait_for 30 "Karpenter's definitions" $kubectl wait --for=condition=Established crd --all --timeout=2s
      $kubectl apply -f "$HERE/manifests/karpenter.yaml" >/dev/null
      if [[ $state == "$RUN" ]]; then
        spawn kwok "$BIN/kwok" --kubeconfig="$RUN/admin.kubeconfig" --config="$HERE/etc/kwok-stages.yaml" --manage-all-nodes=false \
          --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake --server-address="127.0.0.1:$((FAKE_PORT + 5))" \
          --node-lease-duration-seconds=40
      fi
      KUBECONFIG=$state/admin.kubeconfig $spawn karpenter "$BIN/karpenter" --disable-leader-election=true \
        --metrics-port=$((FAKE_PORT + 6)) --health-probe-port=$((FAKE_PORT + 7)) --instance-types-file-path="$HERE/etc/instance-types.json"
      wait_for 60 "the node pool" $kubectl wait --for=condition=Ready nodepool/default --timeout=2s
      at "autoscaler up"
      ;;
    down) # the objects stay, and a node it made cannot be deleted (finalizer) until it runs again
      if [[ $state == "$FAKE" ]]; then fake_stop karpenter; else stop_service karpenter kwok; fi
      ;;
    *) usage ;;
  esac
}
