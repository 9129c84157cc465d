//! Who asks.
//!
//! In: a client certificate whose key the connection has proved, or a bearer token. Out: a [`User`], or the
//! statement that the credentials are no good. No credentials at all is a user, too: `system:anonymous`.

use std::collections::BTreeMap;

/// A user, as authorization, admission and reviews see one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `system:serviceaccount:kube-system:default`, `jane`.
    pub name: String,
    /// Tells two users of one name apart that lived at different times; empty where nobody gave one.
    pub uid: String,
    /// `system:authenticated` and the like.
    pub groups: Vec<String>,
    /// Whatever else the credentials said.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The name of who shows no credentials.
pub const ANONYMOUS: &str = "system:anonymous";

/// The group of all whose credentials were good.
pub const AUTHENTICATED: &str = "system:authenticated";

/// The group of all others.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

impl User {
    /// Who shows no credentials.
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// Whether they belong to a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}
