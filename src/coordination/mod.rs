//! Who may turn which knob.
