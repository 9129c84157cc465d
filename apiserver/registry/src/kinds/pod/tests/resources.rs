//! What pods and their containers ask for, where it breaks rules.

use super::*;

fn container(cpu_request: &str, cpu_limit: &str) -> Value {
    json!({"name": "main", "image": "x:1", "resources": {
        "requests": {"cpu": cpu_request}, "limits": {"cpu": cpu_limit}
    }})
}

#[test]
fn a_pod_has_no_less_than_its_containers() {
    assert_eq!(
        wrong(json!({
            "containers": [container("2", "4")],
            "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}
        })),
        [
            "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container \
             requests of 2",
            "spec.resources.containers[0][cpu].limits: Invalid value: \"4\": must be less than or equal to pod limits \
             of 3",
        ]
    );
    let mut pages = container("1", "1");
    pages["resources"]["limits"]["hugepages-2Mi"] = json!("8Mi");
    assert_eq!(
        wrong(json!({"containers": [pages], "resources": {
            "requests": {"cpu": "1", "hugepages-2Mi": "8Mi"}, "limits": {"hugepages-2Mi": "8Mi"}
        }})),
        [""; 0]
    );
    pages["resources"]["requests"]["hugepages-2Mi"] = json!("8Mi");
    let found = wrong(json!({"containers": [pages], "resources": {
        "requests": {"cpu": "1"}, "limits": {"hugepages-2Mi": "4Mi"}
    }}));
    assert!(
        found.contains(
            &"spec.resources.limits[hugepages-2Mi]: Invalid value: \"4Mi\": must be greater than or equal to aggregate \
              container limits of 8Mi"
                .to_owned()
        ),
        "{found:?}"
    );
}

#[test]
fn a_pod_has_few_resources_of_its_own() {
    assert_eq!(
        wrong(json!({
            "containers": [{"name": "main", "image": "x:1"}],
            "resourceClaims": [{"name": "a", "resourceClaimName": "a"}],
            "resources": {
                "claims": [{"name": "a"}],
                "requests": {"ephemeral-storage": "1Gi", "example.com/x": "1", "gpu": "1"},
                "limits": {"example.com/x": "1"}
            }
        })),
        [
            "spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level",
            "spec.resources.limits[example.com/x]: Unsupported value: \"example.com/x\": supported values: \"cpu\", \
             \"hugepages-\", \"memory\"",
            "spec.resources.requests[ephemeral-storage]: Unsupported value: \"ephemeral-storage\": supported values: \
             \"cpu\", \"hugepages-\", \"memory\"",
            "spec.resources.requests[example.com/x]: Unsupported value: \"example.com/x\": supported values: \"cpu\", \
             \"hugepages-\", \"memory\"",
            "spec.resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
        ]
    );
    let mut spec = with(json!({}));
    spec["os"] = json!({"name": "windows"});
    spec["resources"] = json!({"requests": {"x": "1"}});
    assert_eq!(wrong(spec), ["spec.resources: Forbidden: may not be set for a windows pod"]);
}

#[test]
fn huge_pages_are_whole() {
    let mut one = container("1", "1");
    one["resources"]["limits"]["hugepages-2Mi"] = json!("1");
    let text = |side: &str| {
        format!(
            "spec.containers[0].resources.{side}[hugepages-2Mi]: Invalid value: \"1\": 1 is not positive integer multiple \
             of hugepages-2Mi"
        )
    };
    assert_eq!(wrong(json!({"containers": [one]})), [text("limits"), text("requests")]);
    let mut spec = with(json!({}));
    spec["overhead"] = json!({"cpu": "-1", "gpu": "1"});
    assert_eq!(
        wrong(spec),
        [
            "spec.overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            "spec.overhead.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
            "spec.overhead.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
        ]
    );
}

#[test]
fn claims_are_used_once_and_known() {
    let claims = json!([
        {"name": "a"}, {"name": "a"}, {"name": ""}, {"name": "zz"}, {"name": "b", "request": "r"},
        {"name": "b", "request": "r"}, {"name": "b"}
    ]);
    let mut spec = with(json!({"resources": {"claims": claims}}));
    let place = |at: usize| format!("spec.containers[0].resources.claims[{at}]");
    spec["resourceClaims"] =
        json!([{"name": "b", "resourceClaimName": "b"}, {"name": "a", "resourceClaimName": "a"}]);
    assert_eq!(
        wrong(spec.clone()),
        [
            format!("{}: Duplicate value: \"a\"", place(1)),
            format!("{}: Required value", place(2)),
            format!(
                "{}: Not found: \"zz\": must be one of the names in pod.spec.resourceClaims: a, b",
                place(3)
            ),
            format!("{}: Duplicate value: \"b/r\"", place(5)),
            format!("{}: Duplicate value: \"b\"", place(6)),
        ]
    );
    let mut spec = with(json!({"resources": {"claims": [{"name": "a"}]}}));
    spec["restartPolicy"] = json!("Never");
    spec["containers"][0]["resizePolicy"] =
        json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]);
    assert_eq!(
        wrong(spec),
        [
            format!(
                "{}: Not found: \"a\": must be one of the names in pod.spec.resourceClaims which is empty",
                place(0)
            ),
            "spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when pod \
             `restartPolicy` is 'Never'"
                .to_owned(),
        ]
    );
}
