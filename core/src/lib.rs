//! The decisions of costsim_pg as pure functions.
//!
//! Whatever a moment, a random number, a row or an HTTP answer decides is decided here, from arguments alone, so that
//! every rule can be tested in a second and holds inside and outside the database alike. Nothing here reads a clock,
//! opens a socket, speaks SQL or knows PostgreSQL; the extension crate gathers the arguments and carries out the answer.
//!
//! | Module           | Decides                                                                              |
//! |------------------|--------------------------------------------------------------------------------------|
//! | [`alertmanager`] | what may be sent to an Alertmanager, where to, and what its answer means             |
//! | [`backoff`]      | how long to wait after the n-th failure                                              |
//! | [`breaker`]      | what an event does to a circuit breaker                                              |
//! | [`canonical`]    | the one byte form of a JSON text                                                     |
//! | [`digest`]       | the hashes of that form                                                              |
//! | [`drift`]        | a mergeable summary of cost differences                                              |
//! | [`lease`]        | where a term of leadership stands, who may begin the next, with which fencing token  |
//! | [`record`]       | the one text, and the digest, of a provenance row                                    |
//! | [`schedule`]     | when a job is due by cron text in a time zone, and what is done about it             |

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod alertmanager;
pub mod backoff;
pub mod breaker;
pub mod canonical;
pub mod digest;
pub mod drift;
pub mod lease;
pub mod record;
pub mod schedule;
