#!/usr/bin/env bash
# Removes the product, its monitoring, its databases and its secrets from minikube.
# usage: k8s/cleanup.sh [--yes]      MINIKUBE_PROFILE=minikube  PATIENCE=300s
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/common.sh"
nodes=ecommerce-nodes # the namespace of what runs on every node

need_minikube kubectl minikube
if ! there namespace "$namespace"; then
  say "There is nothing to delete."
  exit 0
fi
if [ "${1:-}" != --yes ]; then
  printf 'This deletes every order and every secret of %s on %s. Type yes: ' "$namespace" "$profile"
  read -r answer || true
  [ "${answer:-}" = yes ] || fail "Nothing was deleted."
fi
say "Deleting ..."
k delete namespace "$namespace" --timeout="$patience" >/dev/null ||
  fail "The namespace $namespace is not gone within $patience." "See what keeps it: kubectl describe namespace $namespace"
if there namespace "$nodes"; then
  k delete namespace "$nodes" --timeout="$patience" >/dev/null || fail "The namespace $nodes is not gone within $patience."
fi
rm -rf "$here/.deploy"
say "Deleted. The image and the add-ons stay: minikube image rm, minikube addons disable."
