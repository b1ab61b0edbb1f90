#!/usr/bin/env bash
# A throw-away PostgreSQL cluster with its own copy of the server and of the extension. Every test, the demo and the
# benchmarks use this one; no server of the machine is ever touched, and any number of clusters live side by side.
#
#   cluster.sh start [options]             start one, print KEY=VALUE lines that tell where it is
#   cluster.sh stop DIR [--mode M]         stop and remove it; M is fast or immediate; nothing to do is no error
#   cluster.sh restart DIR [--mode M]      stop it with M and start it again; also after its server was killed
#   cluster.sh run [options] -- CMD ARG..  start one, run CMD with those variables, remove it, exit as CMD did
#   cluster.sh copy-server DEST [--headers]  only copy the server's files, keeping their layout below DEST
#
# Options of start and run:
#   --preload              shared_preload_libraries = 'costsim_pg'
#   --conf 'name = value'  one line of postgresql.conf, may be repeated; the last one wins
#   --stage DIR            the built extension (default $COSTSIM_STAGE, else target/stage)
#   --released             the install scripts of released versions as well, for CREATE EXTENSION ... VERSION
#   --no-extension         a server without the extension
#   --owner PID            remove the cluster as soon as that process is gone, however it ended
#
# $COSTSIM_PG_CONFIG names the server to copy, PostgreSQL 15 of Debian unless set.
set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
self=$root/tests/cluster.sh
pg_config=${COSTSIM_PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
marker=.costsim_cluster

die() {
    echo "cluster.sh: $*" >&2
    exit 1
}

# PostgreSQL refuses to run as root, so root hands the server to an account that owns nothing else here.
drop=()
server_owner=
if [[ $(id -u) == 0 ]]; then
    server_owner=postgres
    id -u postgres >/dev/null 2>&1 || server_owner=nobody
    drop=(setpriv --reuid "$server_owner" --regid "$(id -g "$server_owner")" --init-groups --)
fi

# Runs a command as the server's user, in a folder everybody may enter and without the caller's client settings.
# RUST_BACKTRACE goes too: with it in the server's environment every error carries a backtrace to the client.
as_server() {
    local unset=(-u RUST_BACKTRACE -u RUST_LIB_BACKTRACE) name
    for name in $(compgen -e PG || true); do unset+=(-u "$name"); done
    (cd / && exec "${drop[@]}" env "${unset[@]}" "$@")
}

# The binaries find their libraries and shared files relative to themselves, so the whole layout is copied: what lay
# in /usr/lib/... lies in DEST/usr/lib/... . Headers are for compiling against the copy; JIT, manuals and translations
# are half of the size and no test needs them. An extension of our name in the source would hide the staged one.
copy_server() {
    local dest=$1 dirs=() key
    [[ -x $pg_config ]] || die "no PostgreSQL server found ($pg_config is missing): run 'make setup'"
    for key in bindir pkglibdir sharedir; do dirs+=("$("$pg_config" --"$key")"); done
    [[ ${2:-} != --headers ]] || dirs+=("$("$pg_config" --includedir-server)")
    mkdir -p "$dest"
    tar -C / -ch --exclude='*/bitcode' --exclude='*/llvmjit*' --exclude='*/pgxs' --exclude='*/man' \
        --exclude='*/locale' --exclude='*costsim_pg*' "${dirs[@]#/}" | tar -C "$dest" -x --no-same-owner
}

install_extension() {
    local stage=$1 dest=$2 file
    for file in "$stage"/lib/costsim_pg.so "$stage"/extension/costsim_pg.control "$stage"/extension/costsim_pg--*.sql; do
        [[ -f $file ]] || die "no built extension in $stage: run 'make build'"
    done
    cp "$stage/lib/costsim_pg.so" "$dest$("$pg_config" --pkglibdir)/"
    cp "$stage"/extension/costsim_pg* "$dest$("$pg_config" --sharedir)/extension/"
}

# When a process was started, in clock ticks since boot; fails for a dead one. Together with the number it names a
# process for good: numbers are used again. A zombie is dead: its parent may never collect it.
process_start() {
    local stat fields
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[0]} != [ZX] ]] || return 1
    echo "${fields[19]}"
}

# Polls without starting a process per round: reading a pipe that nobody writes to is a sleep.
watch_owner() {
    local dir=$1 owner=$2 born=$3 never
    exec {never}<> <(:)
    while [[ -d $dir && $(process_start "$owner" || true) == "$born" ]]; do read -rt 0.3 -u "$never" || true; done
    stop_cluster "$dir" immediate
}

# Opens a cluster folder: sets dir and bindir. Only a folder with our mark may ever be removed.
open_cluster() {
    dir=$(realpath -m "$1")
    [[ -d $dir ]] || return 1
    [[ -f $dir/$marker ]] || die "$1 is no cluster of this script"
    bindir=$dir/server$(cat "$dir/$marker")
}

start_server() {
    if ! as_server "$bindir/pg_ctl" start -s -w -t 60 -D "$dir/data" -l "$dir/server.log" </dev/null >&2; then
        show_log
        die "the server did not start"
    fi
}

show_log() {
    [[ ! -f $dir/server.log ]] || { echo "--- last lines of the server log" && tail -n 40 "$dir/server.log"; } >&2
}

# Every process that runs a program of this folder, in whatever state the server is.
server_processes() {
    find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$1/server/*" -printf '%h\n' 2>/dev/null | cut -d/ -f3 || true
}

stop_server() {
    [[ -f $dir/data/postmaster.pid ]] || return 0
    as_server "$bindir/pg_ctl" stop -s -w -t 30 -m "$1" -D "$dir/data" >/dev/null 2>&1 || true
}

stop_cluster() {
    local pids
    open_cluster "$1" || return 0
    stop_server "$2"
    # Also a server that was half-way up, or one whose postmaster was killed and left its children behind.
    while pids=$(server_processes "$dir") && [[ -n $pids ]]; do
        # shellcheck disable=SC2086 # one word per process
        kill -9 $pids 2>/dev/null || true
        sleep 0.05
    done
    # The owner's own stop and its watchdog may both be here.
    rm -rf "$dir" 2>/dev/null || rm -rf "$dir"
}

# After a crash of the server its children have to be gone before a new one may use the shared memory.
restart_cluster() {
    open_cluster "$1" || die "no cluster in $1"
    stop_server "$2"
    local tries=0
    while [[ -n $(server_processes "$dir") ]]; do
        ((++tries < 600)) || die "the old server in $dir does not end"
        sleep 0.05
    done
    rm -f "$dir/data/postmaster.pid"
    start_server
}

# A cluster that does not come up completely is removed again.
remove_unfinished() {
    local code=$?
    trap '' INT TERM HUP
    [[ -z $dir ]] || stop_cluster "$dir" "${1:-immediate}"
    exit "$code"
}

start_cluster() {
    local preload=no extension=yes released=no stage=${COSTSIM_STAGE:-$root/target/stage} owner='' conf=()
    while (($#)); do
        case $1 in
            --preload) preload=yes ;;
            --no-extension) extension=no ;;
            --released) released=yes ;;
            --conf) conf+=("${2:?--conf needs a line}") && shift ;;
            --stage) stage=$(realpath -m "${2:?--stage needs a folder}") && shift ;;
            --owner) owner=${2:?--owner needs a process number} && shift ;;
            *) die "unknown option $1" ;;
        esac
        shift
    done

    # A socket's path may have 107 characters at most, and the server's user has to get there.
    local base=${TMPDIR:-/tmp} born=
    if ((${#base} > 60)) || ! as_server test -x "$base"; then base=/tmp; fi
    base=$(realpath "$base")
    [[ -z $owner ]] || born=$(process_start "$owner") || die "there is no process $owner to own the cluster"
    dir=$(mktemp -d "$base/costsim_pg.XXXXXX")
    "$pg_config" --bindir >"$dir/$marker" || die "no PostgreSQL server found ($pg_config fails): run 'make setup'"
    open_cluster "$dir"
    # Its own session, so that what ends the owner's process group does not end the watchdog with it.
    [[ -z $owner ]] || setsid --fork bash "$self" _watch "$dir" "$owner" "$born" </dev/null >/dev/null 2>&1

    copy_server "$dir/server"
    [[ $extension == no ]] || install_extension "$stage" "$dir/server"
    [[ $released == no ]] || cp "$root"/sql/released/costsim_pg--*.sql "$dir/server$("$pg_config" --sharedir)/extension/"
    mkdir "$dir/run" "$dir/data"
    : >"$dir/server.log"
    # Everybody who reaches the socket is trusted as superuser, so nobody else may enter the folder.
    chmod 700 "$dir" "$dir/run" "$dir/data"
    [[ -z $server_owner ]] || chown "$server_owner" "$dir" "$dir/run" "$dir/data" "$dir/server.log"

    if ! as_server "$bindir/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
        --no-instructions >"$dir/initdb.log" 2>&1; then
        cat "$dir/initdb.log" >&2
        die "initdb failed"
    fi
    port=$((10000 + RANDOM % 40000))
    {
        # fsync guards against a crash of the machine, not of the server; a test of the former turns it on.
        cat <<CONF
listen_addresses = ''
unix_socket_directories = '$dir/run'
port = $port
fsync = off
jit = off
max_connections = 100
max_prepared_transactions = 10
max_worker_processes = 16
shared_buffers = 128MB
wal_level = replica
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '%m [%p] %q%u@%d %a '
CONF
        [[ $preload == no ]] || echo "shared_preload_libraries = 'costsim_pg'"
        ((${#conf[@]} == 0)) || printf '%s\n' "${conf[@]}"
    } >>"$dir/data/postgresql.conf"
    start_server
    # A --conf line may have moved it.
    port=$(sed -n 4p "$dir/data/postmaster.pid")
}

variables() {
    cat <<VARIABLES
PGHOST=$dir/run
PGPORT=$port
PGUSER=postgres
PGDATABASE=postgres
PGDATA=$dir/data
COSTSIM_CLUSTER=$dir
COSTSIM_BINDIR=$bindir
VARIABLES
}

# The command runs in the background, because only then a signal to this script is served while it runs. The shell
# makes a background command deaf to Ctrl-C and takes its standard input away; both are given back.
run_command() {
    local line child code
    while read -r line; do export "${line?}"; done < <(variables)
    env --default-signal=INT,QUIT -- "$@" <&0 &
    child=$!
    # shellcheck disable=SC2064 # the child of now
    for line in INT TERM HUP; do trap "kill -$line $child 2>/dev/null || true" "$line"; done
    while :; do
        code=0
        wait "$child" || code=$?
        kill -0 "$child" 2>/dev/null || break
    done
    ((code == 0)) || show_log
    return "$code"
}

main() {
    local command=${1:-} mode=fast options=() target
    dir='' bindir='' port=''
    (($#)) || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$self" && exit 2; }
    shift
    case $command in
        start | run)
            while (($#)) && [[ $1 != -- ]]; do options+=("$1") && shift; done
            trap remove_unfinished EXIT
            trap 'exit 130' INT
            trap 'exit 143' TERM
            trap 'exit 129' HUP
            if [[ $command == start ]]; then
                start_cluster "${options[@]}"
                trap - EXIT
                variables
            else
                (($# > 1)) || die "run needs a command: run [options] -- command args..."
                shift
                start_cluster --owner $$ "${options[@]}"
                trap 'remove_unfinished fast' EXIT
                run_command "$@"
            fi
            ;;
        stop | restart)
            target=${1:?which cluster?} && shift
            if [[ ${1:-} == --mode ]]; then mode=${2:?--mode needs fast or immediate}; fi
            [[ $mode == fast || $mode == immediate ]] || die "unknown mode $mode: fast or immediate"
            "${command}_cluster" "$target" "$mode"
            ;;
        copy-server) copy_server "$@" ;;
        _watch) watch_owner "$@" ;;
        *) die "unknown command $command" ;;
    esac
}

# One line: bash reads a script while it runs, and a long-lived run must not read what an editor saves meanwhile.
main "$@"; exit
