# shellcheck shell=bash
# Shared by deploy.sh, apply.sh, deploy-monitoring.sh and cleanup.sh.
namespace=ecommerce
profile=${MINIKUBE_PROFILE:-minikube}
patience=${PATIENCE:-300s} # for each part to become healthy

# context:Service, as config/contexts.py has them
# shellcheck disable=SC2034
services=(catalog:catalog-service customers:customer-service inventory:inventory-service payments:payment-service
  shipping:shipment-service orders:order-service notifications:notification-service)

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

# overlay file: writes the manifests; sets job, the name of the Job that migrates. Kustomize's name for it knows image,
# configuration and limits; this one has a digest of all that is in the Job.
render() {
  local digest separator='\n---\n'
  kubectl kustomize "$1" >"$2.new" || fail "The overlay $1 cannot be rendered: see above."
  digest=$(awk -v RS="$separator" '/(^|\n)kind: Job\n/' "$2.new" | openssl dgst -sha256 -r)
  job=migrate-${digest:0:12}
  awk -v RS="$separator" -v ORS="$separator" -v name="$job" \
    '/(^|\n)kind: Job\n/ { sub(/\n  name: migrate-[a-z0-9]+\n/, "\n  name: " name "\n") } 1' "$2.new" >"$2"
  rm "$2.new"
  grep -q "^  name: $job\$" "$2" || fail "The overlay $1 has no Job migrate."
}

migrated() { # waits for the Job; then those of earlier releases go
  say "Waiting for the migrations ..."
  local state waited=0 each
  until state=$(k get job "$job" --output 'jsonpath={.status.conditions[?(@.status=="True")].type}') &&
    [[ $state == *Complete* ]]; do
    if [[ $state == *Failed* ]] || [ "$waited" -ge "${patience%s}" ]; then
      k logs "job/$job" --tail=30 >&2 || true
      fail "The migrations did not finish." "The previous release keeps running." \
        "To try again: kubectl -n $namespace delete job $job; then run this again."
    fi
    sleep 2
    waited=$((waited + 2))
  done
  for each in $(k get jobs -l app.kubernetes.io/component=migrate --output name); do
    [ "$each" = "job.batch/$job" ] || k delete "$each" >/dev/null
  done
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
  web | worker | beat | *-service) echo "app.kubernetes.io/component=$1" ;;
  *) echo "app.kubernetes.io/name=$1" ;;
  esac
}

explain() { # deployment: its pods and the ends of their logs, as far as there are any
  k get pods -l "$(selector "$1")" || true
  k logs "deployment/$1" --all-containers --tail=15 || true
}
