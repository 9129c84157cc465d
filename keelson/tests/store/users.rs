//! What members know of users, roles and tokens survives whatever keys survive.

use keelson_proto::etcd::rpc::auth_client::AuthClient;
use keelson_proto::etcd::rpc::kv_client::KvClient;
use keelson_proto::etcd::rpc::{
    AuthEnableRequest, AuthRoleAddRequest, AuthUserAddRequest, AuthUserGrantRoleRequest, AuthenticateRequest,
    PutRequest, RangeRequest,
};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::certificates::Shown;
use crate::client::Client;
use crate::cluster::{Cluster, Member};
use crate::process;
use crate::wait::{self, PATIENCE};

const CHEAP: &str = "--bcrypt-cost=4";

/// Makes root and switches authentication on.
async fn enable(channel: &Channel) {
    let mut auth = AuthClient::new(channel.clone());
    let root = || "root".to_owned();
    let user = AuthUserAddRequest { name: root(), password: "pw".to_owned(), ..Default::default() };
    auth.user_add(user).await.unwrap();
    auth.role_add(AuthRoleAddRequest { name: root() }).await.unwrap();
    auth.user_grant_role(AuthUserGrantRoleRequest { user: root(), role: root() }).await.unwrap();
    auth.auth_enable(AuthEnableRequest {}).await.unwrap();
}

async fn token(channel: &Channel) -> Result<String, Status> {
    let asked = AuthenticateRequest { name: "root".to_owned(), password: "pw".to_owned() };
    Ok(AuthClient::new(channel.clone()).authenticate(asked).await?.into_inner().token)
}

async fn put(channel: &Channel, token: Option<&str>, value: &str) -> Result<(), Status> {
    let value = value.to_owned().into();
    let mut request = Request::new(PutRequest { key: "k".into(), value, ..PutRequest::default() });
    if let Some(token) = token {
        request.metadata_mut().insert("token", token.parse().unwrap());
    }
    KvClient::new(channel.clone()).put(request).await.map(drop)
}

fn channel(member: &Member) -> &Channel {
    member.client.channel()
}

#[tokio::test]
async fn a_token_is_understood_by_all_members_after_the_leader_has_died_and_all_were_restarted() {
    let mut cluster = Cluster::start_with(&[CHEAP]).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    enable(channel(&cluster.members[follower])).await;
    let token = token(channel(&cluster.members[follower])).await.unwrap();
    // At once, on every member, also where it was not made and is perhaps not yet applied.
    for member in &cluster.members {
        put(channel(member), Some(&token), member.name).await.unwrap();
        let denied = put(channel(member), None, "nobody's").await.unwrap_err();
        assert_eq!(
            (denied.code(), denied.message()),
            (Code::InvalidArgument, "etcdserver: user name is empty")
        );
    }
    cluster.members[leader].kill();
    wait::until("those that are left write", PATIENCE, async || {
        put(channel(&cluster.members[follower]), Some(&token), "after the leader").await.ok()
    })
    .await;
    for member in &mut cluster.members {
        if member.runs() {
            member.kill();
        }
        member.start();
    }
    for member in &cluster.members {
        wait::until("it writes after its restart", PATIENCE, async || {
            put(channel(member), Some(&token), "after all").await.ok()
        })
        .await;
        assert_eq!(put(channel(member), None, "nobody's").await.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn users_are_in_snapshots_and_in_backups_and_old_tokens_are_void_in_what_is_restored() {
    let mut cluster = Cluster::prepare(1, &[CHEAP]);
    let backup = cluster.folder.path().join("backup");
    cluster.members[0].set_flag("--backup-dir", &backup.display().to_string());
    cluster.start_all().await;
    cluster.members[0].client.put("k", "v").await.unwrap();
    enable(channel(&cluster.members[0])).await;
    let old = token(channel(&cluster.members[0])).await.unwrap();

    let file = cluster.folder.path().join("saved");
    let mut save = ["store", "snapshot", "save"].map(str::to_owned).to_vec();
    save.push(file.display().to_string());
    save.extend(cluster.client_flags(&cluster.members[..]));
    assert!(!cluster.members[0].process().printed().contains(&old), "a token is in the log");
    let denied = process::run(&save);
    assert!(String::from_utf8_lossy(&denied.stderr).contains("user name is empty"), "{denied:?}");
    save.push("--user=root:pw".to_owned());
    let saved = process::run(&save);
    assert!(saved.status.success(), "{saved:?}");
    let mut status = ["store", "status", "--user=root:pw"].map(str::to_owned).to_vec();
    status.extend(cluster.client_flags(&cluster.members[..]));
    let told = process::run(&status);
    assert!(told.status.success(), "{told:?}");

    // Nothing but users and roles was changed since the backup's last key.
    wait::until("they are written down", PATIENCE, async || {
        let files =
            std::fs::read_dir(&backup).ok()?.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|file| file.windows(4).any(|part| part == b"$2a$")).then_some(())
    })
    .await;
    for from in [file, backup] {
        cluster.members[0].kill();
        std::fs::remove_dir_all(&cluster.members[0].data_dir).unwrap();
        let restored = process::run(&restore(&cluster.members[0], &from.display().to_string()));
        assert!(restored.status.success(), "{restored:?}");
        cluster.members[0].start();
        let channel = channel(&cluster.members[0]).clone();
        wait::until("it serves, and not for the old token", PATIENCE, async || {
            put(&channel, Some(&old), "x").await.err().filter(|denied| denied.code() == Code::Unauthenticated)
        })
        .await;
        let token = token(&channel).await.unwrap();
        put(&channel, Some(&token), "restored").await.unwrap();
    }
}

#[tokio::test]
async fn the_name_in_a_certificate_is_that_of_a_user_where_certificates_are_demanded() {
    let mut cluster = Cluster::prepare(1, &[CHEAP, "--client-cert-auth"]);
    cluster.start_all().await;
    let channel = channel(&cluster.members[0]).clone();
    enable(&channel).await;
    put(&channel, None, "by certificate").await.unwrap();
    // A token comes first.
    let wrong = put(&channel, Some("forged"), "by token").await.unwrap_err();
    assert_eq!(wrong.code(), Code::Unauthenticated, "{wrong:?}");
    let nameless = Client::new(cluster.members[0].client_url(), cluster.pki.client_tls(Shown::PeerOf("a")));
    let read = RangeRequest { key: "k".into(), ..RangeRequest::default() };
    assert!(KvClient::new(nameless.channel().clone()).range(read).await.is_err(), "of another authority");
}

fn restore(member: &Member, from: &str) -> Vec<String> {
    let mut arguments = ["store", "snapshot", "restore"].map(str::to_owned).to_vec();
    arguments.extend([
        from.to_owned(),
        format!("--name={}", member.name),
        format!("--data-dir={}", member.data_dir.display()),
        format!("--initial-cluster={}={}", member.name, member.peer_url()),
        format!("--initial-advertise-peer-urls={}", member.peer_url()),
        format!("--advertise-client-urls={}", member.client_url()),
    ]);
    arguments
}
