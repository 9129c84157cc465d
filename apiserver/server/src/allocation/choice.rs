//! In which order free addresses and ports are looked for.
//!
//! Source: `calculateRangeOffset` of upstream's allocators (KEP-3070, KEP-3668).

use std::ops::Range;

/// How much of the lower end is left to clients that name what they want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Band(pub(super) u128);

impl Band {
    /// Of a range of `size` addresses: a sixteenth, from 16 to 256.
    pub(super) fn of_addresses(size: u128) -> Self {
        Self::of(size, 16, 256)
    }

    /// Of a range of `size` ports: a thirty-second, from 16 to 128.
    pub(super) fn of_ports(size: u128) -> Self {
        Self::of(size, 32, 128)
    }

    fn of(size: u128, part: u128, most: u128) -> Self {
        const LEAST: u128 = 16;
        if size <= LEAST { Self(0) } else { Self((size / part).clamp(LEAST, most)) }
    }
}

/// All offsets of a range, once each: those above the band first, beginning anywhere, then those in it.
pub(super) fn candidates(range: Range<u128>, band: Band, random: u64) -> impl Iterator<Item = u128> {
    let border = band.0.clamp(range.start, range.end);
    from_anywhere(border..range.end, random).chain(from_anywhere(range.start..border, random))
}

fn from_anywhere(range: Range<u128>, random: u64) -> impl Iterator<Item = u128> {
    let size = range.end - range.start;
    let start = range.start + u128::from(random).checked_rem(size).unwrap_or(0);
    (start..range.end).chain(range.start..start)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bands_are_upstreams() {
        // Upstream's own examples: /28, /24, /20, /16; and 30000-32767.
        assert_eq!([16, 256, 4096, 65_536].map(|size| Band::of_addresses(size).0), [0, 16, 256, 256]);
        assert_eq!(Band::of_ports(2768), Band(86));
    }

    proptest! {
        #[test]
        fn every_offset_comes_once_and_the_band_last(size in 0u128..600, random: u64) {
            let band = Band::of_addresses(size);
            let all: Vec<u128> = candidates(1..size.max(1), band, random).collect();
            prop_assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len());
            prop_assert_eq!(all.len() as u128, size.saturating_sub(1));
            let above = all.iter().take_while(|offset| **offset >= band.0).count();
            prop_assert!(all[above..].iter().all(|offset| *offset < band.0));
        }
    }
}
