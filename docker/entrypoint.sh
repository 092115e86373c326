#!/bin/sh
# The roles of the image; anything else is a command to run. Each becomes its process, so that signals reach it.
set -eu
# Whoever asks each container by its address, as Prometheus does, names that as the host.
ECI_ALLOWED_HOSTS="${ECI_ALLOWED_HOSTS:-},$(hostname -i 2>/dev/null | tr ' ' ',')"
export ECI_ALLOWED_HOSTS
case "$1" in
  all) exec python manage.py up --host 0.0.0.0 --port "${PORT:-8000}" ;;
  web | worker | beat) exec python -m config.operations.processes "$1" ;;
  migrate) exec python manage.py prepare ;;
  *) exec "$@" ;;
esac
