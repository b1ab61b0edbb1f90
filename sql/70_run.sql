-- What workers did: one row for each run of a job, from its beginning to its end. An application that has such a table of its own need not copy it:
-- costsim_use_runs makes a view over it, and patterns and predictions read that.

CREATE TABLE costsim_worker_runs (
    id            text NOT NULL DEFAULT gen_random_uuid()::text CHECK (id <> '' AND octet_length(id) <= 512),
    tenant_id     text NOT NULL CHECK (tenant_id <> '' AND octet_length(tenant_id) <= 512),
    worker_id     text NOT NULL CHECK (worker_id <> '' AND octet_length(worker_id) <= 512),
    status        text NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'crashed')),
    error         text,
    cost_cents    numeric(20,6) CHECK (cost_cents >= 0::numeric AND cost_cents <> 'NaN'),
    tokens        bigint CHECK (tokens >= 0),
    is_retry      boolean NOT NULL DEFAULT false,
    attempt       integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    parent_run_id text CHECK (parent_run_id <> '' AND octet_length(parent_run_id) <= 512),
    created_at    timestamptz NOT NULL DEFAULT now()
                  CHECK (created_at >= TIMESTAMPTZ '2000-01-01 00:00:00+00' AND created_at < TIMESTAMPTZ '9999-01-01 00:00:00+00'),
    finished_at   timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX costsim_worker_runs_tenant_created_at_idx ON costsim_worker_runs (tenant_id, created_at);
CREATE INDEX costsim_worker_runs_created_at_idx ON costsim_worker_runs (created_at);

COMMENT ON TABLE costsim_worker_runs IS 'One row per run of a worker. Written by costsim_record_run; what has ended stays as it is.';
COMMENT ON COLUMN costsim_worker_runs.id IS 'The caller''s own name for the run, once per tenant: of two tenants neither learns what the other''s are called.';
COMMENT ON COLUMN costsim_worker_runs.worker_id IS 'Which worker, or kind of worker: what patterns of cost and predictions are about.';
COMMENT ON COLUMN costsim_worker_runs.status IS 'queued, running; completed, failed, crashed, which are ends.';
COMMENT ON COLUMN costsim_worker_runs.error IS 'Why it failed, as it was told.';
COMMENT ON COLUMN costsim_worker_runs.cost_cents IS 'What it cost; NULL unknown.';
COMMENT ON COLUMN costsim_worker_runs.tokens IS 'Tokens read and written; NULL unknown.';
COMMENT ON COLUMN costsim_worker_runs.is_retry IS 'Whether it repeats one that failed.';
COMMENT ON COLUMN costsim_worker_runs.attempt IS 'Which attempt it is, from 1.';
COMMENT ON COLUMN costsim_worker_runs.parent_run_id IS 'The run that it repeats, or is a part of.';
COMMENT ON COLUMN costsim_worker_runs.created_at IS 'When it was asked for, which decides in which windows it counts.';
COMMENT ON COLUMN costsim_worker_runs.finished_at IS 'When it ended.';

SELECT pg_catalog.pg_extension_config_dump('costsim_worker_runs', '');

-- What has ended stays, by whatever hand, and nothing goes back. After the row: what a trigger of somebody's own has made of it is looked at.
-- A subscriber of logical replication applies rows with triggers off, unless they are ALWAYS on.
CREATE TRIGGER costsim_worker_runs_stay AFTER UPDATE ON costsim_worker_runs
    FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'crashed') AND OLD.* *<> NEW.*
          OR OLD.status = 'running' AND NEW.status = 'queued')
    EXECUTE FUNCTION _costsim_worker_runs_stay();
ALTER TABLE costsim_worker_runs ENABLE ALWAYS TRIGGER costsim_worker_runs_stay;
COMMENT ON TRIGGER costsim_worker_runs_stay ON costsim_worker_runs IS 'Refuses an UPDATE of what has ended, or from running back to queued.';

CREATE FUNCTION costsim_run_source(OUT source regclass, OUT mapping jsonb, OUT is_ours boolean)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(v.source, 'costsim_worker_runs'::regclass), coalesce(v.mapping, '{}'::jsonb), v.source IS NULL
      FROM (VALUES (1)) one (row)
      LEFT JOIN LATERAL (
            SELECT d.refobjid::regclass AS source, obj_description(c.oid, 'pg_class')::jsonb AS mapping
              FROM pg_extension e
              JOIN pg_class c ON c.relnamespace = e.extnamespace AND c.relname = 'costsim_application_runs'::name
              JOIN pg_rewrite r ON r.ev_class = c.oid
              JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass::oid AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass::oid
                              AND d.refobjid <> c.oid
             WHERE e.extname = 'costsim_pg'::name
             LIMIT 1) v ON true;
END;
