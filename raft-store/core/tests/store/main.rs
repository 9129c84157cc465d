//! The store's promises, tested from outside: golden dialogues, and random histories against a simple model.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod dialogue;
mod history;
mod model;
mod shipping;
mod strategies;
