//! ComponentStatus: how a part of the control plane is. There are no rules: nobody can write one.

use crate::{columns::NAME, object::Object, resources::Column};

/// The columns of ComponentStatuses.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Status", "string", |object, _| match health(object, "status") {
        "True" => "Healthy".into(),
        "False" => "Unhealthy".into(),
        _ => "Unknown".into(),
    }),
    Column::new("Message", "string", |object, _| health(object, "message").into()),
    Column::new("Error", "string", |object, _| health(object, "error").into()),
];

fn health<'o>(object: &'o Object, field: &str) -> &'o str {
    let mut conditions = object.list(&["conditions"]).iter();
    let healthy = conditions.find(|condition| condition["type"] == "Healthy");
    healthy.and_then(|condition| condition[field].as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn rows_are_upstreams() {
        let row = |object: &Object| -> Vec<Value> {
            COLUMNS[1..].iter().map(|column| (column.cell)(object, OffsetDateTime::UNIX_EPOCH)).collect()
        };
        let good = json!({"type": "Healthy", "status": "True", "message": "ok"});
        assert_eq!(
            row(&Object(json!({"conditions": [good]}))),
            ["Healthy", "ok", ""].map(|text| json!(text))
        );
        assert_eq!(row(&Object(json!({}))), ["Unknown", "", ""].map(|text| json!(text)));
    }
}
