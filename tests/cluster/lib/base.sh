#!/usr/bin/env bash
# shellcheck disable=SC2034,SC2153,SC2154 # rooms of one script share names
# Where things lie, how to say what happens, how to wait.

CACHE=$(realpath -m "${XDG_CACHE_HOME:-$HOME/.cache}")/modelyard/cluster
BIN=$CACHE/bin       # programs, kept between runs
IMAGES=$CACHE/images # the add-ons' images, kept between runs
FAKE_PORT=${CLUSTER_FAKE_PORT:-26443}
ADDRESS=10.200.0.10 # the node's, in a network namespace of its own: it cannot collide with anything
SECOND_ADDRESS=10.200.0.11 # the second node's, where there is one

say() { echo "cluster: $*" >&2; }
die() {
  say "$*"
  exit 1
}
start_clock() { BEGAN=${EPOCHREALTIME/[.,]/}; }
start_clock
at() {
  local ms=$(((${EPOCHREALTIME/[.,]/} - BEGAN) / 1000))
  printf '[%4d.%03d s] %s\n' $((ms / 1000)) $((ms % 1000)) "$*" >&2
}

# Paths go into configuration files and cgroup names as they are.
[[ $CACHE =~ ^[A-Za-z0-9/._-]+$ ]] || die "the path $CACHE has characters other than letters, digits and / . _ -: set XDG_CACHE_HOME to another"
# called NAME: the cluster that is meant from here on
called() {
  NAME=$1
  RUN=$CACHE/run/$NAME       # its state; its logs are in log/
  FAKE=$CACHE/run/$NAME-fake # the same of the fake cluster
  WATCHED=$RUN               # where wait_for looks for services that have ended
  [[ $NAME =~ ^[a-zA-Z0-9][a-zA-Z0-9-]{0,30}$ ]] || die "CLUSTER_NAME is '$NAME': expected at most 31 letters, digits and dashes"
  # A socket's path has at most 107 bytes, and containerd appends a name to this one.
  [[ ${#RUN} -lt 80 ]] || die "the path $RUN is longer than 80 characters: set XDG_CACHE_HOME to a shorter one"
}
called "${MODELYARD_CLUSTER_INSIDE:-${CLUSTER_NAME:-modelyard}}"

# wait_for SECONDS WHAT COMMAND...: poll until the command succeeds. Ends at once when a service of the cluster has ended.
wait_for() {
  local limit=$1 end=$((SECONDS + $1)) what=$2 dead
  shift 2
  until "$@" >/dev/null 2>&1; do
    if dead=$(ended_service); then
      tail -n 5 "$WATCHED/log/$dead.log" | cut -c1-400 >&2
      die "$dead ended while this waited for $what; its last lines are above"
    fi
    ((SECONDS < end)) || die "$what did not come; gave up after ${limit} s (logs: $WATCHED/log)"
    sleep .1
  done
}
# hold_for SECONDS WHAT COMMAND...: poll for that long that the command keeps succeeding
hold_for() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  while ((SECONDS < end)); do
    "$@" >/dev/null 2>&1 || die "$what did not hold"
    sleep .5
  done
}
# The first service whose process is gone. A service has a PID inside the node and another one outside.
ended_service() {
  local file side=outer
  [[ -z ${MODELYARD_CLUSTER_INSIDE:-} ]] || side=pid
  for file in "$WATCHED"/log/*."$side"; do
    [[ -s $file ]] || continue
    [[ -e /proc/$(<"$file") ]] || { basename "$file" ".$side"; return; }
  done
  return 1
}

# render TEMPLATE TARGET: fill in what only this run knows. For the second node @NODE@, where a node keeps its state, its cgroup, its pods'
# addresses and its certificate are others.
render() {
  sed -e "s#@RUN@#$RUN#g; s#@FAKE@#$FAKE#g; s#@NAME@#$NAME#g; s#@SNAPSHOTTER@#${SNAPSHOTTER:-overlayfs}#g" \
    -e "s#@NODE@#${NODE:-$RUN}#g; s#@GROUP@#${GROUP:-/$NAME}#g; s#@PODS@#${PODS:-10.201.0.0/24}#g" \
    -e "s#@ADDRESS@#${NODE_ADDRESS:-$ADDRESS}#g; s#@KUBELET@#${KUBELET:-kubelet}#g" "$HERE/etc/$1" >"$2"
}
# keep_logs STATE: copy what explains a failure to where it outlives the cluster
keep_logs() {
  local to=$CACHE/failed/$NAME
  rm -rf "$to" && mkdir -p "$to"
  find "$CACHE/failed" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} + # a day later nobody asks
  cp -r "$1/log" "$to/" 2>/dev/null || true
  cp -r "$1/podlogs" "$to/" 2>/dev/null || true
  cp -r "$1/node2/podlogs" "$to/podlogs2" 2>/dev/null || true
  if [[ $1 == "$RUN" && -s $RUN/admin.kubeconfig ]] && holder >/dev/null; then
    export CLUSTER_NAME=$NAME
    timeout 10 "$HERE/cluster" kubectl get pods -A -o wide >"$to/pods.txt" 2>&1 || true
    timeout 10 "$HERE/cluster" kubectl get events -A --sort-by=.lastTimestamp >"$to/events.txt" 2>&1 || true
    timeout 10 "$HERE/cluster" kubectl describe pods -A >"$to/describe.txt" 2>&1 || true
  fi
  say "logs, pods and events are in $to"
}
