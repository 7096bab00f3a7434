#!/usr/bin/env bash
# shellcheck disable=SC2034,SC2153,SC2154 # rooms of one script share names
# pki STATE ADDRESS PORT: two authorities, nine certificates and the service accounts' key pair in STATE/pki, and six
# kubeconfigs that contain theirs in STATE. Elliptic keys throughout: RSA costs seconds.
pki() (
  set -euo pipefail
  mkdir -p "$1/pki" && cd "$1/pki"
  exec 3>&2 2>openssl.log
  trap '[[ $? == 0 ]] || tail -n 5 openssl.log >&3' EXIT
  new=(-newkey ec -pkeyopt "ec_paramgen_curve:prime256v1" -nodes)
  for authority in ca front-ca; do
    openssl req -x509 "${new[@]}" -keyout $authority.key -out $authority.crt -days 365 -subj "/CN=$authority"
  done
  certificate() { # NAME SUBJECT [ALTERNATIVE NAMES] [AUTHORITY]
    openssl req "${new[@]}" -keyout "$1.key" -out "$1.csr" -subj "$2"
    printf 'extendedKeyUsage=serverAuth,clientAuth\n%s\n' "${3:+subjectAltName=$3}" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA "${4:-ca}.crt" -CAkey "${4:-ca}.key" -CAcreateserial -days 365 -out "$1.crt" -extfile "$1.ext"
  }
  service=DNS:kubernetes.default
  certificate apiserver /CN=kube-apiserver \
    "DNS:kubernetes,$service,$service.svc,$service.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$2,IP:10.96.0.1"
  certificate apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate front-proxy-client /CN=front-proxy-client "" front-ca
  certificate admin /O=system:masters/CN=admin
  certificate controller-manager /CN=system:kube-controller-manager DNS:localhost,IP:127.0.0.1
  certificate scheduler /CN=system:kube-scheduler DNS:localhost,IP:127.0.0.1
  certificate kube-proxy /O=system:node-proxier/CN=system:kube-proxy
  certificate kubelet /O=system:nodes/CN=system:node:node1 "DNS:node1,IP:$2,IP:127.0.0.1"
  certificate kubelet2 /O=system:nodes/CN=system:node:node2 "DNS:node2,IP:$SECOND_ADDRESS,IP:127.0.0.1"
  openssl ecparam -name prime256v1 -genkey -noout -out sa.key
  openssl ec -in sa.key -pubout -out sa.pub
  for name in admin controller-manager scheduler kube-proxy kubelet kubelet2; do
    cat >"../$name.kubeconfig" <<K
apiVersion: v1
kind: Config
clusters: [{name: modelyard, cluster: {server: "https://$2:$3", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $name, user: {client-certificate-data: $(base64 -w0 $name.crt), client-key-data: $(base64 -w0 $name.key)}}]
contexts: [{name: modelyard, context: {cluster: modelyard, user: $name}}]
current-context: modelyard
K
  done
)
