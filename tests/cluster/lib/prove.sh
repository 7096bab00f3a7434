#!/usr/bin/env bash
# shellcheck disable=SC2034,SC2153,SC2154 # rooms of one script share names
# `cluster prove`: from nothing to nothing, with times. A failure keeps the logs and takes the cluster down.

prove() {
  local problem
  case ${1:-} in
    '')
      problem=$(obstacle)
      [[ -z $problem ]] || die "no cluster can run here: $problem"
      ! is_up || die "the cluster '$NAME' is up: this wants to start it itself; cluster down, or another CLUSTER_NAME"
      tools
      trap 'start_failed ""' EXIT
      trap 'exit 130' INT
      trap 'exit 143' TERM
      prove_node
      ;;
    autoscaler)
      WATCHED=$FAKE
      tools karpenter
      fake_down
      prove_autoscaler
      ;;
    *) usage ;;
  esac
}

prove_node() {
  local answer pause
  start_clock
  start --metrics
  kubectl apply -f "$HERE/manifests/web.yaml" >/dev/null
  wait_for 60 "two web pods" kubectl rollout status deployment/web --timeout=2s
  at "web: 2 ready"
  wait_for 30 "the box pod" kubectl wait --for=condition=Ready pod/box --timeout=2s
  answer=$(kubectl exec box -- ask get web.default.svc.cluster.local 80 / 2>/dev/null)
  [[ $answer == "hello from web-"* ]] || die "no answer through the Service: $answer"
  at "the Service answers a pod by name: $answer"
  [[ $(kubectl exec box -- ask dns web) == 10.96.* ]] || die "DNS does not know the Service"
  wait_for 10 "an answer of every web pod" both_answer
  at "both web pods answer through the Service"
  kubectl exec box -- ask dns nowhere.example.com >/dev/null 2>&1 && die "a name outside the cluster resolved"
  at "a name outside is refused at once"
  wait_for 90 "a metric for the autoscaler" kubectl wait --for=condition=ScalingActive hpa/web --timeout=2s
  at "HorizontalPodAutoscaler has a metric"
  kubectl exec box -- ask get web 80 /burn/60 >/dev/null 2>&1 # one pod is busy: 200m of the 50m it asked for
  wait_for 90 "three web pods" kubectl wait --for=jsonpath='{.status.readyReplicas}'=3 deployment/web --timeout=2s
  at "HorizontalPodAutoscaler scaled to 3"
  run helm version --short >/dev/null && run crictl ps >/dev/null
  at "memory of the node's services: $(services_memory) MiB (Pss)"
  pause=$(holder)
  trap - EXIT INT TERM
  start_clock
  down
  [[ ! -e /proc/$pause && ! -e $RUN ]] || die "something is left"
  at "down, nothing left"
}
both_answer() { [[ $(for _ in {1..10}; do kubectl exec box -- ask get web 80 /; done | sort -u | wc -l) == 2 ]]; }
services_memory() {
  local file kib=0 n
  for file in "$RUN"/log/*.pid; do
    n=$(run awk '$1 == "Pss:" {print $2}' "/proc/$(<"$file")/smaps_rollup")
    kib=$((kib + n))
  done
  echo $((kib / 1024))
}

# Karpenter on the fake cluster, both ways, and what it must leave alone.
prove_autoscaler() {
  local pods guard name
  start_clock
  fake_up
  trap fake_failed EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  autoscaler up
  fake_kubectl apply -f "$HERE/manifests/fake-node.yaml" -f "$HERE/manifests/autoscaler-demo.yaml" >/dev/null
  wait_for 30 "the base node" fake_kubectl wait --for=condition=Ready node/base --timeout=2s

  scale load 40
  wait_for 20 "an unschedulable pod" unschedulable
  at "40 pods of one CPU, a base node of 16: some find no room"
  wait_for 60 "a NodeClaim" some_claims
  wait_for 60 "every NodeClaim" fake_kubectl wait --for=condition=Ready nodeclaim --all --timeout=2s
  at "NodeClaims ready: $(claims)"
  wait_for 60 "40 pods" ready load 40
  at "all 40 run"
  scale load 2
  wait_for 120 "consolidation" claims_are 0
  wait_for 30 "two pods" ready load 2
  at "scaled to 2: the base node alone is left"

  scale gpu 1
  wait_for 60 "the pod of 8 GPUs" ready gpu 1
  at "a pod of 8 GPUs runs on $(claims)"
  scale gpu 0
  wait_for 120 "the end of the GPU node" claims_are 0
  at "the GPU node is gone"

  fake_kubectl cordon base >/dev/null
  for guard in guard-free guard-pdb guard-annotated; do
    scale $guard 1
    wait_for 60 "$guard" ready $guard 1
  done
  at "base cordoned: three guards on $(claims)"
  start_clock
  fake_kubectl uncordon base >/dev/null
  wait_for 120 "the end of the unprotected node" claims_are 2
  wait_for 30 "the unprotected pod" ready guard-free 1
  at "base open again: the unprotected node is gone"
  pods=$(protected)
  [[ $pods ]] || die "no protected pod runs"
  hold_for 40 "the protection of two pods" undisturbed "$pods"
  at "40 s later the protected ones stand. Karpenter says:"
  fake_kubectl get events -o jsonpath='{range .items[?(@.reason=="DisruptionBlocked")]}{.involvedObject.kind}{": "}{.message}{"\n"}{end}' | sort -u
  start_clock
  fake_kubectl delete pdb guard-pdb >/dev/null
  wait_for 120 "the end of the node behind the budget" claims_are 1
  at "PodDisruptionBudget deleted: its node is gone"
  start_clock
  fake_kubectl annotate pod -l app=guard-annotated karpenter.sh/do-not-disrupt- >/dev/null
  wait_for 120 "the end of the annotated pod's node" claims_are 0
  at "annotation removed: its node is gone"
  for name in karpenter kwok apiserver etcd controller-manager scheduler; do
    awk -v n=$name '$1 == "Pss:" {print "  Pss " n ": " int($2 / 1024) " MiB"}' "/proc/$(<"$FAKE/log/$name.outer")/smaps_rollup" >&2
  done
  trap - EXIT INT TERM
  fake_down
  at "down"
}
scale() {
  start_clock
  fake_kubectl scale "deployment/$1" --replicas="$2" >/dev/null
}
ready() {
  fake_kubectl rollout status "deployment/$1" --timeout=2s >/dev/null &&
    [[ $(fake_kubectl get deployment "$1" -o jsonpath='{.status.readyReplicas}') == "$2" ]]
}
protected() { fake_kubectl get pods -l 'app in (guard-pdb,guard-annotated)' --field-selector status.phase=Running -o name; }
undisturbed() { [[ $(protected) == "$1" ]] && claims_are 2; }
unschedulable() { [[ $(fake_kubectl get pods -o jsonpath='{.items[*].status.conditions[*].reason}') == *Unschedulable* ]]; }
claims() { fake_kubectl get nodeclaims -o jsonpath='{.items[*].metadata.labels.node\.kubernetes\.io/instance-type}'; }
some_claims() { [[ $(claims) ]]; }
claims_are() { [[ $(claims | wc -w) == "$1" && $(fake_kubectl get nodes -o name | wc -l) == $(($1 + 1)) ]]; }
