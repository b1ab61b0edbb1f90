-- Every row carries the SHA-256 of what was written: of one JSON object with a member for each column, in the form of costsim_input_digest.
SET TimeZone = 'Asia/Kolkata';
SET extra_float_digits = 0;
BEGIN;
INSERT INTO costsim_provenance (id, run_id, tenant_id, variant_slug, source, model_version, adapter_version, commit_sha, input_hash, output_hash,
                                v1_cost, v2_cost, cost_delta, payload, runtime_ms, created_at)
VALUES (7, 'run "1"', 'Grüße 😀', 'v2', 'sandbox', E'line\nbreak', '', 'c0ffee', '44136fa355b3678a', NULL,
        0.1, 1e22, 1e22, '{"b": [1.10, 1e2, null], "a": "\u00e9", "aa": {}}', 12, '2025-03-01 12:34:56.789 UTC'),
       (8, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'NaN', '-Infinity', NULL, NULL, NULL, 'infinity');
SELECT id, encode(content_digest, 'hex') AS content_digest FROM costsim_provenance WHERE id IN (7, 8) ORDER BY id;
SELECT encode(sha256(convert_to($${"adapter_version":"","commit_sha":"c0ffee","cost_delta":1e+22,"created_at":"2025-03-01T12:34:56.789000Z","hash_version":null,"id":7,"input_hash":"44136fa355b3678a","is_unique":false,"model_version":"line\nbreak","output_hash":null,"payload":{"a":"\u00e9","aa":{},"b":[1.1,100,null]},"run_id":"run \"1\"","runtime_ms":12,"source":"sandbox","tenant_id":"Gr\u00fc\u00dfe \ud83d\ude00","v1_cost":0.1,"v2_cost":1e+22,"variant_slug":"v2"}$$, 'UTF8')), 'hex') AS by_hand
UNION ALL
SELECT encode(sha256(convert_to($${"adapter_version":null,"commit_sha":null,"cost_delta":null,"created_at":"infinity","hash_version":null,"id":8,"input_hash":null,"is_unique":false,"model_version":null,"output_hash":null,"payload":null,"run_id":null,"runtime_ms":null,"source":null,"tenant_id":null,"v1_cost":"NaN","v2_cost":"-Infinity","variant_slug":null}$$, 'UTF8')), 'hex');

-- whoever writes, and whatever he says it is
UPDATE costsim_provenance SET content_digest = '\x00', v1_cost = 0.2 WHERE id = 7;
INSERT INTO costsim_provenance (content_digest) VALUES ('\x01');
SELECT costsim_write_provenance('run', payload => '{}') > 0 AS written;
SELECT count(*), count(*) FILTER (WHERE content_digest = costsim_provenance_digest(p)) AS right, count(DISTINCT content_digest) AS different
  FROM costsim_provenance p;

-- a row that was changed behind the trigger's back is found
ALTER TABLE costsim_provenance DISABLE TRIGGER zz_costsim_provenance_row;
UPDATE costsim_provenance SET v2_cost = 1 WHERE id = 7;
SELECT id FROM costsim_provenance p WHERE content_digest IS DISTINCT FROM costsim_provenance_digest(p);
ROLLBACK;

-- nothing that the table can hold is refused: nesting deeper than the hashes take, columns of one's own, an application's own trigger
BEGIN;
INSERT INTO costsim_provenance (payload) VALUES ((repeat('[', 5000) || repeat(']', 5000))::jsonb);
ALTER TABLE costsim_provenance ADD COLUMN note text;
CREATE FUNCTION pg_temp.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.run_id := 'stamped'; NEW.created_at := '2025-03-01 UTC'; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON costsim_provenance FOR EACH ROW EXECUTE FUNCTION pg_temp.stamp();
INSERT INTO costsim_provenance (run_id, note, v1_cost, v2_cost) VALUES ('mine', 'a note', 1, 2);
SELECT count(*), count(*) FILTER (WHERE content_digest = costsim_provenance_digest(p)) AS right FROM costsim_provenance p;
SELECT DISTINCT hour AT TIME ZONE 'UTC' AS changed FROM costsim_drift_changes WHERE hour IS NOT NULL;
ROLLBACK;
