#!/bin/sh
# Create .venv with the packages of the given requirements files, as their lock files have them: pip refuses a file whose
# hash is not locked. A second call with the same files does nothing.
# usage: tools/setup.sh requirements.txt [more.txt ...]
set -eu
cd "$(dirname "$0")/.."

# Debian's own Python first: it is built for speed, unlike most compiled by hand (orders take a sixth less time).
# A Python with ensurepip comes before one that needs a package to create environments.
pick() {
  for candidate in ${PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c "import sys$1; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

python=$(pick ", ensurepip")
python=${python:-$(pick "")}
if [ -z "$python" ]; then
  echo "Python 3.11 or newer is needed. On Debian: apt-get install -y python3 python3-venv" >&2
  exit 1
fi

locks=""
for file in "$@"; do locks="$locks ${file%.txt}.lock"; done
# shellcheck disable=SC2086
stamp=".venv/.installed-$(cat $locks | sha256sum | cut -c1-16)"
[ -f "$stamp" ] && exit 0

if [ ! -x .venv/bin/pip ]; then
  rm -rf .venv
  if ! "$python" -m venv .venv >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      echo "Installing python3-venv ..."
      tools/apt.sh python3-venv
      rm -rf .venv && "$python" -m venv .venv
    else
      rm -rf .venv
      echo "Python's venv module is missing. On Debian: sudo apt-get install -y python3-venv" >&2
      exit 1
    fi
  fi
fi
echo "Installing the packages of $* ..."
# Debian 12's pip takes twice as long as a newer one. Without a newer one, it will do.
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-pip.lock 2>/dev/null || true
args=""
for lock in $locks; do args="$args -r $lock"; done
# Python compiles what it loads when it first does; all there is would take as long as the rest of the installation.
# shellcheck disable=SC2086
.venv/bin/pip install --quiet --disable-pip-version-check --no-compile --require-hashes $args
touch "$stamp"
