//! The controller against an API of its own.
