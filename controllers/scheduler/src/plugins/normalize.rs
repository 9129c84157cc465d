//! Raw scores on the common scale.

use crate::framework::MAX_NODE_SCORE;

/// Which raw scores are good ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
}

/// The largest raw score becomes the best, or the worst; 0 becomes the other.
pub(super) fn normalize(scores: &mut [i64], better: Better) {
    let largest = scores.iter().copied().max().unwrap_or_default();
    for score in scores {
        let scaled = if largest == 0 { 0 } else { MAX_NODE_SCORE * *score / largest };
        *score = match better {
            Better::More => scaled,
            Better::Less => MAX_NODE_SCORE - scaled,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_raw_score_is_the_end_of_the_scale() {
        let normalized = |better| {
            let mut scores = [0, 1, 3];
            normalize(&mut scores, better);
            scores
        };
        assert_eq!(normalized(Better::More), [0, 33, 100]);
        assert_eq!(normalized(Better::Less), [100, 67, 0]);
        let mut nothing = [0, 0];
        normalize(&mut nothing, Better::Less);
        assert_eq!(nothing, [100, 100]);
    }
}
