#!/usr/bin/env bash
# Deploys Prometheus, Grafana and the rest beside them: k8s/deploy-monitoring.sh does it.
set -euo pipefail
exec "$(dirname "$0")/../k8s/deploy-monitoring.sh" "$@"
