#!/bin/sh
# PostgreSQL's image runs this once, when its data directory is new: the role that looks at the server and at no row.
set -eu
psql --username postgres -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/monitor_password)" <<'SQL'
CREATE ROLE eci_monitor LOGIN PASSWORD :'password' CONNECTION LIMIT 5;
GRANT pg_monitor TO eci_monitor;
SQL
