//! What the binder makes of the API's answers.

use super::*;
use crate::testing::MakePod;
use crate::testing::api::{Answer as Reply, FakeApi};

async fn bind_with(api: &FakeApi) -> Result<(), BindError> {
    let pod = MakePod::named("p").info();
    DefaultBinder.bind(Place { client: api.client(), pod, node: "n".into() }).await
}

fn with(pod: MakePod, replies: &[Reply]) -> FakeApi {
    let api = FakeApi::new();
    api.create(pod.pod());
    replies.iter().for_each(|reply| api.next("binding", reply.clone()));
    api
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_its_node_and_names_the_uid_that_is_meant() {
    let api = with(MakePod::named("p"), &[]);
    assert_eq!(bind_with(&api).await, Ok(()));
    assert_eq!(api.node_of("p").as_deref(), Some("n"));
    let sent = &api.requests("binding")[0];
    assert_eq!((&sent["metadata"]["uid"], &sent["target"]["kind"]), (&"p".into(), &"Node".into()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_asked_for_again() {
    let api = with(MakePod::named("p"), &[Reply::DoneButLost]);
    assert_eq!(bind_with(&api).await, Ok(()), "it had been done");
    let api = with(MakePod::named("p"), &[Reply::Unavailable, Reply::Unavailable]);
    assert_eq!(bind_with(&api).await, Ok(()), "it had not, and is done at last");
    assert_eq!(api.requests("binding").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_and_says_why() {
    let api = with(MakePod::named("p"), &[Reply::Refused(403, "not you")]);
    assert_eq!(bind_with(&api).await, Err(BindError::Failed("not you".into())));
    let api = with(MakePod::named("p"), &[Reply::Refused(409, "it is gated")]);
    assert_eq!(bind_with(&api).await, Err(BindError::Failed("it is gated".into())));
    assert_eq!(api.requests("binding").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_to_do_for_a_pod_that_is_gone_or_has_another_node() {
    assert_eq!(bind_with(&FakeApi::new()).await, Err(BindError::Settled));
    assert_eq!(bind_with(&with(MakePod::named("p").node("m"), &[])).await, Err(BindError::Settled));
    assert_eq!(bind_with(&with(MakePod::named("p").node("n"), &[])).await, Ok(()), "it was us, earlier");
    let successor = with(MakePod::named("p").uid("another"), &[]);
    assert_eq!(bind_with(&successor).await, Err(BindError::Settled));
    assert_eq!(successor.node_of("p"), None);
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let api = with(MakePod::named("p"), &[]);
    api.always("binding", Reply::Unavailable);
    assert_eq!(bind_with(&api).await, Err(BindError::Failed("try again later".into())));
}
