//! Users, roles and tokens, as clients of etcd's service Auth use them.

use keelson_proto::etcd::{
    auth::{Permission, UserAddOptions, permission::Type},
    election::{LeaderRequest, election_client::ElectionClient},
    lock::{LockRequest, lock_client::LockClient},
    rpc::{
        AlarmRequest, AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest,
        AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, AuthStatusRequest,
        AuthUserAddRequest, AuthUserChangePasswordRequest, AuthUserGrantRoleRequest, AuthenticateRequest,
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseTimeToLiveRequest,
        MemberListRequest, RangeRequest, SnapshotRequest, StatusRequest, auth_client::AuthClient,
        cluster_client::ClusterClient, kv_client::KvClient, lease_client::LeaseClient,
        maintenance_client::MaintenanceClient,
    },
};
use tonic::{
    Code, Request, Status, metadata::MetadataValue, service::interceptor::InterceptedService,
    transport::Channel,
};

use super::{Served, assert_refused, put_request, watch::Watching, with_member};

const DENIED: &str = "etcdserver: permission denied";
const NOBODY: &str = "etcdserver: user name is empty";

type Shows<'t> = InterceptedService<Channel, Box<dyn FnMut(Request<()>) -> Result<Request<()>, Status> + 't>>;

/// Calls that show a token.
fn with_token<'t>(served: &Served, token: &'t str) -> Shows<'t> {
    InterceptedService::new(
        served.channel.clone(),
        Box::new(move |mut request: Request<()>| {
            request.metadata_mut().insert("token", MetadataValue::try_from(token).unwrap());
            Ok(request)
        }),
    )
}

async fn token(served: &Served, name: &str, password: &str) -> Result<String, Status> {
    let asked = AuthenticateRequest { name: name.to_owned(), password: password.to_owned() };
    AuthClient::new(served.channel.clone()).authenticate(asked).await.map(|reply| reply.into_inner().token)
}

/// A member with authentication on, the user root, and alice who may read and write `a/`. Their tokens.
async fn enabled(served: &Served) -> (String, String) {
    let mut auth = AuthClient::new(served.channel.clone());
    for name in ["root", "alice"] {
        let user =
            AuthUserAddRequest { name: name.to_owned(), password: format!("{name}'s"), ..Default::default() };
        auth.user_add(user).await.unwrap();
        auth.role_add(AuthRoleAddRequest { name: name.to_owned() }).await.unwrap();
        let grant = AuthUserGrantRoleRequest { user: name.to_owned(), role: name.to_owned() };
        auth.user_grant_role(grant).await.unwrap();
    }
    let perm = Permission { perm_type: Type::Readwrite.into(), key: "a/".into(), range_end: "a0".into() };
    let grant = AuthRoleGrantPermissionRequest { name: "alice".to_owned(), perm: Some(perm) };
    auth.role_grant_permission(grant).await.unwrap();
    auth.auth_enable(AuthEnableRequest {}).await.unwrap();
    (token(served, "root", "root's").await.unwrap(), token(served, "alice", "alice's").await.unwrap())
}

fn range(key: &str, end: &str) -> RangeRequest {
    RangeRequest { key: key.to_owned().into(), range_end: end.to_owned().into(), ..Default::default() }
}

#[test]
fn a_token_stands_for_its_user_until_the_password_changes_or_authentication_ends() {
    with_member(async |served| {
        let (root, alice) = enabled(&served).await;
        let mut kv = KvClient::new(with_token(&served, &alice));
        kv.put(put_request("a/1", "x")).await.unwrap();
        assert_refused(kv.put(put_request("b", "x")).await, Code::PermissionDenied, DENIED);
        assert_eq!(kv.range(range("a/", "a0")).await.unwrap().into_inner().kvs.len(), 1);
        let serializable = RangeRequest { serializable: true, ..range("", "\0") };
        assert_refused(
            kv.range(serializable).await,
            Code::InvalidArgument,
            "etcdserver: key is not provided",
        );
        assert_refused(kv.range(range("\0", "\0")).await, Code::PermissionDenied, DENIED);

        assert_refused(served.kv().put(put_request("a/1", "y")).await, Code::InvalidArgument, NOBODY);
        assert_refused(served.kv().range(range("a/1", "")).await, Code::InvalidArgument, NOBODY);
        let (before, after) = alice.split_at(alice.len() / 2);
        let other = if after.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{before}{other}{}", &after[1..]);
        let invalid = "etcdserver: invalid auth token";
        for wrong in [forged.as_str(), "", "simple.1"] {
            let mut kv = KvClient::new(with_token(&served, wrong));
            assert_refused(kv.range(range("a/1", "")).await, Code::Unauthenticated, invalid);
            assert_refused(kv.put(put_request("a/1", "")).await, Code::Unauthenticated, invalid);
        }
        let failed = "etcdserver: authentication failed, invalid user ID or password";
        for (name, password) in [("alice", "wrong"), ("mallory", "alice's")] {
            assert_refused(token(&served, name, password).await, Code::InvalidArgument, failed);
        }

        let mut auth = AuthClient::new(with_token(&served, &root));
        let changed = AuthUserChangePasswordRequest {
            name: "alice".to_owned(),
            password: "new".to_owned(),
            ..Default::default()
        };
        auth.user_change_password(changed).await.unwrap();
        assert_refused(kv.range(range("a/1", "")).await, Code::Unauthenticated, invalid);
        assert_refused(token(&served, "alice", "alice's").await, Code::InvalidArgument, failed);
        token(&served, "alice", "new").await.unwrap();

        auth.auth_disable(AuthDisableRequest {}).await.unwrap();
        served.put("b", "anyone").await;
        let off = "etcdserver: authentication is not enabled";
        assert_refused(token(&served, "alice", "new").await, Code::FailedPrecondition, off);
        AuthClient::new(served.channel.clone()).auth_enable(AuthEnableRequest {}).await.unwrap();
        let mut kv = KvClient::new(with_token(&served, &root));
        assert_refused(kv.range(range("b", "")).await, Code::Unauthenticated, invalid);
    });
}

#[test]
fn users_without_a_password_cannot_show_one_and_hashes_can_be_brought() {
    with_member(async |served| {
        let (root, _) = enabled(&served).await;
        let mut auth = AuthClient::new(with_token(&served, &root));
        let user = |name: &str| AuthUserAddRequest { name: name.to_owned(), ..Default::default() };
        let options = Some(UserAddOptions { no_password: true });
        auth.user_add(AuthUserAddRequest { options, ..user("certified") }).await.unwrap();
        let none = "auth: authentication failed, password was given for no password user";
        assert_refused(token(&served, "certified", "").await, Code::Unknown, none);
        // bcrypt of "brought", as another program has made it.
        let hash = bcrypt::hash("brought", 4).unwrap();
        let hashed_password = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash);
        auth.user_add(AuthUserAddRequest { hashed_password, ..user("bob") }).await.unwrap();
        token(&served, "bob", "brought").await.unwrap();
        let long = AuthUserAddRequest { password: "p".repeat(73), ..user("long") };
        let text = "bcrypt: password length exceeds 72 bytes";
        assert_refused(auth.user_add(long).await, Code::Unknown, text);
        let status = AuthClient::new(served.channel.clone()).auth_status(AuthStatusRequest {}).await;
        let status = status.unwrap().into_inner();
        assert!(status.enabled && status.auth_revision > 8, "{status:?}");
    });
}

#[test]
fn a_watch_ends_when_its_user_may_not_see_what_comes_next() {
    with_member(async |served| {
        // It began when anyone might watch everything.
        let mut anyones = Watching::start(&served, None).await;
        anyones.create(Watching::on("a/", "a0")).await;
        let (root, alice) = enabled(&served).await;
        let mut watching = Watching::start(&served, Some(&alice)).await;
        let created = watching.create(Watching::on("a/", "a0")).await;
        assert!(!created.canceled, "{created:?}");
        let refused = watching.create(Watching::on("a/", "\0")).await;
        let reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
        assert!(refused.canceled && refused.cancel_reason == reason, "{refused:?}");

        let mut kv = KvClient::new(with_token(&served, &root));
        kv.put(put_request("a/1", "x")).await.unwrap();
        assert_eq!(watching.next().await.events.len(), 1);
        let ended = anyones.next().await;
        assert!(ended.canceled && ended.cancel_reason.ends_with(NOBODY), "{ended:?}");

        let mut auth = AuthClient::new(with_token(&served, &root));
        let revoked = AuthRoleRevokePermissionRequest {
            role: "alice".to_owned(),
            key: "a/".into(),
            range_end: "a0".into(),
        };
        auth.role_revoke_permission(revoked).await.unwrap();
        kv.put(put_request("a/1", "secret")).await.unwrap();
        let ended = watching.next().await;
        assert!(ended.canceled && ended.events.is_empty() && ended.cancel_reason == reason, "{ended:?}");
    });
}

#[test]
fn what_is_about_leases_is_permitted_by_the_keys_that_hang_on_them() {
    with_member(async |served| {
        let (root, alice) = enabled(&served).await;
        let mut leases = LeaseClient::new(with_token(&served, &alice));
        leases.lease_grant(LeaseGrantRequest { id: 7, ttl: 60 }).await.unwrap();
        let mut kv = KvClient::new(with_token(&served, &alice));
        let mut put = put_request("a/1", "x");
        put.lease = 7;
        kv.put(put).await.unwrap();
        let asked = LeaseTimeToLiveRequest { id: 7, keys: true };
        assert_eq!(leases.lease_time_to_live(asked).await.unwrap().into_inner().keys, ["a/1"]);
        assert_eq!(leases.lease_leases(LeaseLeasesRequest {}).await.unwrap().into_inner().leases.len(), 1);

        let mut put = put_request("b", "x");
        put.lease = 7;
        KvClient::new(with_token(&served, &root)).put(put).await.unwrap();
        assert_refused(leases.lease_time_to_live(asked).await, Code::PermissionDenied, DENIED);
        assert_refused(leases.lease_leases(LeaseLeasesRequest {}).await, Code::PermissionDenied, DENIED);
        let renewals = tokio_stream::once(LeaseKeepAliveRequest { id: 7 });
        let mut renewed = leases.lease_keep_alive(renewals).await.unwrap().into_inner();
        assert_refused(renewed.message().await, Code::PermissionDenied, DENIED);
        let without_keys = LeaseTimeToLiveRequest { id: 7, keys: false };
        leases.lease_time_to_live(without_keys).await.unwrap();
        let nobodys = served.lease().lease_time_to_live(without_keys).await;
        assert_refused(nobodys, Code::InvalidArgument, NOBODY);
    });
}

#[test]
fn only_root_decides_about_the_cluster_and_only_users_learn_of_it() {
    with_member(async |served| {
        let (root, alice) = enabled(&served).await;
        let mut maintenance = MaintenanceClient::new(with_token(&served, &alice));
        maintenance.status(StatusRequest {}).await.unwrap();
        maintenance.alarm(AlarmRequest::default()).await.unwrap();
        assert_refused(maintenance.snapshot(SnapshotRequest {}).await, Code::PermissionDenied, DENIED);
        let mut cluster = ClusterClient::new(with_token(&served, &alice));
        let list = MemberListRequest { linearizable: true };
        cluster.member_list(list).await.unwrap();
        assert_refused(
            cluster.member_remove(keelson_proto::etcd::rpc::MemberRemoveRequest { id: 1 }).await,
            Code::PermissionDenied,
            DENIED,
        );
        assert_refused(served.maintenance().status(StatusRequest {}).await, Code::InvalidArgument, NOBODY);
        let mut nobody = ClusterClient::new(served.channel.clone());
        assert_refused(nobody.member_list(list).await, Code::InvalidArgument, NOBODY);
        MaintenanceClient::new(with_token(&served, &root)).snapshot(SnapshotRequest {}).await.unwrap();
    });
}

#[test]
fn locks_and_elections_are_keys_that_must_be_permitted() {
    with_member(async |served| {
        let (_, alice) = enabled(&served).await;
        let mut locks = LockClient::new(with_token(&served, &alice));
        let lock = |name: &'static str| LockRequest { name: name.into(), lease: 0 };
        locks.lock(lock("a/l")).await.unwrap();
        assert_refused(locks.lock(lock("b/l")).await, Code::Unknown, DENIED);
        let mut nobody = LockClient::new(served.channel.clone());
        assert_refused(nobody.lock(lock("a/m")).await, Code::Unknown, NOBODY);
        let mut elections = ElectionClient::new(with_token(&served, &alice));
        let of = |name: &'static str| LeaderRequest { name: name.into() };
        assert_refused(elections.leader(of("a/e")).await, Code::Unknown, "election: no leader");
        assert_refused(elections.leader(of("b/e")).await, Code::Unknown, DENIED);
        assert_refused(elections.observe(of("b/e")).await, Code::Unknown, DENIED);
    });
}
