//! The cache and its handlers, filled by hand.
