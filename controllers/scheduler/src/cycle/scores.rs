//! Which of the nodes that will do is the best.

use rand::RngExt;
use rand::rngs::SmallRng;

use crate::cache::{Cache, NodeSlot};
use crate::framework::Framework;
use crate::pod_info::PodInfo;

/// The node with the highest sum of weighted scores; among equals one by chance.
pub(super) fn best(
    framework: Framework,
    pod: &PodInfo,
    cache: &Cache,
    feasible: &[NodeSlot],
    random: &mut SmallRng,
) -> NodeSlot {
    let mut totals = vec![0i64; feasible.len()];
    let mut scores = Vec::with_capacity(feasible.len());
    for (_, (plugin, weight)) in framework.at(|row| row.pre_score) {
        let Some(scorer) = plugin.pre_score(pod, cache, feasible) else { continue };
        scores.clear();
        scores.extend(feasible.iter().map(|slot| scorer.score(cache.node(*slot))));
        scorer.normalize(&mut scores);
        totals.iter_mut().zip(&scores).for_each(|(total, score)| *total += weight * score);
    }
    feasible[draw(&totals, random)]
}

/// The place of the largest number; each of several equal ones is as likely as the others.
fn draw(totals: &[i64], random: &mut SmallRng) -> usize {
    let (mut winner, mut equals) = (0, 0u32);
    for (at, total) in totals.iter().enumerate() {
        match total.cmp(&totals[winner]) {
            std::cmp::Ordering::Greater => (winner, equals) = (at, 1),
            std::cmp::Ordering::Equal => {
                equals += 1;
                if random.random_range(0..equals) == 0 {
                    winner = at;
                }
            }
            std::cmp::Ordering::Less => {}
        }
    }
    winner
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_best_wins_and_equals_win_equally_often() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut wins = [0; 5];
        (0..3000).for_each(|_| wins[draw(&[7, 9, 9, 1, 9], &mut random)] += 1);
        assert_eq!((wins[0], wins[3]), (0, 0));
        assert!([1, 2, 4].iter().all(|at| (900..1100).contains(&wins[*at])), "{wins:?}");
    }
}
