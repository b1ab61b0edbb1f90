-- Nothing that a session can set has a say: thousands of documents, hashed under each setting, give one and the same aggregate.
CREATE TABLE hashed_payloads AS
SELECT n, format('{"n":%s, "x":%s, "y":[%s,%s], "%s":"%s", "\u00e9":{"b":%s,"a":"2025-03-01T00:00:00Z"}, "t":[1e%s,-0.0,1E2]}',
              n, n / 7.0, n::double precision / 3, 1.0 / n, 'k' || chr(192 + n % 300), chr(8000 + n % 1000), (n * 12345.678)::numeric, n % 300)::json AS payload
  FROM generate_series(1, 5000) n;
ANALYZE hashed_payloads;
CREATE VIEW hashes AS
SELECT md5(string_agg(concat_ws(' ', costsim_input_hash(payload), costsim_input_digest(payload), costsim_jcs_digest(payload),
                                encode(sha256(convert_to(costsim_canonical(payload), 'UTF8')), 'hex'), encode(sha256(convert_to(costsim_jcs(payload), 'UTF8')), 'hex')),
                      ',' ORDER BY n)) AS all_of_them,
       bool_and(costsim_input_digest(payload) = encode(sha256(convert_to(costsim_canonical(payload), 'UTF8')), 'hex')
                AND costsim_jcs_digest(payload) = encode(sha256(convert_to(costsim_jcs(payload), 'UTF8')), 'hex')
                AND costsim_input_hash(payload) = left(costsim_input_digest(payload), 16)) AS agree
  FROM hashed_payloads;
CREATE TABLE hashed_under (setting text, all_of_them text, agree boolean);
INSERT INTO hashed_under SELECT 'as it is', * FROM hashes;
SET TimeZone = 'Asia/Kathmandu';
INSERT INTO hashed_under SELECT 'TimeZone', * FROM hashes;
SET DateStyle = 'SQL, DMY';
INSERT INTO hashed_under SELECT 'DateStyle', * FROM hashes;
SET IntervalStyle = 'sql_standard';
INSERT INTO hashed_under SELECT 'IntervalStyle', * FROM hashes;
SET lc_numeric = 'C';
SET lc_monetary = 'C';
SET lc_time = 'C';
SET lc_messages = 'C';
INSERT INTO hashed_under SELECT 'lc_*', * FROM hashes;
SET extra_float_digits = -15;
INSERT INTO hashed_under SELECT 'extra_float_digits', * FROM hashes;
SET bytea_output = 'escape';
INSERT INTO hashed_under SELECT 'bytea_output', * FROM hashes;
SET standard_conforming_strings = off;
INSERT INTO hashed_under SELECT 'standard_conforming_strings', * FROM hashes;
SET backslash_quote = on;
SET escape_string_warning = off;
SET xmloption = 'document';
SET jit = off;
INSERT INTO hashed_under SELECT 'others', * FROM hashes;
RESET ALL;
SELECT count(*) AS settings, count(DISTINCT all_of_them) AS answers, bool_and(agree) AS agree FROM hashed_under;
-- and in parallel workers
SET max_parallel_workers_per_gather = 0;
SELECT sum(('x' || costsim_input_hash(payload))::bit(64)::bigint::numeric) AS input_hash, sum(('x' || left(costsim_jcs_digest(payload), 16))::bit(64)::bigint::numeric) AS jcs,
       sum(length(costsim_canonical(payload))) AS canonical FROM hashed_payloads \gset alone_
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT sum(('x' || costsim_input_hash(payload))::bit(64)::bigint::numeric) AS input_hash, sum(('x' || left(costsim_jcs_digest(payload), 16))::bit(64)::bigint::numeric) AS jcs,
       sum(length(costsim_canonical(payload))) AS canonical FROM hashed_payloads \gset together_
SELECT :alone_input_hash = :together_input_hash AND :alone_jcs = :together_jcs AND :alone_canonical = :together_canonical AS same_in_workers;
-- workers did it: the leader takes no part
CREATE FUNCTION plan_of_hashes() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) SELECT sum(length(costsim_input_hash(payload))) FROM hashed_payloads' LOOP
        IF line ~ 'Workers|Parallel' THEN RETURN NEXT trim(regexp_replace(line, '\(.*\)', '')); END IF;
    END LOOP;
END $$;
SELECT plan_of_hashes();
DROP FUNCTION plan_of_hashes();
RESET ALL;
-- an index may rest on each
CREATE INDEX ON hashed_payloads (costsim_input_hash(payload), costsim_input_digest(payload), costsim_jcs_digest(payload), md5(costsim_jcs(payload)), md5(costsim_canonical(payload)));
DROP VIEW hashes;
DROP TABLE hashed_payloads, hashed_under;
