//! What a namespace has room for, and what its containers get that say nothing.

use keelson_api_registry::resources;

use super::*;

const QUOTAS: &str = "/api/v1/namespaces/shop/resourcequotas";
const LIMITS: &str = "/api/v1/namespaces/shop/limitranges";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const SERVICES: &str = "/api/v1/namespaces/shop/services";

/// Makes an object that admission looks up, and waits until it does.
async fn known(cluster: &Cluster, path: &str, object: Value) {
    cluster.post(path, object).await;
    let plural = path.rsplit('/').next().unwrap();
    cluster.server.objects.fresh(resources::find("", "v1", plural).unwrap()).await.unwrap();
}

async fn quota(cluster: &Cluster, spec: Value) {
    known(cluster, QUOTAS, json!({"metadata": {"name": "most"}, "spec": spec})).await;
}

async fn used(cluster: &Cluster) -> Value {
    cluster.get(&format!("{QUOTAS}/most")).await.unwrap()["status"]["used"].take()
}

#[test]
fn a_namespace_has_no_more_than_its_quota() {
    with_cluster(async |cluster| {
        cluster.post(CONFIG_MAPS, config_map("before")).await;
        quota(&cluster, json!({"hard": {"configmaps": "2", "count/configmaps": "5", "pods": "9"}})).await;
        cluster.post(CONFIG_MAPS, config_map("a")).await;
        assert_eq!(used(&cluster).await, json!({"configmaps": "2", "count/configmaps": "2", "pods": "0"}));
        let error = cluster.post_refused(CONFIG_MAPS, config_map("b")).await;
        let why = "configmaps \"b\" is forbidden: exceeded quota: most, requested: configmaps=1, used: configmaps=2, limited: configmaps=2";
        assert_refused(&error, 403, "Forbidden", why);
        cluster.delete(&format!("{CONFIG_MAPS}/before"), Value::Null).await.unwrap();
        cluster.post(CONFIG_MAPS, config_map("b")).await;
        let elsewhere = "/api/v1/namespaces/other/configmaps";
        cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "other"}})).await;
        cluster.post(elsewhere, config_map("b")).await;
        cluster.post(elsewhere, config_map("c")).await;
        cluster.post(elsewhere, config_map("d")).await;
    });
}

#[test]
fn pods_say_what_a_quota_limits_and_dry_runs_cost_nothing() {
    with_cluster(async |cluster| {
        cluster.pod("before").await;
        quota(&cluster, json!({"hard": {"requests.cpu": "1"}})).await;
        let error = cluster.post_refused(PODS, pod("web")).await;
        let why = "pods \"web\" is forbidden: failed quota: most: must specify requests.cpu for: c";
        assert_refused(&error, 403, "Forbidden", why);
        let mut web = pod("web");
        web["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "600m"}});
        cluster.post(&format!("{PODS}?dryRun=All"), web.clone()).await;
        cluster.post(PODS, web.clone()).await;
        web["metadata"]["name"] = "web-2".into();
        let error = cluster.post_refused(PODS, web.clone()).await;
        let why = "pods \"web-2\" is forbidden: exceeded quota: most, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1";
        assert_refused(&error, 403, "Forbidden", why);
    });
}

#[test]
fn an_update_costs_what_is_more_than_before() {
    with_cluster(async |cluster| {
        quota(&cluster, json!({"hard": {"services": "1", "services.nodeports": "1"}})).await;
        let service = json!({
            "metadata": {"name": "web"}, "spec": {"type": "NodePort", "ports": [{"name": "a", "port": 80}]},
        });
        cluster.post(SERVICES, service).await;
        assert_eq!(used(&cluster).await, json!({"services": "1", "services.nodeports": "1"}));
        let path = format!("{SERVICES}/web");
        let more = json!({"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}});
        let error = refused(cluster.merge(&path, more).await);
        assert!(error.message.contains("exceeded quota: most, requested: services.nodeports=1"), "{error:?}");
        let less =
            json!({"spec": {"type": "ClusterIP", "ports": [{"name": "a", "port": 80, "nodePort": null}]}});
        cluster.merge(&path, less).await.unwrap();
        assert_eq!(used(&cluster).await, json!({"services": "1", "services.nodeports": "0"}));
    });
}

#[test]
fn containers_get_what_the_limit_range_has_for_them_and_keep_within_it() {
    with_cluster(async |cluster| {
        cluster.pod("before").await;
        let item = json!({
            "type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"},
        });
        known(&cluster, LIMITS, json!({"metadata": {"name": "each"}, "spec": {"limits": [item]}})).await;
        let made = cluster.post(PODS, pod("web")).await;
        let resources = json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}});
        assert_eq!(made["spec"]["containers"][0]["resources"], resources);
        assert_eq!(made["status"]["qosClass"], "Burstable");
        let mut large = pod("large");
        large["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "2"}});
        let error = cluster.post_refused(PODS, large).await;
        let why = "pods \"large\" is forbidden: maximum cpu usage per Container is 1, but limit is 2";
        assert_refused(&error, 403, "Forbidden", why);
        let resize = |cpu: &str| {
            json!({"spec": {"containers": [{
                "name": "c", "image": "busybox", "resources": {"limits": {"cpu": cpu}, "requests": {"cpu": "100m"}},
            }]}})
        };
        let path = format!("{PODS}/web/resize");
        let error = refused(cluster.merge(&path, resize("2")).await);
        assert!(error.message.ends_with("maximum cpu usage per Container is 1, but limit is 2"), "{error:?}");
        let resized = cluster.merge(&path, resize("600m")).await.unwrap().body;
        assert_eq!(resized["spec"]["containers"][0]["resources"]["limits"], json!({"cpu": "600m"}));
        assert_eq!(resized["metadata"]["generation"], 2);
        assert_eq!(resized["spec"]["containers"][0]["terminationMessagePath"], "/dev/termination-log");
    });
}
