#!/bin/sh
# PostgreSQL's image runs this once, when its data directory is new.
set -eu
psql --username postgres -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/eci/POSTGRES_PASSWORD)" \
  -v monitor="$(cat /run/secrets/eci/MONITOR_PASSWORD)" <<'SQL'
CREATE ROLE eci LOGIN CREATEDB PASSWORD :'password'; -- CREATEDB: for the scratch databases of manage.py restore_drill
-- The role of the exporter looks at the server and at no row.
CREATE ROLE eci_monitor LOGIN PASSWORD :'monitor' CONNECTION LIMIT 5;
GRANT pg_monitor TO eci_monitor;
-- A read-only role for the demonstration's commands, psql -U poojasrinivasan. It works only from inside the pod.
CREATE ROLE poojasrinivasan LOGIN;
GRANT pg_read_all_data, pg_monitor TO poojasrinivasan;
SQL
for name in platform_db catalog_db inventory_db customer_db payment_db notifications; do
  createdb --username postgres --owner eci "$name"
done
