#!/bin/sh
# PostgreSQL's image runs this once, when its data directory is new.
set -eu
psql --username postgres -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/postgres_password)" <<'SQL'
CREATE ROLE eci LOGIN CREATEDB PASSWORD :'password'; -- for the scratch databases of manage.py restore_drill
SQL
for name in platform_db catalog_db inventory_db customer_db payment_db notifications; do
  createdb --username postgres --owner eci "$name"
done
