//! Which combinations of flags are taken, and that a refusal names the flag.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

const SECURE: &str = "--name a --listen-client-urls https://10.0.0.1:2379 --listen-peer-urls https://10.0.0.1:2380 \
    --cert-file s.crt --key-file s.key --trusted-ca-file c.crt --client-cert-auth \
    --peer-cert-file p.crt --peer-key-file p.key --peer-trusted-ca-file pc.crt --peer-client-cert-auth";
const PLAIN: &str =
    "--name a --listen-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380";

fn parse(line: &str) -> Result<MemberOptions, OptionsError> {
    MemberOptions::from_flags(flags(line), true)
}

fn flags(line: &str) -> Flags {
    let words = ["store"].into_iter().chain(line.split_whitespace());
    Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).flags
}

fn refused(line: &str) -> String {
    parse(line).expect_err(line).to_string()
}

fn url(text: &str) -> Endpoint {
    text.parse().unwrap()
}

#[test]
fn a_secure_member_of_three() {
    let cluster = "--initial-cluster a=https://10.0.0.1:2380,b=https://10.0.0.2:2380,c=https://10.0.0.3:2380";
    let options = parse(&format!("{SECURE} {cluster} --data-dir /var/lib/k --snapshot-count 500")).unwrap();
    assert_eq!(options.keep_behind_snapshot, 10_000);
    let few = parse(&format!("{PLAIN} --snapshot-catchup-entries 7")).unwrap();
    assert_eq!(few.keep_behind_snapshot, 7);
    assert_eq!(options.data_dir, PathBuf::from("/var/lib/k"));
    assert_eq!(options.snapshot_every, 500);
    assert_eq!(options.client.listen, ["10.0.0.1:2379".parse().unwrap()]);
    assert_eq!(options.client.advertise, [url("https://10.0.0.1:2379")]);
    assert_eq!(options.peer.listen, "10.0.0.1:2380".parse().unwrap());
    let client = ClientTls {
        certificate: "s.crt".into(),
        key: "s.key".into(),
        client_authority: Some("c.crt".into()),
    };
    assert_eq!(options.client.tls, Some(client));
    let peer =
        PeerFiles { certificate: "p.crt".into(), key: "p.key".into(), trusted_authority: "pc.crt".into() };
    assert_eq!(options.peer.tls, Some(peer));
    let names: Vec<&str> = options.initial_cluster.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(options.initial_cluster[2].1, url("https://10.0.0.3:2380"));
}

#[test]
fn a_plain_member_alone_founds_a_cluster_of_one() {
    let options = parse(PLAIN).unwrap();
    assert_eq!(options.client.tls, None);
    assert_eq!(options.peer.tls, None);
    assert_eq!(options.initial_cluster, [("a".to_owned(), url("http://127.0.0.1:2380"))]);
    assert_eq!(options.data_dir, PathBuf::from("a.etcd"));
}

#[test]
fn a_trusted_authority_alone_demands_client_certificates_as_in_etcd() {
    let options = parse(&SECURE.replace("--client-cert-auth", "")).unwrap();
    assert_eq!(options.client.tls.unwrap().client_authority, Some(PathBuf::from("c.crt")));
}

#[test]
fn clients_may_go_without_a_certificate_but_peers_may_not() {
    let options = parse(&SECURE.replace("--trusted-ca-file c.crt --client-cert-auth", "")).unwrap();
    assert_eq!(options.client.tls.unwrap().client_authority, None);
    let error = refused(&SECURE.replace("--peer-client-cert-auth", "--peer-client-cert-auth=false"));
    assert!(error.contains("--peer-client-cert-auth=false is not possible"), "{error}");
}

#[test]
fn missing_files_are_named() {
    for (given, flag) in [
        ("--cert-file s.crt", "--cert-file"),
        ("--key-file s.key", "--key-file"),
        ("--trusted-ca-file c.crt", "--trusted-ca-file"),
        ("--peer-cert-file p.crt", "--peer-cert-file"),
        ("--peer-key-file p.key", "--peer-key-file"),
        ("--peer-trusted-ca-file pc.crt", "--peer-trusted-ca-file"),
    ] {
        let error = refused(&SECURE.replacen(given, "", 1));
        assert!(error.contains(&format!("needs {flag}")), "{flag}: {error}");
        let error = refused(&format!("{PLAIN} {given}"));
        assert!(error.starts_with(&format!("{flag} is given, but")), "{flag}: {error}");
    }
}

#[test]
fn schemes_must_agree() {
    let mixed = PLAIN.replace("2379 ", "2379,https://127.0.0.1:2381 ");
    assert!(refused(&mixed).starts_with("--listen-client-urls mixes"));
    let error = refused(&format!("{PLAIN} --advertise-client-urls https://127.0.0.1:2379"));
    assert!(error.starts_with("--advertise-client-urls must use the same scheme as --listen-client-urls"));
}

#[test]
fn a_wildcard_can_be_listened_on_but_not_advertised() {
    let everywhere = PLAIN.replace("//127.0.0.1:2380", "//0.0.0.0:2380");
    assert!(refused(&everywhere).contains("--initial-advertise-peer-urls has http://0.0.0.0:2380"));
    let options = parse(&format!("{everywhere} --initial-advertise-peer-urls http://10.0.0.1:2380")).unwrap();
    assert_eq!(options.peer.listen, "0.0.0.0:2380".parse().unwrap());
    assert!(refused(&PLAIN.replace("127.0.0.1:2379", "host.example:2379")).contains("an IP address"));
}

#[test]
fn the_first_members_must_make_sense() {
    let with = |cluster: &str| refused(&format!("{PLAIN} --initial-cluster {cluster}"));
    assert!(with("a").contains("write each member as NAME=URL"));
    assert!(with("a=b").contains("is not a URL"));
    assert!(with("b=http://127.0.0.2:2380").contains("does not name this member, a"));
    assert!(with("a=http://127.0.0.9:2380").contains("not in --initial-advertise-peer-urls"));
    assert!(with("a=http://127.0.0.1:2380,a=http://127.0.0.1:2380").contains("names a twice"));
}

#[test]
fn first_members_that_make_no_sense_are_told_of_and_ignored_where_there_is_data() {
    let options = flags(&format!("{PLAIN} --initial-cluster b=http://127.0.0.2:2380"));
    let options = MemberOptions::from_flags(options, false).unwrap();
    assert_eq!(options.initial_cluster, []);
    assert!(options.notes[0].contains("does not name this member, a"), "{:?}", options.notes);
    assert!(options.notes[0].contains("It is ignored"), "{:?}", options.notes);
}

#[test]
fn whoever_joins_names_a_member_that_can_take_it_in() {
    let joining = format!("{PLAIN} --initial-cluster-state existing");
    assert!(refused(&joining).contains("nobody is named who could take this member in"));
    let named = "--initial-cluster a=http://127.0.0.1:2380,b=http://127.0.0.2:2380";
    assert_eq!(parse(&format!("{joining} {named}")).unwrap().beginning, Beginning::Joining);
    assert_eq!(parse(PLAIN).unwrap().beginning, Beginning::Founding);
}

#[test]
fn what_this_store_cannot_do_is_said() {
    let two = PLAIN.replace(":2380", ":2380,http://127.0.0.1:2390");
    assert_eq!(refused(&two), "--listen-peer-urls has 2 URLs: give one");
}

#[test]
fn clocks_that_would_flap_are_refused() {
    let with = |tuning: &str| refused(&format!("{PLAIN} {tuning}"));
    assert!(with("--heartbeat-interval 200").contains("at least 3 times"));
    assert!(with("--heartbeat-interval 0").starts_with("--heartbeat-interval is 0"));
    assert!(with("--election-timeout 60000").starts_with("--election-timeout is 60000"));
    assert!(with("--snapshot-count 0").starts_with("--snapshot-count is 0"));
}

#[test]
fn without_urls_there_are_etcds_and_a_note_of_it() {
    let options = parse("").unwrap();
    assert_eq!((options.name.as_str(), options.cluster_token.as_str()), ("default", "etcd-cluster"));
    assert_eq!(options.client.listen, ["127.0.0.1:2379".parse().unwrap()]);
    assert_eq!(options.peer.advertise, [url("http://localhost:2380")]);
    assert_eq!(options.notes.len(), 2, "{:?}", options.notes);
    assert!(options.notes[0].starts_with("--listen-client-urls is not given: http://localhost:2379"));
    assert_eq!(parse(PLAIN).unwrap().notes, [""; 0]);
}

#[test]
fn history_is_kept_by_time_or_by_revisions() {
    let kept = |flags: &str| parse(&format!("{PLAIN} {flags}")).map(|options| options.compaction);
    assert_eq!(kept(""), Ok(AutoCompaction::Off));
    let hours = |hours: u64| Ok(AutoCompaction::Periodic(Duration::from_secs(hours * 3600)));
    assert_eq!(kept("--auto-compaction-retention=8"), hours(8));
    assert_eq!(kept("--auto-compaction-retention=60m --auto-compaction-mode=periodic"), hours(1));
    let revisions = "--auto-compaction-mode=revision --auto-compaction-retention";
    assert_eq!(kept(&format!("{revisions}=1000")), Ok(AutoCompaction::Revisions(1000)));
    assert!(refused(&format!("{PLAIN} {revisions}=1h")).contains("is no number of revisions"));
    assert!(refused(&format!("{PLAIN} --auto-compaction-retention=soon")).contains("is no span of time"));
}

#[test]
fn metrics_have_doors_of_their_own() {
    let metrics = |flags: &str| parse(flags).map(|options| options.metrics);
    let plain = vec!["127.0.0.1:9".parse().unwrap()];
    let door = MetricsDoor { plain: plain.clone(), tls: Vec::new() };
    assert_eq!(metrics(&format!("{PLAIN} --listen-metrics-urls http://127.0.0.1:9")), Ok(door));
    let door = MetricsDoor { plain: Vec::new(), tls: plain };
    assert_eq!(metrics(&format!("{SECURE} --listen-metrics-urls https://127.0.0.1:9")), Ok(door));
    let error = refused(&format!("{PLAIN} --listen-metrics-urls https://127.0.0.1:9"));
    assert!(error.contains("no certificate to show"), "{error}");
}

#[test]
fn a_quota_of_nothing_or_less_is_none() {
    let quota = |given: &str| parse(&format!("{PLAIN} --quota-backend-bytes={given}")).unwrap().quota;
    assert_eq!([quota("0"), quota("-1"), quota("8589934592")], [None, None, Some(8 << 30)]);
}

#[test]
fn etcds_other_flags_are_noted_or_refused() {
    let options =
        parse(&format!("{PLAIN} --max-wals 5 --strict-reconfig-check --enable-pprof=false")).unwrap();
    assert_eq!(options.notes.len(), 3, "{:?}", options.notes);
    assert!(refused(&format!("{PLAIN} --auto-tls")).starts_with("--auto-tls=true is not possible here"));
}

#[test]
fn a_slow_write_a_pace_and_a_backup_that_ends_are_read() {
    let options = parse("--warning-apply-duration 250ms --snapshot-bytes-per-second 0").unwrap();
    assert_eq!((options.slow_write, options.snapshot_bytes_per_second), (Duration::from_millis(250), 0));
    assert_eq!(parse("--warning-apply-duration 2s").unwrap().slow_write, Duration::from_secs(2));
    let backup = parse("--backup-dir /b --backup-retention 48h").unwrap().backup.unwrap();
    assert_eq!(backup.keep, Some(Duration::from_secs(48 * 3600)));
    assert!(refused("--backup-retention 48h").contains("--backup-dir"));
}
