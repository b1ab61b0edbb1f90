//! Where a spike seems to come from: today beside yesterday, up to the same time of day.

use super::Micros;

/// What was asked of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// How often.
    pub requests: i64,
    /// How often of that once more.
    pub retries: i64,
    /// How much was read.
    pub input_tokens: i64,
}

/// The first of these that is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// More of the requests are retries.
    RetryLoop,
    /// Requests have grown longer.
    PromptGrowth,
    /// One feature makes up most of what is spent under a tag.
    FeatureSurge,
    /// There are more requests.
    TrafficGrowth,
    /// None of these.
    Unknown,
}

impl Cause {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryLoop => "RETRY_LOOP",
            Self::PromptGrowth => "PROMPT_GROWTH",
            Self::FeatureSurge => "FEATURE_SURGE",
            Self::TrafficGrowth => "TRAFFIC_GROWTH",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// What a spike seems to come from. `features` is what a tenant's greatest feature and all of them have spent; nothing for others than tenants.
pub fn cause(today: Usage, yesterday: Usage, features: Option<(Micros, Micros)>) -> Cause {
    let [(now, was), (retried, had_retried), (read, had_read)] = [
        (today.requests, yesterday.requests),
        (today.retries, yesterday.retries),
        (today.input_tokens, yesterday.input_tokens),
    ]
    .map(|(now, was)| (Micros::from(now), Micros::from(was)));
    // 1.5 times the share of yesterday; where there was none, one in twenty.
    let is_retry_loop = retried > 0
        && if had_retried > 0 && was > 0 {
            retried * was * 2 > had_retried * now * 3
        } else {
            retried * 20 >= now
        };
    // 1.3 times the mean of yesterday.
    let is_longer = now > 0 && was > 0 && had_read > 0 && read * was * 10 > had_read * now * 13;
    let is_of_one = features.is_some_and(|(top, all)| top * 10 > all * 6);
    if is_retry_loop {
        Cause::RetryLoop
    } else if is_longer {
        Cause::PromptGrowth
    } else if is_of_one {
        Cause::FeatureSurge
    } else if was > 0 && now * 10 > was * 13 {
        Cause::TrafficGrowth
    } else {
        Cause::Unknown
    }
}
