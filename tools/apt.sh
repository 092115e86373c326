#!/bin/sh
# Install Debian packages, as root: one call at a time, for apt refuses a second.
# usage: tools/apt.sh PACKAGE ...
set -eu
exec 9</var/lib/dpkg
flock 9
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
