#!/bin/sh
# Check that a Docker engine answers, and with `compose` that its client has the plugin; if not, say what is missing in one
# sentence.
# usage: tools/docker.sh [compose]
if ! command -v docker >/dev/null; then
  echo "Docker is needed: install its client and engine, on Debian with apt-get install -y docker.io." >&2
  exit 3
fi
if [ "${1:-}" = compose ] && ! docker compose version >/dev/null 2>&1; then
  echo "Docker's compose plugin is needed: install docker-compose-plugin from download.docker.com, or on Debian 13 docker-compose." >&2
  exit 3
fi
if ! docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
  echo "No Docker engine answers at ${DOCKER_HOST:-its usual socket}: start one, or point DOCKER_HOST at it." >&2
  exit 3
fi
