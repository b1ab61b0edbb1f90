-- A number may be spelled in any way: what counts is whether the value that is printed is the one that was given.
SELECT text, costsim_jcs(text::json, strict_numbers => true) AS form
  FROM unnest('{0,-0,0e7,-0.00E-9,0.1,0.10,1e-1,9007199254740992,9007199254740994,1e21,1e23,5e-324,0.000001,0.0000001,123456789012345e3,100.0}'::text[]) text;
SELECT costsim_jcs_digest('{"b": 0.10, "a": 1.0}', true) = encode(sha256('{"a":1,"b":0.1}'), 'hex') AS is_the_forms;
SELECT costsim_jcs(NULL) IS NULL AND costsim_jcs('1', NULL) IS NULL AND costsim_jcs_digest(NULL) IS NULL AND costsim_canonical(NULL) IS NULL AS null_for_null;
