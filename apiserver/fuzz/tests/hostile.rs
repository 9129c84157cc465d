//! Documents that were written to hurt: they are refused or served in bounded time and memory, so that other clients do
//! not notice.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use keelson_api_fuzz::TARGETS;
use keelson_api_registry::resources::RESOURCES;
use keelson_api_schema::{
    Document, Encoding, FieldValidation, MAX_DOCUMENT_BYTES, builtin, selector::LabelSelector,
};

/// No document may take longer, unoptimized and on a busy machine: what grows with the square of a document takes minutes.
const LONGEST: Duration = Duration::from_secs(10);

/// How long documents are whose time grows with their length.
const LENGTH: usize = 128 << 10;

/// No document may need more memory while it is looked at, in KiB.
const MOST_KIB: u64 = 1 << 20;

/// One after the other: time and memory are the whole process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Documents that are tried, and what is wrong with them: all of it, not the first.
struct Trial {
    complaints: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

impl Trial {
    fn begin() -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { complaints: Vec::new(), _alone: alone }
    }

    /// Runs a target over a document of a kind.
    fn survive(&mut self, target: &str, kind: &str, document: &str) {
        assert!(document.len() <= MAX_DOCUMENT_BYTES, "the server would not even read it");
        let chosen = RESOURCES.iter().position(|resource| resource.kind == kind).unwrap();
        let input = match target {
            "json" | "yaml" | "kinds" => [&[u8::try_from(chosen).unwrap()], document.as_bytes()].concat(),
            _ => document.as_bytes().to_vec(),
        };
        let target = TARGETS.iter().find(|known| known.name == target).unwrap();
        let before = memory_kib();
        let began = Instant::now();
        (target.run)(&input);
        let (took, needed) = (began.elapsed(), memory_kib().saturating_sub(before));
        if took > LONGEST || needed > MOST_KIB {
            let start: String = document.chars().take(80).collect();
            self.complaints.push(format!("{}: {kind}: {start}: {took:?}, {needed} KiB", target.name));
        }
    }

    fn end(self) {
        assert!(self.complaints.is_empty(), "{}", self.complaints.join("\n"));
    }
}

/// The most memory that this process has used since it was last asked; 0 where the system does not say.
fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    // What the system understands as: begin to measure anew.
    let _ = fs::write("/proc/self/clear_refs", "5");
    most.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// A document of so many items that it is as long as it may be.
fn many(before: &str, item: impl Fn(usize) -> String, after: &str) -> String {
    let mut document = before.to_owned();
    for number in 0.. {
        let item = item(number);
        if document.len() + item.len() + after.len() > LENGTH {
            break;
        }
        document.push_str(if number == 0 { "" } else { "," });
        document.push_str(&item);
    }
    document + after
}

#[test]
fn deep_documents_are_refused() {
    let mut trial = Trial::begin();
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"spec\":", "}]")] {
        let depth = MAX_DOCUMENT_BYTES / (open.len() + close.len()) - 2;
        let document = format!("{{\"metadata\":{}1{}}}", open.repeat(depth / 2), close.repeat(depth / 2));
        trial.survive("json", "Pod", &document);
        trial.survive("yaml", "Pod", &document);
        trial.survive("merge_patch", "Pod", &document);
        trial.survive("apply", "Pod", &document);
    }
    trial.survive("yaml", "Pod", &"- ".repeat(1_000_000));
    trial.survive("yaml", "Pod", &"? ".repeat(1_000_000));
    trial.end();
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut trial = Trial::begin();
    let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..20 {
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", format!("*a{},", level - 1).repeat(10)));
    }
    trial.survive("yaml", "Pod", &laughs);
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(300_000));
    trial.survive("yaml", "Pod", &long);
    let merges = format!("a: &a {{{}}}\nb: {{{}}}\n", "k: v, ".repeat(1000), "<<: *a, ".repeat(10_000));
    trial.survive("yaml", "Pod", &merges);
    trial.end();
}

#[test]
fn objects_of_many_fields_are_read_in_time() {
    let mut trial = Trial::begin();
    let strange = many(
        "{\"metadata\":{\"name\":\"a\"}",
        |number| format!("{}\"x{number}\":1", if number == 0 { "," } else { "" }),
        "}",
    );
    trial.survive("kinds", "Pod", &strange);
    let document = Document::parse(strange.as_bytes(), Encoding::Json).unwrap();
    let pods = builtin().lookup_kind("", "v1", "Pod").unwrap();
    let refused = document.decode(builtin(), pods).unwrap().enforce(FieldValidation::Strict).unwrap_err();
    assert!(refused.to_string().len() < 10_000, "not every field is named");
    trial.survive("kinds", "Pod", &many("{", |_| "\"kind\":\"Pod\"".to_owned(), "}"));
    trial.survive("kinds", "ConfigMap", &many("{\"data\":{", |number| format!("\"k{number}\":\"\""), "}}"));
    trial.survive("kinds", "Secret", &many("{\"data\":{", |number| format!("\"k{number}\":\"\""), "}}"));
    let labels =
        many("{\"metadata\":{\"name\":\"a\",\"labels\":{", |number| format!("\"k{number}\":\"\""), "}}}");
    trial.survive("kinds", "Pod", &labels);
    let finalizers =
        many("{\"metadata\":{\"name\":\"a\",\"finalizers\":[", |number| format!("\"a/f{number}\""), "]}}");
    trial.survive("kinds", "Pod", &finalizers);
    let owners = many(
        "{\"metadata\":{\"name\":\"a\",\"ownerReferences\":[",
        |n| format!("{{\"uid\":\"u{n}\"}}"),
        "]}}",
    );
    trial.survive("kinds", "Pod", &owners);
    trial.end();
}

#[test]
fn lists_of_many_items_are_judged_in_time() {
    let mut trial = Trial::begin();
    for (kind, before, item, after) in [
        ("Pod", "{\"spec\":{\"containers\":[", "{\"name\":\"c#\"}", "]}}"),
        ("Pod", "{\"spec\":{\"initContainers\":[", "{\"name\":\"c#\"}", "]}}"),
        ("Pod", "{\"spec\":{\"volumes\":[", "{\"name\":\"v#\",\"emptyDir\":{}}", "]}}"),
        ("Pod", "{\"spec\":{\"tolerations\":[", "{\"key\":\"k#\"}", "]}}"),
        ("Pod", "{\"spec\":{\"hostAliases\":[", "{\"ip\":\"10.0.0.#\"}", "]}}"),
        ("Pod", "{\"spec\":{\"topologySpreadConstraints\":[", "{\"topologyKey\":\"k#\"}", "]}}"),
        ("Pod", "{\"spec\":{\"containers\":[{\"name\":\"c\",\"env\":[", "{\"name\":\"e#\"}", "]}]}}"),
        ("Pod", "{\"spec\":{\"containers\":[{\"name\":\"c\",\"ports\":[", "{\"containerPort\":#}", "]}]}}"),
        (
            "Pod",
            "{\"spec\":{\"containers\":[{\"name\":\"c\",\"volumeMounts\":[",
            "{\"name\":\"v#\",\"mountPath\":\"/#\"}",
            "]}]}}",
        ),
        ("Pod", "{\"status\":{\"conditions\":[", "{\"type\":\"t#\"}", "]}}"),
        ("Service", "{\"spec\":{\"ports\":[", "{\"name\":\"p#\",\"port\":#}", "]}}"),
        ("Endpoints", "{\"subsets\":[{\"addresses\":[", "{\"ip\":\"10.0.0.#\"}", "]}]}"),
        (
            "EndpointSlice",
            "{\"addressType\":\"IPv4\",\"endpoints\":[",
            "{\"addresses\":[\"10.0.0.#\"]}",
            "]}",
        ),
        ("Node", "{\"spec\":{\"taints\":[", "{\"key\":\"k#\",\"effect\":\"NoSchedule\"}", "]}}"),
        ("ClusterRole", "{\"rules\":[", "{\"verbs\":[\"v#\"],\"resources\":[\"r\"]}", "]}"),
        ("RoleBinding", "{\"subjects\":[", "{\"kind\":\"User\",\"name\":\"u#\"}", "]}"),
        ("Ingress", "{\"spec\":{\"rules\":[", "{\"host\":\"h#.a\"}", "]}}"),
        ("NetworkPolicy", "{\"spec\":{\"ingress\":[", "{\"ports\":[{\"port\":#}]}", "]}}"),
        ("HorizontalPodAutoscaler", "{\"spec\":{\"metrics\":[", "{\"type\":\"Resource\"}", "]}}"),
        ("LimitRange", "{\"spec\":{\"limits\":[", "{\"type\":\"t#\"}", "]}}"),
        ("Job", "{\"spec\":{\"podFailurePolicy\":{\"rules\":[", "{\"action\":\"Ignore\"}", "]}}}"),
    ] {
        trial.survive("kinds", kind, &many(before, |number| item.replace('#', &number.to_string()), after));
    }
    trial.end();
}

#[test]
fn patches_neither_multiply_an_object_nor_take_for_ever() {
    let mut trial = Trial::begin();
    let doubling =
        many("[", |_| r#"{"op":"copy","from":"/metadata","path":"/metadata/labels"}"#.to_owned(), "]");
    trial.survive("json_patch", "Deployment", &doubling);
    let nine_thousand = |operation: &str| format!("[{}{operation}]", format!("{operation},").repeat(9_000));
    trial.survive(
        "json_patch",
        "Deployment",
        &nine_thousand(r#"{"op":"copy","from":"/spec","path":"/spec/x"}"#),
    );
    trial.survive(
        "json_patch",
        "Deployment",
        &nine_thousand(r#"{"op":"add","path":"/metadata/finalizers/0","value":1}"#),
    );
    trial.survive("json_patch", "Deployment", &nine_thousand(r#"{"op":"test","path":"","value":{}}"#));
    for (before, item, after) in [
        ("{\"spec\":{\"template\":{\"spec\":{\"containers\":[", "{\"name\":\"c#\"}", "]}}}}"),
        (
            "{\"spec\":{\"template\":{\"spec\":{\"containers\":[",
            "{\"name\":\"c#\",\"$patch\":\"delete\"}",
            "]}}}}",
        ),
        (
            "{\"spec\":{\"template\":{\"spec\":{\"$setElementOrder/containers\":[",
            "{\"name\":\"c#\"}",
            "]}}}}",
        ),
        ("{\"metadata\":{\"finalizers\":[", "\"a/f#\"", "]}}"),
        ("{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[", "\"a/f#\"", "]}}"),
        ("{\"spec\":{\"template\":{\"spec\":{\"tolerations\":[", "{\"key\":\"k#\"}", "]}}}}"),
        ("{\"metadata\":{\"labels\":{", "\"k#\":\"\"", "}}}"),
    ] {
        let document = many(before, |number| item.replace('#', &number.to_string()), after);
        trial.survive("strategic_merge_patch", "Deployment", &document);
        trial.survive("merge_patch", "Deployment", &document);
        trial.survive("apply", "Deployment", &document);
    }
    trial.end();
}

#[test]
fn selectors_as_long_as_a_head_may_be_are_read_and_asked_in_time() {
    let mut trial = Trial::begin();
    let values: Vec<String> = (0..20_000).map(|number| format!("v{number}")).collect();
    trial.survive("selectors", "Pod", &format!("a in ({})", values.join(",")));
    trial.survive("selectors", "Pod", &format!("a notin ({})", values.join(",")));
    trial.survive("selectors", "Pod", &values.join(","));
    trial.survive("selectors", "Pod", &values.join("=x,"));
    trial.survive("selectors", "Pod", &"(".repeat(1 << 20));
    let selector = LabelSelector::parse(&format!("a in ({})", values.join(","))).unwrap();
    let began = Instant::now();
    assert!((0..10_000).all(|_| !selector.matches(|_| Some("x"))));
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    trial.end();
}

#[test]
fn scalars_of_any_length_are_read_in_time() {
    let mut trial = Trial::begin();
    for unit in ["9", "1e", "0.", "a.", "-", "1:", "/", "٣"] {
        trial.survive("scalars", "Pod", &unit.repeat((1 << 20) / unit.len()));
        trial.survive(
            "json",
            "Pod",
            &format!("{{\"metadata\":{{\"generation\":{}}}}}", unit.repeat((1 << 20) / unit.len())),
        );
    }
    let quantity = format!("{{\"spec\":{{\"overhead\":{{\"cpu\":\"{}\"}}}}}}", "9".repeat(1 << 20));
    trial.survive("kinds", "Pod", &quantity);
    let schedule = format!("{{\"spec\":{{\"schedule\":\"{}\"}}}}", "1,".repeat(1 << 20));
    trial.survive("kinds", "CronJob", &schedule);
    trial.end();
}
