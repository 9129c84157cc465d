//! etcd's service Election: a queue whose head leads, and says something about itself in its key's value.
//!
//! Who leads is decided by `queue`; what observers are told is decided by [`Candidates`], which is pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use keelson_proto::etcd::election::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse, election_server::Election,
};
use keelson_store_core::{
    command::{KeyRange, KeyValue, RangeRequest},
    id::{LeaseId, Revision},
    watch::{Change, ChangeKind, Interest},
};
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{
    Front, convert, ending, error,
    identity::{Credentials, Guard},
    queue::{Place, created, keys_of, without_code},
};
use crate::{
    store::{At, Consistency},
    watch::Watcher,
};

#[tonic::async_trait]
impl Election for Front {
    type ObserveStream = BoxStream<LeaderResponse>;

    async fn campaign(
        &self,
        request: Request<CampaignRequest>,
    ) -> Result<Response<CampaignResponse>, Status> {
        let (who, CampaignRequest { name, lease, value }) = Credentials::split(request);
        let queued = self.queue(&who, name.clone(), LeaseId::new(lease), value).await;
        let Place { key, number, lease } = queued.map_err(without_code)?;
        let leader = LeaderKey { name, key, rev: convert::signed(number.get()), lease: lease.get() };
        Ok(Response::new(CampaignResponse { header: Some(self.header_now()), leader: Some(leader) }))
    }

    async fn proclaim(
        &self,
        request: Request<ProclaimRequest>,
    ) -> Result<Response<ProclaimResponse>, Status> {
        let (who, ProclaimRequest { leader, value }) = Credentials::split(request);
        let revision = self.proclaim_at(&who, &place(leader)?, value).await.map_err(without_code)?;
        Ok(Response::new(ProclaimResponse { header: Some(self.header(revision)) }))
    }

    async fn leader(&self, request: Request<LeaderRequest>) -> Result<Response<LeaderResponse>, Status> {
        let (who, LeaderRequest { name }) = Credentials::split(request);
        let first = created(keys_of(&name), false);
        let view = self.view_of(&who, Consistency::Linearizable, &first.range).await.map_err(without_code)?;
        let found = view.range(&first).map_err(error::read).map_err(without_code)?.kvs.into_iter().next();
        let kv = found.ok_or_else(|| Status::unknown("election: no leader"))?;
        Ok(Response::new(self.leads(view.header().revision, kv)))
    }

    async fn observe(
        &self,
        request: Request<LeaderRequest>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        let ended = ending::of_stream(self.clone(), request.metadata());
        let (who, LeaderRequest { name }) = Credentials::split(request);
        let range = keys_of(&name);
        let guard = self.guard(&who, range.clone()).await.map_err(without_code)?;
        let observer = Observer { front: self.clone(), guard, range, watch: None };
        let batches = stream::try_unfold(observer, async |mut observer| {
            let news = observer.next().await?;
            Ok::<_, Status>(Some((news, observer)))
        });
        let front = self.clone();
        let answers = batches.flat_map(move |batch| {
            let (news, failed) = match batch {
                Ok(news) => (news, None),
                Err(failed) => (Vec::new(), Some(Err(without_code(failed)))),
            };
            let told: Vec<_> =
                news.into_iter().map(|(at, kv)| Ok(front.leads(at, kv))).chain(failed).collect();
            stream::iter(told)
        });
        Ok(Response::new(Box::pin(ending::until(ended, answers))))
    }

    /// As in etcd: a place that is lost already is no error.
    async fn resign(&self, request: Request<ResignRequest>) -> Result<Response<ResignResponse>, Status> {
        let (who, ResignRequest { leader }) = Credentials::split(request);
        let place = place(leader)?;
        let revision = self.leave(&who, &place.key, place.number).await.map_err(without_code)?;
        Ok(Response::new(ResignResponse { header: Some(self.header(revision)) }))
    }
}

impl Front {
    fn leads(&self, revision: Revision, kv: KeyValue) -> LeaderResponse {
        LeaderResponse { header: Some(self.header(revision)), kv: Some(convert::key_value(kv)) }
    }
}

/// The place that a client says it has.
fn place(leader: Option<LeaderKey>) -> Result<Place, Status> {
    let LeaderKey { name: _, key, rev, lease } =
        leader.ok_or_else(|| Status::invalid_argument("\"leader\" field must be provided"))?;
    Ok(Place { key, number: convert::revision(rev), lease: LeaseId::new(lease) })
}

/// One client that wants to know who leads.
struct Observer {
    front: Front,
    /// Whether it may know, still.
    guard: Guard,
    range: KeyRange,
    /// Nothing before the first look, and after history was compacted away.
    watch: Option<(Candidates, Watcher)>,
}

/// What a leader says, and the revision at which it does.
type News = (Revision, KeyValue);

impl Observer {
    /// Waits for what there is to tell next.
    async fn next(&mut self) -> Result<Vec<News>, Status> {
        let news = self.wait_for_news().await?;
        self.guard.check(&self.front).map_err(error::auth)?;
        Ok(news)
    }

    async fn wait_for_news(&mut self) -> Result<Vec<News>, Status> {
        loop {
            let Some((candidates, watcher)) = &mut self.watch else {
                let news = self.look().await?;
                if !news.is_empty() {
                    return Ok(news);
                }
                continue;
            };
            let Ok(changes) = watcher.next().await else {
                self.watch = None;
                continue;
            };
            let mut news = Vec::new();
            for (revision, changes) in changes.revisions() {
                news.extend(candidates.follow(&changes).map(|kv| (revision, kv)));
            }
            if !news.is_empty() {
                return Ok(news);
            }
        }
    }

    /// Looks at all candidates, and begins to watch them.
    async fn look(&mut self) -> Result<Vec<News>, Status> {
        let all = RangeRequest::new(self.range.clone());
        let found = self.front.store.range(&all, Consistency::Linearizable).await.map_err(error::read)?;
        let At { revision, answer } = found;
        let candidates = Candidates::new(answer.kvs);
        let news = candidates.leader().map(|kv| (revision, kv.clone()));
        let interest = Interest::all_of(self.range.clone());
        let watcher = self.front.store.watch(interest, revision.next()).await.map_err(error::read)?;
        self.watch = Some((candidates, watcher));
        Ok(news.into_iter().collect())
    }
}

/// Everybody in the queue, by place.
struct Candidates(BTreeMap<(Revision, Bytes), KeyValue>);

impl Candidates {
    fn new(kvs: Vec<KeyValue>) -> Self {
        Self(kvs.into_iter().map(|kv| ((kv.create_revision, kv.key.clone()), kv)).collect())
    }

    fn leader(&self) -> Option<&KeyValue> {
        self.0.values().next()
    }

    /// What the changes of one revision have to tell: another leader, or something else that the same one
    /// says.
    fn follow(&mut self, changes: &[&Change]) -> Option<KeyValue> {
        let before = self.leader().cloned();
        for change in changes {
            match change.kind {
                ChangeKind::Put => {
                    let place = (change.kv.create_revision, change.kv.key.clone());
                    self.0.insert(place, change.kv.clone());
                }
                ChangeKind::Delete => self.0.retain(|(_, key), _| *key != change.kv.key),
            }
        }
        self.leader().filter(|leader| before.as_ref() != Some(*leader)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &'static str, created: u64, modified: u64) -> KeyValue {
        KeyValue {
            key: key.into(),
            create_revision: Revision::new(created),
            mod_revision: Revision::new(modified),
            ..KeyValue::default()
        }
    }

    fn change(kind: ChangeKind, kv: KeyValue) -> Change {
        Change { kind, kv, previous: None }
    }

    #[test]
    fn only_the_head_of_the_queue_is_news() {
        let mut candidates = Candidates::new(vec![kv("e/a", 5, 5), kv("e/b", 3, 3)]);
        assert_eq!(candidates.leader().unwrap().key, "e/b");
        let mut follow = |kind, kv| {
            let news = candidates.follow(&[&change(kind, kv)]);
            news.map(|kv| (kv.key, kv.mod_revision.get()))
        };
        assert_eq!(follow(ChangeKind::Put, kv("e/a", 5, 6)), None, "another candidate's value");
        assert_eq!(follow(ChangeKind::Put, kv("e/b", 3, 7)), Some(("e/b".into(), 7)));
        assert_eq!(follow(ChangeKind::Put, kv("e/c", 8, 8)), None, "a later candidate");
        assert_eq!(follow(ChangeKind::Delete, kv("e/b", 0, 9)), Some(("e/a".into(), 6)));
        assert_eq!(follow(ChangeKind::Delete, kv("e/c", 0, 10)), None);
        assert_eq!(follow(ChangeKind::Delete, kv("e/a", 0, 11)), None, "nobody is no news");
        assert_eq!(follow(ChangeKind::Put, kv("e/b", 12, 12)), Some(("e/b".into(), 12)));
    }
}
