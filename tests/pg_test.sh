#!/usr/bin/env bash
# Runs the tests that live inside the server (#[pg_test]); an argument runs those whose name contains it. The build is
# installed into the private copy of the server that `make setup` made, never into the machine's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. .ci/env

# With it, every error the tests compare would carry a backtrace.
unset RUST_BACKTRACE RUST_LIB_BACKTRACE

options=()
scratch=$(mktemp -d "${TMPDIR:-/tmp}/costsim_pg_test.XXXXXX")
remove() { rm -rf "$scratch"; }
trap remove EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# The server refuses to run as root, so it becomes another user, who has to own its folder.
if [[ $(id -u) == 0 ]]; then
    owner=postgres
    id -u postgres >/dev/null 2>&1 || owner=nobody
    chown "$owner" "$scratch"
    options+=(--runas "$owner")
fi
cargo pgrx test "pg$COSTSIM_PG_MAJOR" "$@" --package costsim_pg --pgdata "$scratch/data" "${options[@]}"
