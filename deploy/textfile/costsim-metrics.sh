#!/bin/sh
# Writes the metrics of costsim_pg into a file for node_exporter's textfile collector.
#
#   costsim-metrics.sh /var/lib/prometheus/node-exporter/costsim.prom
#
# libpq's environment says which database: PGHOST, PGDATABASE, PGUSER, or PGSERVICE. The file is replaced as a whole or not at all. Where the database
# does not answer it stays as it was, and its age tells: node_textfile_mtime_seconds, which the rule CostSimMetricsGone looks at.
set -eu

file=${1:?"usage: costsim-metrics.sh FILE.prom"}
# In the same folder, so that the rename is one step; not called .prom, so that the collector does not read it half written.
new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM

export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-5}"
export PGOPTIONS="${PGOPTIONS:-} -c statement_timeout=20s -c lock_timeout=1s"
psql -X -A -t -q -v ON_ERROR_STOP=1 -c 'SELECT costsim_metrics_text()' >"$new"
# psql says nothing of a full disk until it ends; a file without the last family is no file.
grep -q '^costsim_build_info' "$new"
chmod 644 "$new"
mv -f "$new" "$file"
