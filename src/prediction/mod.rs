//! What is likely to go wrong.
