-- One character for each number; of too many the greatest of each column.
SELECT costsim_sparkline('{0,1,2,3,4,5,6,7}');
SELECT costsim_sparkline('{3,NULL,1,NaN,0,-4}');
SELECT costsim_sparkline('{}') = '' AS of_nothing, costsim_sparkline('{5,5,5}') AS of_equal_ones;
SELECT costsim_sparkline(array_agg((n % 100)::float8 ORDER BY n), 20) FROM generate_series(1, 1000) n;
