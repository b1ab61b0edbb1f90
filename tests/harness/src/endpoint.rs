//! Receivers that misbehave on purpose. Both remember every request.

use crate::http::{Answer, Request, Server};
use crate::wait_until;
use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

type Requests = Arc<Mutex<Vec<Request>>>;

fn recorded(requests: &Requests) -> Vec<Request> {
    requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Gives the answers of a list, one per request; the last one stays for all that follow.
///
/// ```
/// # use costsim_harness::{Answer, ScriptedEndpoint};
/// # fn main() -> anyhow::Result<()> {
/// let endpoint = ScriptedEndpoint::start([Answer::status(503).header("retry-after", "2"), 200.into()])?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ScriptedEndpoint {
    server: Server,
    requests: Requests,
}

impl ScriptedEndpoint {
    pub fn start(answers: impl IntoIterator<Item = Answer>) -> Result<Self> {
        let mut answers: VecDeque<Answer> = answers.into_iter().collect();
        let mut current = answers.pop_front().context("an endpoint needs at least one answer")?;
        let requests = Requests::default();
        let script = {
            let requests = requests.clone();
            Mutex::new(move |request: Request| {
                requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                let answer = current.clone();
                if let Some(next) = answers.pop_front() {
                    current = next;
                }
                answer
            })
        };
        let server =
            Server::start(move |request| script.lock().unwrap_or_else(PoisonError::into_inner)(request))?;
        Ok(Self { server, requests })
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// All requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Request> {
        recorded(&self.requests)
    }

    /// Waits until at least `count` requests have arrived and answers with all of them.
    pub fn wait_for_requests(&self, count: usize, limit: Duration) -> Result<Vec<Request>> {
        wait_for(&self.requests, count, limit)
    }
}

/// Takes requests and never answers.
#[derive(Debug)]
pub struct HangingEndpoint {
    server: Server,
    requests: Requests,
}

impl HangingEndpoint {
    pub fn start() -> Result<Self> {
        let requests = Requests::default();
        let server = Server::start({
            let requests = requests.clone();
            move |request| {
                requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                Answer::hang()
            }
        })?;
        Ok(Self { server, requests })
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn requests(&self) -> Vec<Request> {
        recorded(&self.requests)
    }

    /// Waits until at least `count` requests hang here.
    pub fn wait_for_requests(&self, count: usize, limit: Duration) -> Result<Vec<Request>> {
        wait_for(&self.requests, count, limit)
    }
}

fn wait_for(requests: &Requests, count: usize, limit: Duration) -> Result<Vec<Request>> {
    wait_until(limit, &format!("{count} requests"), || {
        let requests = recorded(requests);
        if requests.len() < count {
            bail!("{} have arrived", requests.len());
        }
        Ok(Some(requests))
    })
}
