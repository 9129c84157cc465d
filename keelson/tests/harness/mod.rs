//! What the suites with `keelson server` processes stand on: servers, kubectl, and waiting.

pub(crate) mod following;
pub(crate) mod kubectl;
pub(crate) mod network;
pub(crate) mod process;
pub(crate) mod servers;
pub(crate) mod wait;
pub(crate) mod writing;
