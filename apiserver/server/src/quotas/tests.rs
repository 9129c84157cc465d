//! Statuses follow what is there.

use serde_json::json;

use super::*;
use crate::testing::{config_map, config_maps, with_server};

async fn quota(objects: &ObjectStore) -> Object {
    objects.get(resource(), "a", "most").await.unwrap().unwrap().object
}

/// A round once the cache has everything that was written.
async fn round(keeper: &mut Keeper, objects: &ObjectStore) {
    objects.fresh(resource()).await.unwrap();
    objects.fresh(config_maps()).await.unwrap();
    keeper.round(objects).await;
}

#[test]
fn a_status_is_counted_at_once_and_lowered_when_nobody_is_charged() {
    with_server(async |site| {
        let objects = &site.server.objects;
        let create = async |name: &str| {
            objects.create(config_maps(), &config_map("a", name, &[], "1"), &[]).await.unwrap()
        };
        create("x").await;
        let most = json!({
            "kind": "ResourceQuota", "apiVersion": "v1", "metadata": {"name": "most", "namespace": "a", "uid": "q"},
            "spec": {"hard": {"configmaps": "5"}},
        });
        objects.create(resource(), &Object(most), &[]).await.unwrap();
        let mut keeper = Keeper::default();
        round(&mut keeper, objects).await;
        let counted = quota(objects).await;
        assert_eq!(counted.0["status"], json!({"hard": {"configmaps": "5"}, "used": {"configmaps": "1"}}));

        // Somebody is charged for what is not there yet: the next round leaves it alone.
        let charged = with_status(&counted, &amounts(&json!({"configmaps": "2"})));
        let at = objects.get(resource(), "a", "most").await.unwrap().unwrap().revision;
        objects.replace(resource(), &charged, at, ClaimChange::default()).await.unwrap().unwrap();
        round(&mut keeper, objects).await;
        assert_eq!(quota(objects).await.0["status"]["used"]["configmaps"], "2");
        // It never came: the round after that says so, and what was right is not written again.
        round(&mut keeper, objects).await;
        let lowered = quota(objects).await;
        assert_eq!(lowered.0["status"]["used"]["configmaps"], "1");
        for _ in 0..3 {
            round(&mut keeper, objects).await;
        }
        assert_eq!(quota(objects).await, lowered);

        let x = objects.get(config_maps(), "a", "x").await.unwrap().unwrap();
        objects.remove(config_maps(), "a", "x", x.revision, &[]).await.unwrap();
        round(&mut keeper, objects).await;
        assert_eq!(quota(objects).await.0["status"]["used"]["configmaps"], "0");
    });
}
