-- The reference's table of hashes, from Python. Its last row, a NaN, is no JSON text and so has no hash here.
SELECT payload::text, costsim_input_hash(payload) AS hash, costsim_input_hash(payload) = expected AS is_the_references
  FROM (VALUES
    ('{}'::json, '44136fa355b3678a'),
    ('{"a":1}', '015abd7f5cc57a2d'),
    ('{"b":2,"a":1}', '43258cff783fe703'),
    ('{"a":1.0}', 'c29a44abc114a1d7'),
    ('{"a":100.0}', '18ffc0a1da53b916'),
    ('{"a":1.10}', 'fb313133b088b2b7'),
    ('{"a":1e15}', '7a8eca3c52850d27'),
    ('{"a":1e16}', 'a0f92cfd05a74c21'),
    ('{"a":1e22}', '9b6377d853ea88aa'),
    ('{"a":0.0001}', 'c7e0f341a63adab6'),
    ('{"a":0.00001}', '6ae5c89e10c5d899'),
    ('{"a":1e-7}', 'e1403651919bd61f'),
    ('{"a":-0.0}', '952b7dc455870c26'),
    ('{"a":5e-324}', '7496f25994a875ed'),
    ('{"a":1.7976931348623157e308}', 'bf1da90ca7a9fda2'),
    ('{"a":0.30000000000000004}', '29e5dbf7117c7b85'),
    ('{"a":123456789012345678901234567890}', '08d8ea6bf3a5b2cb'),
    ('{"k":"é"}', '9567d6e8f21bbdcb'),
    ('{"k":"日本"}', '700d2476bf4fa07e'),
    ('{"k":"😀"}', 'ca90fe6f2acf0d49'),
    ('{"k":"\ud83d\ude00"}', 'ca90fe6f2acf0d49'),
    ('{"é":1,"z":2,"Z":3,"a":4}', '7bfd05b13892330c'),
    ('{"\uffff":1,"\ud83d\ude00":2}', '7399aff294a6b56f'),
    ('{"\ud83d\ude00":2,"\uffff":1}', '7399aff294a6b56f'),
    ('{"k":[1,2,{"y":null,"x":true}]}', 'f27bfaed4f6151bf'),
    ('{"plan": [{"skill": "http_call", "params": {"url": "https://api.example.com"}}], "budget_cents": 100}', '7d2218dea0c346ce'),
    ('{"a":-0,"b":1.10,"c":1E2,"d":1e400,"a":2}', 'c679768ebdc4d4f6')
  ) AS reference(payload, expected);

-- the digest begins with the hash and is that of the whole
SELECT costsim_input_digest('{"a":1}') ~ '^015abd7f5cc57a2d[0-9a-f]{44}f862$' AS is_the_references,
       costsim_input_digest('{"a":1}') = encode(sha256('{"a":1}'), 'hex') AS is_sha256;
SELECT costsim_input_digest('{ "b" : 2, "a" : 1.10 }') = encode(sha256('{"a":1.1,"b":2}'), 'hex') AS is_canonical;
