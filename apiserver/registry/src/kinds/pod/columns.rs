//! What `kubectl get pods` shows.
//!
//! Source: `printPod` of `pkg/printers/internalversion`.

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    columns::{AGE, NAME, NONE, human_duration, or_none},
    object::Object,
    resources::Column,
};

/// The columns of Pods.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Ready", "string", |object, _| {
        let row = Row::of(object);
        format!("{}/{}", row.ready, row.total).into()
    }),
    Column::new("Status", "string", |object, _| Row::of(object).reason.into()),
    Column::new("Restarts", "string", |object, now| Row::of(object).restarts(now).into()),
    AGE,
    Column::wide("IP", "string", |object, _| {
        let first = object.list(&["status", "podIPs"]).first();
        or_none(first.and_then(|ip| ip["ip"].as_str()).unwrap_or_default()).into()
    }),
    Column::wide("Node", "string", |object, _| or_none(object.text(&["spec", "nodeName"])).into()),
    Column::wide("Nominated Node", "string", |object, _| {
        or_none(object.text(&["status", "nominatedNodeName"])).into()
    }),
    Column::wide("Readiness Gates", "string", |object, _| readiness_gates(object).into()),
];

/// What the columns say of a pod.
struct Row {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<OffsetDateTime>,
}

impl Row {
    fn of(object: &Object) -> Self {
        let sidecars = object.list(&["spec", "initContainers"]).iter().filter(|init| is_sidecar(init));
        let mut row = Self {
            ready: 0,
            total: object.list(&["spec", "containers"]).len() + sidecars.count(),
            reason: first_reason(object),
            restarts: 0,
            last_restart: None,
        };
        let sidecar_restarts = row.initialize(object);
        if let Some((restarts, last)) = sidecar_restarts {
            (row.restarts, row.last_restart) = (restarts, last);
            row.run(object);
        }
        row.end(object);
        row
    }

    /// Goes through the init containers. What their sidecars count, or `None` while they are not done.
    fn initialize(&mut self, object: &Object) -> Option<(i64, Option<OffsetDateTime>)> {
        let specs = object.list(&["spec", "initContainers"]);
        let mut sidecars = (0, None);
        let mut initializing = false;
        for (at, status) in object.list(&["status", "initContainerStatuses"]).iter().enumerate() {
            let spec = specs.iter().find(|spec| spec["name"] == status["name"]);
            let sidecar = spec.is_some_and(is_sidecar);
            self.count_restarts(status);
            if sidecar {
                sidecars.0 += status["restartCount"].as_i64().unwrap_or(0);
                sidecars.1 = sidecars.1.max(last_end(status));
            }
            if status["state"]["terminated"].is_object() && status["state"]["terminated"]["exitCode"] == 0 {
                continue;
            }
            if sidecar && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            self.reason = init_reason(status, at, specs.len());
            initializing = true;
            break;
        }
        (!initializing || has_condition(object, "Initialized")).then_some(sidecars)
    }

    /// Goes through the other containers, the last of which has the last word.
    fn run(&mut self, object: &Object) {
        let mut running = false;
        for status in object.list(&["status", "containerStatuses"]).iter().rev() {
            self.count_restarts(status);
            let state = &status["state"];
            let reason = |kind: &str| state[kind]["reason"].as_str().filter(|reason| !reason.is_empty());
            if let Some(reason) = reason("waiting").or_else(|| reason("terminated")) {
                reason.clone_into(&mut self.reason);
            } else if state["terminated"].is_object() {
                self.reason = ended(&state["terminated"]);
            } else if status["ready"] == true && state["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            self.reason = if has_condition(object, "Ready") { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn end(&mut self, object: &Object) {
        let is_over = matches!(object.text(&["status", "phase"]), "Failed" | "Succeeded");
        if !object.is_being_deleted() {
            return;
        }
        if object.text(&["status", "reason"]) == "NodeLost" {
            "Unknown".clone_into(&mut self.reason);
        } else if !is_over {
            "Terminating".clone_into(&mut self.reason);
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += status["restartCount"].as_i64().unwrap_or(0);
        self.last_restart = self.last_restart.max(last_end(status));
    }

    fn restarts(&self, now: OffsetDateTime) -> String {
        match self.last_restart {
            Some(last) if self.restarts != 0 => {
                format!("{} ({} ago)", self.restarts, human_duration(now - last))
            }
            _ => self.restarts.to_string(),
        }
    }
}

/// What is said as long as no container says otherwise.
fn first_reason(object: &Object) -> String {
    let gated =
        |condition: &Value| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated";
    if object.list(&["status", "conditions"]).iter().any(gated) {
        return "SchedulingGated".to_owned();
    }
    match object.text(&["status", "reason"]) {
        "" => object.text(&["status", "phase"]).to_owned(),
        reason => reason.to_owned(),
    }
}

fn init_reason(status: &Value, at: usize, count: usize) -> String {
    let (terminated, waiting) = (&status["state"]["terminated"], &status["state"]["waiting"]);
    let reason = |state: &Value| state["reason"].as_str().unwrap_or_default().to_owned();
    if terminated.is_object() {
        let why = reason(terminated);
        return format!("Init:{}", if why.is_empty() { ended(terminated) } else { why });
    }
    match reason(waiting).as_str() {
        "" | "PodInitializing" => format!("Init:{at}/{count}"),
        why => format!("Init:{why}"),
    }
}

fn ended(terminated: &Value) -> String {
    match terminated["signal"].as_i64() {
        Some(signal) if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0)),
    }
}

fn last_end(status: &Value) -> Option<OffsetDateTime> {
    let time = status["lastState"]["terminated"]["finishedAt"].as_str()?;
    OffsetDateTime::parse(time, &Rfc3339).ok()
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn has_condition(object: &Object, kind: &str) -> bool {
    let conditions = object.list(&["status", "conditions"]);
    conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

fn readiness_gates(object: &Object) -> String {
    let gates = object.list(&["spec", "readinessGates"]);
    let open = |gate: &&Value| gate["conditionType"].as_str().is_some_and(|kind| has_condition(object, kind));
    match gates.len() {
        0 => NONE.to_owned(),
        all => format!("{}/{all}", gates.iter().filter(open).count()),
    }
}
