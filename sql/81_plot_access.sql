-- Who may call what of the plots, and what each function means.

REVOKE ALL ON FUNCTION
    costsim_sparkline(double precision[], integer),
    costsim_spend_plot(text, timestamptz, timestamptz, text, integer),
    costsim_drift_plot(timestamptz, timestamptz, interval, text, text, integer),
    _costsim_plain(text),
    _costsim_plot_check(double precision, double precision, double precision, integer),
    _costsim_percent(double precision),
    _costsim_plot(text, double precision[], text, text, text, integer)
    FROM PUBLIC;

COMMENT ON FUNCTION costsim_sparkline(double precision[], integer) IS 'Numbers as block characters, one for each, in one line. The lowest block stands for 0, or for the least where one is negative, the highest for the greatest; NULL and NaN are blank. Of more numbers than width each column shows the greatest of its run. Errors: 22004; 22023 width outside 1 to 1000.';
COMMENT ON FUNCTION _costsim_plot_check(double precision, double precision, double precision, integer) IS 'Whether a plot from one moment to another (seconds of the epoch), of buckets so many seconds long, so many columns wide, can be drawn: true, or an error. Errors: 22004 no moment; 22023 an infinite one, width outside 1 to 1000; 54000 more than 10,000 buckets.';
