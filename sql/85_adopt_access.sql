-- Who may call what of adoption, and what each function means.

-- Rows that a policy hides from whoever adopts would be left behind without a word: that is an error.
ALTER FUNCTION costsim_adopt(text, boolean, text, interval) SET row_security = off;
ALTER FUNCTION costsim_unadopt(text) SET row_security = off;

COMMENT ON FUNCTION costsim_adopt(text, boolean, text, interval) IS 'Takes over the rows of costsim_cb_state, costsim_cb_incidents, costsim_provenance, costsim_alert_queue and costsim_canary_reports in another schema, as an application''s ORM made them: one row for each of the five, with its rows, how many are to be copied and were, how many are here already, how many are refused, what is wrong in words, and up to three of the refused rows, else of those to be copied, without their documents. dry_run, the default, only tells, and answers the same as the run but for copied.
mode copy leaves the old tables as they are; again, it takes what came since, the end of an incident and the newer state of a breaker among it. Our ids go on 1,000,000 behind theirs. mode attach copies, renames the old tables to <name>_before_costsim and puts views over ours in their place, with the same columns and grants, so that old statements go on; it wants every row to be taken and nothing else to hang on the tables (55000). costsim_unadopt() takes it back.
An incident stays unresolved only where the breaker that comes along is open by it. Pending alerts stay with copy; with attach they are delivered where they are younger than deliver_within, and else come as cancelled. Times without a zone are read as UTC.
For who may act as the owner of the extension and of the tables. It keeps writers from the old tables while it runs (attach: everybody), and needs READ COMMITTED. Errors: 22004; 22023 source_schema is the extension''s, mode unknown, deliver_within negative; 42704 no such schema, or none of the tables in it; 42501; 25001 another isolation level; 25006 read-only or standby; 55000; 23505 somebody wrote the same id meanwhile: again.';
COMMENT ON FUNCTION costsim_unadopt(text) IS 'Takes back what costsim_adopt(..., mode => ''attach'') did in a schema: each old table gets the rows as they are now (written: new or changed; removed: gone meanwhile), its name, and its sequence; the views go. The rows stay in the extension''s tables too. All or nothing. For who may act as the owner of the extension and of the tables; nobody reads or writes them meanwhile. Errors: 22004; 22023 nothing is attached; 42501; 25001 another isolation level than READ COMMITTED; 25006 read-only or standby; 2BP01 something else uses the view; what the old table''s own constraints say.';
COMMENT ON FUNCTION _costsim_is_jsonb(text) IS 'Whether a text is JSON that jsonb takes. Used by costsim_adopt.';

REVOKE ALL ON FUNCTION
    costsim_adopt(text, boolean, text, interval),
    costsim_unadopt(text),
    _costsim_is_jsonb(text)
    FROM PUBLIC;
