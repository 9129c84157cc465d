//! Watch streams, as a client drives them.

use keelson_proto::etcd::{
    kv::{Event, event::EventType},
    rpc::{
        CompactionRequest, DeleteRangeRequest, WatchCancelRequest, WatchCreateRequest, WatchProgressRequest,
        WatchRequest, WatchResponse, watch_create_request::FilterType, watch_request::RequestUnion,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use super::{Served, with_member};

/// A watch stream, seen from the client.
pub(super) struct Watching {
    requests: mpsc::UnboundedSender<WatchRequest>,
    replies: Streaming<WatchResponse>,
}

impl Watching {
    pub(super) async fn start(served: &Served, token: Option<&str>) -> Self {
        let (requests, sent) = mpsc::unbounded_channel();
        let mut request = Request::new(UnboundedReceiverStream::new(sent));
        request.metadata_mut().insert("hasleader", "true".parse().unwrap());
        if let Some(token) = token {
            request.metadata_mut().insert("token", token.parse().unwrap());
        }
        let mut client = served.watch().max_decoding_message_size(usize::MAX);
        let replies = client.watch(request).await.unwrap().into_inner();
        Self { requests, replies }
    }

    pub(super) fn on(key: &str, range_end: &str) -> WatchCreateRequest {
        let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
        WatchCreateRequest { key, range_end, ..Default::default() }
    }

    fn ask(&self, request: RequestUnion) {
        self.requests.send(WatchRequest { request_union: Some(request) }).unwrap();
    }

    fn progress(&self) {
        self.ask(RequestUnion::ProgressRequest(WatchProgressRequest {}));
    }

    /// Creates a watch and waits until it is there.
    pub(super) async fn create(&mut self, request: WatchCreateRequest) -> WatchResponse {
        self.ask(RequestUnion::CreateRequest(request));
        let reply = self.next().await;
        assert!(reply.created, "{reply:?}");
        reply
    }

    pub(super) async fn next(&mut self) -> WatchResponse {
        self.try_next().await.unwrap().expect("the stream has ended")
    }

    async fn try_next(&mut self) -> Result<Option<WatchResponse>, Status> {
        self.replies.message().await
    }

    /// The next events of one watch, so many; nothing else may come in between.
    async fn events(&mut self, id: i64, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            let reply = self.next().await;
            assert_eq!(reply.watch_id, id, "{reply:?}");
            let last = reply.events.last().expect("there are events").kv.as_ref().unwrap();
            assert_eq!(reply.header.unwrap().revision, last.mod_revision, "the header is behind the events");
            events.extend(reply.events);
        }
        assert_eq!(events.len(), count);
        events
    }
}

/// Key and revision of each event, puts with their value.
fn seen(events: &[Event]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let one = |event: &Event| {
        let kv = event.kv.as_ref().unwrap();
        match event.r#type() {
            EventType::Put => format!("{}={}@{}", text(&kv.key), text(&kv.value), kv.mod_revision),
            EventType::Delete => format!("{} gone@{}", text(&kv.key), kv.mod_revision),
        }
    };
    events.iter().map(one).collect()
}

async fn delete(served: &Served, key: &str, range_end: &str) {
    let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
    served.kv().delete_range(DeleteRangeRequest { key, range_end, prev_kv: false }).await.unwrap();
}

#[test]
fn a_watch_from_now_sees_what_comes_after_the_revision_it_was_told() {
    with_member(async |served| {
        served.put("a", "1").await;
        let mut watching = Watching::start(&served, None).await;
        let created = watching.create(Watching::on("a", "")).await;
        assert_eq!((created.watch_id, created.header.unwrap().revision), (0, 2));
        served.put("b", "other").await;
        served.put("a", "2").await;
        delete(&served, "a", "").await;
        assert_eq!(seen(&watching.events(0, 2).await), ["a=2@4", "a gone@5"]);
    });
}

#[test]
fn a_watch_from_the_past_sees_history_then_the_present() {
    with_member(async |served| {
        for value in ["1", "2", "3"] {
            served.put("a", value).await;
        }
        let mut watching = Watching::start(&served, None).await;
        let from_3 = WatchCreateRequest { start_revision: 3, prev_kv: true, ..Watching::on("a", "") };
        watching.create(from_3).await;
        let events = watching.events(0, 2).await;
        assert_eq!(seen(&events), ["a=2@3", "a=3@4"]);
        let replaced: Vec<_> = events.iter().map(|event| &event.prev_kv.as_ref().unwrap().value).collect();
        assert_eq!(replaced, ["1", "2"]);

        delete(&served, "a", "").await;
        let gone = watching.events(0, 1).await;
        assert_eq!(gone[0].prev_kv.as_ref().unwrap().value, "3");
        let kv = gone[0].kv.as_ref().unwrap();
        assert_eq!((kv.create_revision, kv.version, kv.value.len()), (0, 0, 0), "only key and revision");
    });
}

#[test]
fn a_revision_to_come_is_waited_for() {
    with_member(async |served| {
        let mut watching = Watching::start(&served, None).await;
        watching.create(WatchCreateRequest { start_revision: 4, ..Watching::on("a", "") }).await;
        for value in ["1", "2", "3"] {
            served.put("a", value).await;
        }
        assert_eq!(seen(&watching.events(0, 1).await), ["a=3@4"]);
    });
}

#[test]
fn filters_hide_what_nobody_wants() {
    with_member(async |served| {
        let mut watching = Watching::start(&served, None).await;
        let filtered = |filter: FilterType| WatchCreateRequest {
            start_revision: 1,
            filters: vec![filter.into()],
            ..Watching::on("\0", "\0")
        };
        served.put("a", "1").await;
        delete(&served, "a", "").await;
        watching.create(filtered(FilterType::Nodelete)).await;
        assert_eq!(seen(&watching.events(0, 1).await), ["a=1@2"]);
        watching.create(filtered(FilterType::Noput)).await;
        assert_eq!(seen(&watching.events(1, 1).await), ["a gone@3"]);
    });
}

#[test]
fn ids_are_counted_up_or_chosen_but_never_shared() {
    with_member(async |served| {
        let mut watching = Watching::start(&served, None).await;
        let with_id = |watch_id| WatchCreateRequest { watch_id, ..Watching::on("a", "") };
        assert_eq!(watching.create(with_id(1)).await.watch_id, 1);
        assert_eq!(watching.create(with_id(0)).await.watch_id, 0);
        assert_eq!(watching.create(with_id(0)).await.watch_id, 2, "1 is taken");

        let twice = watching.create(with_id(1)).await;
        assert_eq!((twice.watch_id, twice.canceled), (-1, true));
        assert_eq!(twice.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
        let empty = watching.create(Watching::on("b", "a")).await;
        assert_eq!((empty.canceled, empty.cancel_reason.as_str()), (true, "mvcc: watcher range is empty"));
        let filter = WatchCreateRequest { filters: vec![9], ..Watching::on("a", "") };
        assert!(watching.create(filter).await.canceled);
    });
}

#[test]
fn a_canceled_watch_is_silent_and_its_id_is_free() {
    with_member(async |served| {
        let mut watching = Watching::start(&served, None).await;
        let watch = |watch_id, key| WatchCreateRequest { watch_id, ..Watching::on(key, "") };
        watching.create(watch(5, "a")).await;
        watching.create(watch(6, "z")).await;
        watching.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 99 }));
        watching.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 5 }));
        let canceled = watching.next().await;
        assert_eq!((canceled.watch_id, canceled.canceled), (5, true), "nothing is said about watch 99");

        served.put("a", "1").await;
        served.put("z", "1").await;
        assert_eq!(seen(&watching.events(6, 1).await), ["z=1@3"]);
        watching.create(watch(5, "a")).await;
        served.put("a", "2").await;
        assert_eq!(seen(&watching.events(5, 1).await), ["a=2@4"]);
    });
}

#[test]
fn progress_of_the_stream_comes_after_every_event_up_to_it() {
    with_member(async |served| {
        for number in 0..300 {
            served.put(&format!("k{number:03}"), "v").await;
        }
        let mut watching = Watching::start(&served, None).await;
        let from_the_start = || WatchCreateRequest { start_revision: 1, ..Watching::on("k", "l") };
        // All at once: the second watch is created while progress is asked for.
        watching.ask(RequestUnion::CreateRequest(from_the_start()));
        watching.progress();
        watching.progress();
        watching.ask(RequestUnion::CreateRequest(from_the_start()));
        watching.progress();

        let mut last_seen = [1, 1];
        let mut created = 0;
        loop {
            let reply = watching.next().await;
            let header = reply.header.unwrap();
            if reply.watch_id == -1 {
                assert!(last_seen.iter().all(|seen| *seen == 1 || *seen >= header.revision), "{last_seen:?}");
                // Earlier reports, as many as there were, could speak of the first watch only.
                if created == 2 {
                    break;
                }
            } else if reply.created {
                created += 1;
            } else {
                last_seen[usize::try_from(reply.watch_id).unwrap()] = header.revision;
            }
        }
        assert_eq!(last_seen, [301, 301], "a report speaks of all watches that there are");
    });
}

#[test]
fn progress_of_the_stream_is_never_behind_an_event_before_it() {
    with_member(async |served| {
        let mut watching = Watching::start(&served, None).await;
        // It has nothing to report before there is such a revision, and then it has events first.
        watching.create(WatchCreateRequest { start_revision: 3, ..Watching::on("a", "") }).await;
        watching.progress();
        watching.create(Watching::on("z", "")).await;
        for value in ["1", "2", "3"] {
            served.put("a", value).await;
        }
        let mut newest = 0;
        let told = loop {
            let reply = watching.next().await;
            let told = reply.header.unwrap().revision;
            if reply.watch_id == -1 {
                break told;
            }
            newest = told;
        };
        assert!(newest >= 3 && told >= newest, "progress {told} comes after an event of {newest}");
    });
}

#[test]
fn a_stream_without_watches_has_no_progress() {
    with_member(async |served| {
        let mut watching = Watching::start(&served, None).await;
        watching.progress();
        let created = watching.create(Watching::on("a", "")).await;
        assert!(created.created, "the request for progress was passed over");
        watching.progress();
        assert_eq!(watching.next().await.watch_id, -1);
    });
}

#[test]
fn a_watch_that_asks_for_reports_gets_them_while_nothing_happens() {
    with_member(async |served| {
        let mut watching = Watching::start(&served, None).await;
        watching.create(Watching::on("quiet", "")).await;
        watching.create(WatchCreateRequest { progress_notify: true, ..Watching::on("a", "") }).await;
        served.put("b", "1").await;
        loop {
            let report = watching.next().await;
            assert_eq!((report.watch_id, report.events.len()), (1, 0));
            if report.header.unwrap().revision == 2 {
                break;
            }
        }
    });
}

#[test]
fn a_watch_below_the_compacted_revision_is_canceled_alone() {
    with_member(async |served| {
        for value in ["1", "2", "3"] {
            served.put("a", value).await;
        }
        served.kv().compact(CompactionRequest { revision: 3, physical: false }).await.unwrap();
        let mut watching = Watching::start(&served, None).await;
        let from = |start_revision| WatchCreateRequest { start_revision, ..Watching::on("a", "") };
        watching.create(from(2)).await;
        let gone = watching.next().await;
        assert_eq!((gone.watch_id, gone.canceled, gone.compact_revision), (0, true, 3));
        assert_eq!(gone.cancel_reason, "etcdserver: mvcc: required revision has been compacted");
        watching.create(from(3)).await;
        assert_eq!(seen(&watching.events(1, 2).await), ["a=2@3", "a=3@4"]);
    });
}

#[test]
fn a_large_revision_comes_in_fragments_where_the_client_takes_them() {
    with_member(async |served| {
        let value = "v".repeat(1 << 20);
        for key in ["a", "b", "c"] {
            served.put(key, &value).await;
        }
        delete(&served, "a", "d").await;
        let mut watching = Watching::start(&served, None).await;
        let with_previous = |fragment| WatchCreateRequest {
            start_revision: 5,
            prev_kv: true,
            fragment,
            ..Watching::on("a", "d")
        };
        watching.create(with_previous(false)).await;
        assert_eq!(watching.next().await.events.len(), 3, "a revision is never split unasked");
        watching.create(with_previous(true)).await;
        let mut parts = Vec::new();
        while parts.last() != Some(&false) {
            let part = watching.next().await;
            assert_eq!(part.events.len(), 1);
            parts.push(part.fragment);
        }
        assert_eq!(parts, [true, true, false]);
    });
}

#[test]
fn a_server_that_stops_sends_its_watchers_elsewhere() {
    with_member(async |served| {
        let mut watching = Watching::start(&served, None).await;
        watching.create(Watching::on("a", "")).await;
        let Served { stop, serving, .. } = served;
        stop.send(()).unwrap();
        let ended = watching.try_next().await.unwrap_err();
        assert_eq!((ended.code(), ended.message()), (Code::Unavailable, "etcdserver: server stopped"));
        drop(watching);
        serving.await.unwrap().unwrap();
    });
}
