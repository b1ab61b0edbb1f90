//! A port that takes no more connections: whoever asks for one waits for an answer to its first packet.

use crate::LIMIT;
use anyhow::Result;
use costsim_harness::wait_until;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Nobody accepts here, and the queue of those who wait for it is full.
#[derive(Debug)]
pub struct FullPort {
    port: u16,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl FullPort {
    pub fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            waiting.push(stream);
        }
        Ok(Self { port: address.port(), _listener: listener, _waiting: waiting })
    }

    /// What `costsim.alertmanager_url` wants.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until somebody is half-way to a connection. State 02 of the kernel's list is SYN_SENT.
    pub fn wait_for_somebody(&self) -> Result<()> {
        let wanted = format!("0100007F:{:04X} 02", self.port);
        wait_until(LIMIT, "a connection half-way", || {
            Ok(fs::read_to_string("/proc/net/tcp")?.contains(&wanted).then_some(()))
        })
    }
}
