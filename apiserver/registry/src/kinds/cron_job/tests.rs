//! CronJobs.

use serde_json::json;
use time::macros::datetime;

use super::*;

fn cron_job(spec: &Value) -> Object {
    let pods = json!({
        "spec": {"restartPolicy": "OnFailure", "containers": [{"name": "once", "image": "once:1"}]},
    });
    let mut object = Object(json!({
        "metadata": {"name": "nightly", "namespace": "shop"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": pods}}},
    }));
    for (field, value) in spec.as_object().into_iter().flatten() {
        object.set(&["spec", field], value.clone());
    }
    Rules.default(&mut object);
    Rules.prepare_create(&mut object);
    object
}

fn texts(object: &Object) -> Vec<String> {
    let errors = [Rules.validate(object), Rules.validate_create(object)].concat();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_upstreams_and_stop_at_the_job() {
    let object = cron_job(&json!({}));
    let spec = &object.0["spec"];
    for (field, value) in [
        ("concurrencyPolicy", json!("Allow")),
        ("suspend", json!(false)),
        ("successfulJobsHistoryLimit", json!(3)),
        ("failedJobsHistoryLimit", json!(1)),
    ] {
        assert_eq!(spec[field], value, "{field}");
    }
    assert_eq!(spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"], "ClusterFirst");
    assert_eq!(spec["jobTemplate"]["spec"].get("backoffLimit"), None);
    assert_eq!(texts(&object), [""; 0]);
}

#[test]
fn what_breaks_a_rule_is_told_in_upstreams_words() {
    let job = |spec: Value| json!({"jobTemplate": {"spec": spec}});
    let always = json!({"spec": {"containers": [{"name": "once", "image": "once:1"}]}});
    let once = json!({
        "spec": {"restartPolicy": "Never", "containers": [{"name": "once", "image": "once:1"}]},
    });
    let cases = [
        (json!({"schedule": ""}), "spec.schedule: Required value"),
        (
            json!({"schedule": "0 3 * *"}),
            "spec.schedule: Invalid value: \"0 3 * *\": expected exactly 5 fields, found 4: [0 3 * *]",
        ),
        (
            json!({"schedule": "TZ=UTC 0 3 * * *"}),
            "spec.schedule: Invalid value: \"TZ=UTC 0 3 * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ),
        (
            json!({"timeZone": "Mars/Phobos City"}),
            "spec.timeZone: Invalid value: \"Mars/Phobos City\": unknown time zone Mars/Phobos City",
        ),
        (
            json!({"timeZone": "Foo/Bar"}),
            "spec.timeZone: Invalid value: \"Foo/Bar\": unknown time zone Foo/Bar",
        ),
        (
            json!({"concurrencyPolicy": "Queue"}),
            "spec.concurrencyPolicy: Unsupported value: \"Queue\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
        ),
        (
            job(json!({"template": always})),
            "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        (
            job(json!({"template": once, "manualSelector": true})),
            "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"false\", \"nil\"",
        ),
        (
            json!({"startingDeadlineSeconds": -1}),
            "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
    ];
    for (spec, text) in cases {
        assert_eq!(texts(&cron_job(&spec)), [text]);
    }
}

#[test]
fn a_name_leaves_room_for_its_jobs() {
    let mut object = cron_job(&json!({}));
    object.set(&["metadata", "name"], "a".repeat(53));
    assert!(texts(&object)[0].ends_with("must be no more than 52 characters"));
    object.set(&["metadata", "name"], "a.b");
    assert!(
        Rules.warnings(&object, None)[0]
            .starts_with("metadata.name: this is used in Pod names and hostnames")
    );
}

#[test]
fn an_old_zone_in_a_schedule_is_tolerated_but_not_beside_the_field() {
    let old = cron_job(&json!({"schedule": "TZ=UTC 0 3 * * *"}));
    let mut new = old.clone();
    new.set(&["spec", "suspend"], true);
    assert_eq!(Rules.validate_update(&new, &old), []);
    Rules.prepare_update(&mut new, &old);
    assert_eq!(new.generation(), 2);
    new.set(&["spec", "timeZone"], "UTC");
    assert_eq!(
        Rules.validate_update(&new, &old)[0].to_string(),
        "spec.schedule: Invalid value: \"TZ=UTC 0 3 * * *\": cannot use both timeZone field and TZ or CRON_TZ in schedule"
    );
}

#[test]
fn a_zone_that_was_known_once_stays_until_another_is_chosen() {
    let old = cron_job(&json!({"timeZone": "Foo/Bar"}));
    assert_eq!(Rules.validate_update(&old, &old), []);
    let mut new = old.clone();
    new.set(&["spec", "timeZone"], "Foo/Baz");
    assert_eq!(
        Rules.validate_update(&new, &old)[0].to_string(),
        "spec.timeZone: Invalid value: \"Foo/Baz\": unknown time zone Foo/Baz"
    );
}

#[test]
fn rows_are_upstreams() {
    let mut object = cron_job(&json!({"timeZone": "UTC"}));
    let now = datetime!(2026-01-01 03:05:00 UTC);
    let row = |object: &Object| -> Vec<Value> {
        COLUMNS[1..6].iter().chain(&COLUMNS[7..]).map(|column| (column.cell)(object, now)).collect()
    };
    assert_eq!(
        row(&object),
        [
            json!("0 3 * * *"),
            json!("UTC"),
            json!("False"),
            json!(0),
            json!("<none>"),
            json!("once"),
            json!("once:1"),
            json!("<none>"),
        ]
    );
    object.set(&["status"], json!({"active": [{}], "lastScheduleTime": "2026-01-01T03:00:00Z"}));
    assert_eq!(row(&object)[3..5], [json!(1), json!("5m")]);
}

#[test]
fn an_old_zone_in_a_schedule_is_warned_of() {
    let object = cron_job(&json!({"schedule": "TZ=UTC 0 3 * * *"}));
    assert_eq!(Rules.warnings(&object, None), [""; 0]);
    assert_eq!(
        Rules.warnings(&object, Some(&object)),
        ["cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
          https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"]
    );
}
