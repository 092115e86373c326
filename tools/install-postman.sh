#!/bin/sh
# Install what makes and runs the Postman collections into demo/postman, as its lock file has it; no package's script runs.
# npm is a package of requirements-dev.txt. A second call does nothing. If that is impossible, exit with 3 and say what to do.
set -eu
cd "$(dirname "$0")/../demo/postman"

stamp="node_modules/.installed-$(sha256sum package-lock.json | cut -c1-16)"
[ -f "$stamp" ] && exit 0
echo "Installing the packages of demo/postman ..."
if ! ../../.venv/bin/npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; then
  echo "The packages of demo/postman cannot be installed: is the npm registry within reach?" >&2
  exit 3
fi
touch "$stamp"
