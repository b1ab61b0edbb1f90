-- An old table may have no column but its keys: there is nothing to change in it on the way back.
SELECT last_value AS l, is_called AS c FROM costsim_cb_state_id_seq \gset
BEGIN;
CREATE SCHEMA old;
CREATE TABLE old.costsim_cb_state (id bigint PRIMARY KEY, name text NOT NULL UNIQUE);
INSERT INTO old.costsim_cb_state VALUES (1, 'one'), (2, 'two');
SELECT table_name, copied, problem FROM costsim_adopt('old', false, 'attach');
INSERT INTO old.costsim_cb_state (id, name) VALUES (3, 'three');
DELETE FROM old.costsim_cb_state WHERE name = 'one';
SELECT table_name, written, removed FROM costsim_unadopt('old');
SELECT * FROM old.costsim_cb_state ORDER BY id;
ROLLBACK;
SELECT setval('costsim_cb_state_id_seq', :l, :'c') > 0 AS put_back;
