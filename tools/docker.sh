#!/bin/sh
# Check that a Docker engine answers; if not, say what is missing in one sentence.
if ! command -v docker >/dev/null; then
  echo "Docker is needed: install its client and engine, on Debian with apt-get install -y docker.io." >&2
  exit 3
fi
if ! docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
  echo "No Docker engine answers at ${DOCKER_HOST:-its usual socket}: start one, or point DOCKER_HOST at it." >&2
  exit 3
fi
