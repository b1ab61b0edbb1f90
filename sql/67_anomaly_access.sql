-- What the C functions of the anomalies' room mean. Who may call them: nobody, until told so.

COMMENT ON FUNCTION costsim_detect_anomalies(text, timestamptz) IS 'Looks for anomalies of a tenant (NULL: of all) as they are at as_of, a moment that is not to come: those that are found, new or known, also those an operator has resolved or dismissed, which stay so.
What is found follows from the spends before as_of alone; calling it again changes nothing but what has changed. It looks at that moment alone; the worker looks at the end of yesterday as well where spend of before today has come since. A moment of an earlier day replays that day, and fires no alerts; a look at an earlier moment than the last one changes nothing about what that one has written. One transaction at a time; a second one waits, and both wait for operators who have not committed. Errors: 22004; 22023 as_of in the future or infinite, tenant_id empty or longer than 512 bytes; 25006 read-only; 55P03 another session leads lock 7005.';
COMMENT ON FUNCTION costsim_explain_anomaly(text, text, text, timestamptz) IS 'What every rule says of a tenant, or of one of its features, users or models, as of a moment, and why in numbers, also where nothing is found: one row per rule, and per limit of a budget. days is for how many days the threshold has been reached. Changes nothing. Errors: 22004; 22023 unknown entity_type, entity_id missing or too much, tenant_id or entity_id longer than 512 bytes, as_of in the future or infinite.';
COMMENT ON FUNCTION costsim_acknowledge_anomaly(text, bigint, text, text) IS 'Says that somebody knows of an open anomaly of this tenant: whether that changed anything. Rows of later days take it over. Its alert goes on. Errors: 22004; 22023 empty or long names; 25006 read-only.';
COMMENT ON FUNCTION costsim_resolve_anomaly(text, bigint, text, text) IS 'Ends an anomaly of this tenant, and its alert with it: whether that changed anything. It stays resolved for its period, whatever is found. Errors: 22004; 22023 empty or long names; 25006 read-only.';
COMMENT ON FUNCTION costsim_dismiss_anomaly(text, bigint, text, text) IS 'Says that an anomaly of this tenant is none, and ends its alert: whether that changed anything. It stays dismissed for its period, whatever is found. Errors: 22004; 22023 empty or long names; 25006 read-only.';
COMMENT ON FUNCTION costsim_purge_anomalies(interval, bigint) IS 'Deletes anomalies that have been over for longer than older_than, and breaches and ended drifts of days longer ago, the oldest first, at most max_rows: how many. What is open or acknowledged stays, and so does whatever is of a day or a month that is not over. Rows that somebody else is changing are passed over. The worker does the same by costsim.anomaly_retention. Runs with the rights of the tables'' owner, and is noted in costsim_maintenance. Errors: 22004; 22023 older_than negative, max_rows below 1; 25006 read-only.';

REVOKE ALL ON FUNCTION
    costsim_detect_anomalies(text, timestamptz),
    costsim_explain_anomaly(text, text, text, timestamptz),
    costsim_acknowledge_anomaly(text, bigint, text, text),
    costsim_resolve_anomaly(text, bigint, text, text),
    costsim_dismiss_anomaly(text, bigint, text, text),
    costsim_purge_anomalies(interval, bigint)
    FROM PUBLIC;
