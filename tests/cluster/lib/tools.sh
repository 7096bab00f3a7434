#!/usr/bin/env bash
# shellcheck disable=SC2034,SC2153,SC2154 # rooms of one script share names
# What must be on the machine: Debian packages, Go programs, images; and whether the machine can run a cluster at all.

# PACKAGE and a command or file of it, one a line
needs() {
  cat <<'N'
containerd containerd
containerd ctr
runc runc
containernetworking-plugins /usr/lib/cni/ptp
containernetworking-plugins /usr/lib/cni/portmap
iptables iptables
nftables nft
conntrack conntrack
iproute2 ip
util-linux nsenter
util-linux setpriv
openssl openssl
gcc gcc
musl-tools musl-gcc
busybox-static busybox
python3 python3
ca-certificates /etc/ssl/certs/ca-certificates.crt
N
}
missing_packages() {
  local package thing
  while read -r package thing; do
    if [[ $thing == /* ]]; then [[ -e $thing ]]; else command -v "$thing" >/dev/null; fi || echo "$package"
  done < <(needs) | sort -u
}
packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
    die "please install ${missing[*]} (on Debian or Ubuntu: apt-get install ${missing[*]})"
  fi
  say "installing ${missing[*]} with apt-get (about half a minute)"
  apt-get -o DPkg::Lock::Timeout=120 update -qq
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

sum_of() { (cd "$HERE" && sha256sum "$@" | sha256sum | cut -c1-64); } # of contents and relative names
is_stamped() { [[ -e $1 && $(<"$1") == "$2" ]]; }
programs_sum() { sum_of go.mod go.sum hyper/main.go dns/main.go; }
karpenter_sum() { sum_of karpenter/go.mod karpenter/go.sum; }
images_sum() {
  sum_of ../../tools/image img/pause.c img/web.c img/ask.c
  programs_sum
}
go_environment() {
  # Without cgo and with one set of tags for everything: a package that two programs want differently is compiled twice.
  export CGO_ENABLED=0 GOFLAGS="-mod=readonly -buildvcs=false -modcacherw"
  export GOCACHE=${GOCACHE:-$CACHE/go-build} GOMODCACHE=${GOMODCACHE:-$CACHE/go-mod}
}
# go_problem FOLDER: why its module cannot be built; nothing if it can
go_problem() {
  local want have
  want=$(awk '$1 == "go" {print $2; exit}' "$1/go.mod")
  command -v go >/dev/null || { echo "Go is not installed ($want or newer is needed)"; return; }
  have=$(cd "$1" && GOFLAGS='' go version 2>&1) || { echo "Go $want or newer is needed: $have"; return; }
  have=$(sed -n 's/.* go\([0-9.]*\).*/\1/p' <<<"$have")
  [[ $(printf '%s\n' "$want" "$have" | sort -V | head -n1) == "$want" ]] || echo "Go $want or newer is needed, found $have"
}

tools() {
  [[ -z ${MODELYARD_CLUSTER_INSIDE:-} ]] || die "tools are made outside the node"
  case ${1:-} in '' | karpenter) ;; *) usage ;; esac
  packages
  mkdir -p "$CACHE"
  ! current "${1:-}" || return 0
  (
    flock -n 9 || { say "waiting for another build in $CACHE to end"; flock 9; }
    programs
    images
    [[ ${1:-} != karpenter ]] || karpenter
  ) 9>"$CACHE/lock"
}

current() {
  is_stamped "$BIN/.stamp" "$(programs_sum)" && is_stamped "$IMAGES/.stamp" "$(images_sum)" &&
    { [[ -z $1 ]] || is_stamped "$BIN/.stamp-karpenter" "$(karpenter_sum)"; }
}

# Everything that shares Kubernetes' modules, in one build.
programs() {
  local sum problem version minor package flags="-s -w" name
  sum=$(programs_sum)
  ! is_stamped "$BIN/.stamp" "$sum" || return 0
  problem=$(go_problem "$HERE")
  [[ -z $problem ]] || die "$problem"
  say "building Kubernetes and its tools in $CACHE: 7 to 15 minutes on two cores and 6 GB the first time, seconds after that"
  go_environment
  mkdir -p "$BIN"
  version=$(awk '$1 == "k8s.io/kubernetes" {print $2; exit}' "$HERE/go.mod")
  minor=${version#v*.} minor=${minor%%.*}
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do # kubectl, Helm and clients read these
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
    flags+=" -X $package.gitCommit=module -X $package.buildDate=2026-01-01T00:00:00Z"
  done
  (cd "$HERE" && go build -trimpath -tags selinux,notest,grpcnotrace -ldflags "$flags" -o "$BIN/" ./hyper ./dns \
    helm.sh/helm/v4/cmd/helm sigs.k8s.io/cri-tools/cmd/crictl sigs.k8s.io/kwok/cmd/kwok sigs.k8s.io/metrics-server/cmd/metrics-server)
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do ln -sf hyper "$BIN/$name"; done
  echo "$sum" >"$BIN/.stamp"
  at "built in $BIN"
}

# Karpenter raises many of Kubernetes' modules, so it has a module of its own. Its CRDs lie among its sources.
karpenter() {
  local sum problem sources
  sum=$(karpenter_sum)
  ! is_stamped "$BIN/.stamp-karpenter" "$sum" || return 0
  problem=$(go_problem "$HERE/karpenter")
  [[ -z $problem ]] || die "$problem"
  say "building Karpenter: 2 to 3 minutes the first time"
  go_environment
  (cd "$HERE/karpenter" && go build -trimpath -ldflags "-s -w" -o "$BIN/karpenter" sigs.k8s.io/karpenter/kwok)
  sources=$(cd "$HERE/karpenter" && go list -m -f '{{.Dir}}' sigs.k8s.io/karpenter)
  mkdir -p "$BIN/karpenter-crds"
  cp -f "$sources"/pkg/apis/crds/*.yaml "$sources"/kwok/apis/crds/*.yaml "$BIN/karpenter-crds/"
  echo "$sum" >"$BIN/.stamp-karpenter"
  at "Karpenter built in $BIN"
}

# image NAME ENTRYPOINT FILE=PATH...: write IMAGES/NAME.tar, an image named local.test/NAME:1
image() {
  local name=$1 entrypoint=$2 file files=()
  shift 2
  for file; do files+=(--file "$file"); done
  "$HERE/../../tools/image" --name "local.test/$name:1" --entrypoint "$entrypoint" --output "$IMAGES/$name.tar" "${files[@]}" >/dev/null
}
images() {
  local sum program busybox
  sum=$(images_sum)
  ! is_stamped "$IMAGES/.stamp" "$sum" || return 0
  rm -rf "$IMAGES" && mkdir -p "$IMAGES"
  for program in pause web ask; do musl-gcc -std=c11 -Os -static -s -Wall -Wextra -o "$IMAGES/$program" "$HERE/img/$program.c"; done
  busybox=$(command -v busybox)
  image pause /pause "$IMAGES/pause=/pause"
  image web /web "$IMAGES/web=/web"
  image box "/bin/busybox sh" "$busybox=/bin/busybox" "$busybox=/bin/sh" "$IMAGES/ask=/bin/ask"
  image coredns /coredns "$BIN/dns=/coredns"
  image metrics-server /metrics-server "$BIN/metrics-server=/metrics-server"
  echo "$sum" >"$IMAGES/.stamp"
  at "images in $IMAGES"
}

# Why this machine cannot run the real node, in one line; nothing if it can. What `tools` installs does not count as missing.
obstacle() {
  local missing group problem
  [[ $(uname -s) == Linux ]] || { echo "it needs Linux, this is $(uname -s)"; return; }
  [[ $(uname -m) == x86_64 || $(uname -m) == aarch64 ]] || { echo "it needs x86_64 or aarch64, this is $(uname -m)"; return; }
  [[ $EUID == 0 ]] || { echo "it needs root: namespaces, mounts and cgroups are made"; return; }
  [[ -z ${MODELYARD_CLUSTER_INSIDE:-} ]] || { echo "this already runs inside the cluster $NAME"; return; }
  [[ $CACHE != /run/* ]] || { echo "the cache folder must not lie under /run, which is hidden inside the node"; return; }
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]})) && ! command -v apt-get >/dev/null; then
    echo "there is no apt-get to install ${missing[*]} with"
    return
  fi
  if ! is_stamped "$BIN/.stamp" "$(programs_sum)"; then
    problem=$(go_problem "$HERE")
    [[ -z $problem ]] || { echo "$problem"; return; }
  fi
  problem=$(unshare --net --mount --pid --fork --mount-proc true 2>&1) || { echo "no namespaces can be made here: ${problem:-unshare failed}"; return; }
  for group in $(cgroup_roots); do
    { mkdir "$group/probe-$$" && rmdir "$group/probe-$$"; } 2>/dev/null || { echo "no cgroup can be made in $group"; return; }
  done
  [[ $(cgroup_roots) ]] || echo "no cgroups are mounted"
}
check() {
  local problem
  problem=$(obstacle)
  [[ -z $problem ]] || die "no cluster can run here: $problem"
  mapfile -t missing < <(missing_packages)
  say "a cluster can run here; packages to install: ${missing[*]:-none}; programs: $(is_stamped "$BIN/.stamp" "$(programs_sum)" && echo built || echo "to build")"
}
