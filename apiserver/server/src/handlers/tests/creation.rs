//! POST.

use super::*;

#[test]
fn a_new_object_gets_what_only_the_server_gives() {
    with_cluster(async |cluster| {
        let mut object = config_map("a");
        object["metadata"]["uid"] = "mine".into();
        object["metadata"]["managedFields"] = json!([{"manager": "no entry"}]);
        let created = cluster.post(CONFIG_MAPS, object).await;
        let metadata = &created["metadata"];
        assert_eq!((&created["kind"], &created["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
        assert_eq!(metadata["namespace"], "shop");
        assert_eq!(metadata["creationTimestamp"], "2026-11-23T01:02:03Z");
        assert_ne!(metadata["uid"], "mine");
        assert_eq!(metadata["managedFields"][0]["manager"], "unknown");
        assert!(metadata["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
        assert_eq!(cluster.get(&format!("{CONFIG_MAPS}/a")).await, Some(created));
    });
}

#[test]
fn a_name_can_be_taken_once() {
    with_cluster(async |cluster| {
        cluster.post(CONFIG_MAPS, config_map("a")).await;
        let error = cluster.post_refused(CONFIG_MAPS, config_map("a")).await;
        assert_refused(&error, 409, "AlreadyExists", "configmaps \"a\" already exists");
    });
}

#[test]
fn a_name_is_generated_where_only_its_beginning_is_given() {
    with_cluster(async |cluster| {
        let object = json!({"metadata": {"generateName": "settings-"}});
        let first = cluster.post(CONFIG_MAPS, object.clone()).await;
        let second = cluster.post(CONFIG_MAPS, object).await;
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        assert!(name(&first).starts_with("settings-") && name(&first).len() == "settings-".len() + 5);
        assert_ne!(name(&first), name(&second));
    });
}

#[test]
fn names_and_namespaces_must_agree_with_the_path() {
    with_cluster(async |cluster| {
        let foreign = json!({"metadata": {"name": "a", "namespace": "other"}});
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        let error = cluster.post_refused(CONFIG_MAPS, foreign).await;
        assert_refused(&error, 400, "BadRequest", message);

        let error = cluster.post_refused(CONFIG_MAPS, json!({"metadata": {}})).await;
        let message =
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required";
        assert_refused(&error, 422, "Invalid", message);
    });
}

#[test]
fn an_object_with_a_resource_version_is_not_new() {
    with_cluster(async |cluster| {
        let mut object = config_map("a");
        object["metadata"]["resourceVersion"] = "7".into();
        let error = cluster.post_refused(CONFIG_MAPS, object).await;
        let message = "resourceVersion should not be set on objects to be created";
        assert_refused(&error, 400, "BadRequest", message);
    });
}

#[test]
fn unknown_fields_are_warned_of_refused_or_ignored() {
    with_cluster(async |cluster| {
        let body = r#"{"metadata":{"name":"a"},"dat":{}}"#;
        let ask = async |path: &str| cluster.ask(Method::POST, path, JSON, body).await;
        let strict = refused(ask(&format!("{CONFIG_MAPS}?fieldValidation=Strict")).await);
        assert_eq!(strict.code, 400);
        assert!(
            strict.message.contains("strict decoding error: unknown field \"dat\""),
            "{}",
            strict.message
        );
        let warned = ask(&format!("{CONFIG_MAPS}?fieldManager=me")).await.unwrap();
        assert_eq!(warned.warnings, ["299 - \"unknown field \\\"dat\\\"\""]);
        cluster.delete(&format!("{CONFIG_MAPS}/a"), Value::Null).await.unwrap();
        let ignored = ask(&format!("{CONFIG_MAPS}?fieldValidation=Ignore")).await.unwrap();
        assert_eq!(ignored.warnings, [""; 0]);
    });
}

#[test]
fn a_body_in_yaml_is_read_and_one_in_something_else_is_not() {
    with_cluster(async |cluster| {
        let yaml = "metadata:\n  name: a\ndata: {x: \"1\"}\n";
        let created = cluster.ask(Method::POST, CONFIG_MAPS, "application/yaml", yaml).await.unwrap();
        assert_eq!(created.body["data"], json!({"x": "1"}));
        let form = "application/cbor";
        let error = refused(cluster.ask(Method::POST, CONFIG_MAPS, form, "\u{0}").await);
        assert_eq!((error.code.as_u16(), error.reason), (415, "UnsupportedMediaType"));
    });
}

#[test]
fn an_invalid_object_is_told_every_fault() {
    with_cluster(async |cluster| {
        let object = json!({"metadata": {"name": "A b", "labels": {"-": "x"}}});
        let error = cluster.post_refused(CONFIG_MAPS, object).await;
        assert_eq!((error.code.as_u16(), error.reason), (422, "Invalid"));
        let fields: Vec<_> = error.details.causes.iter().map(|cause| cause.field.as_str()).collect();
        assert!(fields.contains(&"metadata.name") && fields.contains(&"metadata.labels"), "{fields:?}");
    });
}

#[test]
fn rights_that_one_does_not_have_cannot_be_given_away() {
    with_cluster(async |cluster| {
        let role = json!({"metadata": {"name": "all"}, "rules": [{
            "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"],
        }]});
        let nobody = User { name: "jane".to_owned(), ..User::default() };
        let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles";
        let answer = cluster.ask_as(nobody, Method::POST, path, JSON, &role.to_string()).await;
        let error = refused(answer);
        assert_eq!((error.code.as_u16(), error.reason), (403, "Forbidden"));
        let why = "is attempting to grant RBAC permissions not currently held";
        assert!(error.message.contains(why), "{}", error.message);
        cluster.post(path, role).await;
    });
}

#[test]
fn what_is_too_long_to_be_stored_is_refused_before_it_is_worked_on() {
    with_cluster(async |cluster| {
        // Else the first of them would be refused for its name, the second for its field.
        let long = "x".repeat(3 << 19);
        let body = json!({"metadata": {"name": "-"}, "data": {"k": long}}).to_string();
        let created = cluster.ask(Method::POST, CONFIG_MAPS, JSON, &body).await;
        let body = json!({"kind": "ConfigMap", "apiVersion": "v1", "nothing": long}).to_string();
        let path = format!("{CONFIG_MAPS}/a?fieldManager=m");
        let applied = cluster.ask(Method::PATCH, &path, "application/apply-patch+yaml", &body).await;
        for refused in [created, applied] {
            let error = refused.unwrap_err();
            assert_eq!(
                (error.code.as_u16(), error.reason),
                (413, "RequestEntityTooLarge"),
                "{}",
                error.message
            );
        }
    });
}

#[test]
fn no_policy_is_not_the_same_as_an_empty_list_of_policies() {
    const AUTOSCALERS: &str = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers";
    with_cluster(async |cluster| {
        let autoscaler = |name: &str, rules: Value| {
            let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
            let spec = json!({"maxReplicas": 3, "scaleTargetRef": target, "behavior": {"scaleUp": rules}});
            json!({"metadata": {"name": name}, "spec": spec})
        };
        let made = cluster.post(AUTOSCALERS, autoscaler("usual", json!({"selectPolicy": "Min"}))).await;
        assert_eq!(made["spec"]["behavior"]["scaleUp"]["policies"].as_array().unwrap().len(), 2);
        let error = cluster.post_refused(AUTOSCALERS, autoscaler("none", json!({"policies": []}))).await;
        let message = "HorizontalPodAutoscaler.autoscaling \"none\" is invalid: \
                       spec.behavior.scaleUp.policies: Required value: must specify at least one Policy";
        assert_refused(&error, 422, "Invalid", message);
    });
}

#[test]
fn a_key_that_is_not_that_of_its_certificate_is_warned_of() {
    with_cluster(async |cluster| {
        let [own, other] = [(), ()].map(|()| KeyPair::generate().unwrap());
        let certificate = CertificateParams::new(vec![]).unwrap().self_signed(&own).unwrap().pem();
        let keep = async |name: &str, key: &KeyPair| {
            let data = json!({"tls.crt": certificate, "tls.key": key.serialize_pem()});
            let secret = json!({"metadata": {"name": name}, "type": "kubernetes.io/tls", "stringData": data});
            let path = "/api/v1/namespaces/shop/secrets";
            cluster.ask(Method::POST, path, JSON, &secret.to_string()).await.unwrap().warnings
        };
        assert_eq!(keep("own", &own).await, [""; 0]);
        assert_eq!(keep("other", &other).await, ["299 - \"tls: private key does not match public key\""]);
    });
}

#[test]
fn a_template_is_warned_of_when_it_may_be_new() {
    with_cluster(async |cluster| {
        let mut spec = pod("web")["spec"].clone();
        spec["nodeSelector"] = json!({"beta.kubernetes.io/os": "linux"});
        let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": spec});
        let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template});
        let object = json!({"metadata": {"name": "web"}, "spec": spec});
        let (all, one) =
            ("/apis/apps/v1/namespaces/shop/deployments", "/apis/apps/v1/namespaces/shop/deployments/web");
        let told =
            ["299 - \"spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \
                     \\\"kubernetes.io/os\\\" instead\""];
        let dry = cluster.ask(Method::POST, &format!("{all}?dryRun=All"), JSON, &object.to_string()).await;
        assert_eq!(dry.unwrap().warnings, told);
        let made = cluster.ask(Method::POST, all, JSON, &object.to_string()).await.unwrap();
        assert_eq!(made.warnings, told);
        assert_eq!(
            cluster.merge(one, json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap().warnings,
            [""; 0]
        );
        assert_eq!(cluster.merge(one, json!({"spec": {"replicas": 2}})).await.unwrap().warnings, told);
    });
}
