-- What the C functions of the record mean. Who may call them: nobody, until told so.

COMMENT ON FUNCTION costsim_persist_audit_record(text, text, text, text, text, timestamptz, text, text, integer, text, boolean) IS 'Writes a record of a decision: true, and it stands (also when the same one stood already), with the caller''s transaction. False, with a WARNING, when it could not be written, whatever the cause: what the transaction has done and will do is untouched, and the record waits in costsim_audit_failures, or stands in the server''s log where that cannot be written either (read-only, a standby, locked). It waits less than a second for each lock that it needs, which is one unless somebody''s triggers need more. Classes and decisions are known in whatever case; audit_id is a UUID, or NULL for a new one; envelope_id, envelope_class, decision and reason are required; without a decision_timestamp it is now, and a record that stood already may bear another; names have at most 512 bytes, a reason 1 MiB. emit_traces false (a replay): true, and nothing is written. Errors: none of its own; cancel, statement_timeout and shutdown pass.';
COMMENT ON FUNCTION costsim_persist_audit_record(uuid, text, text, text, text, timestamptz, text, text, integer, text, boolean) IS 'The same for an audit_id of type uuid.';
COMMENT ON FUNCTION costsim_replay_audit_failures(bigint) IS 'Tries dead letters again, at most max_rows, those that have waited longest for a try first: how many are written now, each once. What still fails keeps the latest reason. Letters that somebody else is at are passed over. The first that waits for a lock in vain is the last that is tried. Errors: 22004; 22023 max_rows below 1; 25006 read-only.';
COMMENT ON FUNCTION costsim_purge_audit(interval, bigint, text, text) IS 'Deletes records that were decided, and written, longer ago than older_than, the oldest first, at most max_rows (a million at the most), and writes one row into costsim_audit_purges that says who, why, how many, from when to when, and a digest over theirs: how many. There is no default age, and nobody calls it of itself. Records that somebody else has locked are passed over. Errors: 22004 older_than, purged_by or reason NULL; 22023 older_than negative, max_rows outside 1 to 1000000, blank or long texts; 55000 a trigger or rule of somebody''s on the table has kept records, or deleted others, or one on costsim_audit_purges has changed or kept out what the purge says of itself, or a record is being written by this very statement; 40001 under REPEATABLE READ and SERIALIZABLE where another purge was at the same rows; 25006 read-only.';
COMMENT ON FUNCTION costsim_audit_digest(uuid, text, text, text, text, timestamptz, timestamptz, text, text, integer, text, text) IS 'The digest of a record of these columns: SHA-256 over the RFC 8785 form of an object with one member per column, times in UTC with microseconds, 64 hexadecimal digits. NULL where a column that is never NULL is, or a time lies outside the years 1 to 9999. Whoever inserts records by hand needs EXECUTE: a CHECK calls it. Errors: none.';
COMMENT ON FUNCTION costsim_audit_purge_digest(timestamptz, text, text, text, timestamptz, bigint, timestamptz, timestamptz, text) IS 'The digest of a purge of these columns, made as that of a record. NULL where one of them is, or a time lies outside the years 1 to 9999. Errors: none.';
COMMENT ON FUNCTION _costsim_audit_seal() IS 'Trigger function: fills content_digest.';
COMMENT ON FUNCTION _costsim_audit_stays() IS 'Trigger function: refuses to change or delete records and purges (55000), but for what the purge deletes.';

REVOKE ALL ON FUNCTION
    costsim_persist_audit_record(text, text, text, text, text, timestamptz, text, text, integer, text, boolean),
    costsim_persist_audit_record(uuid, text, text, text, text, timestamptz, text, text, integer, text, boolean),
    costsim_replay_audit_failures(bigint),
    costsim_purge_audit(interval, bigint, text, text),
    costsim_query_audit(text, text, text, text, timestamptz, timestamptz, integer, timestamptz, uuid),
    costsim_verify_audit(timestamptz, timestamptz),
    costsim_audit_digest(uuid, text, text, text, text, timestamptz, timestamptz, text, text, integer, text, text),
    costsim_audit_purge_digest(timestamptz, text, text, text, timestamptz, bigint, timestamptz, timestamptz, text),
    _costsim_audit_seal(),
    _costsim_audit_stays()
    FROM PUBLIC;
