#!/bin/sh
# The rendered overlays under checkov, which brings so many packages that it has an environment of its own.
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
for overlay in minikube minikube/monitoring production production/monitoring; do
  kubectl kustomize "k8s/overlays/$overlay" >"$rendered/$(echo "$overlay" | tr / -).yaml"
done
.venv/k8s/bin/checkov --config-file k8s/.checkov.yaml --directory "$rendered"
echo "checkov: nothing but what k8s/.checkov.yaml and annotations name."
