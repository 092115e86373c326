#!/usr/bin/env bash
# Deploys Prometheus, Alertmanager, Grafana, Loki, Jaeger and the exporters beside the product on minikube, and what runs on
# every node. A second run applies only changes.
# usage: k8s/deploy-monitoring.sh      MINIKUBE_PROFILE=minikube  PATIENCE=300s
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/common.sh"
nodes=ecommerce-nodes # the namespace of what runs on every node

need_minikube kubectl minikube
there deployment web || there deployment catalog-service || fail "The product is not deployed yet." "First: k8s/deploy.sh"
say "Applying ..."
k apply --kustomize "$here/overlays/minikube/monitoring" >/dev/null || fail "The cluster refused what was applied: see above."
kubectl --context "$profile" apply --kustomize "$here/monitoring/nodes" >/dev/null ||
  fail "The cluster refused what runs on every node: see above."
for part in prometheus alertmanager loki jaeger grafana postgres-exporter mysqld-exporter redis-exporter; do healthy "$part"; done
for part in node-exporter fluent-bit; do
  say "Waiting for $part ..."
  kubectl --context "$profile" --namespace "$nodes" rollout status "daemonset/$part" --timeout="$patience" >/dev/null ||
    fail "$part did not become healthy within $patience." "Look closer: kubectl -n $nodes describe pods -l $(selector "$part")"
done

ip=$(minikube --profile "$profile" ip)
say "" "It runs." \
  "  Grafana      http://$ip:30030   admin / admin123" \
  "  Prometheus   kubectl -n $namespace port-forward service/prometheus 9090:9090" \
  "  Alertmanager kubectl -n $namespace port-forward service/alertmanager 9093:9093" \
  "  Jaeger       kubectl -n $namespace port-forward service/jaeger 16686:16686"
