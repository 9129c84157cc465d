//! Which pods somebody means: by labels, and by namespaces.
//!
//! In: selectors of affinity terms and spread constraints, read once. Out: whether they mean a pod. Matchers are compared
//! and hashed: pods of one owner all have the same, and what is known of it is known for all of them.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cache::{Labels, Operator};
use crate::pod_info::PodInfo;

/// A label selector, ready to match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Selector {
    /// `None`: it matches nothing.
    requirements: Option<Vec<Requirement>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

/// Namespaces by name, and by their labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Namespaces {
    pub(crate) names: Vec<String>,
    /// `None`: only by name.
    pub(crate) selected: Option<Selector>,
}

/// Pods with these labels in these namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PodMatcher {
    pub(crate) namespaces: Namespaces,
    pub(crate) selector: Selector,
}

/// The labels of all namespaces.
pub(crate) type NamespaceLabels = HashMap<String, Labels>;

impl Selector {
    /// Without a selector nothing is selected; with an empty one everything is.
    pub(crate) fn of(selector: Option<&LabelSelector>) -> Self {
        let Some(selector) = selector else { return Self { requirements: None } };
        let labels = selector.match_labels.iter().flatten().map(|(key, value)| {
            Some(Requirement { key: key.clone(), operator: Operator::In, values: vec![value.clone()] })
        });
        let expressions = selector.match_expressions.iter().flatten().map(|expression| {
            Some(Requirement {
                key: expression.key.clone(),
                operator: Operator::of(&expression.operator)?,
                values: expression.values.clone().unwrap_or_default(),
            })
        });
        Self { requirements: labels.chain(expressions).collect() }
    }

    /// Also asks for the value that these labels have for the key, or for another one. Asks for nothing more if they
    /// have none.
    pub(crate) fn compare_with(&mut self, labels: Option<&Labels>, key: &str, operator: Operator) {
        let value = labels.and_then(|labels| labels.get(key));
        if let (Some(requirements), Some(value)) = (&mut self.requirements, value) {
            requirements.push(Requirement { key: key.to_owned(), operator, values: vec![value.clone()] });
        }
    }

    pub(crate) fn matches(&self, labels: Option<&Labels>) -> bool {
        self.requirements.as_ref().is_some_and(|requirements| {
            requirements.iter().all(|requirement| {
                let value = labels.and_then(|labels| labels.get(&requirement.key)).map(String::as_str);
                requirement.operator.allows(value, &requirement.values)
            })
        })
    }
}

impl Namespaces {
    pub(crate) fn include(&self, name: &str, all: &NamespaceLabels) -> bool {
        self.names.iter().any(|known| known == name)
            || self.selected.as_ref().is_some_and(|selected| selected.matches(all.get(name)))
    }
}

impl PodMatcher {
    /// Whether it might mean the pod, for who does not know the labels of namespaces.
    pub(crate) fn may_match(&self, pod: &PodInfo) -> bool {
        self.may_be_about(&pod.key.namespace) && self.selector.matches(pod.labels())
    }

    /// Whether it might mean pods of this namespace.
    pub(crate) fn may_be_about(&self, namespace: &str) -> bool {
        self.namespaces.selected.is_some() || self.namespaces.names.iter().any(|name| name == namespace)
    }

    pub(crate) fn matches(&self, pod: &PodInfo, all: &NamespaceLabels) -> bool {
        self.namespaces.include(&pod.key.namespace, all) && self.selector.matches(pod.labels())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MakePod, selector};

    #[test]
    fn no_selector_selects_nothing_and_an_empty_one_everything() {
        let labels = Labels::from([("app".to_owned(), "web".to_owned())]);
        assert!(!Selector::of(None).matches(Some(&labels)));
        assert!(Selector::of(Some(&LabelSelector::default())).matches(None));
        let web = Selector::of(Some(&selector(&[("app", "web")])));
        assert!(web.matches(Some(&labels)) && !web.matches(None));
    }

    #[test]
    fn a_selector_follows_the_labels_of_the_pod_that_has_it() {
        let mut selector = Selector::of(Some(&LabelSelector::default()));
        let labels = |hash: &str| Labels::from([("hash".to_owned(), hash.to_owned())]);
        selector.compare_with(Some(&labels("1")), "hash", Operator::In);
        selector.compare_with(Some(&labels("1")), "missing", Operator::In);
        assert!(selector.matches(Some(&labels("1"))) && !selector.matches(Some(&labels("2"))));
    }

    #[test]
    fn namespaces_are_meant_by_name_or_by_their_labels() {
        let all = NamespaceLabels::from([("b".into(), Labels::from([("team".into(), "x".into())]))]);
        let matcher = PodMatcher {
            namespaces: Namespaces {
                names: vec!["a".into()],
                selected: Some(Selector::of(Some(&selector(&[("team", "x")])))),
            },
            selector: Selector::of(Some(&LabelSelector::default())),
        };
        let matches = |namespace| matcher.matches(&MakePod::named("p").namespace(namespace).info(), &all);
        assert_eq!((matches("a"), matches("b"), matches("c")), (true, true, false));
    }
}
