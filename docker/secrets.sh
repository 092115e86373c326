#!/bin/sh
# Generates the random secrets that docker/compose.yml mounts, in docker/secrets (or ECI_SECRETS). Existing ones stay.
# usage: docker/secrets.sh [--demo]      --demo: Grafana's password is admin123
set -eu
cd "$(dirname "$0")"
folder=${ECI_SECRETS:-secrets}
mkdir -p "$folder"
chmod 700 "$folder" # the files are readable by the containers' users; the folder keeps everybody else out
cd "$folder"

keep() { # NAME: writes standard input to it, unless it exists
  if [ -e "$1" ]; then cat >/dev/null; else cat >"$1.new" && chmod 444 "$1.new" && mv "$1.new" "$1"; fi
}

if [ "${1:-}" = --demo ]; then printf admin123 | keep grafana_password; fi
for name in secret_key grafana_password monitor_password metrics_token admin_password redis_password \
  postgres_root_password postgres_password mysql_root_password mysql_password; do
  openssl rand -hex 32 | tr -d '\n' | keep "$name"
done
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt | keep token_key

# For you to fill in, where backups go to S3-compatible storage, and where they are restored. Empty: not set.
for name in backup_s3_secret backup_identity; do printf '' | keep "$name"; done

printf 'redis://:%s@redis:6379/0' "$(cat redis_password)" | keep redis_url
for database in platform:platform_db catalog:catalog_db inventory:inventory_db customers:customer_db \
  payments:payment_db notifications:notifications; do
  printf 'postgres://eci:%s@postgres:5432/%s' "$(cat postgres_password)" "${database#*:}" | keep "${database%:*}_database_url"
done
for database in orders:order_db shipping:shipping_db; do
  printf 'mysql://eci:%s@mysql:3306/%s' "$(cat mysql_password)" "${database#*:}" | keep "${database%:*}_database_url"
done

printf '[client]\nhost=mysql\nuser=eci_monitor\npassword=%s\n' "$(cat monitor_password)" | keep mysqld_exporter
printf '{"redis://redis:6379": "%s"}\n' "$(cat redis_password)" | keep redis_exporter
for name in critical warning watchdog; do # put your chat's and your dead man's switch's addresses in their places
  printf 'https://alerts.invalid/%s' "$name" | keep "alerts_${name}_url"
done
