//! Every rule, with small memberships: voters 1, 2, 3, learner 4 called to vote, learner 5 not, a place 6 at `u6`.

use super::*;

const TOKEN: &str = "t";

fn id(number: u64) -> ReplicaId {
    ReplicaId::new(number)
}

fn member(number: u64) -> Member {
    let name = if number == 6 { String::new() } else { format!("m{number}") };
    let calling = if number == 5 { Calling::Learner } else { Calling::Voter };
    Member { name, peer_urls: vec![format!("u{number}")], client_urls: vec![], calling, place: None }
}

fn of(configs: &[&[u64]], learners: &[u64]) -> Membership {
    let voters: Vec<BTreeSet<ReplicaId>> =
        configs.iter().map(|set| set.iter().copied().map(id).collect()).collect();
    let all = configs.iter().copied().flatten().chain(learners);
    Membership::new(voters, all.map(|number| (id(*number), member(*number))).collect::<BTreeMap<_, _>>())
        .unwrap()
}

/// Leader 1, and these alive and near.
fn health(alive: &[u64]) -> Health {
    let ids: BTreeSet<ReplicaId> = alive.iter().copied().map(id).collect();
    Health { leader: id(1), alive: ids.clone(), near: ids }
}

fn planned(alive: &[u64], change: &Change) -> Result<Step, Refusal> {
    plan(&of(&[&[1, 2, 3]], &[4, 5, 6]), &health(alive), TOKEN, change)
}

fn joining(number: u64, url: &str) -> Change {
    let member = Member { peer_urls: vec![url.to_owned()], ..member(number) };
    Change::Join { replica: id(number), member, token: TOKEN.to_owned() }
}

#[test]
fn a_disk_comes_in_as_a_learner_and_asking_twice_is_the_same() {
    let added = planned(&[2, 3], &joining(7, "u7")).unwrap();
    assert_eq!(added, add(id(7), member(7)));
    assert_eq!(planned(&[2, 3], &joining(4, "u4")), Ok(Step::Nothing));
}

#[test]
fn a_disk_takes_the_place_that_was_kept_for_its_url_with_its_calling() {
    let Ok(Step::Change(ChangeMembers::Batch(steps))) = planned(&[2, 3], &joining(7, "u6")) else {
        panic!("a place is kept at u6")
    };
    let came = Member { peer_urls: vec!["u6".into()], place: Some(id(6)), ..member(7) };
    let expected = [
        ChangeMembers::AddNodes(BTreeMap::from([(id(7), came)])),
        ChangeMembers::RemoveNodes(BTreeSet::from([id(6)])),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn another_disk_under_a_members_name_is_refused_and_so_is_another_token() {
    let wiped = Change::Join { replica: id(9), member: member(3), token: TOKEN.to_owned() };
    let refused = planned(&[2, 3], &wiped).unwrap_err();
    assert_eq!(refused, Refusal::MemberExists { name: "m3".into(), known: 3 });
    let foreign = Change::Join { replica: id(7), member: member(7), token: "other".to_owned() };
    assert_eq!(planned(&[2, 3], &foreign), Err(Refusal::Token));
    assert_eq!(planned(&[2, 3], &joining(7, "u2")), Err(Refusal::PeerUrlExists));
}

#[test]
fn a_voter_is_made_only_of_a_learner_that_is_there_and_has_caught_up() {
    let promote = |alive: &[u64], number| planned(alive, &Change::Promote(id(number)));
    assert_eq!(promote(&[2, 3, 5], 5), Ok(Step::Change(ChangeMembers::AddVoterIds([id(5)].into()))));
    assert_eq!(promote(&[2, 3], 5), Err(Refusal::LearnerNotReady));
    assert_eq!(promote(&[2, 3], 2), Err(Refusal::NotLearner));
    assert_eq!(promote(&[2, 3], 9), Err(Refusal::NotFound));
    let behind = Health { near: BTreeSet::new(), ..health(&[2, 3, 5]) };
    let membership = of(&[&[1, 2, 3]], &[5]);
    assert_eq!(plan(&membership, &behind, TOKEN, &Change::Promote(id(5))), Err(Refusal::LearnerNotReady));
}

#[test]
fn a_voter_goes_only_if_a_majority_of_the_others_is_there() {
    let remove = |alive: &[u64], number| planned(alive, &Change::Remove(id(number)));
    assert_eq!(remove(&[2], 3), Ok(Step::Change(ChangeMembers::RemoveVoters([id(3)].into()))));
    assert_eq!(remove(&[2], 2), Err(Refusal::NotEnoughStarted), "1 and a dead 3 would be left");
    assert_eq!(remove(&[2], 5), Ok(Step::Change(ChangeMembers::RemoveNodes([id(5)].into()))));
    assert_eq!(remove(&[2], 9), Err(Refusal::NotFound));
    let alone = plan(&of(&[&[1]], &[]), &health(&[]), TOKEN, &Change::Remove(id(1)));
    assert_eq!(alone, Err(Refusal::NotEnoughStarted), "the last one stays");
}

#[test]
fn a_place_is_kept_at_urls_that_nobody_has() {
    let place = Member { name: String::new(), ..member(8) };
    let keep = |urls: &str| {
        let member = Member { peer_urls: vec![urls.to_owned()], ..place.clone() };
        planned(&[2, 3], &Change::Add { place: id(8), member })
    };
    assert_eq!(keep("u8"), Ok(add(id(8), Member { peer_urls: vec!["u8".into()], ..place.clone() })));
    assert_eq!(keep("u1"), Err(Refusal::PeerUrlExists));
    assert_eq!(keep("u6"), Err(Refusal::PeerUrlExists));
}

#[test]
fn whoever_kept_a_place_may_go_on_naming_it() {
    let mut nodes: BTreeMap<ReplicaId, Member> = (1..=3).map(|number| (id(number), member(number))).collect();
    nodes.insert(id(5), Member { place: Some(id(6)), ..member(5) });
    let membership = Membership::new(vec![[id(1), id(2), id(3)].into()], nodes).unwrap();
    let planned = |change| plan(&membership, &health(&[2, 3, 5]), TOKEN, &change);
    let promoted = ChangeMembers::AddVoterIds([id(5)].into());
    assert_eq!(planned(Change::Promote(id(6))), Ok(Step::Change(promoted)));
    let removed = ChangeMembers::RemoveNodes([id(5)].into());
    assert_eq!(planned(Change::Remove(id(6))), Ok(Step::Change(removed)));
    let same = Change::Update { replica: id(6), peer_urls: vec!["u5".into()] };
    assert_eq!(planned(same), Ok(Step::Nothing));
    assert_eq!(planned(Change::Remove(id(7))), Err(Refusal::NotFound));
}

#[test]
fn a_member_moves_to_urls_that_nobody_else_has() {
    let update = |number, url: &str| {
        planned(&[2, 3], &Change::Update { replica: id(number), peer_urls: vec![url.to_owned()] })
    };
    let moved = Member { peer_urls: vec!["new".into()], ..member(2) };
    assert_eq!(update(2, "new"), Ok(Step::Change(ChangeMembers::SetNodes(BTreeMap::from([(id(2), moved)])))));
    assert_eq!(update(2, "u2"), Ok(Step::Nothing));
    assert_eq!(update(2, "u3"), Err(Refusal::PeerUrlExists));
    assert_eq!(update(9, "new"), Err(Refusal::NotFound));
}

#[test]
fn a_member_says_itself_where_clients_reach_it() {
    let announce = |number, urls: &[&str]| {
        let client_urls = urls.iter().map(|url| (*url).to_owned()).collect();
        planned(&[2, 3], &Change::Announce { replica: id(number), client_urls })
    };
    let moved = Member { client_urls: vec!["c".into()], ..member(2) };
    let change = ChangeMembers::SetNodes(BTreeMap::from([(id(2), moved)]));
    assert_eq!(announce(2, &["c"]), Ok(Step::Change(change)));
    assert_eq!(announce(2, &[]), Ok(Step::Nothing), "it has none already");
    assert_eq!(announce(9, &["c"]), Err(Refusal::NotFound));
}

#[test]
fn a_change_that_is_half_done_is_completed_first() {
    let joint = of(&[&[1, 2, 3], &[1, 2]], &[]);
    let change = Change::Remove(id(2));
    assert_eq!(plan(&joint, &health(&[2, 3]), TOKEN, &change), Err(Refusal::InProgress));
    assert_eq!(upkeep(&joint, &health(&[2, 3])), Some(ChangeMembers::AddVoterIds(BTreeSet::new())));
}

#[test]
fn learners_that_are_called_become_voters_by_themselves() {
    let kept_up = |alive: &[u64]| upkeep(&of(&[&[1, 2, 3]], &[4, 5, 6]), &health(alive));
    assert_eq!(kept_up(&[2, 3, 4, 5, 6]), Some(ChangeMembers::AddVoterIds([id(4)].into())));
    assert_eq!(kept_up(&[2, 3, 5, 6]), None, "neither the one that stays a learner nor a place");
    assert_eq!(kept_up(&[4]), None, "two of four would be no majority");
    let alone = upkeep(&of(&[&[1]], &[4]), &health(&[4]));
    assert_eq!(alone, Some(ChangeMembers::AddVoterIds([id(4)].into())));
}

#[test]
fn a_leader_that_was_removed_calls_nobody_any_more() {
    let ready = health(&[2, 3, 4]);
    assert!(upkeep(&of(&[&[1, 2, 3]], &[4]), &ready).is_some());
    assert_eq!(upkeep(&of(&[&[2, 3]], &[4]), &ready), None);
    assert!(!ready.may_change(&of(&[&[2, 3]], &[4])));
}
