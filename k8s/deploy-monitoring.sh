#!/usr/bin/env bash
# Deploys Prometheus, Alertmanager, Grafana and Jaeger beside the product on minikube. A second run applies only changes.
# usage: k8s/deploy-monitoring.sh      MINIKUBE_PROFILE=minikube  PATIENCE=300s
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/common.sh"

need_minikube kubectl minikube
there deployment web || fail "The product is not deployed yet." "First: k8s/deploy.sh"
say "Applying ..."
k apply --kustomize "$here/overlays/minikube/monitoring" >/dev/null || fail "The cluster refused what was applied: see above."
for part in prometheus alertmanager jaeger grafana; do healthy "$part"; done

ip=$(minikube --profile "$profile" ip)
say "" "It runs." \
  "  Grafana      http://$ip:30030   admin / admin123" \
  "  Prometheus   kubectl -n $namespace port-forward service/prometheus 9090:9090" \
  "  Alertmanager kubectl -n $namespace port-forward service/alertmanager 9093:9093" \
  "  Jaeger       kubectl -n $namespace port-forward service/jaeger 16686:16686"
