#!/bin/sh
# Runs a role of the image, or any other command. exec replaces this shell, so that signals reach the program.
set -eu
# Prometheus asks each container by its address, so that address must be an allowed host.
ECI_ALLOWED_HOSTS="${ECI_ALLOWED_HOSTS:-},$(hostname -i 2>/dev/null | tr ' ' ',')"
export ECI_ALLOWED_HOSTS
case "$1" in
  all) exec python manage.py up --host 0.0.0.0 --port "${PORT:-8000}" ;;
  service) exec python manage.py up --prepared --host 0.0.0.0 --port "${PORT:-8000}" ;;
  web | worker | beat | backup) exec python -m config.operations.processes "$1" ;;
  migrate) exec python manage.py prepare ;;
  *) exec "$@" ;;
esac
