-- before_id goes on where the page before it ended: by time, then by id; nothing twice, nothing missed, and an incident that comes in between does
-- not shift the pages. An id that nobody knows, or that is another breaker's, gives no rows.
BEGIN;
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, "timestamp", reason, severity, resolved)
SELECT 'i' || lpad(i::text, 2, '0'), 'paged', timestamptz '2025-01-01 UTC' + (i / 3) * interval '1 day', 'r', 'P1', true FROM generate_series(1, 10) i;
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, "timestamp", reason, severity, resolved) VALUES ('theirs', 'other', '2025-01-03 UTC', 'r', 'P1', true);
SELECT string_agg(id, ' ') AS all_of_them FROM costsim_incidents(true, NULL, 'paged');
SELECT string_agg(id, ' ') AS first_page FROM costsim_incidents(true, 4, 'paged');
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, "timestamp", reason, severity) VALUES ('i99', 'paged', '2025-02-01 UTC', 'r', 'P1');
SELECT string_agg(id, ' ') AS second_page FROM costsim_incidents(true, 4, 'paged', before_id => 'i07');
SELECT string_agg(id, ' ') AS third_page FROM costsim_incidents(true, 4, 'paged', 'i03');
SELECT count(*) AS after_the_last FROM costsim_incidents(true, 4, 'paged', 'i01');
-- of the unresolved only
SELECT string_agg(id, ' ') AS unresolved FROM costsim_incidents(false, 4, 'paged');
SELECT count(*) AS unresolved_before_it FROM costsim_incidents(false, 4, 'paged', 'i99');
SELECT count(*) AS before_what_nobody_knows FROM costsim_incidents(true, 4, 'paged', 'i00');
SELECT count(*) AS before_what_is_another_breakers FROM costsim_incidents(true, 4, 'paged', 'theirs');
SELECT count(*) AS without_a_page FROM costsim_incidents(true, 4, 'paged', NULL);
ROLLBACK;
