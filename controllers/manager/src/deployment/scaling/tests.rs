//! What is promised of the deployment scaling, shown by example.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::samples::{at, deployment, recreate, rolling, set};
use super::*;

/// The sizes after a deployment was scaled, the new set's first, the older ones after it.
fn scaled(from: i32, to: i32, surge: i32, sizes: &[i32]) -> Vec<i64> {
    let mut deployment = deployment("v9", to);
    deployment.spec.strategy = Some(rolling(IntOrString::Int(surge), IntOrString::Int(1)));
    let sets: Vec<_> = sizes
        .iter()
        .enumerate()
        .map(|(age, size)| {
            let number = 9 - i64::try_from(age).unwrap();
            let mut set = set(&format!("v{number}"), number, from, *size, *size);
            let annotations = std::sync::Arc::make_mut(&mut set).metadata.annotations.as_mut().unwrap();
            annotations.insert(MAX_REPLICAS.into(), (from + surge).to_string());
            set
        })
        .collect();
    let mut rollout = Rollout::begin(&deployment, &sets, at(100));
    scale(&mut rollout);
    let old = rollout.old.iter().rev();
    rollout.new.iter().chain(old).map(Draft::replicas).collect()
}

#[test]
fn the_only_set_with_pods_gets_the_number() {
    assert_eq!(scaled(10, 12, 0, &[10]), [12]);
    assert_eq!(scaled(10, 5, 0, &[10, 0]), [5, 0]);
    assert_eq!(scaled(10, 5, 0, &[0, 10]), [0, 5], "even if it is an old one");
    assert_eq!(scaled(0, 3, 0, &[0, 0]), [3, 0], "without any, the new one gets it");
}

#[test]
fn several_sets_share_it_in_proportion() {
    assert_eq!(scaled(5, 10, 0, &[2, 3]), [4, 6]);
    assert_eq!(scaled(5, 3, 0, &[2, 3]), [1, 2]);
    assert_eq!(scaled(9, 4, 0, &[8, 1]), [4, 0]);
    assert_eq!(scaled(7, 10, 0, &[2, 3, 2]), [3, 4, 3]);
    assert_eq!(scaled(13, 8, 0, &[2, 8, 3]), [1, 5, 2]);
    assert_eq!(scaled(10, 15, 3, &[5, 8]), [7, 11]);
    assert_eq!(scaled(10, 0, 3, &[3, 8]), [0, 0], "nothing surges where nothing is wanted");
}

#[test]
fn what_is_left_over_goes_to_the_largest_then_to_the_newest_or_from_the_oldest() {
    assert_eq!(scaled(3, 4, 0, &[1, 1, 1]), [2, 1, 1]);
    assert_eq!(scaled(3, 2, 0, &[1, 1, 1]), [1, 1, 0]);
    assert_eq!(scaled(3, 5, 0, &[1, 1, 1]), [2, 2, 1]);
    assert_eq!(scaled(4, 5, 0, &[1, 2, 1]), [1, 3, 1]);
    assert_eq!(scaled(10, 20, 5, &[7, 6]), [15, 10], "room that was not used before is left over as well");
}

#[test]
fn an_annotation_that_makes_no_sense_is_passed_over() {
    let mut deployment = deployment("v9", 6);
    deployment.status.get_or_insert_default().replicas = Some(3);
    let mut sets = [set("v9", 9, 3, 2, 2), set("v8", 8, 3, 1, 1)];
    for set in &mut sets {
        let annotations = std::sync::Arc::make_mut(set).metadata.annotations.as_mut().unwrap();
        annotations.insert(MAX_REPLICAS.into(), i64::MAX.to_string());
    }
    let mut rollout = Rollout::begin(&deployment, &sets, at(100));
    let total = rollout.max_total();
    scale(&mut rollout);
    assert_eq!(rollout.total(), total);
}

#[test]
fn a_saturated_new_set_leaves_nothing_to_others() {
    assert_eq!(scaled(3, 3, 1, &[3, 2]), [3, 0]);
}

#[test]
fn where_all_old_pods_go_anyway_they_go_unless_it_is_paused() {
    let mut deployment = deployment("v2", 4);
    deployment.spec.strategy = Some(recreate());
    let sets = [set("v2", 2, 3, 1, 1), set("v1", 1, 3, 2, 2)];
    let sizes = |deployment: &Deployment| {
        let mut rollout = Rollout::begin(deployment, &sets, at(100));
        scale(&mut rollout);
        rollout.sets().map(Draft::replicas).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&deployment), [0, 1]);
    deployment.spec.paused = Some(true);
    assert_eq!(sizes(&deployment), [2, 1]);
}

#[test]
fn halves_are_rounded_up() {
    let cases = [((1, 3), 0), ((1, 2), 1), ((2, 3), 1), ((3, 2), 2), ((4, 2), 2)];
    for ((dividend, divisor), quotient) in cases {
        assert_eq!(rounded(dividend, divisor), quotient, "{dividend}/{divisor}");
    }
}
