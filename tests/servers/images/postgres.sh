#!/bin/sh
# One PostgreSQL that obeys POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, as its own image does.
set -e
export PGDATA=/tmp/pgdata
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  initdb -U "$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 -E UTF8 --locale=C > /dev/null
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  printf 'CREATE DATABASE "%s"\n' "$POSTGRES_DB" | postgres --single postgres > /dev/null 2>&1
fi
exec postgres -c 'listen_addresses=*' -c unix_socket_directories=/tmp
