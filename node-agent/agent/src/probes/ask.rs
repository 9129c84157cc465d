//! Asks a container once, in the way that its probe says.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ExecAction, Probe};
use keelson_cri::{Runtime, RuntimeError};
use keelson_node_volumes::expand;
use keelson_proto::cri::v1::{ExecSyncResponse, KeyValue};

use super::http::{self, Get};
use super::{grpc, tcp};
use crate::pod::backoff::go_text;

/// How much of a command's output is shown.
const MAX_OUTPUT: usize = 10 * 1024;

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// The container answered that it is not well, or did not answer; the text is shown to users.
    Failure(String),
    /// It could not be asked.
    Error(String),
}

/// Whom to ask.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) container: Container,
    /// The id of the instance.
    pub(crate) instance: String,
    /// The pod's address.
    pub(crate) address: String,
}

/// Asks.
pub(crate) async fn ask(runtime: &Runtime, probe: &Probe, target: &Target) -> Outcome {
    let timeout =
        Duration::from_secs(probe.timeout_seconds.and_then(|it| it.try_into().ok()).unwrap_or(1).max(1));
    if let Some(action) = &probe.exec {
        return of_command(runtime, action, target, timeout).await;
    }
    if let Some(action) = &probe.http_get {
        return match Get::new(action, &target.container, &target.address) {
            Ok(get) => of_answer(get.send(timeout).await),
            Err(why) => Outcome::Error(why),
        };
    }
    if let Some(action) = &probe.tcp_socket {
        let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(&target.address);
        return match http::port(&action.port, &target.container) {
            Ok(port) => of_connection(tcp::ask(host, port, timeout).await),
            Err(why) => Outcome::Error(why),
        };
    }
    if let Some(action) = &probe.grpc {
        let service = action.service.as_deref().unwrap_or_default();
        let Ok(port) = u16::try_from(action.port) else {
            return Outcome::Error(format!("invalid port number: {}", action.port));
        };
        return of_connection(grpc::ask(&target.address, port, service, timeout).await);
    }
    Outcome::Error(format!("missing probe handler for {}", target.container.name))
}

async fn of_command(runtime: &Runtime, action: &ExecAction, target: &Target, timeout: Duration) -> Outcome {
    let command = command(action, &target.container);
    match runtime.exec_sync(&target.instance, command.clone(), timeout).await {
        Ok(answer) if answer.exit_code == 0 => Outcome::Success,
        Ok(answer) => Outcome::Failure(output(&answer)),
        Err(RuntimeError::TimedOut { .. }) => {
            let command = command.join(" ");
            Outcome::Failure(format!("command timed out: {command:?} timed out after {}", go_text(timeout)))
        }
        Err(error) => Outcome::Error(error.to_string()),
    }
}

/// The command with those variables put in that the container's spec gives a value.
fn command(action: &ExecAction, container: &Container) -> Vec<String> {
    let given = container.env.iter().flatten().filter(|it| it.value_from.is_none());
    let environment: Vec<KeyValue> = given
        .map(|it| KeyValue { key: it.name.clone(), value: it.value.clone().unwrap_or_default() })
        .collect();
    expand(action.command.as_deref().unwrap_or_default(), &environment)
}

fn output(answer: &ExecSyncResponse) -> String {
    let mut both = answer.stdout.to_vec();
    both.extend_from_slice(&answer.stderr);
    both.truncate(MAX_OUTPUT);
    String::from_utf8_lossy(&both).into_owned()
}

fn of_answer(answer: Result<http::Answer, String>) -> Outcome {
    match answer {
        Ok(answer) if answer.status.is_success() || answer.status.is_redirection() => Outcome::Success,
        Ok(answer) => {
            Outcome::Failure(format!("HTTP probe failed with statuscode: {}", answer.status.as_u16()))
        }
        Err(why) => Outcome::Failure(why),
    }
}

fn of_connection(answer: Result<(), String>) -> Outcome {
    match answer {
        Ok(()) => Outcome::Success,
        Err(why) => Outcome::Failure(why),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_know_the_variables_that_the_spec_gives() {
        let container: Container = serde_json::from_value(json!({"name": "a", "env": [
            {"name": "PLAIN", "value": "x"}, {"name": "SECRET", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]}))
        .unwrap();
        let action = ExecAction { command: Some(vec!["cat".into(), "$(PLAIN)".into(), "$(SECRET)".into()]) };
        assert_eq!(command(&action, &container), ["cat", "x", "$(SECRET)"]);
    }

    #[test]
    fn a_status_from_200_to_399_is_a_success() {
        let outcome = |code| {
            let status = http_code(code);
            of_answer(Ok(http::Answer { status, body: String::new() }))
        };
        assert_eq!((outcome(200), outcome(302)), (Outcome::Success, Outcome::Success));
        assert_eq!(outcome(404), Outcome::Failure("HTTP probe failed with statuscode: 404".into()));
        assert_eq!(of_answer(Err("no".into())), Outcome::Failure("no".into()));
    }

    fn http_code(code: u16) -> ::http::StatusCode {
        ::http::StatusCode::from_u16(code).unwrap()
    }
}
