-- costsim_is_open answers from memory; every way to change the table, and to take the change back, reaches that memory at once.
BEGIN;
SELECT costsim_is_open();
INSERT INTO costsim_cb_state (name, disabled) VALUES ('costsim_v2', true);
SELECT costsim_is_open() AS inserted;
UPDATE costsim_cb_state SET disabled = false;
SELECT costsim_is_open() AS updated;
SAVEPOINT s;
UPDATE costsim_cb_state SET disabled = true;
SELECT costsim_is_open() AS updated_again;
SAVEPOINT t;
DELETE FROM costsim_cb_state;
SELECT costsim_is_open() AS deleted;
ROLLBACK TO t;
SELECT costsim_is_open() AS taken_back;
RELEASE s;
SELECT costsim_is_open() AS released;
TRUNCATE costsim_cb_state;
SELECT costsim_is_open() AS truncated;
ROLLBACK;
SELECT costsim_is_open() AS rolled_back;
BEGIN;
INSERT INTO costsim_cb_state (name, disabled) VALUES ('a', true), ('b', false);
SELECT costsim_is_open('a') AS a, costsim_is_open('b') AS b;
UPDATE costsim_cb_state SET name = CASE name WHEN 'a' THEN 'c' ELSE 'a' END;
SELECT costsim_is_open('a') AS renamed_a, costsim_is_open('c') AS renamed_c;
COPY costsim_cb_state (name, disabled) FROM stdin;
d	t
\.
SELECT costsim_is_open('d') AS copied;
INSERT INTO costsim_cb_state (name) VALUES ('d') ON CONFLICT (name) DO UPDATE SET disabled = false;
SELECT costsim_is_open('d') AS upserted;
WITH opened AS (UPDATE costsim_cb_state SET disabled = true WHERE name = 'd' RETURNING name) SELECT name FROM opened;
SELECT costsim_is_open('d') AS in_a_with;
MERGE INTO costsim_cb_state s USING (VALUES ('d')) v (name) ON s.name = v.name WHEN MATCHED THEN UPDATE SET disabled = false;
SELECT costsim_is_open('d') AS merged;
-- within one statement too: what a function of ours has done, the next one knows
SELECT changed, costsim_is_open('d'), costsim_is_closed('d'), costsim_cb_allow('d') FROM costsim_disable_v2('a', 'ann', name => 'd');
SELECT enabled, costsim_is_open('d'), costsim_is_closed('d'), costsim_cb_allow('d') FROM costsim_enable_v2('ann', name => 'd') enabled;
-- a block that catches its error is a savepoint too
DO $$ BEGIN
    UPDATE costsim_cb_state SET disabled = true WHERE name = 'd';
    RAISE NOTICE 'inside: %', costsim_is_open('d');
    RAISE EXCEPTION 'undo';
EXCEPTION WHEN raise_exception THEN
    RAISE NOTICE 'after: %', costsim_is_open('d');
END $$;
ROLLBACK;
-- a restore, or a subscriber of logical replication, whose session fires no ordinary triggers
INSERT INTO costsim_cb_state (name) VALUES ('mirrored');
SELECT costsim_is_open('mirrored') AS before;
SET session_replication_role = replica;
UPDATE costsim_cb_state SET disabled = true WHERE name = 'mirrored';
SELECT costsim_is_open('mirrored') AS replicated;
DELETE FROM costsim_cb_state WHERE name = 'mirrored';
INSERT INTO costsim_cb_state (name) VALUES ('mirrored');
SELECT costsim_is_open('mirrored') AS replaced;
RESET session_replication_role;
DELETE FROM costsim_cb_state WHERE name = 'mirrored';
