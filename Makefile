# make run: the whole product on http://127.0.0.1:8000 · make test: every check · make replay: a real shop's trade
PORT ?= 8000
KILLS ?= 5000
OPEN ?= 1
IMAGE ?= eci
BIN := .venv/bin
# Five at a time, because many tests wait for servers; test files start in the tests' own order, long ones first.
# Their data is kept in memory where there is room: surviving kill -9 needs no disk.
ROOM := $(shell [ "$$(df -k --output=avail /dev/shm 2>/dev/null | tail -1)" -gt 4000000 ] 2>/dev/null && echo TMPDIR=/dev/shm)
SPREAD := -n 5 --dist loadfile --no-loadscope-reorder
PYTEST := $(ROOM) $(BIN)/pytest $(SPREAD)
LINT := types audit style borders migrations locked
# Open mode is for development: everybody may do everything. OPEN=0 runs the same shop closed, as anywhere else.
MODE := $(if $(filter 1,$(OPEN)),ECI_DEBUG=1 ECI_OPEN=1,ECI_DEBUG=0 ECI_OPEN=0 ECI_SECURE_COOKIES=0)
# How another terminal runs commands on this very shop; make run prints it.
HINT := make manage$(if $(ECI_DATA_DIR), ECI_DATA_DIR=$(ECI_DATA_DIR))$(if $(filter 1,$(OPEN)),, OPEN=$(OPEN))$(if $(SERVERS), SERVERS=1)
# The environment of one deployment of make services, which is there since that ran.
PARTS = $(abspath $(or $(ECI_DATA_DIR),var))/services
IN_SERVICE = $(if $(SERVICE),[ -r $(PARTS)/$(SERVICE).env ] || { \
	echo "There is no deployment $(SERVICE). There are: $(or $(patsubst %.env,%,$(notdir $(wildcard $(PARTS)/*.env))),none)." >&2; exit 1; }; \
	. $(PARTS)/$(SERVICE).env;)
export PORT
# With this set, each of the many processes would compile the whole product again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run services manage test test-fast test-apart torture packages servers programs lint types style borders migrations locked compiled lock audit fuzz format replay bench bench-growth prove k8s-check image sbom image-test load screenshots postman clean

help:
	@sed -n '1p' Makefile; grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

run: ## start web, worker and beat (PORT=, ECI_DATA_DIR=; OPEN=0: closed; SERVERS=1: on PostgreSQL, MariaDB and Redis of its own)
	@tools/setup.sh requirements.txt
ifdef SERVERS
	@tools/install-servers.sh && tools/setup.sh requirements.txt requirements-servers.txt
	@$(MODE) MAKE_MANAGE='$(HINT)' exec $(BIN)/python tools/servers.py --keep $${ECI_DATA_DIR:-var}/servers \
		$(BIN)/python manage.py up --demo --port $(PORT)
else
	@$(MODE) MAKE_MANAGE='$(HINT)' exec $(BIN)/python manage.py up --demo --port $(PORT)
endif

services: ## every context in a deployment of its own, on its own port, and a gateway (CUT=orders: that one apart, the rest together; OFFSET= added to the ports; else as make run)
	@tools/setup.sh requirements.txt
	@tools/install-servers.sh --gateway || true
ifdef SERVERS
	@tools/install-servers.sh && tools/setup.sh requirements.txt requirements-servers.txt
	@$(MODE) MAKE_MANAGE='$(HINT)' exec $(BIN)/python tools/servers.py --keep $${ECI_DATA_DIR:-var}/servers \
		$(BIN)/python manage.py services --demo --cut "$(CUT)" --offset "$(or $(OFFSET),0)"
else
	@$(MODE) MAKE_MANAGE='$(HINT)' exec $(BIN)/python manage.py services --demo --cut "$(CUT)" --offset "$(or $(OFFSET),0)"
endif

manage: ## run a command on the shop of make run: ARGS="audit" (ECI_DATA_DIR=, OPEN=0, SERVERS=1: as make run got them; SERVICE=orders: in that deployment of make services)
	@[ -x $(BIN)/python ] || { echo "Nothing is installed yet: make run does that." >&2; exit 1; }
ifdef SERVERS
	@$(IN_SERVICE) $(MODE) exec $(BIN)/python tools/servers.py --keep $${ECI_DATA_DIR:-var}/servers --join \
		$(BIN)/python manage.py $(ARGS)
else
	@$(IN_SERVICE) $(MODE) exec $(BIN)/python manage.py $(ARGS)
endif

test: ## lint, types, borders, migrations, then every test: on SQLite, and on PostgreSQL, MariaDB and Redis
	@echo "Installing what is needed, and reading the code meanwhile ..."
	@$(MAKE) --no-print-directory --jobs 4 --output-sync servers programs $(LINT) compiled
	$(PYTEST)
	@$(ROOM) tools/on-servers.sh $(BIN)/pytest $(SPREAD)

packages:
	@tools/setup.sh requirements.txt requirements-dev.txt

# What tests need besides comes over the network while lint computes. Without it CI fails, and others are told.
servers:
	@tools/install-servers.sh --monitoring --gateway --browser --shell || [ "$(CI)" != true ]

programs: packages
	@tools/install-kubectl.sh || [ "$(CI)" != true ]
	@tools/install-postman.sh || [ "$(CI)" != true ]

lint: ## ruff, mypy, import-linter, missing migrations, lock files, known vulnerabilities
	@$(MAKE) --no-print-directory --jobs 2 --output-sync $(LINT)

$(LINT) compiled: packages

# Once, beside what waits for the network; else each of the five compiles every test. What is wrong the tests will say.
compiled:
	@$(BIN)/pytest --collect-only --quiet >/dev/null || true

types:
	$(BIN)/mypy

style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

borders:
	$(BIN)/lint-imports --config importlinter.ini

migrations:
	DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run

locked:
	$(BIN)/python tools/lock.py --check

lock: ## make the lock files anew from requirements*.txt (UPGRADE=1: with the newest of what no line pins)
	@tools/setup.sh requirements.txt requirements-dev.txt
	$(BIN)/python tools/lock.py $(if $(UPGRADE),--upgrade)

audit: ## known vulnerabilities of the installed packages, and whether the index has what is locked, where the package index can be reached
	$(BIN)/python tools/audit.py
	$(BIN)/python tools/lock.py --ask

fuzz: ## the OpenAPI document called as each role, at length (EXAMPLES= for each call and role, SEED=)
	@tools/setup.sh requirements.txt requirements-dev.txt
	ECI_FUZZ_EXAMPLES=$(or $(EXAMPLES),100) ECI_FUZZ_SEED=$(or $(SEED),$(shell date +%s)) $(BIN)/pytest -n 2 -v tests/rules/test_openapi.py

test-fast: ## the tests that need no other process and are quick, on SQLite
	@tools/setup.sh requirements.txt requirements-dev.txt
	$(ROOM) $(BIN)/pytest -n auto --dist loadfile -m "not e2e and not long"

test-apart: ## contracts and workflows again: every call between contexts as HTTP, then real processes
	@tools/setup.sh requirements.txt requirements-dev.txt
	$(PYTEST) -p tests.support.apart tests/contexts tests/config/books tests/config/operations tests/config/staff tests/eci/test_outbox.py
	$(PYTEST) tests/processes/test_two.py tests/processes/test_seven.py

torture: ## kill -9 at every boundary of every workflow, on SQLite and on servers, and each service away; up to two hours (KILLS=, SEED=)
	@tools/setup.sh requirements.txt requirements-dev.txt
	$(BIN)/python -m tests.trouble.torture --kills $(KILLS) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.trouble.torture.remote $(if $(SEED),--seed $(SEED))
	@tools/install-servers.sh --gateway && $(BIN)/python -m tests.trouble.outages.services_away
	@tools/on-servers.sh $(BIN)/python -m tests.trouble.torture --kills $(KILLS) $(if $(SEED),--seed $(SEED))
	@tools/on-servers.sh $(BIN)/python -m tests.trouble.torture.remote $(if $(SEED),--seed $(SEED))

format: ## let ruff order and format the code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

replay: ## a month of a real shop through the running server (FILE=, LIMIT=; SERVERS=1: as make run got it)
	@tools/setup.sh requirements.txt requirements-dev.txt
	@$(if $(SERVERS),$(BIN)/python tools/servers.py --keep $${ECI_DATA_DIR:-var}/servers --join) $(BIN)/python -m bench.replay

# With ENGINE=sqlite no server is needed, nor the compiler that their drivers want.
BENCH_FILES := requirements.txt requirements-bench.txt $(if $(filter sqlite,$(ENGINE)),,requirements-servers.txt)

bench: ## orders/s, latency, CPU and memory, beside django-oscar and plain SQL; 15 minutes (QUICK=1: 4; ENGINE=sqlite, ROUNDS=; READS=1: reads alone)
	@$(if $(filter sqlite,$(ENGINE)),,tools/install-servers.sh &&) tools/setup.sh $(BENCH_FILES)
	@QUICK=$(QUICK) ENGINE=$(ENGINE) ROUNDS=$(ROUNDS) READS=$(READS) exec $(BIN)/python -m bench

bench-growth: ## the same calls and tasks on a small shop and on one with a million products (SIZE=0.1: a tenth; ENGINE=sqlite)
	@$(if $(filter sqlite,$(ENGINE)),,tools/install-servers.sh &&) tools/setup.sh $(BENCH_FILES)
	@SIZE=$(SIZE) ENGINE=$(ENGINE) ROUNDS=$(ROUNDS) exec $(BIN)/python -m bench.growth

prove: ## remove one safety at a time: the tests must notice
	@tools/install-servers.sh && tools/setup.sh requirements.txt requirements-dev.txt requirements-servers.txt
	@$(BIN)/python tools/prove.py

load: ## a hundred requests at once to PORT= (USERS=20: so many shoppers with Locust, for SECONDS=30)
ifdef USERS
	@[ -x .venv/load/bin/locust ] || { echo "Installing Locust ..."; python3 -m venv .venv/load && \
		.venv/load/bin/pip install --quiet --disable-pip-version-check locust==2.47.0; }
	@.venv/load/bin/locust -f demo/locustfile.py --headless --only-summary --host http://127.0.0.1:$(PORT) \
		--users $(USERS) --spawn-rate $(USERS) --run-time $(or $(SECONDS),30)s
else
	@python3 demo/load.py --base-url http://127.0.0.1:$(PORT)
endif

screenshots: ## demo/screenshots and docs/screenshots anew, of the shop at PORT=, after make replay (needs Chromium)
	@tools/setup.sh requirements.txt requirements-dev.txt && tools/install-servers.sh --browser
	@$(BIN)/python tools/screenshots.py --base-url http://127.0.0.1:$(PORT)
	@python3 demo/screenshots.py --base-url http://127.0.0.1:$(PORT) --data-dir $${ECI_DATA_DIR:-var}

postman: ## the Postman collections and the Bruno folder, from the OpenAPI document
	@tools/setup.sh requirements.txt requirements-dev.txt && tools/install-postman.sh
	$(MODE) $(BIN)/python manage.py spectacular --format openapi-json | $(BIN)/node demo/postman/make.mjs

k8s-check: ## checkov over the rendered Kubernetes overlays
	@tools/check-k8s.sh

image: ## the container image (IMAGE=eci; BASE=python:3.11-slim-bookworm@sha256:…: on one very base image)
	@tools/docker.sh && docker build --network=host $(if $(BASE),--build-arg BASE=$(BASE)) -f docker/Dockerfile -t $(IMAGE) .

sbom: ## the image's Python packages as sbom.cdx.json, in CycloneDX (IMAGE=eci)
	@tools/docker.sh && docker run --rm --network=none --entrypoint cat $(IMAGE) /app/sbom.cdx.json >sbom.cdx.json

image-test: image ## the image as containers: read-only, stopped under load, on servers; needs a Docker engine
	@tools/install-servers.sh && tools/setup.sh requirements.txt requirements-dev.txt requirements-servers.txt
	ECI_TEST_IMAGE=$(IMAGE) $(BIN)/pytest -v tests/deployment/image

clean: ## delete the data under var/ and the environment
	rm -rf var .venv
