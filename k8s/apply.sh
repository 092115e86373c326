#!/usr/bin/env bash
# Applies an overlay of your own to the cluster that kubectl talks to: migrations, web, worker, beat. A second run applies
# only changes; an image, a setting or a limit that is new is a new release.
# usage: k8s/apply.sh OVERLAY      KUBE_CONTEXT=  PATIENCE=300s
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/common.sh"

[ $# = 1 ] || fail "usage: k8s/apply.sh OVERLAY"
for program in kubectl openssl; do
  command -v "$program" >/dev/null || fail "$program is not installed."
done
profile=${KUBE_CONTEXT:-$(kubectl config current-context)} || fail "kubectl has no cluster to talk to."
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
render "$1" "$made/manifests"
say "Applying $1 to $profile ..."
k apply --filename "$made/manifests" >/dev/null || fail "The cluster refused what was applied: see above."
migrated
for role in web worker beat; do healthy "$role"; done
say "" "It runs: $job, web, worker, beat."
