#!/bin/sh
# MySQL's image runs this once, when its data directory is new. The account of the exporter looks at the server and at no row.
# The image has set MYSQL_ROOT_PASSWORD, a random one.
set -eu
MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --user root <<SQL
CREATE USER eci_monitor IDENTIFIED BY '$(cat /run/secrets/eci/MONITOR_PASSWORD)' WITH MAX_USER_CONNECTIONS 3;
GRANT PROCESS, REPLICATION CLIENT ON *.* TO eci_monitor;
GRANT SELECT ON performance_schema.* TO eci_monitor;
SQL
