# make run: the whole product on http://127.0.0.1:8000 · make test: every check · make replay: a real shop's trade
PORT ?= 8000
BIN := .venv/bin
export PORT

.PHONY: help run test test-fast lint format replay bench clean

help:
	@sed -n '1p' Makefile; grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

run: ## start web, worker and beat (PORT=, ECI_DATA_DIR=; SERVERS=1: on PostgreSQL, MariaDB and Redis of its own)
	@tools/setup.sh requirements.txt
ifdef SERVERS
	@tools/install-servers.sh && tools/setup.sh requirements.txt requirements-servers.txt
	@ECI_DEBUG=1 ECI_OPEN=1 exec $(BIN)/python tools/servers.py --keep $${ECI_DATA_DIR:-var}/servers \
		$(BIN)/python manage.py up --port $(PORT)
else
	@ECI_DEBUG=1 ECI_OPEN=1 exec $(BIN)/python manage.py up --port $(PORT)
endif

test: ## lint, types, borders, migrations, then every test: on SQLite, and on PostgreSQL, MariaDB and Redis
	@tools/setup.sh requirements.txt requirements-dev.txt
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n 2 --dist loadfile
	@tools/on-servers.sh $(BIN)/pytest -n 2 --dist loadfile

lint: ## ruff, mypy, import-linter, missing migrations
	@tools/setup.sh requirements.txt requirements-dev.txt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config importlinter.ini
	DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run

test-fast: ## the tests that need no running product
	@tools/setup.sh requirements.txt requirements-dev.txt
	$(BIN)/pytest -n 2 -m "not e2e"

format: ## let ruff order and format the code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

replay: ## a month of a real shop through the running server (FILE=, LIMIT=)
	@tools/setup.sh requirements.txt requirements-dev.txt
	@$(BIN)/python -m bench.replay

clean: ## forget the data under var/ and the environment
	rm -rf var .venv
