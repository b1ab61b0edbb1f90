//! A session that is asked something while the test goes on.

use crate::{LIMIT, one, wait_for};
use anyhow::{Context, Result, anyhow};
use costsim_harness::wait_until;
use postgres::types::FromSqlOwned;
use postgres::{Client, Error};
use std::error::Error as _;
use std::thread::{self, JoinHandle};

/// A question under way, in a thread of its own. A session that nobody waits for ends with its server.
#[derive(Debug)]
pub struct Asked<T> {
    pid: i32,
    question: String,
    thread: JoinHandle<(Client, Result<T, Error>)>,
}

impl<T: FromSqlOwned + Send + 'static> Asked<T> {
    /// Asks a query with a single value.
    pub fn query(client: Client, query: &str) -> Result<Self> {
        let statement = query.to_owned();
        Asked::start(client, query, move |client| client.query_one(&statement, &[])?.try_get(0))
    }
}

impl Asked<()> {
    /// Sends a statement that answers nothing.
    pub fn statement(client: Client, statement: &'static str) -> Result<Self> {
        Asked::start(client, statement, |client| client.batch_execute(statement))
    }
}

impl<T: Send + 'static> Asked<T> {
    fn start(
        mut client: Client,
        question: &str,
        ask: impl FnOnce(&mut Client) -> Result<T, Error> + Send + 'static,
    ) -> Result<Self> {
        let pid = one(&mut client, "SELECT pg_backend_pid()")?;
        let thread = thread::spawn(move || {
            let answer = ask(&mut client);
            if answer.is_err() {
                // A refusal is told before the transaction is aborted; what is told after it is told in its time.
                client.simple_query("").ok();
            }
            (client, answer)
        });
        Ok(Self { pid, question: question.to_owned(), thread })
    }

    /// The server process that is asked.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    pub fn is_answered(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the session stands in the queue of an advisory lock.
    pub fn wait_until_queued(&self, watcher: &mut Client) -> Result<()> {
        let is_queued = format!(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = {})",
            self.pid
        );
        wait_for(watcher, &format!("a session to wait in {}", self.question), &is_queued)
    }

    /// Waits for the answer or the refusal.
    pub fn outcome(self) -> Result<(Client, Result<T, Error>)> {
        wait_until(LIMIT, &format!("an answer to {}", self.question), || {
            Ok(self.thread.is_finished().then_some(()))
        })?;
        self.thread.join().map_err(|_| anyhow!("the thread of a question has panicked"))
    }

    /// Waits for the answer.
    pub fn answer(self) -> Result<(Client, T)> {
        let question = self.question.clone();
        let (client, outcome) = self.outcome()?;
        Ok((client, outcome.context(question)?))
    }

    /// Waits for the refusal, and answers with its SQLSTATE.
    pub fn refusal(self) -> Result<(Client, String)> {
        let question = self.question.clone();
        let (client, outcome) = self.outcome()?;
        let error = outcome.err().with_context(|| format!("no error: {question}"))?;
        Ok((client, sqlstate(&error)))
    }
}

/// The SQLSTATE of an error. `closed` when the connection is gone: the server's last word is read only sometimes, because the
/// client sees the end of the connection first. Of any other error what it says.
pub fn sqlstate(error: &Error) -> String {
    let is_lost = || error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>());
    match error.code() {
        Some(code) => code.code().to_owned(),
        None if is_lost() => "closed".to_owned(),
        None => error.to_string(),
    }
}
