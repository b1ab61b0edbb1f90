//! What a series of daily spends leads one to expect.
