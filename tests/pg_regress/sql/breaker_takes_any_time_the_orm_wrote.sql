-- A time no calendar holds, written by another hand, does not break a read.
BEGIN;
INSERT INTO costsim_cb_state (name, disabled, disabled_until, last_failure_at) VALUES
    ('past', true, '-infinity', 'infinity'), ('future', true, '294000-01-01', '-infinity'), ('never', true, 'infinity', NULL);
SELECT name, costsim_is_open(name) FROM costsim_cb_state ORDER BY name;
SELECT name, g.is_open, g.disabled_until, g.last_failure_at FROM costsim_cb_state, costsim_cb_get_state(name) g ORDER BY name;
ROLLBACK;
