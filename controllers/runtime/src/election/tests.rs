//! An election against an API of its own.
