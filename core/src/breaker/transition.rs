//! The steps a breaker may take: the arrows of the drawing, as a table.

/// Where a breaker stands, without what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Work flows.
    Closed,
    /// Work is held back.
    Open,
    /// Work is held back, but for a few probes.
    HalfOpen,
}

impl Standing {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Why a breaker took a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Too many bad drift reports in a row.
    Drift,
    /// Too many bad judgements in a row, bad drift reports included.
    Judged,
    /// Too many schema errors in one report.
    SchemaErrors,
    /// A person.
    Manual,
    /// Time.
    TtlPassed,
    /// Enough probes have passed.
    ProbesPassed,
    /// A probe has failed.
    ProbeFailed,
    /// A probe was not reported on in time.
    ProbeExpired,
    /// The incident became worse.
    Escalated,
    /// A breaker that another hand had opened got its incident.
    Adopted,
    /// Scores come near the threshold.
    NearThreshold,
    /// It would have opened, were it allowed to.
    WouldTrip,
    /// Its settings were changed.
    Configured,
    /// Another hand has changed the row.
    Outside,
}

impl Cause {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Judged => "judged",
            Self::SchemaErrors => "schema_errors",
            Self::Manual => "manual",
            Self::TtlPassed => "ttl_passed",
            Self::ProbesPassed => "probes_passed",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeExpired => "probe_expired",
            Self::Escalated => "escalated",
            Self::Adopted => "adopted",
            Self::NearThreshold => "near_threshold",
            Self::WouldTrip => "would_trip",
            Self::Configured => "configured",
            Self::Outside => "outside",
        }
    }
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transition {
    /// Where from.
    pub from: Standing,
    /// Why.
    pub cause: Cause,
    /// Where to.
    pub to: Standing,
}

const fn arrow(from: Standing, cause: Cause, to: Standing) -> Transition {
    Transition { from, cause, to }
}

/// Every step that [`step`](super::step) may take. Settings and other hands aside: [`Cause::Configured`] goes from anywhere to the same,
/// [`Cause::Outside`] from anywhere to anywhere.
pub const TRANSITIONS: &[Transition] = {
    use Cause::*;
    use Standing::*;
    &[
        arrow(Closed, Drift, Open),
        arrow(Closed, Judged, Open),
        arrow(Closed, SchemaErrors, Open),
        arrow(Closed, Manual, Open),
        arrow(Closed, NearThreshold, Closed),
        arrow(Closed, WouldTrip, Closed),
        arrow(Open, TtlPassed, Closed),
        arrow(Open, TtlPassed, HalfOpen),
        arrow(Open, Manual, Closed),
        arrow(Open, Manual, Open),
        arrow(Open, Escalated, Open),
        arrow(Open, Adopted, Open),
        arrow(HalfOpen, ProbesPassed, Closed),
        arrow(HalfOpen, TtlPassed, Closed),
        arrow(HalfOpen, Manual, Closed),
        arrow(HalfOpen, Manual, Open),
        arrow(HalfOpen, ProbeFailed, Open),
        arrow(HalfOpen, ProbeExpired, Open),
        arrow(HalfOpen, Escalated, HalfOpen),
        arrow(HalfOpen, Adopted, HalfOpen),
    ]
};
