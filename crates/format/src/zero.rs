//! The test for zeroes, run over every byte that is read.

/// Tells whether all bytes are zero.
///
/// Real data fails in the first stretch, so that testing it costs next to nothing;
/// inside a stretch there is no branch, so that the compiler can use wide registers.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (stretches, tail) = bytes.as_chunks::<256>();
    stretches.iter().all(|stretch| {
        let (words, _) = stretch.as_chunks::<8>();
        words
            .iter()
            .fold(0, |acc, word| acc | u64::from_ne_bytes(*word))
            == 0
    }) && tail.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::is_zero;

    #[test]
    fn one_bit_anywhere_is_seen() {
        for len in [0, 1, 7, 8, 255, 256, 257, 4095, 4096] {
            let mut bytes = vec![0; len];
            assert!(is_zero(&bytes), "{len}");
            for at in 0..len {
                bytes[at] = 1;
                assert!(!is_zero(&bytes), "{len} at {at}");
                bytes[at] = 0;
            }
        }
    }
}
