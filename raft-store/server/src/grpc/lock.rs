//! etcd's service Lock: a queue whose head holds the lock.

use bytes::Bytes;
use keelson_proto::etcd::lock::{
    LockRequest, LockResponse, UnlockRequest, UnlockResponse, lock_server::Lock,
};
use keelson_store_core::{
    command::{DeleteRangeRequest, KeyRange, Op, Txn},
    id::LeaseId,
};
use tonic::{Request, Response, Status};

use super::{Front, identity::Credentials, queue::without_code};

#[tonic::async_trait]
impl Lock for Front {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        let (who, LockRequest { name, lease }) = Credentials::split(request);
        let place = self.queue(&who, name, LeaseId::new(lease), Bytes::new()).await.map_err(without_code)?;
        Ok(Response::new(LockResponse { header: Some(self.header_now()), key: place.key }))
    }

    /// As in etcd: whoever knows the key, and may write it, can unlock.
    async fn unlock(&self, request: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        let (who, UnlockRequest { key }) = Credentials::split(request);
        let range = KeyRange::Single(key);
        let delete = Op::DeleteRange(DeleteRangeRequest { range, prev_kv: false });
        let txn = Txn { success: vec![delete], ..Txn::default() };
        let revision = self.run_txn(&who, txn).await.map_err(without_code)?.revision;
        Ok(Response::new(UnlockResponse { header: Some(self.header(revision)) }))
    }
}
