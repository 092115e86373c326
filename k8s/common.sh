# shellcheck shell=bash
# Shared by deploy.sh, deploy-monitoring.sh and cleanup.sh.
namespace=ecommerce
profile=${MINIKUBE_PROFILE:-minikube}
patience=${PATIENCE:-300s} # for each part to become healthy

say() { printf '%s\n' "$@"; }

fail() {
  printf 'FAILED: %s\n' "$1" >&2
  shift
  if [ $# -gt 0 ]; then printf '  %s\n' "$@" >&2; fi
  exit 1
}

k() { kubectl --context "$profile" --namespace "$namespace" "$@"; }

need_minikube() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is not installed."
  done
  minikube --profile "$profile" status >/dev/null 2>&1 ||
    fail "minikube is not running." "Start it: minikube start --memory=8192 --cpus=4"
}

there() { k get "$@" >/dev/null 2>&1; }

healthy() { # deployment
  say "Waiting for $1 ..."
  k rollout status "deployment/$1" --timeout="$patience" >/dev/null && return
  explain "$1" >&2
  fail "$1 did not become healthy within $patience." "What was applied stays: repair it and run this again." \
    "Look closer: kubectl -n $namespace describe pods -l $(selector "$1")"
}

selector() {
  case $1 in
  web | worker | beat) echo "app.kubernetes.io/component=$1" ;;
  *) echo "app.kubernetes.io/name=$1" ;;
  esac
}

explain() { # deployment: its pods and the ends of their logs, as far as there are any
  k get pods -l "$(selector "$1")" || true
  k logs "deployment/$1" --all-containers --tail=15 || true
}
