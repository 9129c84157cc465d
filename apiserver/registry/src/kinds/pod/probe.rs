//! What is wrong with probes and lifecycle hooks.

use keelson_api_schema::format::{check_http_header_name, check_port_number};

use super::spec::Context;
use crate::{field::FieldError, kinds::service, place::Place};

/// The signals of Linux by name, without those between the first and the last of the real-time ones.
const SIGNALS: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGRTMIN",
    "SIGRTMAX",
];

/// The probes and hooks of a container that runs beside others.
pub(super) fn of_container(container: &Place<'_>, context: &Context<'_>, errors: &mut Vec<FieldError>) {
    let grace = context.grace;
    for name in ["postStart", "preStop"] {
        let hook = container.child("lifecycle").child(name);
        if hook.is_set() {
            handler(&hook, &["exec", "httpGet", "tcpSocket", "sleep"], grace, errors);
        }
    }
    let signal = container.child("lifecycle").child("stopSignal");
    if signal.is_set() {
        stop_signal(&signal, context.system, errors);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let check = container.child(name);
        if check.is_set() {
            probe(&check, name == "readinessProbe", grace, errors);
        }
    }
}

/// Signals are a system's, so the pod must say which one it is for.
fn stop_signal(signal: &Place<'_>, system: Option<&str>, errors: &mut Vec<FieldError>) {
    match system {
        None => errors.push(signal.forbidden("may not be set for containers with empty `spec.os.name`")),
        Some("windows") => signal.one_of(&["SIGKILL", "SIGTERM"], errors),
        Some("linux") => {
            let real_time =
                (1..=15).map(|n| format!("SIGRTMIN+{n}")).chain((1..=14).map(|n| format!("SIGRTMAX-{n}")));
            let real_time: Vec<String> = real_time.collect();
            let known: Vec<&str> =
                SIGNALS.iter().copied().chain(real_time.iter().map(String::as_str)).collect();
            signal.one_of(&known, errors);
        }
        // That there is no such system has been said already.
        Some(_) => {}
    }
}

fn probe(probe: &Place<'_>, for_readiness: bool, grace: Option<i64>, errors: &mut Vec<FieldError>) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], grace, errors);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        probe.child(field).non_negative(errors);
    }
    let (own_grace, successes) =
        (probe.child("terminationGracePeriodSeconds"), probe.child("successThreshold"));
    own_grace.positive(errors);
    if for_readiness && own_grace.is_set() {
        errors.push(own_grace.invalid("must not be set for readinessProbes"));
    }
    if !for_readiness && successes.integer().unwrap_or(0) != 1 {
        errors.push(FieldError::invalid(successes.path(), successes.integer().unwrap_or(0), "must be 1"));
    }
}

/// Exactly one of the known ways to ask a container.
fn handler(place: &Place<'_>, ways: &[&str], grace: Option<i64>, errors: &mut Vec<FieldError>) {
    let mut found = false;
    for way in ways {
        let action = place.child(way);
        if !action.is_set() {
            continue;
        }
        if found {
            errors.push(action.forbidden("may not specify more than 1 handler type"));
            continue;
        }
        found = true;
        match *way {
            "exec" if action.child("command").is_empty() => {
                errors.push(action.child("command").required(""));
            }
            "httpGet" => http_get(&action, errors),
            "tcpSocket" => service::port_number_or_name(&action.child("port"), errors),
            "grpc" => {
                let port = action.child("port");
                errors.extend(port.each_invalid(check_port_number(port.integer().unwrap_or(0))));
            }
            "sleep" => sleep(&action, grace, errors),
            _ => {}
        }
    }
    if !found {
        errors.push(place.required("must specify a handler type"));
    }
}

fn http_get(action: &Place<'_>, errors: &mut Vec<FieldError>) {
    if action.child("path").text().is_empty() {
        errors.push(action.child("path").required(""));
    }
    service::port_number_or_name(&action.child("port"), errors);
    action.child("scheme").one_of(&["HTTP", "HTTPS"], errors);
    let headers = action.child("httpHeaders");
    for header in headers.items() {
        let name = header.child("name").text();
        let wrong = check_http_header_name(name).into_iter();
        errors.extend(wrong.map(|detail| FieldError::invalid(headers.path(), name, detail)));
    }
}

fn sleep(action: &Place<'_>, grace: Option<i64>, errors: &mut Vec<FieldError>) {
    let (seconds, Some(grace)) = (action.child("seconds").integer().unwrap_or(0), grace) else { return };
    if !(0..=grace).contains(&seconds) {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.push(FieldError::invalid(action.path(), seconds, detail));
    }
}
