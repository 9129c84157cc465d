//! Elections between replicas, over a Lease that a test can cut off from some of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tower::BoxError;

use super::*;

/// The Lease, as an API server keeps it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Value>>);

/// A replica's way to the API.
#[derive(Clone, Default)]
struct Link {
    cut: Arc<AtomicBool>,
}

impl Kept {
    fn holder(&self) -> String {
        self.0.lock().unwrap()["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    fn answer(&self, method: &str, body: Value) -> (u16, Value) {
        let mut kept = self.0.lock().unwrap();
        let refusal = |code: u16, reason: &str| {
            (
                code,
                json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}),
            )
        };
        match method {
            "GET" if kept.is_null() => return refusal(404, "NotFound"),
            "GET" => return (200, kept.clone()),
            "POST" if !kept.is_null() => return refusal(409, "AlreadyExists"),
            "PUT" if kept["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] => {
                return refusal(409, "Conflict");
            }
            _ => {}
        }
        let version =
            kept["metadata"]["resourceVersion"].as_str().map_or(1, |it| it.parse::<u64>().unwrap() + 1);
        *kept = body;
        kept["metadata"]["resourceVersion"] = version.to_string().into();
        (200, kept.clone())
    }

    fn client(&self, link: &Link) -> Client {
        let (kept, link) = (self.clone(), link.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (kept, link) = (kept.clone(), link.clone());
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect_bytes().await?;
                if link.cut.load(Ordering::Relaxed) {
                    return Err(BoxError::from("no way"));
                }
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let (code, answer) = kept.answer(head.method.as_str(), body);
                let body = Body::from(answer.to_string().into_bytes());
                Ok(Response::builder().status(code).body(body).unwrap())
            }
        });
        Client::new(service, "default")
    }
}

/// Who leads when: `+a` and `-a`, with seconds since the beginning.
#[derive(Clone)]
struct Diary {
    begun: Instant,
    lines: Arc<Mutex<Vec<(f64, String)>>>,
    news: Arc<Notify>,
}

/// While it lives, a replica leads.
struct Reign {
    diary: Diary,
    name: String,
}

impl Diary {
    fn new() -> Self {
        Self { begun: Instant::now(), lines: Arc::default(), news: Arc::default() }
    }

    fn write(&self, line: String) {
        self.lines.lock().unwrap().push((self.begun.elapsed().as_secs_f64(), line));
        self.news.notify_one();
    }

    /// When this line was written, waiting for it.
    async fn time_of(&self, line: &str) -> f64 {
        loop {
            let found = self.lines.lock().unwrap().iter().find(|it| it.1 == line).map(|it| it.0);
            match found {
                Some(time) => return time,
                None => self.news.notified().await,
            }
        }
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap().iter().map(|it| it.1.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Reign {
    fn drop(&mut self) {
        self.diary.write(format!("-{}", self.name));
    }
}

/// An election of whose events nobody hears.
fn quiet(name: &str) -> Election {
    let mut election = Election::new("kube-scheduler", name);
    election.events = Some(EventRecorder::detached().0);
    election
}

/// Starts a replica; the second is what stops it.
fn replica(name: &str, kept: &Kept, link: &Link, diary: &Diary) -> (JoinHandle<()>, Arc<Notify>) {
    let election = quiet(name);
    let (client, diary, name) = (kept.client(link), diary.clone(), name.to_owned());
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let lead = move || {
        diary.write(format!("+{name}"));
        let reign = Reign { diary: diary.clone(), name: name.clone() };
        async move {
            let _reign = reign;
            std::future::pending::<()>().await;
        }
    };
    let task = tokio::spawn(async move { election.run_until(client, stopped.notified(), lead).await });
    (task, stop)
}

#[tokio::test(start_paused = true)]
async fn one_leads_for_as_long_as_it_lives() {
    let (kept, diary, link) = (Kept::default(), Diary::new(), Link::default());
    let (a, _) = replica("a", &kept, &link, &diary);
    assert!(diary.time_of("+a").await < 0.1, "nobody else is there");
    let (_b, _) = replica("b", &kept, &link, &diary);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(diary.text(), "+a");
    a.abort();
    let taken = diary.time_of("+b").await;
    assert!(taken > 106.0 && taken < 109.0, "{taken}");
    assert_eq!(diary.text(), "+a -a +b");
    assert_eq!(kept.0.lock().unwrap()["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_steps_back_before_another_leads() {
    let (kept, diary) = (Kept::default(), Diary::new());
    let link = Link::default();
    let _a = replica("a", &kept, &link, &diary);
    diary.time_of("+a").await;
    let _b = replica("b", &kept, &Link::default(), &diary);
    sleep(Duration::from_secs(21)).await;
    link.cut.store(true, Ordering::Relaxed);
    let taken = diary.time_of("+b").await;
    assert_eq!(diary.text(), "+a -a +b");
    let left = diary.time_of("-a").await;
    assert!(taken - left >= 3.0, "left at {left}, taken at {taken}");
    link.cut.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(30)).await;
    assert_eq!((diary.text().as_str(), kept.holder().as_str()), ("+a -a +b", "b"));
}

#[tokio::test(start_paused = true)]
async fn a_short_interruption_changes_nothing() {
    let (kept, diary, link) = (Kept::default(), Diary::new(), Link::default());
    let _a = replica("a", &kept, &link, &diary);
    diary.time_of("+a").await;
    link.cut.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(4)).await;
    link.cut.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(diary.text(), "+a");
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_to_stop_gives_the_lease_back() {
    let (kept, diary, link) = (Kept::default(), Diary::new(), Link::default());
    let (a, stop) = replica("a", &kept, &link, &diary);
    diary.time_of("+a").await;
    let _b = replica("b", &kept, &link, &diary);
    sleep(Duration::from_secs(10)).await;
    stop.notify_one();
    a.await.unwrap();
    assert_eq!(
        (diary.text().as_str(), kept.holder().as_str()),
        ("+a -a", ""),
        "it stops before it gives back"
    );
    let taken = diary.time_of("+b").await - diary.time_of("-a").await;
    assert!(taken < 2.5, "{taken}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_with_his_own_name_need_not_wait() {
    let (kept, diary, link) = (Kept::default(), Diary::new(), Link::default());
    let (a, _) = replica("a", &kept, &link, &diary);
    diary.time_of("+a").await;
    a.abort();
    diary.time_of("-a").await;
    diary.lines.lock().unwrap().clear();
    let again = diary.begun.elapsed().as_secs_f64();
    let _a = replica("a", &kept, &link, &diary);
    assert!(diary.time_of("+a").await - again < 0.1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_work_ends_stands_by_again() {
    let (kept, diary, link) = (Kept::default(), Diary::new(), Link::default());
    let (election, client) = (quiet("a"), kept.client(&link));
    let begun = diary.clone();
    let _task = tokio::spawn(election.run(client, move || {
        begun.write("+".to_owned());
        std::future::ready(())
    }));
    diary.time_of("+").await;
    diary.lines.lock().unwrap().clear();
    diary.time_of("+").await;
}

#[tokio::test]
async fn users_are_told_who_leads() {
    let (kept, link) = (Kept::default(), Link::default());
    let (recorder, mut events) = EventRecorder::detached();
    let mut election = Election::new("kube-scheduler", "a");
    election.events = Some(recorder);
    let client = kept.client(&link);
    let _task = tokio::spawn(election.run(client, std::future::pending::<()>));
    let event = events.recv().await.unwrap();
    assert_eq!((event.reason, event.message.as_str()), ("LeaderElection", "a became leader"));
    assert_eq!(
        (event.object.kind.as_deref(), event.object.name.as_deref()),
        (Some("Lease"), Some("kube-scheduler"))
    );
}
