//! The decisions of costsim_pg as pure functions.
//!
//! Whatever a moment, a random number, a row or an HTTP answer decides is decided here, from arguments alone, so that
//! every rule can be tested in a second and holds inside and outside the database alike. Nothing here reads a clock,
//! opens a socket, speaks SQL or knows PostgreSQL; the extension crate gathers the arguments and carries out the answer.
//!
//! | Module           | Decides                                                                              |
//! |------------------|--------------------------------------------------------------------------------------|
//! | [`alertmanager`] | what may be sent to an Alertmanager, where to, and what its answer means             |
//! | [`anomaly`]      | what is unusual in daily spends, and why                                              |
//! | [`audit`]        | what may stand in the record of coordination, and the digest that seals it            |
//! | [`backoff`]      | how long to wait after the n-th failure                                              |
//! | [`breaker`]      | what an event does to a circuit breaker                                              |
//! | [`budget`]       | whether a record of cost may be written under hard limits                             |
//! | [`canary`]       | whether a new model may be trusted, after a run over samples                         |
//! | [`canonical`]    | the one byte form of a JSON text                                                     |
//! | [`coordination`] | which envelope controls a parameter, and which gives way                              |
//! | [`cost`]         | what may be written into a record of cost                                            |
//! | [`digest`]       | the hashes of that form                                                              |
//! | [`divergence`]   | how far the costs of two models are from each other over compared pairs              |
//! | [`drift`]        | a mergeable summary of cost differences                                              |
//! | [`golden`]       | what a golden set says of a cost model                                               |
//! | [`lease`]        | where a term of leadership stands, who may begin the next, with which fencing token  |
//! | [`pattern`]      | when failures are still the same episode, and when a cost is a spike                  |
//! | [`prediction`]   | what is likely to go wrong with a worker, and how surely                             |
//! | [`projection`]   | what a series of daily spends leads one to expect, and how surely                    |
//! | [`record`]       | the one text, and the digest, of a provenance row                                    |
//! | [`schedule`]     | when a job is due by cron text in a time zone, and what is done about it             |
//! | [`signature`]    | which errors are the same error                                                       |
//! | [`simulate`]     | what a plan will cost by a cost model, and whether it can run                        |
//! | [`sparkline`]    | how a series of numbers looks in one line of text                                    |
//! | [`verdict`]      | how far one price is from another                                                    |

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod alertmanager;
pub mod anomaly;
pub mod audit;
pub mod backoff;
pub mod bounded;
pub mod breaker;
pub mod budget;
pub mod canary;
pub mod canonical;
pub mod coordination;
pub mod cost;
pub mod digest;
pub mod divergence;
pub mod drift;
pub mod golden;
pub mod lease;
pub mod pattern;
pub mod prediction;
pub mod projection;
pub mod record;
pub mod schedule;
pub mod signature;
pub mod simulate;
pub mod sparkline;
pub mod verdict;
