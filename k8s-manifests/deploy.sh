#!/usr/bin/env bash
# Deploys the seven services on minikube: k8s/deploy.sh does it. CUT= deploys them as one.
set -euo pipefail
CUT=${CUT-services} exec "$(dirname "$0")/../k8s/deploy.sh" "$@"
