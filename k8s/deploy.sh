#!/usr/bin/env bash
# Deploys the whole product on minikube: add-ons, image, secrets, servers, migrations, web, worker, beat; or, with
# CUT=services, seven services and a gateway in place of the last three. A second run applies only changes.
# usage: k8s/deploy.sh      CUT=services  MINIKUBE_PROFILE=minikube  PATIENCE=300s
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/common.sh"

enable() { # add-on
  local known
  known=$(minikube --profile "$profile" addons list --output json | tr -d ' \n')
  if grep -q "\"$1\":{[^}]*\"Status\":\"enabled\"" <<<"$known"; then return; fi
  say "Enabling minikube's $1 ..."
  minikube --profile "$profile" addons enable "$1" >/dev/null || fail "minikube cannot enable its add-on $1."
}

build() { # sets tag from the image's content, so that only a changed image is a new release
  say "Building the image ..."
  local id known
  id=$(docker build --quiet --file "$here/../docker/Dockerfile" --tag eci:local "$here/..") || fail "The image cannot be built."
  id=${id#sha256:}
  tag=${id:0:12}
  known=$(minikube --profile "$profile" image ls)
  if grep -q "eci:$tag\$" <<<"$known"; then return; fi
  docker tag eci:local "eci:$tag"
  say "Loading eci:$tag into minikube ..."
  minikube --profile "$profile" image load "eci:$tag" || fail "minikube cannot load the image eci:$tag."
}

make_keys() { # for CUT=services: a key for each service, and the public halves of all, which never change
  local service each
  if there secret service-callers; then return; fi
  say "Generating the services' keys ..."
  mkdir "$made/service-callers"
  for each in "${services[@]}"; do
    service=${each#*:}
    mkdir "$made/$service-key"
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$made/$service-key/service.pem" 2>/dev/null
    openssl pkey -in "$made/$service-key/service.pem" -pubout -out "$made/service-callers/${each%:*}.pem"
    if there secret "$service-key"; then k delete secret "$service-key" >/dev/null; fi # of a run that was cut off
    k create secret generic "$service-key" --from-file="$made/$service-key" >/dev/null ||
      fail "The Secret $service-key cannot be made."
  done
  k create secret generic service-callers --from-file="$made/service-callers" >/dev/null ||
    fail "The Secret service-callers cannot be made."
}

make_secrets() {
  local made
  made=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$made'" EXIT
  umask 077

  if ! there secret eci; then
    if there persistentvolumeclaim postgres-main; then
      fail "The databases are there, but the Secret eci with their passwords is not." \
        "Restore the Secret from your copy, or give up the data: k8s/cleanup.sh"
    fi
    say "Creating the Secret eci ..."
    mkdir "$made/eci" "$made/exporters"
    (
      cd "$made/eci"
      for name in POSTGRES_PASSWORD MYSQL_PASSWORD REDIS_PASSWORD MONITOR_PASSWORD; do openssl rand -hex 24 | tr -d '\n' >"$name"; done
      for name in ECI_SECRET_KEY ECI_WEBHOOK_SECRETS ECI_METRICS_TOKEN; do openssl rand -base64 48 | tr -d '\n' >"$name"; done
      openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ECI_TOKEN_KEY 2>/dev/null
      postgres="postgres://eci:$(cat POSTGRES_PASSWORD)@postgres-main:5432"
      mysql="mysql://eci:$(cat MYSQL_PASSWORD)@mysql:3306"
      printf '%s' "$postgres/platform_db" >ECI_PLATFORM_DATABASE_URL
      printf '%s' "$postgres/catalog_db" >ECI_CATALOG_DATABASE_URL
      printf '%s' "$postgres/inventory_db" >ECI_INVENTORY_DATABASE_URL
      printf '%s' "$postgres/customer_db" >ECI_CUSTOMERS_DATABASE_URL
      printf '%s' "$postgres/payment_db" >ECI_PAYMENTS_DATABASE_URL
      printf '%s' "$postgres/notifications" >ECI_NOTIFICATIONS_DATABASE_URL
      printf '%s' "$mysql/order_db" >ECI_ORDERS_DATABASE_URL
      printf '%s' "$mysql/shipping_db" >ECI_SHIPPING_DATABASE_URL
      printf '%s' "redis://:$(cat REDIS_PASSWORD)@redis:6379/0" >ECI_REDIS_URL
      cp MONITOR_PASSWORD ../exporters/postgres_password
      printf '[client]\nhost=mysql\nuser=eci_monitor\npassword=%s\n' "$(cat MONITOR_PASSWORD)" >../exporters/mysql.cnf
      printf '{"redis://redis:6379": "%s"}\n' "$(cat REDIS_PASSWORD)" >../exporters/redis.json
    )
    k create secret generic eci --from-file="$made/eci" >/dev/null || fail "The Secret eci cannot be made."
    k create secret generic exporters --from-file="$made/exporters" >/dev/null || fail "The Secret exporters cannot be made."
  fi

  if ! there secret eci-admin; then
    say "Generating the first administrator's password ..."
    mkdir "$made/admin"
    openssl rand -base64 18 | tr -d '\n' >"$made/admin/ECI_ADMIN_PASSWORD"
    k create secret generic eci-admin --from-file="$made/admin" >/dev/null || fail "The Secret eci-admin cannot be made."
  fi

  if ! there secret ecommerce-tls; then
    say "Generating a certificate for ecommerce.local ..."
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=ecommerce.local \
      -addext subjectAltName=DNS:ecommerce.local -keyout "$made/tls.key" -out "$made/tls.crt" 2>/dev/null
    k create secret tls ecommerce-tls --cert="$made/tls.crt" --key="$made/tls.key" >/dev/null ||
      fail "The Secret ecommerce-tls cannot be made."
  fi

  if [ "$overlay" = services ]; then make_keys; fi
}

apply() { # the overlay with this image
  mkdir -p "$here/.deploy"
  cat >"$here/.deploy/kustomization.yaml" <<EOF
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../overlays/$overlay]
images: [{name: eci, newTag: "$tag"}]
EOF
  render "$here/.deploy" "$here/.deploy/manifests"
  say "Applying ..."
  k apply --filename "$here/.deploy/manifests" >/dev/null || fail "The cluster refused what was applied: see above."
}

remove_other_cut() { # now that this one is healthy
  local each kind
  for each in "${others[@]}"; do
    for kind in deployment horizontalpodautoscaler poddisruptionbudget; do
      if there "$kind" "$each"; then
        say "Removing the $kind $each ..."
        k delete "$kind/$each" >/dev/null || fail "The $kind $each cannot be removed."
      fi
    done
  done
}

together=(web worker beat) apart=("${services[@]#*:}" gateway)
case ${CUT:-} in
"") overlay=minikube roles=("${together[@]}") others=("${apart[@]}") ;;
services) overlay=services roles=("${apart[@]}") others=("${together[@]}") ;;
*) fail "CUT=$CUT is no cut." "It is empty, for web, worker and beat, or 'services'." ;;
esac
need_minikube kubectl minikube docker openssl
enable ingress
enable metrics-server
build
k apply --filename "$here/base/namespace.yaml" >/dev/null || fail "The namespace $namespace cannot be made."
make_secrets
kubectl --context "$profile" --namespace ingress-nginx rollout status deployment/ingress-nginx-controller \
  --timeout="$patience" >/dev/null || fail "minikube's ingress controller did not become healthy within $patience."
apply
for server in postgres-main mysql redis; do healthy "$server"; done
migrated
for role in "${roles[@]}"; do healthy "$role"; done
remove_other_cut

ip=$(minikube --profile "$profile" ip)
say "" "It runs." \
  "  API        http://$ip:30001/health" \
  "  Ingress    echo '$ip ecommerce.local' | sudo tee -a /etc/hosts" \
  "             curl http://ecommerce.local/api/v1/catalog/v1/products" \
  "  Staff      https://ecommerce.local/admin/   admin@ecommerce.local, with" \
  "             kubectl -n $namespace get secret eci-admin -o jsonpath='{.data.ECI_ADMIN_PASSWORD}' | base64 -d" \
  "  Dashboards k8s/deploy-monitoring.sh"
