//! What is written of what is told.

use super::*;

fn told(name: &str, message: &str, nanosecond: i128) -> RecordedEvent {
    RecordedEvent {
        object: ObjectReference {
            kind: Some("Pod".into()),
            namespace: Some("x".into()),
            name: Some(name.into()),
            ..ObjectReference::default()
        },
        kind: "Normal",
        reason: "Killing",
        message: message.into(),
        component: "kubelet",
        host: Some("n1".into()),
        at: k8s_openapi::jiff::Timestamp::from_nanosecond(nanosecond).unwrap(),
    }
}

fn created(deed: Deed) -> Event {
    match deed {
        Deed::Create(event) => *event,
        other => panic!("{other:?}"),
    }
}

fn repeated(deed: Deed) -> Event {
    match deed {
        Deed::Repeat(event) => *event,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_says_who_tells_what_about_which_object() {
    let event = created(Correlator::new().take_in(&told("web", "Stopping", 0x1234), Instant::now()));
    assert_eq!(event.metadata.name.as_deref(), Some("web.1234"));
    assert_eq!(event.metadata.namespace.as_deref(), Some("x"));
    assert_eq!(event.involved_object.name.as_deref(), Some("web"));
    let source = event.source.unwrap();
    assert_eq!((source.component.as_deref(), source.host.as_deref()), (Some("kubelet"), Some("n1")));
    assert_eq!(event.reporting_component.as_deref(), Some("kubelet"));
    assert_eq!((event.type_.as_deref(), event.count), (Some("Normal"), Some(1)));
    assert_eq!(event.first_timestamp, event.last_timestamp);
}

#[tokio::test]
async fn events_about_the_cluster_are_in_the_namespace_default_and_names_are_unique_and_fit() {
    let mut correlator = Correlator::new();
    let mut node = told(&"n".repeat(253), "one", 16);
    node.object.namespace = None;
    let first = created(correlator.take_in(&node, Instant::now()));
    assert_eq!(first.metadata.namespace.as_deref(), Some("default"));
    let name = first.metadata.name.unwrap();
    assert!(name.len() <= LONGEST_NAME && name.ends_with("n.10"), "{name}");
    node.message = "two".into();
    let second = created(correlator.take_in(&node, Instant::now()));
    assert!(second.metadata.name.unwrap().ends_with(".11"), "the same time, another name");
    let foreign = created(correlator.take_in(&told(&"é".repeat(126), "three", 16), Instant::now()));
    assert!(foreign.metadata.name.unwrap().ends_with("é.12"), "letters are not cut in halves");
}

#[tokio::test]
async fn the_same_again_counts_up_and_something_else_does_not() {
    let mut correlator = Correlator::new();
    let now = Instant::now();
    let first = created(correlator.take_in(&told("web", "Stopping", 1_000_000_000), now));
    let again = repeated(correlator.take_in(&told("web", "Stopping", 5_000_000_000), now));
    assert_eq!((again.count, again.metadata.name), (Some(2), first.metadata.name));
    assert_eq!(again.first_timestamp, first.first_timestamp);
    assert_ne!(again.last_timestamp, first.last_timestamp);
    created(correlator.take_in(&told("web", "Stopping at last", 6_000_000_000), now));
    created(correlator.take_in(&told("other", "Stopping", 7_000_000_000), now));
}

#[tokio::test]
async fn an_object_about_which_too_much_is_told_is_heard_every_five_minutes() {
    let mut correlator = Correlator::new();
    let now = Instant::now();
    let mut heard =
        |name: &str, at: Instant| !matches!(correlator.take_in(&told(name, "again", 1), at), Deed::Drop);
    assert_eq!((0..40).filter(|_| heard("web", now)).count(), 25);
    assert!(heard("other", now), "others do not suffer");
    assert!(!heard("web", now + REFILL / 2));
    assert!(heard("web", now + REFILL));
    assert!(!heard("web", now + REFILL));
}

#[tokio::test]
async fn what_was_told_long_ago_is_forgotten_first() {
    let mut correlator = Correlator::new();
    let begun = Instant::now();
    for number in 0..=MEMORY {
        let at = begun + Duration::from_millis(number as u64);
        created(correlator.take_in(&told(&format!("pod-{number}"), "x", 1), at));
    }
    assert!(correlator.told.len() <= MEMORY / 2 + 1);
    let later = begun + Duration::from_secs(100);
    repeated(correlator.take_in(&told(&format!("pod-{MEMORY}"), "x", 1), later));
    created(correlator.take_in(&told("pod-0", "x", 1), later));
}
