//! Nobody waits for work on a large object.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::testing::{self, Site, with_server};

/// A template with so many ports, each of which somebody manages.
fn template(ports: u32) -> Value {
    let ports: Vec<_> =
        (1..=ports).map(|port| json!({"containerPort": port, "name": format!("p{port}")})).collect();
    let spec = json!({"containers": [{"name": "web", "image": "web:1", "ports": ports}]});
    json!({
        "apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "large"},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec},
    })
}

/// How long a write takes, and the longest time in which the thread served nobody else.
async fn write(site: &Site, method: &str, body: &Value) -> (Duration, Duration) {
    let templates = "/api/v1/namespaces/default/podtemplates";
    let (uri, media) = match method {
        "POST" => (templates.to_owned(), "application/json"),
        _ => (format!("{templates}/large?fieldManager=test&force=true"), "application/apply-patch+yaml"),
    };
    let call = testing::call(&site.server, method, &uri, &[("content-type", media)], &body.to_string());
    let (last, longest) = (Cell::new(Instant::now()), Cell::new(Duration::ZERO));
    let others = async {
        loop {
            longest.set(longest.get().max(last.replace(Instant::now()).elapsed()));
            tokio::task::yield_now().await;
        }
    };
    let began = Instant::now();
    let answer = tokio::select! {
        answer = super::handle(&site.server, call) => answer.unwrap(),
        () = others => unreachable!("others go on for ever"),
    };
    assert!(answer.status().is_success());
    (began.elapsed(), longest.get().max(last.get().elapsed()))
}

#[test]
fn work_on_a_large_object_holds_up_nobody() {
    with_server(async |site| {
        let namespace = json!({"metadata": {"name": "default"}}).to_string();
        let call = testing::call(&site.server, "POST", "/api/v1/namespaces", &[], &namespace);
        super::handle(&site.server, call).await.unwrap();
        for (method, ports) in [("POST", 6000), ("PATCH", 6000), ("PATCH", 1)] {
            let (whole, longest) = write(&site, method, &template(ports)).await;
            assert!(longest < whole / 3, "{method} {ports}: nobody was served for {longest:?} of {whole:?}");
        }
    });
}
