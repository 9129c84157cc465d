//! Events written to an API of its own.
