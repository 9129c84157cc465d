//! Upstream's rules and texts.

use super::*;

fn pods() -> &'static ResourceInfo {
    keelson_api_registry::resources::find("", "v1", "pods").unwrap()
}

fn info(query: &str) -> RequestInfo {
    RequestInfo::parse(&http::Method::GET, &format!("/api/v1/pods?{query}").parse().unwrap()).unwrap()
}

#[test]
fn combinations_that_mean_nothing_are_refused_in_upstreams_words() {
    let list = |query| ListOptions::parse(&info(query)).unwrap_err();
    let watch = |query| WatchOptions::parse(&info(query), pods()).unwrap_err();
    let cases = [
        (
            list("resourceVersionMatch=Exact"),
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            list("resourceVersion=0&resourceVersionMatch=Exact"),
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        (
            list("resourceVersion=5&resourceVersionMatch=NotOlderThan&continue=x"),
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
        ),
        (
            list("resourceVersion=5&resourceVersionMatch=Foo"),
            "resourceVersionMatch: Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
        ),
        (
            list("sendInitialEvents=true"),
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ),
        (
            watch("sendInitialEvents=true"),
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            watch("resourceVersionMatch=NotOlderThan"),
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    ];
    for (error, text) in cases {
        assert_eq!((error.code.as_u16(), error.reason), (422, "Invalid"));
        assert_eq!(error.message, format!("ListOptions.meta.k8s.io \"\" is invalid: {text}"));
    }
}

#[test]
fn numbers_must_be_numbers() {
    for query in ["resourceVersion=abc", "resourceVersion=-1", "limit=many", "timeoutSeconds=long"] {
        assert_eq!(ListOptions::parse(&info(query)).unwrap_err().code, 400, "{query}");
    }
    let token = Token { revision: None, start: "a".to_owned() }.encode();
    let error = ListOptions::parse(&info(&format!("resourceVersion=5&continue={token}"))).unwrap_err();
    assert_eq!(error.message, "specifying resource version is not allowed when using continue");
}

#[test]
fn numbers_that_are_none_are_refused_in_gos_words() {
    let list = |query| ListOptions::parse(&info(query)).unwrap_err();
    let watch = |query| WatchOptions::parse(&info(query), pods()).unwrap_err();
    let parsing = "strconv.ParseUint: parsing \"abc\": invalid syntax";
    let cases = [
        (
            list("resourceVersion=abc"),
            400,
            format!("invalid resource version: resourceVersion: Invalid value: \"abc\": {parsing}"),
        ),
        (
            watch("resourceVersion=abc"),
            422,
            format!("pods \"\" is invalid: resourceVersion: Invalid value: \"abc\": {parsing}"),
        ),
        (
            list("limit=9223372036854775808"),
            400,
            "strconv.ParseInt: parsing \"9223372036854775808\": value out of range".to_owned(),
        ),
    ];
    for (error, code, text) in cases {
        assert_eq!((error.code.as_u16(), error.message), (code, text));
    }
    let token = list("continue=abc&resourceVersion=1");
    assert!(token.message.starts_with("invalid continue token: "), "{}", token.message);
}

#[test]
fn what_a_resource_version_means() {
    let exact = |query| ListOptions::parse(&info(query)).unwrap().exact().map(Revision::get);
    assert_eq!(exact(""), None);
    assert_eq!(exact("resourceVersion=5"), None);
    assert_eq!(exact("resourceVersion=5&limit=10"), Some(5));
    assert_eq!(exact("resourceVersion=5&resourceVersionMatch=Exact"), Some(5));
    assert_eq!(exact("resourceVersion=5&resourceVersionMatch=NotOlderThan&limit=10"), None);
    assert_eq!(exact("resourceVersion=0&limit=10"), None);
}

#[test]
fn a_revision_that_is_yet_to_come_is_told_with_upstreams_cause() {
    let error = check_reached(ResourceVersion::At(Revision::new(9)), Revision::new(5)).unwrap_err();
    assert_eq!(
        error.status(),
        serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Timeout: Too large resource version: 9, current: 5", "reason": "Timeout",
            "details": {
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            },
            "code": 504,
        })
    );
}
