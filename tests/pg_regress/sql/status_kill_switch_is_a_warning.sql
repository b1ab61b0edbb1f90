-- Who has turned it knows; everybody else should.
PREPARE look (text) AS SELECT status, since IS NOT NULL AS has_since, why, what_to_do FROM costsim_status() WHERE subsystem = $1;
BEGIN;
TRUNCATE costsim_envelopes, costsim_kill_switch;
EXECUTE look('coordination');
SELECT decision FROM costsim_coordinate('e', 'COST', 's', 'p');
EXECUTE look('coordination');
SELECT costsim_set_kill_switch(true, 'ada', 'incident 12');
EXECUTE look('coordination');
SELECT s.since = date_trunc('second', k.changed_at) AS since_it_was_turned FROM costsim_status() s, costsim_kill_switch k WHERE s.subsystem = 'coordination';
SELECT costsim_set_kill_switch(false, 'ada', 'over');
EXECUTE look('coordination');
ROLLBACK;
