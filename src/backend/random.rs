//! Randomness as a function of (seed, position): no generator has a state, so
//! the same position draws the same number after any fork, rollback or resume.

/// A number in `[0, 1)` with 53 random bits for a seed and an absolute token
/// position: two rounds of the splitmix64 finaliser over the pair.
pub fn uniform(seed: u64, position: u64) -> f64 {
    let bits = mix(mix(seed).wrapping_add(position));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

fn mix(a: u64) -> u64 {
    let mut z = a.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::uniform;

    #[test]
    fn spreads_over_the_unit_interval_and_differs_by_seed_and_position() {
        let mut buckets = [0u32; 10];
        for position in 0..10_000 {
            let u = uniform(7, position);
            assert!((0.0..1.0).contains(&u));
            buckets[(u * 10.0) as usize] += 1;
        }
        assert!(
            buckets.iter().all(|&n| (850..1150).contains(&n)),
            "{buckets:?}"
        );
        assert_ne!(uniform(1, 2), uniform(2, 1));
        assert_ne!(uniform(1, 2), uniform(1, 3));
    }
}
