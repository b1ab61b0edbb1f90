//! What goes wrong again and again.
