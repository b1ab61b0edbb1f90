//! Runs of workers: what patterns and predictions are made of, in a table of ours or read out of the application's own.

pub mod source;
