//! Names that nobody else has: uids of objects, ids of tokens, audit ids.

use ring::rand::{SecureRandom, SystemRandom};

/// A random UUID (version 4) in its usual form.
pub fn random() -> String {
    let mut bytes = [0; 16];
    // It fails only where the operating system has no randomness, and nothing can be done safely without.
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    form(bytes)
}

fn form(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = |range: std::ops::Range<usize>| -> String {
        bytes[range].iter().map(|byte| format!("{byte:02x}")).collect()
    };
    format!("{}-{}-{}-{}-{}", hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_variant_are_marked() {
        assert_eq!(form([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(form([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(random(), random());
    }
}
