//! Ranges of addresses, and how the cluster's range is cut into one block per node.
//!
//! In: `10.244.0.0/16` and the length of a block's prefix. Out: blocks by number, and which of them a range overlaps.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A range of addresses: `10.244.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cidr {
    /// The first address.
    first: IpAddr,
    length: u8,
}

/// Why a text names no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a range of addresses")]
pub(crate) struct NoCidr;

impl Cidr {
    fn bits(address: IpAddr) -> u8 {
        if address.is_ipv4() { 32 } else { 128 }
    }

    /// The range of this length around an address; `None` if there is no such length.
    fn around(address: IpAddr, length: u8) -> Option<Self> {
        let free = Self::bits(address).checked_sub(length)?;
        let number = number(address).checked_shr(free.into()).unwrap_or(0);
        let first = number.checked_shl(free.into()).unwrap_or(0);
        Some(Self { first: address_of(first, address.is_ipv4()), length })
    }

    /// Whether all addresses are of the 32-bit kind.
    pub(super) fn is_ipv4(self) -> bool {
        self.first.is_ipv4()
    }

    /// The first and the last address, as numbers.
    fn numbers(self) -> (u128, u128) {
        let first = number(self.first);
        let size = 1_u128.checked_shl((Self::bits(self.first) - self.length).into()).unwrap_or(0);
        // The range of all addresses wraps around to the last.
        (first, first.wrapping_add(size).wrapping_sub(1))
    }

    /// Whether an address is one of the range.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        Self::around(address, Self::bits(address)).is_some_and(|alone| self.overlaps(alone))
    }

    /// Whether the two have addresses in common.
    pub(super) fn overlaps(self, other: Self) -> bool {
        let (from, to) = self.numbers();
        let (other_from, other_to) = other.numbers();
        self.is_ipv4() == other.is_ipv4() && from <= other_to && other_from <= to
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address_of(number: u128, is_ipv4: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(short) if is_ipv4 => Ipv4Addr::from(short).into(),
        _ => Ipv6Addr::from(number).into(),
    }
}

impl FromStr for Cidr {
    type Err = NoCidr;

    /// Reads a range; of an address inside it, the range.
    fn from_str(text: &str) -> Result<Self, NoCidr> {
        let (address, length) = text.split_once('/').ok_or(NoCidr)?;
        let address = address.parse().map_err(|_| NoCidr)?;
        Self::around(address, length.parse().map_err(|_| NoCidr)?).ok_or(NoCidr)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

/// One of the cluster's ranges, cut into blocks of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pool {
    range: Cidr,
    block_length: u8,
}

/// Why a range cannot be cut so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PoolError {
    /// The block is no part of the range.
    #[error(
        "the blocks of nodes (/{block}) must be smaller than the cluster's range {range}: choose a longer mask"
    )]
    TooLarge {
        /// The range.
        range: Cidr,
        /// The prefix length of a block.
        block: u8,
    },
    /// As upstream, whose bit map would become too large.
    #[error("{range} holds more than 65,536 blocks of /{block}: choose a shorter mask or a smaller range")]
    TooMany {
        /// The range.
        range: Cidr,
        /// The prefix length of a block.
        block: u8,
    },
}

impl Pool {
    /// The range in blocks with prefixes of this length.
    pub(super) fn new(range: Cidr, block: u8) -> Result<Self, PoolError> {
        match block.checked_sub(range.length) {
            Some(_) if block > Cidr::bits(range.first) => Err(PoolError::TooLarge { range, block }),
            None => Err(PoolError::TooLarge { range, block }),
            Some(17..) => Err(PoolError::TooMany { range, block }),
            Some(_) => Ok(Self { range, block_length: block }),
        }
    }

    /// Whether its addresses are of the 32-bit kind.
    pub(super) fn is_ipv4(self) -> bool {
        self.range.is_ipv4()
    }

    /// How many blocks there are.
    pub(super) fn len(self) -> u32 {
        1 << (self.block_length - self.range.length)
    }

    /// The block with this number, counted around.
    pub(super) fn block(self, at: u32) -> Cidr {
        let free = Cidr::bits(self.range.first) - self.block_length;
        let offset = u128::from(at % self.len()).checked_shl(free.into()).unwrap_or(0);
        let first = address_of(number(self.range.first) + offset, self.range.is_ipv4());
        Cidr { first, length: self.block_length }
    }

    /// Whether it is one of the blocks.
    pub(super) fn has(self, block: Cidr) -> bool {
        block.length == self.block_length && self.range.overlaps(block)
    }

    /// The numbers of the blocks that a range overlaps.
    pub(super) fn numbers(self, range: Cidr) -> Option<RangeInclusive<u32>> {
        if !self.range.overlaps(range) {
            return None;
        }
        let free = Cidr::bits(self.range.first) - self.block_length;
        let (start, end) = self.range.numbers();
        let (from, to) = range.numbers();
        let at = |address: u128| {
            u32::try_from((address.clamp(start, end) - start).checked_shr(free.into()).unwrap_or(0))
        };
        Some(at(from).ok()?..=at(to).ok()?)
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in blocks of /{}", self.range, self.block_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_read_and_told_in_canonical_form() {
        for (text, canonical) in [
            ("10.244.0.0/16", "10.244.0.0/16"),
            ("10.244.3.7/16", "10.244.0.0/16"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1/32", "192.0.2.1/32"),
            ("fd00:0:0::1/64", "fd00::/64"),
            ("::/0", "::/0"),
            ("::1/128", "::1/128"),
        ] {
            assert_eq!(cidr(text).to_string(), canonical);
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/-1", "10.0.0/8", "a/8"] {
            assert_eq!(text.parse::<Cidr>(), Err(NoCidr), "{text}");
        }
    }

    #[test]
    fn ranges_overlap_if_one_holds_the_other() {
        assert!(cidr("10.0.0.0/8").overlaps(cidr("10.244.1.0/24")));
        assert!(cidr("10.244.1.0/24").overlaps(cidr("10.244.1.128/25")));
        assert!(!cidr("10.244.1.0/24").overlaps(cidr("10.244.2.0/24")));
        assert!(!cidr("0.0.0.0/0").overlaps(cidr("::/0")), "the families have nothing in common");
        assert!(cidr("::/0").overlaps(cidr("fd00::/8")));
    }

    #[test]
    fn a_pool_counts_its_blocks_around() {
        let pool = Pool::new(cidr("10.244.0.0/16"), 24).unwrap();
        assert_eq!(pool.len(), 256);
        assert_eq!(pool.block(0), cidr("10.244.0.0/24"));
        assert_eq!(pool.block(255), cidr("10.244.255.0/24"));
        assert_eq!(pool.block(256), cidr("10.244.0.0/24"));
        assert!(pool.has(cidr("10.244.7.0/24")));
        assert!(!pool.has(cidr("10.244.0.0/25")) && !pool.has(cidr("10.1.0.0/24")));
        assert_eq!(pool.numbers(cidr("10.244.2.0/23")), Some(2..=3));
        assert_eq!(pool.numbers(cidr("10.244.2.64/26")), Some(2..=2));
        assert_eq!(pool.numbers(cidr("10.0.0.0/8")), Some(0..=255));
        assert_eq!(pool.numbers(cidr("10.1.0.0/24")), None);
        let six = Pool::new(cidr("fd00:10:244::/56"), 64).unwrap();
        assert_eq!(six.block(255), cidr("fd00:10:244:ff::/64"));
        assert_eq!(six.numbers(cidr("fd00:10:244:ff::/64")), Some(255..=255));
    }

    #[test]
    fn a_pool_has_from_one_to_65536_blocks() {
        let new = |range: &str, block| Pool::new(cidr(range), block).map(Pool::len);
        assert_eq!(new("10.244.0.0/24", 24), Ok(1));
        assert_eq!(new("10.0.0.0/8", 24), Ok(65_536));
        assert!(matches!(new("10.0.0.0/7", 24), Err(PoolError::TooMany { .. })));
        assert!(matches!(new("10.244.0.0/24", 16), Err(PoolError::TooLarge { .. })));
        assert!(matches!(new("10.244.0.0/24", 33), Err(PoolError::TooLarge { .. })));
    }
}
