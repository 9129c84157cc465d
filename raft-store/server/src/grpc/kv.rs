//! etcd's service KV: ranges, puts, deletions, transactions, compaction.
//!
//! A put or a deletion is a transaction of one operation. A range that the client calls serializable is
//! answered from what this replica has applied; every other one is linearizable.

use futures_util::stream;
use keelson_proto::etcd::rpc::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, RangeStreamResponse, TxnRequest, TxnResponse, kv_server::Kv,
};
use keelson_store_core::command::{Command, Op, OpResponse, Txn};
use prost::Message;
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{
    Front, convert,
    error::{self, BadRequest, MAX_REQUEST_BYTES},
    identity::Credentials,
};
use crate::{
    meters::count,
    store::{At, Consistency},
};

#[tonic::async_trait]
impl Kv for Front {
    type RangeStreamStream = BoxStream<RangeStreamResponse>;

    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        let (who, raw) = Credentials::split(request);
        self.answer_range(&who, raw).await.map(Response::new)
    }

    async fn range_stream(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let (who, raw) = Credentials::split(request);
        let whole = self.answer_range(&who, raw).await?;
        let parts = convert::range_parts(whole).into_iter().map(Ok);
        Ok(Response::new(Box::pin(stream::iter(parts))))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let (who, raw) = Credentials::split(request);
        self.answer_put(&who, raw).await.map(Response::new)
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        let (who, raw) = Credentials::split(request);
        let delete = Op::DeleteRange(convert::delete_range(check_size(raw)?));
        let At { revision, answer } = self.one_op(&who, delete).await?;
        match answer {
            OpResponse::DeleteRange { deleted, prev_kvs } => {
                let header = self.header(revision);
                Ok(Response::new(convert::delete_range_response(header, deleted, prev_kvs)))
            }
            other => Err(mismatch(&other)),
        }
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        let (who, raw) = Credentials::split(request);
        self.answer_txn(&who, raw).await.map(Response::new)
    }

    /// `physical` changes nothing: the space comes back by a paced sweep, and no answer depends on how far it
    /// is.
    async fn compact(
        &self,
        request: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        let (who, raw) = Credentials::split(request);
        if raw.revision == 0 && self.store.status().compacted.is_zero() {
            // As etcd: where nothing was compacted yet, nothing is to be done.
            self.require_user(&who).await?;
            return Ok(Response::new(CompactionResponse { header: Some(self.header_now()) }));
        }
        let command = Command::Compact(convert::revision(raw.revision));
        let revision = self.propose(&who, &command).await?.revision;
        Ok(Response::new(CompactionResponse { header: Some(self.header(revision)) }))
    }
}

/// What most calls are, without what a call of the trait costs.
impl Front {
    pub(super) async fn answer_range(
        &self,
        who: &Credentials,
        raw: RangeRequest,
    ) -> Result<RangeResponse, Status> {
        let raw = check_size(raw)?;
        let consistency = if raw.serializable { Consistency::Local } else { Consistency::Linearizable };
        if consistency == Consistency::Linearizable && self.store.is_learner() {
            return Err(error::not_for_learners());
        }
        let request = convert::range(raw).map_err(error::bad_request)?;
        request.validate().map_err(|refused| error::command(&refused))?;
        let view = self.view_of(who, consistency, &request.range).await?;
        let answer = view.range(&request).map_err(error::read)?;
        count(&self.store.meters().ops.ranges);
        Ok(convert::range_response(self.header(view.header().revision), answer))
    }

    pub(super) async fn answer_put(&self, who: &Credentials, raw: PutRequest) -> Result<PutResponse, Status> {
        let put = convert::put(check_size(raw)?).map_err(error::bad_request)?;
        let At { revision, answer } = self.one_op(who, Op::Put(put)).await?;
        match answer {
            OpResponse::Put(previous) => Ok(convert::put_response(self.header(revision), previous)),
            other => Err(mismatch(&other)),
        }
    }

    pub(super) async fn answer_txn(&self, who: &Credentials, raw: TxnRequest) -> Result<TxnResponse, Status> {
        let txn = convert::txn(check_size(raw)?).map_err(error::bad_request)?;
        self.check_quota(&txn).await?;
        let At { revision, answer } = self.run_txn(who, txn).await?;
        Ok(convert::txn_response(self.header(revision), answer))
    }

    async fn one_op(&self, who: &Credentials, op: Op) -> Result<At<OpResponse>, Status> {
        let txn = Txn { success: vec![op], ..Txn::default() };
        self.check_quota(&txn).await?;
        let At { revision, answer } = self.run_txn(who, txn).await?;
        let answer = answer.responses.into_iter().next();
        let answer = answer.ok_or_else(|| Status::internal("etcdserver: the store gave no answer"))?;
        Ok(At { revision, answer })
    }
}

/// Lets a request pass that is not too long.
fn check_size<M: Message>(request: M) -> Result<M, Status> {
    if request.encoded_len() > MAX_REQUEST_BYTES {
        return Err(error::bad_request(BadRequest::TooLarge));
    }
    Ok(request)
}

/// The outcome may come from a peer, so this is no reason to panic.
fn mismatch(answer: &OpResponse) -> Status {
    tracing::error!(?answer, "the store's answer does not fit the request");
    Status::internal("etcdserver: the store's answer does not fit the request")
}
