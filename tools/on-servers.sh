#!/bin/sh
# Run a command with throw-away servers. If they cannot be installed, say so; in CI that is a failure.
# usage: tools/on-servers.sh COMMAND ...
set -eu
cd "$(dirname "$0")/.."

if wanted=$(tools/install-servers.sh --monitoring); then
  [ -z "$wanted" ] || echo "$wanted"
  tools/setup.sh requirements.txt requirements-dev.txt requirements-servers.txt
  exec .venv/bin/python tools/servers.py "$@"
fi
echo "$wanted" >&2
echo
echo "NOT RUN on PostgreSQL, MariaDB and Redis: $*"
echo "To run it: $(tools/install-servers.sh --monitoring 2>&1 >/dev/null || true)"
[ "${CI:-}" != true ]
