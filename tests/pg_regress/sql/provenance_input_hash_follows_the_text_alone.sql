-- The same in every session: no setting has a say, and an index may rest on it.
CREATE TEMP TABLE payloads (payload json);
INSERT INTO payloads VALUES ('{"t":"2025-03-01T00:00:00Z","x":0.1,"y":1e-7,"z":123456.789012345678}'), ('{"Ä":1,"a":2,"Z":3,"_":4}'), ('[1.0,2]');
CREATE TEMP TABLE hashes AS SELECT costsim_input_hash(payload) AS hash, costsim_input_digest(payload) AS digest FROM payloads;
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'SQL, DMY';
SET extra_float_digits = -15;
SET IntervalStyle = 'sql_standard';
SET bytea_output = 'escape';
SET lc_numeric = 'C';
SET standard_conforming_strings = off;
SELECT count(*) AS same FROM payloads JOIN hashes ON hash = costsim_input_hash(payload) AND digest = costsim_input_digest(payload);
RESET ALL;
CREATE INDEX ON payloads (costsim_input_hash(payload));
SELECT provolatile, proparallel, proisstrict FROM pg_proc WHERE proname IN ('costsim_input_hash', 'costsim_input_digest');
-- blanks, the order of keys and the spelling of a character are not the payload; a fraction is
SELECT costsim_input_hash(' { "b" : [ ] , "a" : "\u0041" } ') = costsim_input_hash('{"a":"A","b":[]}') AS is_equal,
       costsim_input_hash('[1]') = costsim_input_hash('[1.0]') AS differs;
SELECT costsim_input_hash(NULL) IS NULL AS null_for_null;
