//! Of what there has to be how much, or the node is under pressure: the kubelet's `--eviction-hard`.
//!
//! In: `SIGNAL<AMOUNT,...`. Out: a threshold for each signal. Pure. Deliberately absent: the signals of an image file
//! system of its own, soft thresholds.

use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity;

/// What there has to be left of something.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Threshold {
    /// Nothing is demanded.
    #[default]
    None,
    /// So much, in bytes or pieces.
    Amount(u64),
    /// Such a part of all that there is, in percent.
    Percent(f64),
}

impl Threshold {
    /// How much that is where there are `total`.
    pub(crate) fn of(self, total: u64) -> u64 {
        match self {
            Self::None => 0,
            Self::Amount(amount) => amount,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                clippy::cast_sign_loss,
                reason = "a part of an amount, as the kubelet rounds it"
            )]
            Self::Percent(percent) => (total as f64 * percent / 100.0) as u64,
        }
    }
}

/// What there has to be left of everything that is watched. The default is the kubelet's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EvictionThresholds {
    pub(crate) memory: Threshold,
    pub(crate) disk: Threshold,
    pub(crate) inodes: Threshold,
    pub(crate) pids: Threshold,
}

/// Where the threshold of a signal is kept.
type Slot = fn(&mut EvictionThresholds) -> &mut Threshold;

/// What can be watched, by the kubelet's names.
const SIGNALS: [(&str, Slot); 4] = [
    ("memory.available", |all| &mut all.memory),
    ("nodefs.available", |all| &mut all.disk),
    ("nodefs.inodesFree", |all| &mut all.inodes),
    ("pid.available", |all| &mut all.pids),
];

impl EvictionThresholds {
    const NONE: Self = Self {
        memory: Threshold::None,
        disk: Threshold::None,
        inodes: Threshold::None,
        pids: Threshold::None,
    };
}

impl Default for EvictionThresholds {
    fn default() -> Self {
        Self {
            memory: Threshold::Amount(100 << 20),
            disk: Threshold::Percent(10.0),
            inodes: Threshold::Percent(5.0),
            pids: Threshold::None,
        }
    }
}

/// The text of `--eviction-hard`, for help and for command lines.
impl fmt::Display for EvictionThresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut copy = *self;
        let mut comma = "";
        for (signal, threshold) in SIGNALS {
            let amount = match *threshold(&mut copy) {
                Threshold::None => continue,
                Threshold::Amount(amount) => quantity::of_bytes(amount).0,
                Threshold::Percent(percent) => format!("{percent}%"),
            };
            write!(f, "{comma}{signal}<{amount}")?;
            comma = ",";
        }
        Ok(())
    }
}

impl FromStr for EvictionThresholds {
    type Err = String;

    /// What is not named is not demanded, as the kubelet has it: giving one signal gives up the others' defaults.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::NONE;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (signal, amount) = part.split_once('<').ok_or_else(|| {
                format!("{part:?} is not of the form SIGNAL<AMOUNT, as nodefs.available<10%")
            })?;
            let (_, threshold) = SIGNALS.iter().find(|(name, _)| *name == signal).ok_or_else(|| {
                let known = SIGNALS.map(|(name, _)| name).join(", ");
                format!("{signal:?} is not watched here: use {known}")
            })?;
            let slot = threshold(&mut all);
            if *slot != Threshold::None {
                return Err(format!("{signal} is there twice"));
            }
            *slot = read_amount(amount).ok_or_else(|| {
                format!("{amount:?} is no amount of {signal}: write a quantity, as 1Gi, or a part, as 10%")
            })?;
        }
        Ok(all)
    }
}

/// Nothing and less than nothing demand nothing.
fn read_amount(text: &str) -> Option<Threshold> {
    let Some(percent) = text.strip_suffix('%') else {
        let units = quantity::checked_units(&Quantity(text.to_owned()))?;
        return Some(u64::try_from(units).map_or(Threshold::None, Threshold::Amount));
    };
    let percent: f64 = percent.parse().ok()?;
    match percent {
        0.0 => Some(Threshold::None),
        _ => (percent > 0.0 && percent <= 100.0).then_some(Threshold::Percent(percent)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> EvictionThresholds {
        text.parse().unwrap()
    }

    #[test]
    fn the_default_is_written_as_it_is_read() {
        let default = EvictionThresholds::default();
        assert_eq!(default.to_string(), "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%");
        assert_eq!(read(&default.to_string()), default);
    }

    #[test]
    fn what_is_not_named_is_not_demanded() {
        assert_eq!(read(""), EvictionThresholds::NONE);
        let disk = read(" nodefs.available<1Gi, ");
        assert_eq!(disk, EvictionThresholds { disk: Threshold::Amount(1 << 30), ..EvictionThresholds::NONE });
        assert_eq!(
            read("nodefs.available<0%,memory.available<0"),
            EvictionThresholds { memory: Threshold::Amount(0), ..EvictionThresholds::NONE }
        );
        assert_eq!(read("pid.available<2.5%").pids.of(1000), 25);
    }

    #[test]
    fn nonsense_is_refused_with_what_to_write() {
        let refused = |text: &str| text.parse::<EvictionThresholds>().unwrap_err();
        for (text, words) in [
            ("memory.available=1Gi", "is not of the form"),
            ("imagefs.available<15%", "use memory.available, nodefs.available"),
            ("memory.available<much", "write a quantity"),
            ("memory.available<101%", "write a quantity"),
            ("memory.available<-1%", "write a quantity"),
            ("memory.available<NaN%", "write a quantity"),
            ("pid.available<1,pid.available<2", "twice"),
        ] {
            assert!(refused(text).contains(words), "{text}: {}", refused(text));
        }
    }
}
