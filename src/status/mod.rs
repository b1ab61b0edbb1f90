//! How it is, at a glance.
