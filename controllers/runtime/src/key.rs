//! What names an object of a known kind: its namespace and its name.

use std::fmt;

use kube::Resource;
use kube::core::ObjectMeta;

/// Namespace and name of an object; the namespace is empty for objects of the cluster.
///
/// Keys of one namespace lie side by side in their order.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The namespace, `""` for an object of the cluster.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The key of the object with this name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object that has a name. One that has none yet (`generateName`) gets an empty name.
    pub fn of<K: Resource>(object: &K) -> Self {
        Self::of_metadata(object.meta())
    }

    /// The key of the object whose metadata these are.
    pub(crate) fn of_metadata(metadata: &ObjectMeta) -> Self {
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// As [`Display`](fmt::Display): keys are read in logs.
impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Node, Pod};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    #[test]
    fn a_key_names_namespace_and_name_or_the_name_alone() {
        let meta = |namespace: Option<&str>| ObjectMeta {
            namespace: namespace.map(Into::into),
            name: Some("a".into()),
            ..ObjectMeta::default()
        };
        let pod = Pod { metadata: meta(Some("x")), ..Pod::default() };
        let node = Node { metadata: meta(None), ..Node::default() };
        assert_eq!(ObjectKey::of(&pod), ObjectKey::new("x", "a"));
        assert_eq!(ObjectKey::of(&pod).to_string(), "x/a");
        assert_eq!(ObjectKey::of(&node), ObjectKey::new("", "a"));
        assert_eq!(format!("{:?}", ObjectKey::of(&node)), "a");
    }
}
