//! Grammar, messages, matching.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn written(text: &str) -> String {
    LabelSelector::parse(text).map_or_else(|error| error.to_string(), |selector| selector.to_string())
}

fn matches(text: &str, labels: &Value) -> bool {
    LabelSelector::parse(text).unwrap().matches_labels(labels)
}

#[test]
fn grammar() {
    let table = [
        ("", ""),
        ("  ", ""),
        ("b,a", "a,b"),
        ("!a", "!a"),
        ("a=1,b==2 , c!=3", "a=1,b==2,c!=3"),
        ("a = ", "a="),
        ("a=,b", "a=,b"),
        ("a in (y, x,x)", "a in (x,y)"),
        ("a notin ()", "a notin ()"),
        ("a in (,)", "a in ()"),
        ("a in (x,,y)", "a in (,x,y)"),
        ("in in (in,notin)", "in in (in,notin)"),
        ("a>1,b<2", "a>1,b<2"),
        ("x/y.z=a_b", "x/y.z=a_b"),
    ];
    for (text, expected) in table {
        assert_eq!(written(text), expected, "{text}");
    }
}

#[test]
fn messages() {
    let table = [
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a in x", "unable to parse requirement: found 'x' expected: '('"),
        ("a in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (=", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a in (x,=", "unable to parse requirement: found '=', expected: ',', or identifier"),
        ("a==(", "unable to parse requirement: found '(', expected: identifier"),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(written(text), expected, "{text}");
    }
    let key = written("-a");
    assert!(
        key.starts_with(
            "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of"
        ),
        "{key}"
    );
    let value = written("a=-b");
    assert!(
        value.starts_with(
            "unable to parse requirement: values[0][a]: Invalid value: \"-b\": a valid label must be"
        ),
        "{value}"
    );
}

#[test]
fn matching() {
    let labels = json!({"app": "web", "n": "5", "empty": ""});
    for text in [
        "",
        "app",
        "app=web",
        "app in (web,db)",
        "!x",
        "x!=y",
        "x notin (y)",
        "n>4",
        "n<6",
        "empty=",
        "app!=db",
    ] {
        assert!(matches(text, &labels), "{text}");
    }
    for text in ["x", "app=db", "app notin (web)", "!app", "n>5", "app>1", "x>1", "x=", "app,x"] {
        assert!(!matches(text, &labels), "{text}");
    }
    assert!(matches("!a", &Value::Null));
}

#[test]
fn selectors_of_objects() {
    let read = |selector: Value| LabelSelector::from_object(&selector);
    assert_eq!(read(Value::Null), Ok(LabelSelector::nothing()));
    assert!(!LabelSelector::nothing().matches_labels(&json!({})));
    assert!(!LabelSelector::nothing().is_empty());
    assert_eq!(read(json!({})), Ok(LabelSelector::everything()));
    let selector = read(json!({
        "matchLabels": {"a": "1"},
        "matchExpressions": [
            {"key": "b", "operator": "In", "values": ["x", "y"]}, {"key": "c", "operator": "DoesNotExist"}
        ]
    }));
    assert_eq!(selector.unwrap().to_string(), "a=1,b in (x,y),!c");
    let message = |selector| read(selector).unwrap_err().to_string();
    assert_eq!(
        message(json!({"matchExpressions": [{"key": "a", "operator": "Like"}]})),
        "\"Like\" is not a valid label selector operator"
    );
    assert_eq!(
        message(json!({"matchExpressions": [{"key": "a", "operator": "In"}]})),
        "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
    );
    assert_eq!(LabelSelector::from_map(&json!({"b": "2", "a": "1"})).to_string(), "a=1,b=2");
}

proptest! {
    #[test]
    fn text_comes_back(text in "[ab=!,()<> ]{0,12}|[a-c]( in | notin )\\([a-c,]{0,5}\\)") {
        if let Ok(selector) = LabelSelector::parse(&text) {
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,16}") {
        let _ = LabelSelector::parse(&text);
    }
}
