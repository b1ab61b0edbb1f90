#!/usr/bin/env bash
# Runs PostgreSQL's own test drivers on a throw-away cluster, where the extension is created in schema public before
# the first file. The files run one after the other in one database, in the order of their names.
#
#   regress.sh pg_regress [NAME..]   tests/pg_regress/sql/NAME.sql against tests/pg_regress/expected/NAME.out
#   regress.sh isolation [NAME..]    tests/isolation/specs/NAME.spec against tests/isolation/expected/NAME.out
#
# No name means all of them. With COSTSIM_PRELOAD=1 the server loads the extension at its start. A test without
# expected output fails: silence proves nothing. What came out lies in target/regress/KIND/results; to accept it, read
# it, then copy it to expected.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. .ci/env

kind=${1:?pg_regress or isolation}
shift
case $kind in
    pg_regress) driver=regress/pg_regress folder=sql suffix=.sql ;;
    isolation) driver=isolation/pg_isolation_regress folder=specs suffix=.spec ;;
    *) echo "regress.sh: unknown kind $kind: pg_regress or isolation" >&2 && exit 2 ;;
esac
input=$COSTSIM_ROOT/tests/$kind
output=$COSTSIM_ROOT/target/regress/$kind
driver=$(dirname "$("$COSTSIM_PG_CONFIG" --pgxs)")/../test/$driver

names=("$@")
if ((${#names[@]} == 0)); then
    for file in "$input/$folder"/*"$suffix"; do [[ ! -f $file ]] || names+=("$(basename "$file" "$suffix")"); done
fi
((${#names[@]})) || { echo "regress.sh: no test in tests/$kind/$folder" >&2 && exit 1; }

# pg_regress gives up at the first missing expected file, so a line that no test prints stands in for it: the test
# runs, its output is kept for reading, and it fails. Alternatives (NAME_1.out) come along by copying everything.
rm -rf "$output"
mkdir -p "$output/expected"
ln -s "$input/$folder" "$output/$folder"
cp "$input/expected/"* "$output/expected/" 2>/dev/null || true
for name in "${names[@]}"; do
    if [[ ! -f $output/expected/$name.out ]]; then
        echo "no expected output: tests/$kind/expected/$name.out" | tee "$output/expected/$name.out"
    fi
done

# shellcheck disable=SC2016 # the variables are those of the cluster
tests/cluster.sh run ${COSTSIM_PRELOAD:+--preload} -- bash -c '
    output=$1; shift
    exec "$@" --bindir="$COSTSIM_BINDIR" --host="$PGHOST" --port="$PGPORT" --user="$PGUSER" \
        --inputdir="$output" --outputdir="$output"' _ "$output" \
    "$driver" --dbname="costsim_$kind" --load-extension=costsim_pg "${names[@]}" || {
    code=$?
    [[ ! -s $output/regression.diffs ]] || { echo "--- $output/regression.diffs" && head -n 200 "$output/regression.diffs"; }
    exit "$code"
}
