-- Who may call what, and what each C function means.
--
-- Nothing is granted to PUBLIC: an operator grants what an application needs. Read functions, coordination functions and
-- operator functions are listed apart, as they will be granted.

SELECT _costsim_require_utf8();

REVOKE ALL ON FUNCTION
    -- read
    _costsim_locks(bigint),
    costsim_lock_held(bigint),
    costsim_leader(bigint),
    costsim_is_leader(bigint),
    costsim_fencing_token(bigint),
    costsim_lock_id(text),
    _costsim_leader_status(),
    costsim_is_open(text),
    costsim_is_closed(text),
    costsim_cb_get_state(text),
    costsim_cb_explain(text),
    costsim_incidents(boolean, integer, text, text),
    costsim_alert_queue_stats(),
    costsim_drift_stats(timestamptz, timestamptz, text, text),
    costsim_drift_series(timestamptz, timestamptz, interval, text, text),
    _costsim_drift_pieces(timestamptz, timestamptz, text, text, integer),
    costsim_provenance_digest(costsim_provenance),
    costsim_query_provenance(text, text, text, text, timestamptz, timestamptz, integer, bigint, text, timestamptz, bigint),
    costsim_count_provenance(text, text, timestamptz, timestamptz, text, text, text),
    costsim_check_duplicate(text, text, text),
    costsim_backfill_verify(),
    costsim_drift(double precision, double precision),
    costsim_drift_merge(costsim_drift_summary),
    costsim_drift_count(costsim_drift_summary),
    costsim_drift_not_finite(costsim_drift_summary),
    costsim_drift_mean(costsim_drift_summary),
    costsim_drift_min(costsim_drift_summary),
    costsim_drift_max(costsim_drift_summary),
    costsim_drift_stddev(costsim_drift_summary),
    costsim_drift_rel_mean(costsim_drift_summary),
    costsim_drift_rel_max(costsim_drift_summary),
    costsim_drift_percentile(costsim_drift_summary, double precision, text),
    costsim_drift_index_percentile(costsim_drift_summary, double precision, text),
    costsim_drift_kl(costsim_drift_summary),
    costsim_drift_js(costsim_drift_summary),
    costsim_drift_report(costsim_drift_summary),
    costsim_input_hash(json),
    costsim_input_digest(json),
    costsim_canonical(json),
    costsim_jcs(json, boolean),
    costsim_jcs_digest(json, boolean),
    costsim_worker_status(),
    costsim_version(),
    -- lead, report, write
    costsim_try_leader(bigint, text, interval),
    costsim_wait_leader(bigint, interval, text, interval),
    costsim_try_lease(bigint, text, interval),
    costsim_renew_lease(bigint, bigint),
    costsim_release_lease(bigint, bigint),
    costsim_require_leader(bigint, bigint),
    costsim_run_as_leader(bigint, text, interval),
    costsim_release_leader(bigint),
    costsim_is_v2_disabled(text),
    costsim_cb_allow(text),
    costsim_auto_recover(),
    costsim_report_drift(double precision, integer, jsonb, text),
    costsim_report_schema_error(integer, jsonb, text),
    costsim_enqueue_alert(jsonb, text, text, text, integer),
    costsim_fire_alert(jsonb, jsonb, text),
    costsim_resolve_alert(jsonb),
    costsim_claim_alerts(text, integer, interval),
    costsim_settle_alert(bigint, bigint, boolean, integer, text),
    costsim_write_provenance(text, text, text, text, text, text, text, text, text, double precision, double precision, jsonb, integer, integer),
    costsim_write_provenance_batch(jsonb),
    costsim_write_provenance_once(text, text, text, text, text, text, text, text, text, double precision, double precision, jsonb, integer, integer),
    costsim_write_provenance_batch_once(jsonb),
    costsim_backfill_v1_baseline(json, integer, boolean),
    costsim_backfill_staged(integer, integer, boolean),
    -- operate
    costsim_retry_failed_alerts(integer),
    costsim_retry_alert(bigint),
    costsim_cancel_alert(bigint),
    costsim_purge_old_alerts(integer, text[]),
    costsim_refresh_drift(integer, boolean),
    costsim_purge_provenance(interval, bigint),
    costsim_worker_start(),
    costsim_worker_stop(),
    costsim_resign_leader(bigint, text),
    costsim_disable_v2(text, text, timestamptz, boolean, text),
    costsim_enable_v2(text, text, text),
    costsim_reset_v2(text, text, text),
    costsim_configure_breaker(text, double precision, double precision, integer, integer, interval, boolean, boolean, boolean, integer, integer, interval, interval, interval),
    -- of the extension's own
    _costsim_drift_in(cstring),
    _costsim_drift_out(costsim_drift_summary),
    _costsim_drift_recv(internal),
    _costsim_drift_send(costsim_drift_summary),
    _costsim_drift_add(internal, double precision, double precision),
    _costsim_drift_merge(internal, costsim_drift_summary),
    _costsim_drift_combine(internal, internal),
    _costsim_drift_final(internal),
    _costsim_drift_serial(internal),
    _costsim_drift_deserial(bytea, internal),
    _costsim_drift_enter(internal, double precision, double precision),
    _costsim_drift_leave(internal, double precision, double precision),
    _costsim_drift_window(internal),
    _costsim_drift_merge_enter(internal, costsim_drift_summary),
    _costsim_drift_merge_leave(internal, costsim_drift_summary),
    _costsim_drift_merge_window(internal),
    _costsim_require_utf8(),
    _costsim_timeline(),
    _costsim_breaker_changed(),
    _costsim_breaker_counted(),
    _costsim_supersede_incident(),
    _costsim_incident_ended(),
    _costsim_cb_events_stay(),
    _costsim_alert_wake(),
    _costsim_provenance_row(),
    _costsim_provenance_truncated()
    FROM PUBLIC;

COMMENT ON FUNCTION costsim_try_leader(bigint, text, interval) IS 'Whether this session leads the lock id from now on. Never waits for a leader. Asking again while leading is true, takes no second lock and writes nothing, except that it renews the lease if one is passed. Without a lease the term lasts as long as the session; with one, a candidate may evict the session once it is over. False while somebody else leads, and when this session leads under another node_id (a pooler has put two clients on it; noted once in costsim_leader_events). Lock and row come together and are given back together when the transaction aborts. Errors: 22004 lock_id null, 22023 blank node_id or a lease that is not positive, 25006 read-only or standby.';
COMMENT ON FUNCTION costsim_wait_leader(bigint, interval, text, interval) IS 'Waits in the queue of the lock until this session leads: true, or false at the end of timeout. Evicts a leader whose lease is over, which gives it at least a second to end; otherwise like costsim_try_leader. Who waits is served in order of arrival, old clients of pg_advisory_lock aside. lock_timeout does not apply. The statement holds a snapshot while it waits: wait for minutes, not for days. Errors: those of costsim_try_leader; 22023 negative timeout; cancel, statement_timeout and deadlock as ever, and nothing is left behind.';
COMMENT ON FUNCTION costsim_release_leader(bigint) IS 'Gives the leadership back: true if this session led, else false. The lock opens at commit, then costsim_leader_released is notified with the lock id; when the transaction aborts this session leads on. Errors: 22004, 25006.';
COMMENT ON FUNCTION costsim_try_lease(bigint, text, interval) IS 'Leads by a lease that no session has to keep, for clients behind a transaction pooler: the fencing token, or NULL while somebody else leads, by a lease or by a session that holds the lock (overdue or not: only costsim_try_leader and costsim_wait_leader evict), or while another transaction is just beginning a term. The term is over for everybody at the end of the lease, by the server''s clock, and when a standby takes the server''s place. The same node_id is given the same token again and its lease is renewed, so node_id must be one process'' own. Errors: 22004; 22023 blank node_id, lease not positive; 25006.';
COMMENT ON FUNCTION costsim_renew_lease(bigint, bigint) IS 'Renews the lease of the term of this token, in either mode, for as long as it was taken: its new end, infinity for a term without a lease, or NULL when the term is over. One row updated. Renew in a transaction of its own: until it ends, others are refused, and whoever renews or gives back the same term waits. Errors: 22004, 25006.';
COMMENT ON FUNCTION costsim_release_lease(bigint, bigint) IS 'Gives the lease of this token back: true if its term was running. costsim_leader_released is notified with the lock id after commit. Errors: 22004, 25006.';
COMMENT ON FUNCTION costsim_require_leader(bigint, bigint) IS 'Raises 55000 unless the term of this token, or without one the term of this session, is current; and checks again just before the transaction commits, so that a deposed leader''s transaction cannot commit. Holds no lock until then; from the second check to the end of the commit nobody else begins a term. A rolled-back savepoint takes its requirement along; a transaction with one cannot be prepared (0A000). Errors: 22004, 25006 standby, 55000.';
COMMENT ON FUNCTION costsim_run_as_leader(bigint, text, interval) IS 'Runs a command, with the caller''s rights, if this session leads or comes to lead within timeout. One row: led, and how many rows the command''s last statement touched or returned (NULL when it was not run). Its errors come out unchanged. The lead is given back with the commit, unless this session had it before. Needs EXECUTE on costsim_wait_leader and costsim_release_leader as well. Errors: 22004; 22023 blank command, negative timeout; 0A000 COMMIT and the like in command; 25006.';
COMMENT ON FUNCTION costsim_resign_leader(bigint, text) IS 'Ends the term of whoever leads: true if there was one. A lease is closed; a session that leads is terminated, after checking that it is the very process on record, and its exit waited for up to 5 s (false and an event preempt_denied when it does not end); the caller''s own lead is just given back. A session that holds only the bare advisory lock has no term. Errors: 22004, 22023 blank reason, 25006.';
COMMENT ON FUNCTION costsim_fencing_token(bigint) IS 'The fencing token of the term by which this session leads the lock id; NULL when it does not, and in lease mode. Reads this session''s memory and its own locks.';
COMMENT ON FUNCTION costsim_lock_id(text) IS 'The lock id that costsim_locks gives this name. Errors: 22004, 42704 no such name.';
COMMENT ON FUNCTION costsim_is_leader(bigint) IS 'Whether this session leads the lock id by holding it; in lease mode no session does. NULL for NULL. Works everywhere, writes nothing.';
COMMENT ON FUNCTION costsim_is_open(text) IS 'Whether the breaker is open or half-open, that is, whether V2 must not answer; a breaker whose disabled_until has passed counts as closed. What is committed or done by this transaction at the moment of the call, whatever the isolation level. No lock and no write; a session that knows the breaker reads no table. Works on a standby. Errors: 22004, 42704 no such breaker.';
COMMENT ON FUNCTION costsim_is_closed(text) IS 'The opposite of costsim_is_open. Errors: 22004, 42704.';
COMMENT ON FUNCTION costsim_is_v2_disabled(text) IS 'The answer of costsim_is_open; in addition, what time has done to the breaker (its end has passed, probing has begun, a probe has expired) is written down, with incident, alert and event, if the transaction can write, is READ COMMITTED and nobody else has the row, its incident or its alert. Never waits, and answers on a standby; a write that fails is a WARNING, and not tried again for ten seconds. Errors: 22004, 42704.';
COMMENT ON FUNCTION costsim_cb_allow(text) IS 'Whether the caller may use V2: true while the breaker is closed, false while it is open. While it is half-open, true for at most probe_permits callers of one half-open period: each is a permit that expires after probe_timeout, is redeemed by the next good costsim_report_drift, and opens the breaker once more if it expires. Never waits: false while another transaction has the breaker''s row, and in a read-only transaction. Ask in a transaction of its own: a permit is given at commit, and until then others get none. Under REPEATABLE READ and SERIALIZABLE a row that has changed since the transaction began gives none. Errors: 22004, 42704.';
COMMENT ON FUNCTION costsim_cb_get_state(text) IS 'The breaker''s state as of now, one row: is_open, state (closed, open or half_open), opened_at, reason, incident_id, consecutive_failures, last_failure_at, disabled_until (when time alone closes it, if auto_recover is on; NULL: until enabled by hand), disabled_by. Errors: 22004, 42704.';
COMMENT ON FUNCTION costsim_cb_explain(text) IS 'Why the breaker stands where it stands, one fact per line: its state and end, the numbers that the last decision compared and with which settings, what has been counted since. For people; the words may change. Errors: 22004, 42704.';
COMMENT ON FUNCTION costsim_report_drift(double precision, integer, jsonb, text) IS 'Reports how far V2 is from V1. Answers the incident if this report opened the breaker, else no row. A score strictly above drift_threshold is a failure; failure_threshold of them in a row open the breaker (severity P1) and fire its alert, in the caller''s transaction; a better score starts the count anew, and on a quiet breaker reads and writes nothing. A score above warning_threshold is recorded as an event when that begins. While open a bad report is noted on the incident; while half-open it opens the breaker once more, and a good one redeems the oldest permit. details becomes the incident''s details_json. Errors: 22004; 22023 score NaN, infinite or negative, sample_count negative; 42704; 25006; 40001 under REPEATABLE READ and SERIALIZABLE if the row has changed since.';
COMMENT ON FUNCTION costsim_report_schema_error(integer, jsonb, text) IS 'Reports answers of V2 in the wrong shape. Answers the incident if this report opened the breaker, else no row. schema_error_threshold or more errors in one report open it (severity P3, drift_score 1, sample_count the number of errors); reports are not added up. Otherwise like costsim_report_drift. Errors: 22004; 22023 negative error_count; 42704; 25006; 40001.';
COMMENT ON FUNCTION costsim_disable_v2(text, text, timestamptz, boolean, text) IS 'Opens the breaker by hand (severity P2), until disabled_until, for the breaker''s disable_ttl if NULL, or for good with permanent. One row: changed, and the open incident''s id. Asking for the same again changes nothing; another reason or end changes the open breaker and makes no second incident. Errors: 22004; 22023 blank reason or disabled_by, an end that has passed, an end together with permanent; 42704; 25006.';
COMMENT ON FUNCTION costsim_enable_v2(text, text, text) IS 'Closes the breaker, resolves its incident and its alert in the caller''s transaction: true if it was open or half-open, false if there was nothing to do. Errors: 22004, 22023 blank enabled_by, 42704, 25006.';
COMMENT ON FUNCTION costsim_reset_v2(text, text, text) IS 'costsim_enable_v2 with reason and name of the caller the other way round. Errors: 22004, 22023, 42704, 25006.';
COMMENT ON FUNCTION costsim_auto_recover() IS 'Writes down what time has done to any breaker that nobody else has just now: one row, name and state, for each that moved. One that cannot be written is a WARNING. The worker does so by itself, on time. Errors: 25006.';
COMMENT ON FUNCTION costsim_configure_breaker(text, double precision, double precision, integer, integer, interval, boolean, boolean, boolean, integer, integer, interval, interval, interval) IS 'Changes a breaker''s settings and answers its row; what is NULL stays as it is, disable_ttl => ''0'' means until somebody enables it. Makes the breaker if there is none. What time has done by the settings so far is written down first. Holds from the next event on; an outage that runs keeps its end. The columns of costsim_cb_state say what each setting means. Errors: 22004 name null; 22023 settings that make no sense, by themselves or together, blank name; 25006.';
COMMENT ON FUNCTION costsim_enqueue_alert(jsonb, text, text, text, integer) IS 'Queues a ready payload, a JSON array of alerts as Alertmanager''s API v2 takes them, and answers its id. The worker delivers it at least once after the caller''s commit. max_attempts: 10 if NULL. Errors: 22004; 22023 no array, labels missing or not strings, a bad time, max_attempts below 1; 25006.';
COMMENT ON FUNCTION costsim_fire_alert(jsonb, jsonb, text) IS 'Starts an alert, or gives a firing one new annotations, and answers its fingerprint (Alertmanager''s own: labels alone make an alert''s identity). The worker repeats it every costsim.alert_resend_interval until costsim_resolve_alert is called with the same labels. Firing again with nothing new changes nothing. Errors: 22004; 22023 labels or annotations no object of strings, no label left; 25006.';
COMMENT ON FUNCTION costsim_resolve_alert(jsonb) IS 'Ends an alert that was fired with exactly these labels: true if it was firing. The end is repeated for 15 minutes. Errors: 22004, 22023, 25006.';
COMMENT ON FUNCTION costsim_write_provenance(text, text, text, text, text, text, text, text, text, double precision, double precision, jsonb, integer, integer) IS 'Writes one provenance row in the caller''s transaction and answers its id. Costs in cents, runtime in milliseconds; cost_delta becomes v2_cost - v1_cost when both are given. hash_version, if NULL, is told from the hash: 16 lower-case hexadecimal digits are 1, 64 are 2. Errors: 22023 a cost that is NaN or infinite, costs whose difference is, a negative runtime, a hash_version outside 1 to 3; 25006.';
COMMENT ON FUNCTION costsim_write_provenance_batch(jsonb) IS 'Writes a JSON array of records, whose keys are the arguments of costsim_write_provenance, in one statement: all of them or none. Answers the ids in input order; an empty array writes nothing. At most 100,000 records and 64 MiB. Errors: 22004; 22023 naming the bad element, counted from 0; 54000 too large; 25006.';
COMMENT ON FUNCTION costsim_write_provenance_once(text, text, text, text, text, text, text, text, text, double precision, double precision, jsonb, integer, integer) IS 'Writes the row unless one with this tenant, variant and input hash was written once before. One row: its id, and whether this call inserted it; a repeat changes nothing. Of concurrent calls one inserts, and the others wait for its commit and answer its id. Rows of costsim_write_provenance do not count. NULL and an empty text are the same tenant or variant. Errors: those of costsim_write_provenance; 22023 input_hash NULL or empty; 40001 under REPEATABLE READ and SERIALIZABLE if the row was committed since the transaction began.';
COMMENT ON FUNCTION costsim_write_provenance_batch_once(jsonb) IS 'costsim_write_provenance_once for a JSON array of records, all of them or none: id and inserted for each, in input order. Of records with the same tenant, variant and input hash the first is inserted, the others answer its id and false. Errors: those of costsim_write_provenance_batch; 22023 an element without input_hash; 40001.';
COMMENT ON FUNCTION costsim_backfill_v1_baseline(json, integer, boolean) IS 'Writes baselines of the old model (variant v1, source backfill, written once) for inputs that have none. Keys of a record, all optional: run_id, tenant_id, input_hash, payload, cost (becomes v1_cost, in cents), model_version, adapter_version, commit_sha, runtime_ms, created_at (RFC 3339). Without input_hash the hash is costsim_input_hash of the payload''s text; a record with neither is an error. Skipped: a record whose tenant has a v1 row with this hash, whoever wrote it. One row: inserted, skipped, errors, and of the first 100 errors index (from 0), sqlstate and error. A bad record is left out and the rest is written, batch_size records in one statement. dry_run does all this and takes it back, ids used apart. Runs under lock 7004 to the end of the transaction. At most 100,000 records and 64 MiB: costsim_backfill_staging is for more. costsim_backfill_progress shows how far it is. Errors: 22004; 22023 no array, batch_size outside 1 to 10000; 54000 too large; 55P03 lock 7004 is held by another session or leased; 25006.';
COMMENT ON FUNCTION costsim_backfill_staged(integer, integer, boolean) IS 'Does what costsim_backfill_v1_baseline does for the next max_records records of costsim_backfill_staging that are staged, in the order of their ids, and notes there what became of each. One row: inserted, skipped, errors, and how many remain staged. Each call is a part of the load that is there or not, as its transaction is: call it until none remain, after a crash too. dry_run looks at the same records each time and takes everything back: as many remain as before. Errors: 22004; 22023 max_records below 1, batch_size outside 1 to 10000; 55P03; 25006.';
COMMENT ON FUNCTION costsim_input_hash(json) IS 'The first 16 hexadecimal digits of costsim_input_digest: hash version 1. NULL for NULL. jsonb would not do: it has lost 1.0 against 1, -0.0 and the order of keys. Errors: those of costsim_input_digest.';
COMMENT ON FUNCTION costsim_input_digest(json) IS 'SHA-256 of costsim_canonical, 64 hexadecimal digits: hash version 2. What CPython answers for hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest(). NULL for NULL. Linear time but for sorting keys; memory beyond the text only for objects whose keys are out of order, at most 4 bytes a member and 12 an object, and 16 a level of nesting while reading. Errors: 54000 more than 256 MiB of text, 54001 nested deeper than 1000 levels, 53200 no memory.';
COMMENT ON FUNCTION costsim_canonical(json) IS 'The reference''s canonical form: what CPython prints for json.dumps(payload, sort_keys=True, separators=(",", ":")). ASCII; keys by code point, the last of equal names counts; integers keep every digit, numbers with a fraction or an exponent are doubles as repr prints them (Infinity beyond their range, which is no JSON). NULL for NULL. Errors: those of costsim_input_digest; 54000 a form of 1 GB or more.';
COMMENT ON FUNCTION costsim_jcs(json, boolean) IS 'The form of RFC 8785: keys by UTF-16 unit, only what must be escaped is, numbers are doubles as ECMAScript prints them. NULL for NULL. Errors, each naming the byte offset in the text: 22023 a name that stands twice in an object, half of a surrogate pair, a number beyond the range of a double; with strict_numbers also every number whose decimal value is not the one that is printed (9007199254740993 and 1e-400; 0.1 passes). 54000, 54001 and 53200 as costsim_canonical.';
COMMENT ON FUNCTION costsim_jcs_digest(json, boolean) IS 'SHA-256 of costsim_jcs, 64 hexadecimal digits: hash version 3. NULL for NULL. Errors: those of costsim_jcs.';
COMMENT ON FUNCTION costsim_provenance_digest(costsim_provenance) IS 'What content_digest of this row must be: SHA-256, 32 bytes, of a JSON object with one member per column but content_digest itself, in the form of costsim_input_digest. created_at is a string in UTC with microseconds (2025-03-01T12:34:56.789000Z), what is no finite number a string (NaN, Infinity, -Infinity). WHERE content_digest IS DISTINCT FROM costsim_provenance_digest(p) finds rows that were changed while the trigger was off.';
COMMENT ON FUNCTION costsim_refresh_drift(integer, boolean) IS 'Rolls up the hours, but for the present one, that have changed since they were rolled up, at most max_hours of them, the oldest first, and their days: how many hours. With rebuild everything is rolled up anew, max_hours of it in this call. Writers wait for nothing; an hour that an open transaction has written into is left for the next call. Waits for another refresh to end. The worker does the same at every poll. Answers are right without it, from the rows. Errors: 22004; 22023 max_hours outside 1 to 1000; 25001 under REPEATABLE READ and SERIALIZABLE, whose snapshot would not show what is rolled up; 25006.';
COMMENT ON FUNCTION costsim_purge_provenance(interval, bigint) IS 'Deletes provenance written longer ago than older_than, the oldest first, at most max_rows: how many rows. Drift statistics follow. Deletes as the owner of the table, who needs USAGE on its schema; constraints that were put off are checked first. Under lock 7003 to the end of the transaction. The worker does the same every hour by costsim.provenance_retention. Errors: 22004; 22023 older_than negative, max_rows below 1; 55P03 somebody else leads lock 7003; 25006.';
COMMENT ON FUNCTION costsim_drift_count(costsim_drift_summary) IS 'How many pairs the summary has. Like every function of a summary: NULL for NULL; error 22023 malformed summary.';
COMMENT ON FUNCTION costsim_drift_not_finite(costsim_drift_summary) IS 'How many pairs were left out of the summary because v2 - v1 is NaN or infinite.';
COMMENT ON FUNCTION costsim_drift_mean(costsim_drift_summary) IS 'The mean of v2 - v1: the double nearest to the exact result, whatever the order of the rows. NULL without pairs.';
COMMENT ON FUNCTION costsim_drift_min(costsim_drift_summary) IS 'The smallest v2 - v1. NULL without pairs.';
COMMENT ON FUNCTION costsim_drift_max(costsim_drift_summary) IS 'The largest v2 - v1. NULL without pairs.';
COMMENT ON FUNCTION costsim_drift_stddev(costsim_drift_summary) IS 'The sample standard deviation of v2 - v1: the double nearest to the exact result, Infinity beyond the largest. NULL with fewer than two pairs.';
COMMENT ON FUNCTION costsim_drift_rel_mean(costsim_drift_summary) IS 'The mean of |v2 - v1| / |v1|, a ratio, over the pairs with v1 other than zero. NULL without any. A ratio beyond the largest double counts as that one.';
COMMENT ON FUNCTION costsim_drift_rel_max(costsim_drift_summary) IS 'The largest |v2 - v1| / |v1|, over the pairs with v1 other than zero. NULL without any.';
COMMENT ON FUNCTION costsim_drift_percentile(costsim_drift_summary, double precision, text) IS 'The percentile of a quantity (delta: v2 - v1; abs_delta: |v2 - v1|; rel_delta: |v2 - v1| / |v1| where v1 is not zero), interpolated as percentile_cont does. Exact for up to 128 pairs; beyond, the two values between which it lies are each within 1 % (1e-9 and less counts as 0), and the extremes exact. NULL when no pair has the quantity. Errors: 22023 fraction outside 0 to 1, unknown quantity.';
COMMENT ON FUNCTION costsim_drift_index_percentile(costsim_drift_summary, double precision, text) IS 'The percentile as the system computes it whose behaviour this extension takes over: the value at index floor(count * fraction) of the sorted list, at most the last. Exact for up to 128 pairs, beyond within 1 %. NULL when no pair has the quantity. Errors: 22023 fraction outside 0 to 1, unknown quantity.';
COMMENT ON FUNCTION costsim_drift_kl(costsim_drift_summary) IS 'Kullback and Leibler''s divergence of the costs v2 from the costs v1, in nats, rounded to four decimals: ten bins of equal width over both lists, every cost counted as 1 at least. Not symmetric, and about 23 as soon as the lists lie apart. Beyond 128 pairs a cost within 1 % of a bin''s border may count on its other side. NULL without pairs.';
COMMENT ON FUNCTION costsim_drift_js(costsim_drift_summary) IS 'Jensen and Shannon''s divergence of the costs v1 and v2 in the same ten bins, in bits: 0 for equal shares, 1 for no bin in common, the same from either side. NULL without pairs.';
COMMENT ON FUNCTION costsim_drift_report(costsim_drift_summary) IS 'What is usually asked of a summary, in one row and read once: total (costsim_drift_count), mean, minimum, maximum and sample standard deviation of v2 - v1, interpolated 50th, 90th and 99th percentiles of |v2 - v1|, |v2 - v1| / |v1| and v2 - v1, both divergences, not_finite. Each as the function of its own answers it.';
COMMENT ON FUNCTION costsim_claim_alerts(text, integer, interval) IS 'Claims alerts that are due for a deliverer outside the server: at most "max", each for lease. One row per queued payload (kind queued) or fired alert (kind fired): id, the JSON array to POST to /api/v2/alerts as it is, failed attempts so far, the token of the claim and its end. Severity p1, critical and page first, then by age. What is claimed, or locked by somebody else, is passed over. Errors: 22004; 22023 blank claimant, max outside 1 to 10000, lease not positive or above an hour; 55000 while this database''s worker delivers; 25006.';
COMMENT ON FUNCTION costsim_settle_alert(bigint, bigint, boolean, integer, text) IS 'Says what became of a claimed alert: true if the claim still was the one of this token, false (and nothing changes) when it was settled, cancelled, or taken over by another claim. Delivered: sent; a fired one is due again after costsim.alert_resend_interval. Not delivered: failed for HTTP 400, 413 and 422 (a fired one is tried again), else tried again after a pause, and given up as the worker gives up. What was fired or resolved anew since it was claimed stays due. Errors: 22004, 22023 status_code no HTTP status, 25006.';
COMMENT ON FUNCTION costsim_retry_failed_alerts(integer) IS 'Brings back every queued alert that has failed and was brought back fewer than max_retries times: pending, due now, attempts from 0. Answers how many. Errors: 22004, 22023 max_retries below 1, 25006.';
COMMENT ON FUNCTION costsim_retry_alert(bigint) IS 'Brings back one queued alert that has failed or was cancelled, however often that was done before: whether it had. Errors: 22004, 25006.';
COMMENT ON FUNCTION costsim_cancel_alert(bigint) IS 'Takes one queued alert out of the queue: whether it was pending. What is in flight may still arrive. A fired alert is ended by costsim_resolve_alert. Errors: 22004, 25006.';
COMMENT ON FUNCTION costsim_purge_old_alerts(integer, text[]) IS 'Deletes queued alerts that were sent, failed or cancelled (statuses; NULL means all three) more than so many days ago, and, unless statuses leaves out sent, fired alerts resolved as long ago of which there is nothing left to tell, or that were not told within costsim.alert_retry_window (an hour at least) and that no Alertmanager believes to fire. Answers how many rows. What is pending or fires stays. The worker does the same by costsim.alert_retention. Errors: 22004; 22023 negative days, another word in statuses; 25006.';
COMMENT ON FUNCTION costsim_worker_start() IS 'Starts a worker for this database, if none runs: whether it did. It runs, and is started again when it ends, until costsim_worker_stop() or the end of the server. Errors: 53400 no free worker slot, 25006 standby.';
COMMENT ON FUNCTION costsim_worker_stop() IS 'Ends the worker that costsim_worker_start() has started, for good: whether one ran. Errors: 55000 where costsim.databases names this database, since the launcher would start it again; 25006 standby.';
COMMENT ON FUNCTION costsim_worker_status() IS 'The background workers: database, pid, state (starting, idle, sending, blocked, down; for the current database also not preloaded, not configured, in recovery, no launcher), since when, last beat, what it waits for, in trouble what keeps it from delivering now, and the latest trouble, over or not. Without preload only this database''s.';
COMMENT ON FUNCTION costsim_version() IS 'The library that this session has loaded, the extension as it is installed in this database, and whether both are of one version. After ALTER EXTENSION UPDATE a session that began before, or a server that preloads the library, may have the one before: reconnect, or restart.';
COMMENT ON FUNCTION _costsim_require_utf8() IS 'Refuses with 0A000 a database whose encoding is not UTF8; called by CREATE EXTENSION.';
COMMENT ON FUNCTION _costsim_timeline() IS 'The timeline on which this server writes; 0 on a standby. A lease given on an earlier one is over.';
COMMENT ON FUNCTION _costsim_breaker_changed() IS 'Trigger function: every session forgets what it remembers of the breakers, the worker looks again, settings that make no sense are refused (22023), a breaker opened or closed by another hand gets an event, and the incident of one that was closed is resolved.';
COMMENT ON FUNCTION _costsim_breaker_counted() IS 'Trigger function: every session forgets what it remembers of the breakers, for a count of failures has begun or ended.';
COMMENT ON FUNCTION _costsim_cb_events_stay() IS 'Trigger function: refuses to change or remove an event (0A000).';
COMMENT ON FUNCTION _costsim_incident_ended() IS 'Trigger function: the alert of an incident that was resolved or removed ends.';
COMMENT ON FUNCTION _costsim_supersede_incident() IS 'Trigger function: resolves the incident that another hand left open, with its alert, before a new one is written.';
COMMENT ON FUNCTION _costsim_alert_wake() IS 'Trigger function: the commit of this transaction wakes the database''s worker.';
COMMENT ON FUNCTION _costsim_provenance_row() IS 'Trigger function, before every row: marks the hours in which drift changes, and fills content_digest.';
COMMENT ON FUNCTION _costsim_provenance_truncated() IS 'Trigger function: marks everything as changed.';
COMMENT ON FUNCTION _costsim_drift_in(cstring) IS 'Input of costsim_drift_summary: \x and hexadecimal digits. Errors: 22023 what is no summary.';
COMMENT ON FUNCTION _costsim_drift_out(costsim_drift_summary) IS 'Output of costsim_drift_summary.';
COMMENT ON FUNCTION _costsim_drift_recv(internal) IS 'Binary input of costsim_drift_summary. Errors: 22023 what is no summary.';
COMMENT ON FUNCTION _costsim_drift_send(costsim_drift_summary) IS 'Binary output of costsim_drift_summary.';
COMMENT ON FUNCTION _costsim_drift_add(internal, double precision, double precision) IS 'Part of costsim_drift: a row.';
COMMENT ON FUNCTION _costsim_drift_merge(internal, costsim_drift_summary) IS 'Part of costsim_drift_merge: a row.';
COMMENT ON FUNCTION _costsim_drift_combine(internal, internal) IS 'Part of costsim_drift and costsim_drift_merge: the states of two processes.';
COMMENT ON FUNCTION _costsim_drift_final(internal) IS 'Part of costsim_drift and costsim_drift_merge: the answer.';
COMMENT ON FUNCTION _costsim_drift_serial(internal) IS 'Part of costsim_drift and costsim_drift_merge: a state on its way to another process.';
COMMENT ON FUNCTION _costsim_drift_deserial(bytea, internal) IS 'Part of costsim_drift and costsim_drift_merge: a state from another process.';
COMMENT ON FUNCTION _costsim_drift_enter(internal, double precision, double precision) IS 'Part of costsim_drift: a row enters a window.';
COMMENT ON FUNCTION _costsim_drift_leave(internal, double precision, double precision) IS 'Part of costsim_drift: a row leaves a window.';
COMMENT ON FUNCTION _costsim_drift_window(internal) IS 'Part of costsim_drift: the answer for a window.';
COMMENT ON FUNCTION _costsim_drift_merge_enter(internal, costsim_drift_summary) IS 'Part of costsim_drift_merge: a row enters a window.';
COMMENT ON FUNCTION _costsim_drift_merge_leave(internal, costsim_drift_summary) IS 'Part of costsim_drift_merge: a row leaves a window.';
COMMENT ON FUNCTION _costsim_drift_merge_window(internal) IS 'Part of costsim_drift_merge: the answer for a window.';
