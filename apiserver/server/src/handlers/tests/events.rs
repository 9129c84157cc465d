//! Events: stored once, served in two groups.

use super::*;

#[test]
fn an_event_of_either_group_is_seen_in_both() {
    with_cluster(async |cluster| {
        let (core, other) =
            ("/api/v1/namespaces/shop/events", "/apis/events.k8s.io/v1/namespaces/shop/events");
        let event = json!({
            "metadata": {"name": "web.1"}, "eventTime": "2026-11-23T01:02:03.000000Z", "action": "Binding",
            "reportingController": "example.com/scheduler", "reportingInstance": "s1", "note": "bound",
            "regarding": {"kind": "Pod", "name": "web", "namespace": "shop"}, "reason": "Scheduled",
            "type": "Normal",
        });
        let created = cluster.post(other, event).await;
        assert_eq!(created["apiVersion"], "events.k8s.io/v1");
        let same = cluster.get(&format!("{core}/web.1")).await.unwrap();
        assert_eq!((&same["apiVersion"], &same["message"]), (&json!("v1"), &json!("bound")));
        assert_eq!(same["involvedObject"], created["regarding"]);
        assert_eq!(same["metadata"], created["metadata"]);

        let series = json!({"count": 2, "lastObservedTime": "2026-11-23T01:03:00.000000Z"});
        let patched = cluster.merge(&format!("{other}/web.1"), json!({"series": series})).await.unwrap();
        assert_eq!(patched.body["series"], series);
        assert_eq!(cluster.get(&format!("{core}/web.1")).await.unwrap()["series"], series);
        let deleted = cluster.delete(core, Value::Null).await.unwrap();
        assert_eq!(deleted.body["items"][0]["series"], series);
        assert_eq!(cluster.get(&format!("{other}/web.1")).await, None);
    });
}
