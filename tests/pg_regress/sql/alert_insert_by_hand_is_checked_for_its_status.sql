-- There are four statuses; a row of a fifth would never be looked at again.
\set VERBOSITY sqlstate
INSERT INTO costsim_alert_queue (payload, status) VALUES ('[]', 'Pending');
INSERT INTO costsim_alert_queue (payload, status) VALUES ('[]', NULL);
INSERT INTO costsim_alert_queue (payload) VALUES (NULL);
SELECT count(*) FROM costsim_alert_queue;
