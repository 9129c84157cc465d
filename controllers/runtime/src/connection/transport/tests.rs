//! How many connections there are.

use kube::Config;
use tower::ServiceExt;

use super::*;

#[tokio::test]
async fn connections_are_opened_before_they_are_full_and_go_when_nobody_needs_them() {
    let config = Config::new("http://127.0.0.1:1".parse().unwrap());
    let lines = Lines::new(connector(&config).unwrap());
    let open = || lines.open.lock().unwrap().len();
    let first: Vec<_> = (0..STREAMS).map(|_| lines.with_room().1).collect();
    assert_eq!(open(), 1);
    let second: Vec<_> = (0..STREAMS).map(|_| lines.with_room().1).collect();
    let third = lines.with_room().1;
    assert_eq!(open(), 3);
    drop(first);
    lines.with_room();
    assert_eq!(open(), 3, "whoever waits on them needs them");
    drop((second, third));
    lines.with_room();
    assert_eq!(open(), 1);
}

#[tokio::test]
async fn what_fails_takes_no_room() {
    let config = Config::new("http://127.0.0.1:1".parse().unwrap());
    let lines = Lines::new(connector(&config).unwrap());
    let request = Request::get("http://127.0.0.1:1/").body(Body::empty()).unwrap();
    lines.clone().oneshot(request).await.err().unwrap();
    assert_eq!(lines.open.lock().unwrap()[0].requests(), 0);
}
