#!/bin/sh
# Run checkov over the rendered overlays. It needs so many packages that it gets its own environment.
# usage: tools/check-k8s.sh
set -eu
cd "$(dirname "$0")/.."

if [ ! -x .venv/k8s/bin/checkov ]; then
  echo "Installing checkov ..."
  python3 -m venv .venv/k8s
  .venv/k8s/bin/pip install --quiet --disable-pip-version-check checkov==3.3.30
fi
tools/install-kubectl.sh
PATH="$PATH:$PWD/.venv/bin"
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
for overlay in minikube minikube/monitoring production production/monitoring production-gateway services; do
  kubectl kustomize "k8s/overlays/$overlay" >"$rendered/$(echo "$overlay" | tr / -).yaml"
done
.venv/k8s/bin/checkov --config-file k8s/.checkov.yaml --directory "$rendered"
echo "checkov: no findings except those named in k8s/.checkov.yaml and annotations."
