//! `DELETE /keelson/v1/store/members/NAME`: a server's replica leaves the store for good.
//!
//! In: the name of a server. Out: the store's status after that. Its disk never belongs again: a server of that name
//! comes back with an empty one, as a new replica. Deliberately absent: judging whether the server is lost, which whoever
//! asks has done; what would lose the quorum is refused.
//!
//! Upstream has no such path: there, the store is another product.

use http::StatusCode;
use keelson_api_registry::status::ApiError;
use keelson_store::reconfigure::{Change, ReconfigureError};

use crate::{
    answer::{self, Response, store_read_error},
    server::Server,
    store_status::StoreStatus,
};

/// Where members are, with a slash at the end.
pub const PREFIX: &str = "/keelson/v1/store/members/";

/// Removes the replica of this server.
///
/// # Errors
/// 404; 409 for what would cost the quorum; 503 when nothing has changed, 504 when nobody knows.
pub(crate) async fn remove(server: &Server, name: &str) -> Result<Response, ApiError> {
    let store = server.objects.store();
    let members = store.status().members;
    let member = members.into_iter().find(|it| it.member.name == name);
    let member = member.ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, "NotFound", format!("no server is called {name:?}"))
    })?;
    store.reconfigure(Change::Remove(member.replica)).await.map_err(why_not)?;
    let status = serde_json::to_value(StoreStatus::from(store.status())).map_err(ApiError::internal)?;
    Ok(answer::json(StatusCode::OK, &status))
}

fn why_not(error: ReconfigureError) -> ApiError {
    match error {
        ReconfigureError::Refused(rule) => ApiError::new(StatusCode::CONFLICT, "Conflict", rule.to_string()),
        ReconfigureError::NoLeader(_) => ApiError::unavailable(error.to_string()),
        ReconfigureError::Unknown(_) => {
            ApiError::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", error.to_string())
        }
        ReconfigureError::Read(error) => store_read_error(error),
    }
}
