-- Leader election: who leads which lock id, and in which term.
--
-- The lock itself is PostgreSQL's own session-level advisory lock on exactly the bigint key, so a client that calls
-- pg_try_advisory_lock(7001) itself and a client of these functions elect one leader between them. The row is the lock's
-- memory: it stays after release, so that the epoch, and with it the fencing token, never falls back.

CREATE TABLE costsim_leaders (
    lock_id       bigint PRIMARY KEY,
    node_id       text,
    pid           integer     NOT NULL,
    backend_start timestamptz NOT NULL,
    epoch         bigint      NOT NULL CHECK (epoch BETWEEN 1 AND 4294967295),
    token         bigint      NOT NULL CHECK (token > 0),
    acquired_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at   timestamptz
) WITH (fillfactor = 50);

COMMENT ON TABLE costsim_leaders IS 'The latest term of every lock id that was ever led. Kept after release so that epochs and tokens only grow.';
COMMENT ON COLUMN costsim_leaders.lock_id IS 'The role that is led: the key of PostgreSQL''s session-level advisory lock.';
COMMENT ON COLUMN costsim_leaders.node_id IS 'Who asked, in the application''s own words; NULL when it did not say.';
COMMENT ON COLUMN costsim_leaders.pid IS 'The server process of the session that leads or led.';
COMMENT ON COLUMN costsim_leaders.backend_start IS 'When that process started: a pid alone may be used again.';
COMMENT ON COLUMN costsim_leaders.epoch IS 'Number of the term, from 1; grows by one per term and is never used again.';
COMMENT ON COLUMN costsim_leaders.token IS 'Fencing token: timeline << 32 | epoch. A later term always has a greater token, across a failover too.';
COMMENT ON COLUMN costsim_leaders.acquired_at IS 'When the term began, by the server''s clock.';
COMMENT ON COLUMN costsim_leaders.released_at IS 'When the term was given back; NULL while it runs and when its session just ended.';

SELECT pg_catalog.pg_extension_config_dump('costsim_leaders', '');

-- The four parts of the key as pg_locks shows them: classid holds the high half, objid the low half, objsubid 1 is a bigint
-- key (2 a pair of integers, 3 the mark of a term of ours). Another database's lock of the same key is another lock.
CREATE FUNCTION _costsim_locks(lock_id bigint, OUT pid integer, OUT is_mark boolean)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED STRICT ROWS 2
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT l.pid, l.objsubid = 3
      FROM pg_catalog.pg_locks l
     WHERE l.locktype = 'advisory'
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
       AND l.classid = ((lock_id >> 32) & 4294967295)::oid
       AND l.objid = (lock_id & 4294967295)::oid
       AND l.objsubid IN (1, 3)
       AND l.granted;
END;
COMMENT ON FUNCTION _costsim_locks(bigint) IS 'The sessions of this database that hold the advisory lock (at most one), or the mark that a term of ours sets beside it.';

CREATE FUNCTION costsim_lock_held(lock_id bigint) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL RESTRICTED STRICT
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM _costsim_locks(lock_id) l WHERE NOT l.is_mark);
END;
COMMENT ON FUNCTION costsim_lock_held(bigint) IS 'Whether any session of this database holds the lock, be it through costsim_try_leader or through pg_try_advisory_lock. NULL for NULL. On a standby it tells of the standby''s own sessions only.';

CREATE FUNCTION costsim_leader(
    lock_id bigint,
    OUT pid integer, OUT node_id text, OUT epoch bigint, OUT token bigint, OUT acquired_at timestamptz,
    OUT application_name text, OUT client_addr inet, OUT healthy boolean)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED STRICT ROWS 1
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH locks AS MATERIALIZED (SELECT l.pid, l.is_mark FROM _costsim_locks($1) l)
    SELECT holder.pid, t.node_id, t.epoch, t.token, t.acquired_at, a.application_name, a.client_addr,
           t.token IS NOT NULL
      FROM locks holder
      JOIN pg_catalog.pg_stat_activity a ON a.pid = holder.pid
      LEFT JOIN costsim_leaders t
        ON t.lock_id = $1 AND t.pid = holder.pid AND t.backend_start = a.backend_start AND t.released_at IS NULL
       AND EXISTS (SELECT FROM locks mark WHERE mark.is_mark AND mark.pid = holder.pid)
     WHERE NOT holder.is_mark;
END;
COMMENT ON FUNCTION costsim_leader(bigint) IS 'Who leads the lock id, since when, with which fencing token: one row, or none while nobody leads. healthy is false, and token NULL, when the lock is held by a client that took the advisory lock itself, or by a term that has not committed yet.';
