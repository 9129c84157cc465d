//! The forms in which kubectl shows objects.

use serde_json::json;

use crate::kubectl::{self, Kubectl, config_map};
use crate::servers::Servers;

#[test]
fn lists_come_as_tables_yaml_json_names_and_in_chunks() {
    if !kubectl::is_there("output") {
        return;
    }
    let servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    for number in 0..7 {
        let mut item = config_map(&format!("item-{number}"));
        item["data"] = json!({"number": number.to_string()});
        admin.create(&[], &item);
    }

    let table = admin.ok("get namespaces");
    assert!(table.starts_with("NAME"), "{table}");
    let row = table.lines().find(|line| line.starts_with("kube-system")).unwrap();
    assert!(row.contains("Active"), "{table}");
    assert!(!admin.ok("get namespaces --no-headers").contains("NAME"));
    let wide = admin.ok("get service kubernetes -o wide");
    assert!(wide.contains("SELECTOR") && wide.contains("10.96.0.1"), "{wide}");
    let labels = admin.ok("get namespace default --show-labels");
    assert!(labels.contains("kubernetes.io/metadata.name=default"), "{labels}");

    let yaml = admin.ok("get configmap item-3 -o yaml");
    assert!(yaml.starts_with("apiVersion: v1\ndata:\n  number: \"3\"\nkind: ConfigMap\n"), "{yaml}");
    let list = admin.json("get configmaps");
    assert_eq!(list["kind"], "List");
    let whole = admin.ok("get configmaps -o name");
    let chunked = admin.ok("get configmaps -o name --chunk-size=2");
    assert_eq!(whole.lines().filter(|line| line.contains("item-")).count(), 7, "{whole}");
    assert_eq!(chunked, whole);

    let selected = admin.ok("get configmaps --field-selector metadata.name=item-5 -o name");
    assert_eq!(selected, "configmap/item-5\n");
    let sorted = admin.ok("get configmaps --sort-by={.data.number} -o name");
    assert!(sorted.trim_end().ends_with("configmap/item-6"), "{sorted}");
    let everywhere = admin.ok("get configmaps -A");
    assert!(everywhere.starts_with("NAMESPACE"), "{everywhere}");
    let described = admin.ok("describe service kubernetes");
    assert!(described.contains("Endpoints:"), "{described}");
}
