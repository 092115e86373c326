#!/usr/bin/env bash
# The demonstration, guided: what to say, the commands one after the other, and a pause before each. DEMO-GUIDE.md has more.
# It runs against make run, make services or compose; steps that need Docker or a cluster say so where there is none.
# usage: ./demo-script.sh [--yes] [--local] [--only SEGMENT] [--base-url URL | --ports services|demo] [--token TOKEN] [--data-dir var]
#   --yes    without pauses; the first command that fails ends it
#   --local  leaves out Docker and Kubernetes even where they are there
#   --only   introduction, containers, communication, databases, kubernetes, monitoring or closing
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

segments=(introduction containers communication databases kubernetes monitoring closing)
yes=0 local=0 where=() data=${ECI_DATA_DIR:-var} token=${ECI_TOKEN:-}
while [ $# -gt 0 ]; do
  case $1 in
    --yes) yes=1 ;;
    --local) local=1 ;;
    --base-url | --ports | --token | --data-dir | --only)
      [ $# -gt 1 ] || { echo "❌ $1 needs a value." >&2; exit 1; }
      case $1 in
        --token) token=$2 ;;
        --data-dir) data=$2 ;;
        --only)
          [[ " ${segments[*]} " == *" $2 "* ]] || { echo "❌ --only takes one of ${segments[*]}, not '$2'." >&2; exit 1; }
          segments=("$2") ;;
        *) where+=("$1" "$2") ;;
      esac
      shift ;;
    --help | -h) sed -n '2,8s/^# //p' "$0"; exit 0 ;;
    *) echo "❌ '$1' is no option: see --help." >&2; exit 1 ;;
  esac
  shift
done
export ECI_TOKEN=$token

segment() { # title, minutes
  printf '\n\033[1m═══ %s  (%s) ═══\033[0m\n' "$1" "$2"
}

say() {
  printf '\n🗣  %s\n' "$1"
  shift
  [ $# = 0 ] || printf '    %s\n' "$@"
}

pause() {
  [ $yes = 1 ] || [ ! -t 0 ] || read -r -p "⏎ "
}

show() { # command ...: shown as it can be typed, then run
  printf '\n\033[36m$ %s\033[0m\n' "$*"
  pause
  if ! bash -o pipefail -c "$*"; then
    echo "❌ That failed; DEMO-GUIDE.md, \"When something is wrong\", says what to do."
    [ $yes = 0 ] || exit 1
  fi
}

skipped() {
  printf '\n⏭  %s\n' "$1"
}

docker_there() { [ $local = 0 ] && docker version >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }
cluster_there() { [ $local = 0 ] && kubectl get namespace ecommerce --request-timeout=5s >/dev/null 2>&1; }
answers() { bash -c "curl -fsS --max-time 30 $1" >/dev/null 2>&1; }

at=$(python3 demo/where.py ${where[@]+"${where[@]}"}) || exit 1
catalog=${at%% *} orders=${at##* }
options=${where[*]+"${where[*]}"}

introduction() {
  segment "Introduction" "1 min"
  say "This is a complete e-commerce platform with inventory management: seven services, each with a database of its own." \
    "Catalog: products with search. Inventory: stock, with reservations that expire after 15 minutes." \
    "Customers: accounts and logins. Payments: each is taken once, however often it is sent." \
    "Orders: reserve, pay, ship, notify, as one request. Shipping: parcels and their tracking. Notifications: mails and SMS."
  show "curl -sS $catalog/health && echo"
}

containers() {
  segment "Container set-up" "2 to 3 min"
  if docker_there && [ -f docker-compose.yml ]; then
    say "One command builds the image and starts seven services, their databases and the monitoring."
    show "docker compose up --build -d --wait"
    show "docker compose ps"
  else
    skipped "No Docker engine is used here: the shop runs as processes of this machine (make run or make services)."
  fi
  say "Each service says whether it and its database are well."
  show "python3 demo/where.py $options --health"
}

communication() {
  segment "Inter-service communication" "3 to 4 min"
  say "A purchase, call by call: what is asked, what is answered, and one trace through all services."
  show "python3 interservice-workflow.py $options --lines 8"
  say "The same with every result read back; then what happens when stock is short, a card is declined, a key is used twice."
  show "python3 complete-ecommerce-workflow-demo.py $options --skip-expiry"
}

databases() {
  segment "Databases" "2 min"
  say "Every service owns its data: no table is in two databases, and no query joins two services."
  if docker_there && docker inspect postgres_main mysql_db >/dev/null 2>&1; then
    show "docker exec postgres_main psql -U poojasrinivasan -d catalog_db -c '\\l'"
    show "docker exec postgres_main psql -U poojasrinivasan -d inventory_db -c 'SELECT * FROM inventory_stock ORDER BY id DESC LIMIT 5'"
    show "docker exec mysql_db mysql -u root -pyourpassword order_db -e 'SHOW TABLES'"
  elif [ -f "$data/catalog.sqlite3" ]; then
    show "python3 demo/databases.py --data-dir $data"
  else
    skipped "The databases are neither in containers here nor in $data: --data-dir names the folder of make run."
  fi
}

kubernetes() {
  segment "Kubernetes" "3 to 4 min"
  say "The same services as Deployments, each with its own replicas, limits, probes and network policy."
  if cluster_there; then
    show "kubectl get pods -n ecommerce -o wide"
    show "kubectl get services,horizontalpodautoscalers -n ecommerce"
    if kubectl get deployment inventory-service -n ecommerce >/dev/null 2>&1; then
      show "kubectl scale deployment inventory-service --replicas=3 -n ecommerce"
      show "kubectl rollout status deployment/inventory-service -n ecommerce --timeout=120s"
    fi
  elif [ $local = 0 ] && command -v kubectl >/dev/null; then
    skipped "No cluster with the namespace ecommerce is reached: this is what would be applied."
    show "kubectl kustomize $overlay | grep -E '^kind: ' | sort | uniq -c | sort -rn"
  else
    skipped "kubectl is not used here: k8s-manifests/deploy.sh deploys everything on minikube."
  fi
}

monitoring() {
  segment "Monitoring" "2 min"
  say "Figures of the business and of the machinery: what Prometheus collects and Grafana shows."
  local metrics="${token:+-H \"Authorization: Bearer \$ECI_TOKEN\" }$orders/metrics"
  if answers "$metrics"; then
    show "curl -sS $metrics | grep orders_placed_total"
  else
    skipped "The metrics of this shop need a token (docs/monitoring.md)."
  fi
  local page
  for page in "Prometheus http://localhost:9090" "Grafana http://localhost:3030"; do
    if answers "${page#* }"; then
      say "$page: open it in the browser."
    else
      skipped "${page% *} does not run here: compose and k8s-manifests/deploy-monitoring.sh start it."
    fi
  done
}

closing() {
  segment "Closing" "1 min"
  say "Seven services with a database each; a purchase that is undone as a whole or done as a whole; one command to start it;" \
    "Kubernetes, monitoring and tracing. Everything shown is in this repository, and docs/from-the-documentation.md has every command."
  echo
  echo "🎉 END OF THE DEMONSTRATION 🎉"
}

overlay=k8s/overlays/minikube
[ ! -d k8s/overlays/services ] || overlay=k8s/overlays/services
for one in "${segments[@]}"; do "$one"; done
