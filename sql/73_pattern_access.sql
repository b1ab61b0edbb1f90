-- What the C functions of the patterns' room mean. Who may call them: nobody, until told so.

COMMENT ON FUNCTION _costsim_error_key(text, boolean) IS 'The signature of an error as a number; zero is empty_error. Part of costsim_detect_patterns.';
COMMENT ON FUNCTION _costsim_occurrences_add(internal, timestamptz, text, text) IS 'Part of _costsim_occurrences: a run.';
COMMENT ON FUNCTION _costsim_occurrences_combine(internal, internal) IS 'Part of _costsim_occurrences: the runs of two parallel workers.';
COMMENT ON FUNCTION _costsim_occurrences_serialize(internal) IS 'Part of _costsim_occurrences: runs on their way from a parallel worker.';
COMMENT ON FUNCTION _costsim_occurrences_deserialize(bytea, internal) IS 'Part of _costsim_occurrences: runs that have come from a parallel worker.';
COMMENT ON FUNCTION _costsim_occurrences_final(internal) IS 'Part of _costsim_occurrences: the answer.';
COMMENT ON AGGREGATE _costsim_occurrences(timestamptz, text, text) IS 'What is shown of runs with one signature: the newest 100, the first worker, 20 workers. Part of costsim_detect_patterns.';
COMMENT ON FUNCTION costsim_error_signature(text, text) IS 'What tells one error from another: the first 16 hexadecimal digits of the SHA-256 of costsim_error_template, empty_error for a blank text. With method reference: as the reference makes it, with its flaw that times with a T stay in pieces. NULL of NULL. Errors: 22023 unknown method.';
COMMENT ON FUNCTION costsim_error_template(text) IS 'An error without what varies from one time to the next: ids, times, numbers, addresses, in small letters. Codes stay. At most the first 8,192 bytes are looked at. NULL of NULL. Errors: none.';
COMMENT ON FUNCTION costsim_detect_patterns(text, interval, timestamptz, integer, double precision, interval, text) IS 'Looks for patterns in the runs of a tenant (NULL: of every tenant, each for itself) and keeps them in costsim_pattern_feedback: those that are found, new or known. failure_pattern: at least threshold failed or crashed runs in (as_of - window, as_of] with one signature. cost_spike: a worker whose newest completed run with a cost lies in the window and cost at least spike_pct percent more than the mean of those before it, of the newest 200 in baseline_window, 5 at least.
The method reference makes signatures as the reference does, of failed runs with an error. What is found again within one window of its last_seen is the same row; later it is a new one, and the old one is no longer current. A row is written when there is a run that it has not seen (later than last_seen, earlier than first_seen, not in provenance, or more of them than occurrence_count), and at no other time. A look at an earlier as_of than that of a row changes nothing; feedback_id is NULL where no row tells of that episode.
One transaction at a time writes for a tenant: who looks at that tenant waits for another one. Who looks at all waits for nobody: tenants that somebody else holds are answered as they are known and written by the next look, and of more tenants with news than max_locks_per_transaction times 16 the rest is, too. Runs are read as they are now under every isolation level. Rows of an application''s own table with empty or long names, or costs that costsim_worker_runs could not hold, are no runs here. Reads runs, and writes feedback, with the rights of the caller, and changes no run.
Errors: 22004; 22023 window not of whole minutes or not from 1 minute to 90 days, threshold below 1, spike_pct not above 0, as_of in the future, before 2000 or infinite, baseline_window not above 0 or above 3,660 days, unknown method, tenant_id empty or longer than 512 bytes; 25006 read-only; 40P01 transactions that look at several tenants, one after the other, in different orders; 54000 more than 100,000 patterns of a kind.';
COMMENT ON FUNCTION costsim_acknowledge_feedback(text, bigint, text, text) IS 'Says that somebody knows of an episode of this tenant: whether that changed anything. The next episode is not acknowledged. Waits for whoever looks at this tenant, or writes for it. Errors: 22004; 22023 empty or long names; 25006 read-only; 40P01 as of costsim_detect_patterns.';
COMMENT ON FUNCTION costsim_purge_feedback(interval, bigint) IS 'Deletes patterns that were last seen longer than older_than ago, acknowledged or not, the oldest first, at most max_rows: how many. Rows that somebody else is changing are passed over. Noted in costsim_maintenance. Errors: 22004; 22023 older_than negative, max_rows below 1; 25006 read-only.';

REVOKE ALL ON FUNCTION
    costsim_error_signature(text, text),
    costsim_error_template(text),
    costsim_detect_patterns(text, interval, timestamptz, integer, double precision, interval, text),
    costsim_acknowledge_feedback(text, bigint, text, text),
    costsim_purge_feedback(interval, bigint)
    FROM PUBLIC;
