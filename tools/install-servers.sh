#!/bin/sh
# Install what tools/servers.py runs and what requirements-servers.txt compiles against, if this is Debian and we are root.
# Otherwise exit with 3 and print the one command to run.
# usage: tools/install-servers.sh [--gateway] [--browser] [--shell] [--monitoring]: instead of the servers nginx, for make
# services; Chromium, for tests/browser; curl and jq, which the documentation's commands call; the servers with Prometheus,
# Alertmanager and exporters, as tests/deployment/monitoring needs them
set -eu
cd "$(dirname "$0")/.."

have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

packages=""
gateway() { have nginx || packages="$packages nginx"; }
shell() {
  have curl || packages="$packages curl ca-certificates"
  have jq || packages="$packages jq"
}
# Of Chromium, what makes pages: without windows that nobody sees it takes two thirds of the time.
browser() { have chromium-headless-shell || packages="$packages chromium-headless-shell fonts-dejavu-core"; }
servers() {
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || have initdb || packages="$packages postgresql"
  have mariadbd || packages="$packages mariadb-server"
  have redis-server || packages="$packages redis-server"
  if [ "$1" = --monitoring ]; then
    { have prometheus && have promtool; } || packages="$packages prometheus"
    { have prometheus-alertmanager && have amtool; } || packages="$packages prometheus-alertmanager"
    for exporter in node postgres mysqld redis; do
      have "prometheus-$exporter-exporter" || packages="$packages prometheus-$exporter-exporter"
    done
  fi
  have cc || packages="$packages gcc libc6-dev"
  have pkg-config || packages="$packages pkg-config"
  pkg-config --exists libmariadb 2>/dev/null || pkg-config --exists mysqlclient 2>/dev/null || packages="$packages libmariadb-dev"
  python=.venv/bin/python
  [ -x "$python" ] || python=python3
  headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  case $headers in
    /usr/include/*) [ -e "$headers/Python.h" ] || packages="$packages python3-dev" ;;
  esac
}
for wanted in "${@:-}"; do
  case $wanted in
    --gateway) gateway ;;
    --browser) browser ;;
    --shell) shell ;;
    *) servers "$wanted" ;;
  esac
done
[ -n "$packages" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing$packages ..."
  # We need only the programs, not running services: Debian asks this file whether to start them.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
  fi
  tools/apt.sh $packages 2>/dev/null
else
  echo "sudo apt-get install -y --no-install-recommends$packages" >&2
  exit 3
fi
