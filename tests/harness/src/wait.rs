//! Waiting for something that can be observed.

use anyhow::{Result, anyhow};
use std::thread;
use std::time::{Duration, Instant};

/// Short against everything that is waited for, long enough not to occupy a core.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks `probe` again and again until it answers `Some`, at most for `limit`.
///
/// `None` means "not yet". So does an error: a server that restarts refuses connections for a while. The error of the
/// last round is what the message of a failed wait ends with, so a probe that wants to tell what it saw instead of
/// the awaited state says so in an error:
///
/// ```no_run
/// # use costsim_harness::wait_until;
/// # use std::time::Duration;
/// # fn status() -> anyhow::Result<String> { Ok("pending".into()) }
/// # fn main() -> anyhow::Result<()> {
/// wait_until(Duration::from_secs(5), "the alert to be sent", || match status()?.as_str() {
///     "sent" => Ok(Some(())),
///     other => anyhow::bail!("its status is {other}"),
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// The probe runs at least once, and once more after the limit, so that a machine that stalled for the whole time
/// does not fail a state that was reached meanwhile.
pub fn wait_until<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let last_round = Instant::now() >= deadline;
        let seen = match probe() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => String::new(),
            Err(error) => format!("; last seen: {error:#}"),
        };
        if last_round {
            return Err(anyhow!("waited {limit:?} in vain for {what}{seen}"));
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn wait_answers_as_soon_as_the_state_is_there() {
        let started = Instant::now();
        let mut rounds = 0;
        let value = wait_until(Duration::from_secs(60), "three rounds", || {
            rounds += 1;
            Ok((rounds == 3).then_some(rounds))
        });
        assert_eq!(value.unwrap(), 3);
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn wait_goes_on_after_an_error() {
        let mut rounds = 0;
        let value = wait_until(Duration::from_secs(60), "a connection", || {
            rounds += 1;
            if rounds == 1 { bail!("refused") } else { Ok(Some("connected")) }
        });
        assert_eq!(value.unwrap(), "connected");
    }

    #[test]
    fn wait_names_what_it_missed_and_what_it_saw() {
        let error = wait_until::<()>(Duration::from_millis(20), "the alert to be sent", || {
            bail!("status is pending")
        });
        let message = error.unwrap_err().to_string();
        assert!(message.contains("the alert to be sent"), "{message}");
        assert!(message.ends_with("last seen: status is pending"), "{message}");
    }

    #[test]
    fn wait_probes_once_even_without_time() {
        assert_eq!(wait_until(Duration::ZERO, "nothing", || Ok(Some(1))).unwrap(), 1);
    }
}
