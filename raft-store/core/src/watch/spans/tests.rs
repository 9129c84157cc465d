//! The tree against a list.

use proptest::{collection::vec, prelude::*};

use super::*;

fn key() -> impl Strategy<Value = Bytes> {
    vec(0..4_u8, 1..4).prop_map(Bytes::from)
}

/// Checks order, heap and the greatest ends; answers the depth.
fn check(tree: &Tree) -> usize {
    let Some(node) = tree else { return 0 };
    for child in [&node.left, &node.right].into_iter().flatten() {
        assert!(child.priority <= node.priority);
        assert!(child.max_end <= node.max_end);
    }
    assert!(node.left.as_ref().is_none_or(|left| left.span < node.span));
    assert!(node.right.as_ref().is_none_or(|right| right.span > node.span));
    let ends = [&node.left, &node.right].into_iter().flatten().map(|child| &child.max_end);
    assert_eq!(ends.chain([&node.span.end]).max(), Some(&node.max_end));
    assert!(!node.watchers.is_empty());
    1 + check(&node.left).max(check(&node.right))
}

fn found(spans: &Spans, key: &[u8]) -> Vec<WatcherId> {
    let mut found = Vec::new();
    spans.holding(key, &mut |id| found.push(id));
    found.sort();
    found
}

proptest! {
    #[test]
    fn finds_what_a_list_finds(
        steps in vec((key(), prop::option::of(key()), 0..8_u64, any::<bool>()), 0..60),
        keys in vec(key(), 1..20),
    ) {
        let mut spans = Spans::new();
        let mut list: Vec<(Bytes, Option<Bytes>, WatcherId)> = Vec::new();
        for (start, end, id, remove) in steps {
            let entry = (start.clone(), end.clone(), WatcherId::new(id));
            list.retain(|other| *other != entry);
            if remove {
                spans.remove(start, end, WatcherId::new(id));
            } else {
                spans.insert(start, end, WatcherId::new(id));
                list.push(entry);
            }
            check(&spans.root);
        }
        for key in keys {
            let holds = |(start, end, _): &&(Bytes, Option<Bytes>, WatcherId)| {
                *start <= key && end.as_ref().is_none_or(|end| key < end)
            };
            let mut expected: Vec<_> = list.iter().filter(holds).map(|(.., id)| *id).collect();
            expected.sort();
            prop_assert_eq!(found(&spans, &key), expected);
        }
    }
}

#[test]
fn ten_thousand_spans_make_a_flat_tree() {
    let mut spans = Spans::new();
    for n in 0..10_000_u64 {
        let start = Bytes::from(format!("/registry/pods/namespace-{n:05}/"));
        let end = Bytes::from(format!("/registry/pods/namespace-{n:05}0"));
        spans.insert(start, Some(end), WatcherId::new(n));
    }
    assert!(check(&spans.root) < 50);
    assert_eq!(found(&spans, b"/registry/pods/namespace-04711/web-0"), [WatcherId::new(4711)]);
}
