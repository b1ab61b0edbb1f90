//! Tests of the room inside a server.
