//! Users and roles: the same calls, by the same callers, to this store and to etcd.
//!
//! In: THE table of calls and who makes them, each on what those before it have left. Out: where an answer differs. What etcd
//! 3.4 does otherwise than its later versions and this store (it leaves some calls open to everybody, and does not look into
//! nested transactions) stands in the table, too, as long as it changes no key.

use std::collections::BTreeMap;

use keelson_proto::etcd::auth::{Permission, UserAddOptions, permission::Type};
use keelson_proto::etcd::rpc::auth_client::AuthClient;
use keelson_proto::etcd::rpc::cluster_client::ClusterClient;
use keelson_proto::etcd::rpc::compare::{CompareResult, CompareTarget, TargetUnion};
use keelson_proto::etcd::rpc::kv_client::KvClient;
use keelson_proto::etcd::rpc::lease_client::LeaseClient;
use keelson_proto::etcd::rpc::request_op::Request as Op;
use keelson_proto::etcd::rpc::{
    AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGetRequest,
    AuthRoleGrantPermissionRequest, AuthRoleListRequest, AuthRoleRevokePermissionRequest, AuthUserAddRequest,
    AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGetRequest, AuthUserGrantRoleRequest,
    AuthUserListRequest, AuthUserRevokeRoleRequest, AuthenticateRequest, CompactionRequest, Compare,
    DeleteRangeRequest, DeleteRangeResponse, LeaseGrantRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    MemberListRequest, PutRequest, PutResponse, RangeRequest, RangeResponse, TxnRequest,
};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::{Ask, Etcd, compare, delete, op, put, range, strip, strip_txn};
use crate::cluster::Cluster;
use crate::wait::{self, PATIENCE};

/// Anything that is asked.
#[derive(Clone, Debug)]
enum Call {
    Enable,
    Disable,
    /// Keeps the token for the calls that follow.
    Authenticate(&'static str, &'static str),
    UserAdd(&'static str, &'static str),
    UserAddWithoutPassword(&'static str),
    UserGet(&'static str),
    UserList,
    UserDelete(&'static str),
    UserPassword(&'static str, &'static str),
    UserGrant(&'static str, &'static str),
    UserRevoke(&'static str, &'static str),
    RoleAdd(&'static str),
    RoleGet(&'static str),
    RoleList,
    RoleDelete(&'static str),
    RoleGrant(&'static str, (Type, &'static str, &'static str)),
    RoleRevoke(&'static str, &'static str, &'static str),
    Members,
    Keys(Ask),
}

use Call::{
    Authenticate, Disable, Enable, Keys, Members, RoleAdd, RoleDelete, RoleGet, RoleGrant, RoleList,
    RoleRevoke, UserAdd, UserAddWithoutPassword, UserDelete, UserGet, UserGrant, UserList, UserPassword,
    UserRevoke,
};

/// A caller without a token, and one with a token that nobody has made.
const NOBODY: &str = "";
const FORGER: &str = "forger";

/// Who calls, what, and whether the answers are the same.
type Row = (&'static str, Call, Expect);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Same,
    /// As etcd 3.6 and later.
    Newer,
}

fn same(who: &'static str, calls: Vec<Call>) -> Vec<Row> {
    calls.into_iter().map(|call| (who, call, Expect::Same)).collect()
}

fn newer(who: &'static str, calls: Vec<Call>) -> Vec<Row> {
    calls.into_iter().map(|call| (who, call, Expect::Newer)).collect()
}

fn table() -> Vec<Row> {
    [before(), permissions(), transactions_and_leases(), management(), after()].concat()
}

/// While anyone may do everything.
fn before() -> Vec<Row> {
    let rows = vec![
        Authenticate("root", "pw"),
        Enable,
        UserAdd("root", "pw"),
        UserAdd("root", "pw"),
        UserAdd("", "pw"),
        Enable,
        UserGrant("root", "missing"),
        UserGrant("missing", "root"),
        UserGrant("root", "root"),
        UserGrant("root", "root"),
        RoleAdd("root"),
        RoleAdd("root"),
        RoleAdd(""),
        RoleAdd("r"),
        RoleGet("r"),
        RoleGet("missing"),
        RoleGrant("missing", (Type::Read, "a", "")),
        RoleGrant("r", (Type::Read, "a", "b")),
        RoleGrant("r", (Type::Read, "b", "c")),
        RoleGrant("r", (Type::Write, "x", "\0")),
        RoleGrant("r", (Type::Read, "k", "")),
        RoleGrant("r", (Type::Readwrite, "k", "")),
        RoleGet("r"),
        RoleList,
        UserAdd("alice", "pw"),
        UserAddWithoutPassword("certified"),
        UserAdd("empty", ""),
        UserGrant("alice", "r"),
        UserGet("alice"),
        UserGet("certified"),
        UserGet("missing"),
        UserList,
        UserRevoke("alice", "root"),
        UserRevoke("missing", "root"),
        RoleRevoke("r", "a", "c"),
        RoleRevoke("missing", "a", "b"),
        RoleDelete("missing"),
        UserDelete("missing"),
        UserPassword("missing", "pw"),
        Disable,
        Keys(Ask::Put(put("a", "1"))),
        Keys(Ask::Put(put("k", "1"))),
    ];
    let invalid = vec![RoleGet("root"), RoleGrant("r", (Type::Read, "c", "b")), RoleRevoke("r", "c", "b")];
    [same(NOBODY, rows), newer(NOBODY, invalid)].concat()
}

fn permissions() -> Vec<Row> {
    let get = |key: &str, end: &str| Keys(Ask::Range(range(key, end)));
    let reads = vec![
        get("a", ""),
        get("a", "b"),
        get("a", "c"),
        get("aa", "bb"),
        get("a", "d"),
        get("a", "\0"),
        get("c", "b"),
        get("bb", "ba"),
        get("c", ""),
        get("k", ""),
        get("x", ""),
        get("", ""),
        Keys(Ask::Range(RangeRequest { serializable: true, ..range("c", "") })),
        Keys(Ask::Range(RangeRequest { serializable: true, ..range("a", "c") })),
        Keys(Ask::Range(RangeRequest { count_only: true, ..range("a", "d") })),
    ];
    let writes = vec![
        Keys(Ask::Put(put("a", "2"))),
        Keys(Ask::Put(put("k", "2"))),
        Keys(Ask::Put(PutRequest { prev_kv: true, ..put("k", "3") })),
        Keys(Ask::Put(put("x1", "1"))),
        Keys(Ask::Put(PutRequest { prev_kv: true, ..put("x1", "2") })),
        Keys(Ask::Put(PutRequest { lease: 77, ..put("k", "no such lease") })),
        Keys(Ask::Delete(delete("x", "\0"))),
        Keys(Ask::Delete(delete("w", "\0"))),
        Keys(Ask::Delete(DeleteRangeRequest { prev_kv: true, ..delete("x", "y") })),
        Keys(Ask::Delete(DeleteRangeRequest { prev_kv: true, ..delete("k", "") })),
    ];
    let all = || [reads.clone(), writes.clone()].concat();
    let authenticate = vec![
        Enable,
        Authenticate("root", "wrong"),
        Authenticate("missing", "pw"),
        Authenticate("certified", "pw"),
        Authenticate("empty", "pw"),
        Authenticate("root", "pw"),
        Authenticate("alice", "pw"),
    ];
    [
        same(NOBODY, authenticate),
        same("alice", all()),
        same("root", all()),
        same(NOBODY, all()),
        same(FORGER, all()),
    ]
    .concat()
}

fn transactions_and_leases() -> Vec<Row> {
    let txn =
        |compare: Vec<Compare>, success, failure| Keys(Ask::Txn(TxnRequest { compare, success, failure }));
    let exists =
        |key: &str| compare(key, "", CompareResult::Greater, CompareTarget::Version, TargetUnion::Version(0));
    let read = |key: &str| op(Op::RequestRange(range(key, "")));
    let write = |key: &str| op(Op::RequestPut(put(key, "txn")));
    let nested = |inner| op(Op::RequestTxn(TxnRequest { success: vec![inner], ..TxnRequest::default() }));
    let rows = vec![
        txn(vec![exists("a")], vec![read("b"), write("k")], vec![]),
        txn(vec![exists("c")], vec![read("b")], vec![]),
        txn(vec![exists("a")], vec![read("b")], vec![read("c")]),
        txn(vec![], vec![write("a"), nested(write("k"))], vec![]),
        txn(vec![], vec![op(Op::RequestDeleteRange(delete("a", "b")))], vec![]),
    ];
    let inside = vec![txn(vec![], vec![nested(read("c"))], vec![])];
    let leases = vec![
        Keys(Ask::Grant { id: 7, ttl: 600 }),
        Keys(Ask::Put(PutRequest { lease: 7, ..put("k", "leased") })),
        Keys(Ask::Remaining(7)),
    ];
    let elsewhere = vec![Keys(Ask::Put(PutRequest { lease: 7, ..put("c", "leased") }))];
    let denied = vec![Keys(Ask::Put(PutRequest { lease: 7, ..put("k", "again") })), Keys(Ask::Revoke(7))];
    let open = vec![Members, Keys(Ask::Grant { id: 8, ttl: 600 }), Keys(Ask::Compact(2))];
    [
        same("alice", rows.clone()),
        same("root", rows.clone()),
        same(NOBODY, rows),
        same("root", inside.clone()),
        newer("alice", inside.clone()),
        newer(NOBODY, inside),
        same("alice", leases),
        same("root", elsewhere),
        same("alice", denied),
        newer("alice", vec![Keys(Ask::Remaining(7))]),
        same("root", vec![Keys(Ask::Revoke(7))]),
        newer(NOBODY, open),
        newer("alice", vec![Keys(Ask::Compact(3))]),
        same("alice", vec![Members]),
        same("root", vec![Members]),
    ]
    .concat()
}

/// What only root may, and what nobody may.
fn management() -> Vec<Row> {
    let rows = vec![
        UserAdd("bob", "pw"),
        UserList,
        UserGet("root"),
        UserDelete("bob"),
        UserPassword("bob", "other"),
        UserGrant("bob", "r"),
        UserRevoke("bob", "r"),
        RoleAdd("s"),
        RoleList,
        RoleGrant("s", (Type::Read, "a", "")),
        RoleRevoke("s", "a", ""),
        RoleDelete("s"),
        Enable,
    ];
    let own = vec![UserGet("alice"), RoleGet("r"), UserGet("missing"), RoleGet("missing")];
    let lockout = vec![UserDelete("root"), UserRevoke("root", "root"), RoleDelete("root")];
    [
        same("alice", rows.clone()),
        same(NOBODY, rows.clone()),
        same("alice", own),
        same("alice", vec![Disable]),
        same("root", lockout),
        same("root", rows),
    ]
    .concat()
}

fn after() -> Vec<Row> {
    let get = || Keys(Ask::Range(range("a", "")));
    [
        same("root", vec![UserPassword("alice", "other")]),
        same("alice", vec![get()]),
        same(NOBODY, vec![Authenticate("alice", "pw"), Authenticate("alice", "other")]),
        same("alice", vec![get()]),
        same("root", vec![RoleDelete("r"), UserGet("alice")]),
        same("alice", vec![get()]),
        same("root", vec![UserDelete("alice")]),
        same("alice", vec![get()]),
        same("root", vec![Disable]),
        newer("root", vec![Disable]),
        same(NOBODY, vec![get(), Authenticate("root", "pw"), UserList, RoleList]),
    ]
    .concat()
}

#[tokio::test]
async fn users_and_roles_are_etcds_word_for_word() {
    let Some(etcd) = Etcd::start() else {
        println!("skipped: etcd is not installed");
        return;
    };
    let mut ours = Cluster::prepare(1, &["--bcrypt-cost=4"]);
    ours.start_all().await;
    let theirs = Channel::from_shared(etcd.url.clone()).unwrap().connect_lazy();
    wait::until("etcd serves", PATIENCE, async || {
        KvClient::new(theirs.clone()).range(range("a", "")).await.ok()
    })
    .await;
    let mut ours = Side {
        channel: ours.members[0].client.channel().clone(),
        tokens: BTreeMap::new(),
        _runs: Some(ours),
    };
    let mut theirs = Side { channel: theirs, tokens: BTreeMap::new(), _runs: None };
    let mut wrong = Vec::new();
    for (number, (who, call, expected)) in table().into_iter().enumerate() {
        let (ours, theirs) = (ours.ask(who, call.clone()).await, theirs.ask(who, call.clone()).await);
        let is_as_expected = match expected {
            Expect::Same => ours == theirs,
            Expect::Newer => ours != theirs,
        };
        if !is_as_expected {
            let mut call = format!("{call:?}");
            call.truncate(300);
            wrong.push(format!(
                "{number}: {who:?} {call} ({expected:?})\n   ours: {ours}\n  etcd's: {theirs}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{} answers are not as expected:\n{}", wrong.len(), wrong.join("\n"));
}

/// One of the two stores, and the tokens that it has given.
struct Side {
    channel: Channel,
    tokens: BTreeMap<&'static str, String>,
    _runs: Option<Cluster>,
}

impl Side {
    fn by<T>(&self, who: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = if who == FORGER { Some("forged.1") } else { self.tokens.get(who).map(String::as_str) };
        if let Some(token) = token {
            request.metadata_mut().insert("token", token.parse().unwrap());
        }
        request
    }

    /// An answer as text, without what is a cluster's own.
    async fn ask(&mut self, who: &'static str, call: Call) -> String {
        let answer = match call {
            Keys(ask) => return self.keys(who, ask).await,
            Authenticate(name, password) => {
                let (user, password) = (name.to_owned(), password.to_owned());
                let asked = AuthenticateRequest { name: user, password };
                match AuthClient::new(self.channel.clone()).authenticate(asked).await {
                    Ok(reply) => {
                        self.tokens.insert(name, reply.into_inner().token);
                        Ok("a token".to_owned())
                    }
                    Err(status) => Err(status),
                }
            }
            Members => {
                let request = self.by(who, MemberListRequest { linearizable: false });
                let list = ClusterClient::new(self.channel.clone()).member_list(request).await;
                list.map(|reply| format!("{} members", reply.into_inner().members.len()))
            }
            call => self.auth(who, call).await,
        };
        answer.unwrap_or_else(|status| shown(&status))
    }

    async fn auth(&self, who: &str, call: Call) -> Result<String, Status> {
        let mut auth = AuthClient::new(self.channel.clone());
        let text = str::to_owned;
        macro_rules! ask {
            ($method:ident, $request:expr) => {
                auth.$method(self.by(who, $request)).await.map(|reply| reply.into_inner().header)
            };
        }
        let header = match call {
            Enable => ask!(auth_enable, AuthEnableRequest {}),
            Disable => ask!(auth_disable, AuthDisableRequest {}),
            UserAdd(name, password) => ask!(
                user_add,
                AuthUserAddRequest { name: text(name), password: text(password), ..Default::default() }
            ),
            UserAddWithoutPassword(name) => {
                let options = Some(UserAddOptions { no_password: true });
                ask!(user_add, AuthUserAddRequest { name: text(name), options, ..Default::default() })
            }
            UserGet(name) => {
                let reply = auth.user_get(self.by(who, AuthUserGetRequest { name: text(name) })).await?;
                return Ok(format!("{:?}", reply.into_inner().roles));
            }
            UserList => {
                let reply = auth.user_list(self.by(who, AuthUserListRequest {})).await?;
                return Ok(format!("{:?}", reply.into_inner().users));
            }
            UserDelete(name) => ask!(user_delete, AuthUserDeleteRequest { name: text(name) }),
            UserPassword(name, password) => ask!(
                user_change_password,
                AuthUserChangePasswordRequest {
                    name: text(name),
                    password: text(password),
                    ..Default::default()
                }
            ),
            UserGrant(user, role) => {
                ask!(user_grant_role, AuthUserGrantRoleRequest { user: text(user), role: text(role) })
            }
            UserRevoke(name, role) => {
                ask!(user_revoke_role, AuthUserRevokeRoleRequest { name: text(name), role: text(role) })
            }
            RoleAdd(name) => ask!(role_add, AuthRoleAddRequest { name: text(name) }),
            RoleGet(role) => {
                let reply = auth.role_get(self.by(who, AuthRoleGetRequest { role: text(role) })).await?;
                return Ok(format!("{:?}", reply.into_inner().perm));
            }
            RoleList => {
                let reply = auth.role_list(self.by(who, AuthRoleListRequest {})).await?;
                return Ok(format!("{:?}", reply.into_inner().roles));
            }
            RoleDelete(role) => ask!(role_delete, AuthRoleDeleteRequest { role: text(role) }),
            RoleGrant(name, (kind, key, end)) => {
                let perm =
                    Some(Permission { perm_type: kind.into(), key: key.into(), range_end: end.into() });
                ask!(role_grant_permission, AuthRoleGrantPermissionRequest { name: text(name), perm })
            }
            RoleRevoke(role, key, end) => ask!(
                role_revoke_permission,
                AuthRoleRevokePermissionRequest { role: text(role), key: key.into(), range_end: end.into() }
            ),
            Keys(_) | Authenticate(..) | Members => unreachable!("asked elsewhere"),
        };
        header.map(|header| format!("done at revision {}", header.unwrap().revision))
    }

    async fn keys(&self, who: &str, ask: Ask) -> String {
        let mut kv = KvClient::new(self.channel.clone());
        let mut lease = LeaseClient::new(self.channel.clone());
        macro_rules! told {
            ($reply:expr, $strip:expr) => {
                $reply.map(Response::into_inner).map(|mut reply| {
                    $strip(&mut reply);
                    format!("{reply:?}")
                })
            };
        }
        let answer = match ask {
            Ask::Range(asked) => {
                told!(kv.range(self.by(who, asked)).await, |reply: &mut RangeResponse| strip(
                    &mut reply.header
                ))
            }
            Ask::Put(asked) => {
                told!(kv.put(self.by(who, asked)).await, |reply: &mut PutResponse| strip(&mut reply.header))
            }
            Ask::Delete(asked) => {
                told!(kv.delete_range(self.by(who, asked)).await, |reply: &mut DeleteRangeResponse| strip(
                    &mut reply.header
                ))
            }
            Ask::Txn(asked) => told!(kv.txn(self.by(who, asked)).await, strip_txn),
            Ask::Compact(revision) => {
                let asked = CompactionRequest { revision, physical: false };
                kv.compact(self.by(who, asked)).await.map(|_| "compacted".to_owned())
            }
            Ask::Grant { id, ttl } => {
                let asked = LeaseGrantRequest { id, ttl };
                lease.lease_grant(self.by(who, asked)).await.map(|_| "granted".to_owned())
            }
            Ask::Revoke(id) => {
                let asked = LeaseRevokeRequest { id };
                lease.lease_revoke(self.by(who, asked)).await.map(|_| "revoked".to_owned())
            }
            Ask::Remaining(id) => {
                let asked = LeaseTimeToLiveRequest { id, keys: true };
                let reply = lease.lease_time_to_live(self.by(who, asked)).await;
                reply.map(|reply| format!("{:?}", reply.into_inner().keys))
            }
        };
        answer.unwrap_or_else(|status| shown(&status))
    }
}

fn shown(status: &Status) -> String {
    format!("{:?} {:?}", status.code(), status.message())
}
