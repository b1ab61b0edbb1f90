//! Delivery by a client: take a few rows, send one after the other, mark each, commit.

use anyhow::{Result, ensure};
use postgres::{Client, Statement};

/// As many as the system that is taken over takes at a time.
const BATCH: &str = "SELECT id, payload::text FROM plain_alert_queue
                      WHERE status = 'pending' AND next_attempt_at <= clock_timestamp()
                      ORDER BY next_attempt_at LIMIT 10 FOR UPDATE SKIP LOCKED";

const MARK: &str = "UPDATE plain_alert_queue
                       SET status = 'sent', sent_at = clock_timestamp(), finished_at = clock_timestamp(), last_attempt_at = clock_timestamp(),
                           attempts = attempts + 1, response_code = $2
                     WHERE id = $1";

/// A session and a connection that is kept.
pub struct ByHand {
    client: Client,
    batch: Statement,
    mark: Statement,
    post: Post,
}

impl ByHand {
    pub fn new(mut client: Client, url: &str) -> Result<Self> {
        let (batch, mark) = (client.prepare(BATCH)?, client.prepare(MARK)?);
        Ok(Self { client, batch, mark, post: Post::new(url) })
    }

    /// Delivers until nothing is due, without a pause, and answers how many there were.
    pub fn drain(&mut self) -> Result<usize> {
        let mut delivered = 0;
        loop {
            let mut transaction = self.client.transaction()?;
            let rows = transaction.query(&self.batch, &[])?;
            for row in &rows {
                let (id, payload): (i64, &str) = (row.get(0), row.get(1));
                let code = self.post.send(payload)?;
                transaction.execute(&self.mark, &[&id, &i32::from(code)])?;
            }
            transaction.commit()?;
            delivered += rows.len();
            if rows.is_empty() {
                return Ok(delivered);
            }
        }
    }

    /// The session.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// How it is done, for the record.
    pub fn says() -> String {
        format!("BEGIN; {BATCH}; for each: POST, then {MARK}; COMMIT")
    }
}

/// Posts over one connection.
pub struct Post {
    agent: ureq::Agent,
    url: String,
}

impl Post {
    /// To an Alertmanager at `url`.
    pub fn new(url: &str) -> Self {
        Self { agent: ureq::Agent::new_with_defaults(), url: format!("{url}/api/v2/alerts") }
    }

    pub fn send(&self, body: &str) -> Result<u16> {
        let mut response =
            self.agent.post(&self.url).header("content-type", "application/json").send(body)?;
        let code = response.status().as_u16();
        ensure!(code == 200, "answered {code}");
        // Only a connection whose answer was read to its end is used again.
        response.body_mut().read_to_vec()?;
        Ok(code)
    }
}
