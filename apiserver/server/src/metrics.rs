//! What `/metrics` tells, in Prometheus' text format.
//!
//! In: finished requests. Out: their numbers and durations by what they asked, under upstream's names, so that
//! dashboards and alerts made for upstream show something; and the process's memory.
//!
//! Labels come from the resource table and a few constants, never from a client: their number is bounded.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper ends of the buckets of durations, in seconds; upstream's.
const BUCKETS: [f64; 22] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 60.0,
];

/// What a request asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestLabels {
    /// `LIST`, `POST`, as upstream names them here.
    pub verb: &'static str,
    /// The API group.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The plural; empty for paths that are no resources.
    pub resource: &'static str,
    /// What below the object.
    pub subresource: &'static str,
    /// `resource`, `namespace`, `cluster`, or empty.
    pub scope: &'static str,
}

/// Counts requests.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<RequestLabels, Requests>>,
}

#[derive(Debug, Default)]
struct Requests {
    by_code: BTreeMap<u16, u64>,
    buckets: [u64; BUCKETS.len()],
    seconds: f64,
}

/// A number that goes up and down, and where it comes from.
#[derive(Clone, Debug)]
pub struct Gauge {
    /// Its name with labels, if any.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Its values: labels in braces or nothing, and the number.
    pub values: Vec<(&'static str, f64)>,
}

impl Metrics {
    /// Counts a request that was answered.
    pub fn observe(&self, labels: RequestLabels, code: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = requests.entry(labels).or_default();
        *entry.by_code.entry(code).or_default() += 1;
        let seconds = took.as_secs_f64();
        entry.seconds += seconds;
        for (count, _) in entry.buckets.iter_mut().zip(BUCKETS).filter(|(_, end)| seconds <= *end) {
            *count += 1;
        }
    }

    /// Everything, as text.
    pub fn render(&self, gauges: &[Gauge]) -> String {
        let mut text = String::new();
        self.render_requests(&mut text);
        for gauge in gauges {
            header(&mut text, gauge.name, gauge.help, "gauge");
            for (labels, value) in &gauge.values {
                line(&mut text, format_args!("{}{labels} {value}", gauge.name));
            }
        }
        text
    }

    fn render_requests(&self, text: &mut String) {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let total = "apiserver_request_total";
        header(text, total, "Requests by what they asked and the code that they got.", "counter");
        for (labels, requests) in requests.iter() {
            for (code, count) in &requests.by_code {
                line(text, format_args!("{total}{{{labels},code=\"{code}\"}} {count}"));
            }
        }
        let name = "apiserver_request_duration_seconds";
        header(text, name, "How long requests took until the answer began.", "histogram");
        for (labels, requests) in requests.iter() {
            let count: u64 = requests.by_code.values().sum();
            for (end, below) in BUCKETS.iter().zip(requests.buckets) {
                line(text, format_args!("{name}_bucket{{{labels},le=\"{end}\"}} {below}"));
            }
            line(text, format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}"));
            line(text, format_args!("{name}_sum{{{labels}}} {}", requests.seconds));
            line(text, format_args!("{name}_count{{{labels}}} {count}"));
        }
    }
}

impl std::fmt::Display for RequestLabels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { verb, group, version, resource, subresource, scope } = self;
        write!(
            f,
            "verb=\"{verb}\",group=\"{group}\",version=\"{version}\",resource=\"{resource}\",\
             subresource=\"{subresource}\",scope=\"{scope}\""
        )
    }
}

/// The process's own numbers, as far as the system tells them.
pub fn process_gauges() -> Vec<Gauge> {
    let resident =
        std::fs::read_to_string("/proc/self/status").ok().and_then(|status| resident_bytes(&status));
    let gauge = |value: f64| Gauge {
        name: "process_resident_memory_bytes",
        help: "Resident memory size in bytes.",
        values: vec![("", value)],
    };
    resident.map(gauge).into_iter().collect()
}

/// The line `VmRSS:  2032 kB` of `/proc/self/status`, in bytes.
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn header(text: &mut String, name: &str, help: &str, kind: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{arguments}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: RequestLabels = RequestLabels {
        verb: "LIST",
        group: "apps",
        version: "v1",
        resource: "deployments",
        subresource: "",
        scope: "namespace",
    };

    #[test]
    fn requests_are_counted_by_code_and_duration() {
        let metrics = Metrics::default();
        metrics.observe(LIST, 200, Duration::from_millis(30));
        metrics.observe(LIST, 200, Duration::from_secs(2));
        metrics.observe(LIST, 403, Duration::from_secs(100));
        let text = metrics.render(&[]);
        let labels = r#"verb="LIST",group="apps",version="v1",resource="deployments",subresource="",scope="namespace""#;
        for expected in [
            format!("apiserver_request_total{{{labels},code=\"200\"}} 2\n"),
            format!("apiserver_request_total{{{labels},code=\"403\"}} 1\n"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"0.025\"}} 0\n"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"0.05\"}} 1\n"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"2\"}} 2\n"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 3\n"),
            format!("apiserver_request_duration_seconds_count{{{labels}}} 3\n"),
        ] {
            assert!(text.contains(&expected), "{expected} in {text}");
        }
    }

    #[test]
    fn the_process_tells_its_memory() {
        assert!(process_gauges()[0].values[0].1 > 0.0);
    }
}
