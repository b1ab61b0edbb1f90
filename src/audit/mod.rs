//! What was decided, on a record that stays.
