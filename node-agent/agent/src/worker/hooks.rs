//! What containers want done after their start and before their end.
//!
//! In: a `postStart` or `preStop` handler. Out: whether it was done; the text of a failure is for logs and statuses, not
//! for events: it may hold what a container printed.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use keelson_cri::Runtime;

use crate::probes::http::Get;

/// Does what the handler says, for at most so long.
pub(super) async fn run(
    runtime: &Runtime,
    handler: &LifecycleHandler,
    container: &Container,
    instance: &str,
    address: &str,
    at_most: Duration,
) -> Result<(), String> {
    if let Some(action) = &handler.exec {
        // As it is written: unlike in probes, nothing is put in for variables, and two dollar signs stay two.
        let command = action.command.clone().unwrap_or_default();
        let shown = command.join(" ");
        let answer = runtime.exec_sync(instance, command, at_most).await;
        return match answer {
            Ok(answer) if answer.exit_code == 0 => Ok(()),
            Ok(answer) => {
                let output = String::from_utf8_lossy(&answer.stderr);
                Err(format!("command {shown:?} exited with {}: {output}", answer.exit_code))
            }
            Err(error) => Err(format!("command {shown:?}: {error}")),
        };
    }
    if let Some(action) = &handler.http_get {
        // Whatever it answers: it has heard.
        return Get::new(action, container, address)?.send(at_most).await.map(drop);
    }
    if let Some(action) = &handler.sleep {
        let wanted = Duration::from_secs(action.seconds.try_into().unwrap_or(0));
        tokio::time::sleep(wanted.min(at_most)).await;
        return Ok(());
    }
    Err("the handler says nothing that a node can do".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use k8s_openapi::api::core::v1::SleepAction;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hook_that_sleeps_sleeps_no_longer_than_it_may() {
        let runtime = Runtime::at(Path::new("/nonexistent"));
        let begin = Instant::now();
        for (wanted, at_most) in [(3, 30), (300, 7)] {
            let handler =
                LifecycleHandler { sleep: Some(SleepAction { seconds: wanted }), ..Default::default() };
            let at_most = Duration::from_secs(at_most);
            run(&runtime, &handler, &Container::default(), "", "", at_most).await.unwrap();
        }
        assert_eq!(begin.elapsed(), Duration::from_secs(10));
    }
}
