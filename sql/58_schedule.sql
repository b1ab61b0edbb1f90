-- When the canary runs by itself, and how it went.

CREATE TABLE costsim_canary_schedule (
    id               boolean     PRIMARY KEY DEFAULT true CHECK (id),
    schedule         text        NOT NULL DEFAULT '',
    time_zone        text        NOT NULL DEFAULT 'UTC',
    next_run_at      timestamptz,
    running_since    timestamptz,
    running_run_id   text,
    attempts         integer     NOT NULL DEFAULT 0,
    put_off          integer     NOT NULL DEFAULT 0,
    tried_since      timestamptz,
    again_at         timestamptz,
    unanswered_since timestamptz,
    last_due_at      timestamptz,
    last_started_at  timestamptz,
    last_finished_at timestamptz,
    last_run_id      text,
    last_status      text,
    last_error       text
);

COMMENT ON TABLE costsim_canary_schedule IS 'One row, once there has been a schedule: when the worker runs the canary next, and how it went. costsim_canary_status shows it with the settings. Setting next_run_at to a moment that is over has the worker run it when it looks next.';
COMMENT ON COLUMN costsim_canary_schedule.schedule IS 'The costsim.canary_schedule that next_run_at was computed from.';
COMMENT ON COLUMN costsim_canary_schedule.time_zone IS 'The costsim.canary_time_zone that next_run_at was computed from.';
COMMENT ON COLUMN costsim_canary_schedule.next_run_at IS 'When the next run is due; NULL: never.';
COMMENT ON COLUMN costsim_canary_schedule.running_since IS 'When the run under way was begun; NULL: none is.';
COMMENT ON COLUMN costsim_canary_schedule.running_run_id IS 'The run_id of the run under way. One that a worker finds when it starts was cut off.';
COMMENT ON COLUMN costsim_canary_schedule.attempts IS 'How often the run of last_due_at was begun. One that was cut off is begun once more.';
COMMENT ON COLUMN costsim_canary_schedule.put_off IS 'How many of these attempts somebody''s lock kept from an answer: they left no report.';
COMMENT ON COLUMN costsim_canary_schedule.tried_since IS 'When the first of them was begun: for an hour after that it is tried again.';
COMMENT ON COLUMN costsim_canary_schedule.again_at IS 'When the run that was put off is begun again; NULL: none is.';
COMMENT ON COLUMN costsim_canary_schedule.unanswered_since IS 'When the first run was begun since which none by schedule has passed, failed or had too little data; NULL: the last one has.';
COMMENT ON COLUMN costsim_canary_schedule.last_due_at IS 'When the last run that was begun was due.';
COMMENT ON COLUMN costsim_canary_schedule.last_started_at IS 'When the last run was begun.';
COMMENT ON COLUMN costsim_canary_schedule.last_finished_at IS 'When the last run ended, or was found to have been cut off.';
COMMENT ON COLUMN costsim_canary_schedule.last_run_id IS 'The run_id of the last run that has ended: its report is in costsim_canary_reports, unless it was put off.';
COMMENT ON COLUMN costsim_canary_schedule.last_status IS 'The status of its report, or that of one that was put off: skipped or error.';
COMMENT ON COLUMN costsim_canary_schedule.last_error IS 'Why the last run came to no verdict, or was put off: the first reason. NULL when it did.';

SELECT pg_catalog.pg_extension_config_dump('costsim_canary_schedule', '');

CREATE VIEW costsim_canary_status AS
SELECT s.schedule,
       s.time_zone,
       s.sample_count,
       s.drift_threshold,
       c.next_run_at,
       s.schedule <> ''::text
           AND (c.id IS NULL OR c.schedule <> s.schedule OR c.time_zone <> s.time_zone
                OR coalesce(coalesce(c.running_since, least(c.again_at, c.next_run_at)) < clock_timestamp() - INTERVAL '10 minutes', false)
                OR coalesce(c.unanswered_since < clock_timestamp() - INTERVAL '1 hour', false)) AS is_overdue,
       c.running_since,
       c.running_run_id,
       c.attempts,
       c.again_at,
       c.unanswered_since,
       c.last_due_at,
       c.last_started_at,
       c.last_finished_at,
       c.last_run_id,
       c.last_status,
       c.last_error,
       p.timestamp AS last_passed_at,
       f.failed_in_a_row,
       f.skipped_in_a_row
  FROM (SELECT btrim(coalesce(current_setting('costsim.canary_schedule'::text, true), ''::text), E' \t\n\x0b\x0c\r'::text) AS schedule,
               btrim(coalesce(current_setting('costsim.canary_time_zone'::text, true), 'UTC'::text), E' \t\n\x0b\x0c\r'::text) AS time_zone,
               coalesce(current_setting('costsim.canary_sample_count'::text, true), '100'::text)::integer AS sample_count,
               coalesce(current_setting('costsim.canary_drift_threshold'::text, true), '0.2'::text)::double precision AS drift_threshold) s
  LEFT JOIN costsim_canary_schedule c ON true
  LEFT JOIN LATERAL (SELECT r.timestamp, r.id FROM costsim_canary_reports r WHERE r.status = 'pass'::text ORDER BY r.id DESC LIMIT 1::bigint) p ON true
 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE r.status <> 'skipped'::text) AS failed_in_a_row,
                            count(*) FILTER (WHERE r.status = 'skipped'::text AND r.scheduled_for IS NOT NULL) AS skipped_in_a_row
                       FROM costsim_canary_reports r
                      WHERE r.status IN ('fail'::text, 'error'::text, 'skipped'::text) AND r.id > coalesce(p.id, 0::bigint)) f;

COMMENT ON VIEW costsim_canary_status IS 'One row: what the settings say of the canary, when it runs next, how the last run by schedule went, and how long none has passed.';
COMMENT ON COLUMN costsim_canary_status.schedule IS 'costsim.canary_schedule; empty: it does not run by itself.';
COMMENT ON COLUMN costsim_canary_status.time_zone IS 'costsim.canary_time_zone.';
COMMENT ON COLUMN costsim_canary_status.sample_count IS 'costsim.canary_sample_count.';
COMMENT ON COLUMN costsim_canary_status.drift_threshold IS 'costsim.canary_drift_threshold.';
COMMENT ON COLUMN costsim_canary_status.next_run_at IS 'When the next run is due; NULL: never, or the worker has not looked yet.';
COMMENT ON COLUMN costsim_canary_status.is_overdue IS 'Whether nobody seems to keep to the schedule: the settings are not taken up, or a run should have begun, or ended, ten minutes ago (costsim_worker_status() says why); or for an hour none has come to a verdict (last_error does).';
COMMENT ON COLUMN costsim_canary_status.running_since IS 'When the run under way was begun; NULL: none is.';
COMMENT ON COLUMN costsim_canary_status.running_run_id IS 'The run_id of the run under way.';
COMMENT ON COLUMN costsim_canary_status.attempts IS 'How often the run of last_due_at was begun: again, where it was cut off or met somebody''s lock.';
COMMENT ON COLUMN costsim_canary_status.again_at IS 'When the run that met somebody''s lock is begun again; NULL: none is.';
COMMENT ON COLUMN costsim_canary_status.unanswered_since IS 'When the first run was begun since which none by schedule has passed, failed or had too little data; NULL: the last one has.';
COMMENT ON COLUMN costsim_canary_status.last_due_at IS 'When the last run that was begun was due.';
COMMENT ON COLUMN costsim_canary_status.last_started_at IS 'When it was begun.';
COMMENT ON COLUMN costsim_canary_status.last_finished_at IS 'When the last run ended, or was found to have been cut off.';
COMMENT ON COLUMN costsim_canary_status.last_run_id IS 'The run_id of the last run that has ended.';
COMMENT ON COLUMN costsim_canary_status.last_status IS 'Its status: pass, fail, error, skipped or insufficient_data.';
COMMENT ON COLUMN costsim_canary_status.last_error IS 'Why it came to no verdict, or was put off: the first reason; NULL when it did.';
COMMENT ON COLUMN costsim_canary_status.last_passed_at IS 'When the last run that passed was begun, by schedule or by hand.';
COMMENT ON COLUMN costsim_canary_status.failed_in_a_row IS 'How many runs have failed or come to an error since, by schedule or by hand; those that were skipped or had too little data do not count.';
COMMENT ON COLUMN costsim_canary_status.skipped_in_a_row IS 'How many runs by schedule have been skipped since: another session led lock 7001 for as long as they were tried.';
