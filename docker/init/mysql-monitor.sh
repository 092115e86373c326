#!/bin/sh
# MySQL's image runs this once, when its data directory is new: the account that looks at the server and at no row.
set -eu
MYSQL_PWD=$(cat /run/secrets/mysql_root_password) mysql --user root <<SQL
CREATE USER eci_monitor IDENTIFIED BY '$(cat /run/secrets/monitor_password)' WITH MAX_USER_CONNECTIONS 3;
GRANT PROCESS, REPLICATION CLIENT ON *.* TO eci_monitor;
GRANT SELECT ON performance_schema.* TO eci_monitor;
SQL
