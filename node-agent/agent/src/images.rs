//! Images: whether a container's image is there, and how it gets there.

pub(crate) mod archive;
pub(crate) mod credentials;
pub(crate) mod import;
pub(crate) mod inventory;
pub(crate) mod pull;
pub(crate) mod reference;
