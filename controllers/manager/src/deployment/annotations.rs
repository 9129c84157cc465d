//! What a Deployment writes into the annotations of its ReplicaSets, and reads there again: pure.

use std::collections::BTreeMap;

/// Which revision of the Deployment a ReplicaSet is; on the Deployment, which one it is at.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";

/// Which revisions a ReplicaSet has been before, separated by commas.
pub(super) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";

/// How many pods the Deployment wanted when it last scaled the ReplicaSet.
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";

/// How many pods it would have borne then: the number wanted and `maxSurge`.
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// What is the Deployment's alone. Everything else (`kubernetes.io/change-cause` for instance) is copied.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// The most characters of a history.
const LONGEST_HISTORY: usize = 2000;

/// The annotations of a Deployment that its new ReplicaSet gets too.
pub(super) fn copied(
    annotations: Option<&BTreeMap<String, String>>,
) -> impl Iterator<Item = (&String, &String)> {
    annotations.into_iter().flatten().filter(|(key, _)| !OWN.contains(&key.as_str()))
}

/// The history of a ReplicaSet that stops being `revision`; its oldest part goes if it gets too long.
pub(super) fn lengthened(history: &str, revision: &str) -> String {
    let mut rest = history;
    while !rest.is_empty() && rest.len() + 1 + revision.len() > LONGEST_HISTORY {
        rest = rest.split_once(',').map_or("", |(_, newer)| newer);
    }
    if rest.is_empty() { revision.to_owned() } else { format!("{rest},{revision}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_and_the_controller_keep_on_a_deployment_stays_there() {
        let annotations = ["kubernetes.io/change-cause", "a"].into_iter().chain(OWN);
        let annotations: BTreeMap<_, _> = annotations.map(|key| (key.to_owned(), String::new())).collect();
        let keys: Vec<_> = copied(Some(&annotations)).map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a", "kubernetes.io/change-cause"]);
        assert_eq!(copied(None).count(), 0);
    }

    #[test]
    fn a_history_forgets_its_beginning() {
        assert_eq!(lengthened("", "3"), "3");
        assert_eq!(lengthened("1,3", "17"), "1,3,17");
        let long = vec!["1234"; 400].join(",");
        assert_eq!(long.len(), 1999);
        let longer = lengthened(&long, "56789");
        assert_eq!(longer.len(), LONGEST_HISTORY);
        assert!(longer.ends_with(",1234,56789"));
    }
}
