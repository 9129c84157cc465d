//! LimitRange: how much one container, pod or claim of a namespace may have, and what it gets that says nothing.
//!
//! Deliberately absent: holding objects against it, which admission does.
//!
//! Source: `pkg/apis/core/{v1/defaults,validation}`, `pkg/registry/core/limitrange`.

use std::collections::BTreeSet;

use keelson_api_schema::{
    format::check_qualified_name,
    quantity::{Format, Quantity},
};
use serde_json::{Value, json};

use super::pod::{self, resources};
use crate::{
    columns::NAME, field::FieldError, object::Object, place::Place, resources::Column, strategy::Strategy,
};

/// The columns of LimitRanges.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Created At", "string", |object, _| object.text(&["metadata", "creationTimestamp"]).into()),
];

/// The lists of amounts that an item has.
const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

/// The rules of LimitRanges.
pub struct Rules;

impl Strategy for Rules {
    fn default(&self, object: &mut Object) {
        if object.list(&["spec", "limits"]).is_empty() {
            return;
        }
        let items = object.slot(&["spec", "limits"]).and_then(Value::as_array_mut);
        for item in items.into_iter().flatten().filter(|item| item.is_object()) {
            for list in LISTS {
                pod::round_up(item, list);
            }
            if item["type"] == "Container" {
                default_container(item);
            }
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut seen = BTreeSet::new();
        for item in Place::at(object, &["spec", "limits"]).items() {
            let kind = item.child("type");
            check_type(&kind, &mut errors);
            if !seen.insert(kind.text()) {
                errors.push(kind.duplicate());
            }
            check_lists(&item, &mut errors);
            let names: BTreeSet<&str> = LISTS
                .iter()
                .flat_map(|list| item.child(list).entries().collect::<Vec<_>>())
                .map(|it| it.0)
                .collect();
            for name in names {
                Amounts::of(&item, name).check(&mut errors);
            }
        }
        errors
    }

    fn creates_on_update(&self) -> bool {
        true
    }
}

/// Who is not limited otherwise gets the most; who does not ask for less asks for that, or for the least.
fn default_container(item: &mut Value) {
    fill(item, "default", "max");
    fill(item, "defaultRequest", "default");
    fill(item, "defaultRequest", "min");
}

fn fill(item: &mut Value, list: &str, from: &str) {
    let amounts = item.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
    if amounts.is_empty() {
        return;
    }
    if !item[list].is_object() {
        item[list] = json!({});
    }
    for (name, amount) in amounts {
        if item[list].get(&name).is_none_or(Value::is_null) {
            item[list][name] = amount;
        }
    }
}

fn check_type(kind: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut wrong = check_qualified_name(kind.text());
    let known = matches!(kind.text(), "Container" | "PersistentVolumeClaim" | "Pod");
    if wrong.is_empty() && !kind.text().contains('/') && !known {
        wrong.push("must be a standard limit type or fully qualified".to_owned());
    }
    errors.extend(kind.each_invalid(wrong));
}

fn check_lists(item: &Place<'_>, errors: &mut Vec<FieldError>) {
    let kind = item.child("type").text();
    for list in LISTS {
        let amounts = item.child(list);
        if kind == "Pod" && matches!(list, "default" | "defaultRequest") {
            if !amounts.is_empty() {
                errors.push(amounts.forbidden("may not be specified when `type` is 'Pod'"));
            }
            continue;
        }
        for (name, amount) in amounts.entries() {
            match kind {
                "Container" | "Pod" => resources::container_resource(name, &amount, errors),
                _ => resources::resource_name(name, &amount, errors),
            }
        }
    }
    let bounded = ["min", "max"].iter().any(|list| item.child(list).child("storage").is_set());
    if kind == "PersistentVolumeClaim" && !bounded {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(item.child("limits").required(detail));
    }
}

/// What an item says of one resource.
struct Amounts<'v> {
    name: &'v str,
    /// What a pod may not have, and what has been complained about, is not looked at.
    of_pod: bool,
    max: Place<'v>,
    min: Place<'v>,
    default: Place<'v>,
    request: Place<'v>,
    ratio: Place<'v>,
}

impl<'v> Amounts<'v> {
    fn of(item: &Place<'v>, name: &'v str) -> Self {
        let [max, min, default, request, ratio] = LISTS.map(|list| item.child(list).key(name));
        let of_pod = item.child("type").text() == "Pod";
        Self { name, of_pod, max, min, default, request, ratio }
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        let Self { max, min, default, request, .. } = self;
        // What must not be more than what, where it is said and of which of the two. Upstream's choice of words.
        let orders: [(&Place<'_>, &Place<'_>, &Place<'_>, &Place<'_>, &str, &str); 6] = [
            (min, max, min, min, "min value", "max value"),
            (min, request, request, request, "min value", "default request value"),
            (request, max, request, request, "default request value", "max value"),
            (request, default, request, request, "default request value", "default limit value"),
            (min, default, default, min, "min value", "default value"),
            (default, max, default, max, "default value", "max value"),
        ];
        let judged = if self.of_pod { 1 } else { orders.len() };
        for (less, more, place, shown, less_name, more_name) in &orders[..judged] {
            if compare(less, more).is_some_and(std::cmp::Ordering::is_gt) {
                let detail =
                    format!("{less_name} {} is greater than {more_name} {}", less.text(), more.text());
                errors.push(FieldError::invalid(place.path(), shown.text(), detail));
            }
        }
        self.check_ratio(errors);
        let differ = compare(default, request).is_some_and(std::cmp::Ordering::is_ne);
        if !self.of_pod && !resources::overcommits(self.name) && differ {
            errors.push(request.invalid(format!(
                "default value {} must equal to defaultRequest value {} in {}",
                default.text(),
                request.text(),
                self.name
            )));
        }
    }

    fn check_ratio(&self, errors: &mut Vec<FieldError>) {
        let Some(ratio) = amount(&self.ratio) else { return };
        if ratio < Quantity::from_int(1, Format::DecimalSi) {
            errors.push(self.ratio.invalid(format!("ratio {} is less than 1", self.ratio.text())));
        }
        let (Some(min), Some(max)) = (amount(&self.min), amount(&self.max)) else { return };
        let most = max.approximate() / min.approximate();
        if ratio.approximate() > most {
            let text = self.ratio.text();
            errors.push(self.ratio.invalid(format!("ratio {text} is greater than max/min = {most:.6}")));
        }
    }
}

fn amount(place: &Place<'_>) -> Option<Quantity> {
    Quantity::parse(place.text()).ok()
}

fn compare(one: &Place<'_>, other: &Place<'_>) -> Option<std::cmp::Ordering> {
    amount(one)?.partial_cmp(&amount(other)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::texts;

    fn range(item: &Value) -> Object {
        let mut object = Object(json!({"metadata": {"name": "each"}, "spec": {"limits": [item]}}));
        Rules.default(&mut object);
        object
    }

    #[test]
    fn a_container_gets_the_most_and_asks_for_it_or_for_the_least() {
        let object = range(&json!({
            "type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "100u", "memory": "1Mi"},
            "default": {"memory": "1Gi"},
        }));
        let item = &object.0["spec"]["limits"][0];
        assert_eq!(item["default"], json!({"cpu": "2", "memory": "1Gi"}));
        assert_eq!(item["defaultRequest"], json!({"cpu": "2", "memory": "1Gi"}));
        assert_eq!(item["min"]["cpu"], "1m");
        assert_eq!(texts(&Rules.validate(&object)), [""; 0]);
        let least = range(&json!({"type": "Container", "min": {"cpu": "1"}}));
        assert_eq!(least.0["spec"]["limits"][0]["defaultRequest"], json!({"cpu": "1"}));
        assert!(Rules.creates_on_update());
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let cases = [
            (
                json!({"type": "Planet"}),
                "spec.limits[0].type: Invalid value: \"Planet\": must be a standard limit type or fully qualified",
            ),
            (
                json!({"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}}),
                "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
            ),
            (
                json!({"type": "Pod", "default": {"cpu": "2"}}),
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
            ),
            (
                json!({"type": "PersistentVolumeClaim"}),
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
            ),
            (
                json!({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}}),
                "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is greater than default limit value 1",
            ),
            (
                json!({"type": "Pod", "maxLimitRequestRatio": {"cpu": "500m"}}),
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1",
            ),
            (
                json!({"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "3"}, "maxLimitRequestRatio": {"cpu": "4"}}),
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"4\": ratio 4 is greater than max/min = 3.000000",
            ),
        ];
        for (item, text) in cases {
            assert_eq!(texts(&Rules.validate(&range(&item))), [text]);
        }
    }

    #[test]
    fn one_item_a_type() {
        let object = Object(json!({"spec": {"limits": [{"type": "Pod"}, {"type": "Pod"}]}}));
        assert_eq!(texts(&Rules.validate(&object)), ["spec.limits[1].type: Duplicate value: \"Pod\""]);
    }
}
