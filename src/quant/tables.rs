//! Computed MXTQ tables, kept for the life of the program: every layer and
//! expert of one width shares them, and a bundle asks for them hundreds of
//! times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{MXTQ_BITS, MxtqTables, codebook, signs};

type Key = (usize, u32, u64);

impl MxtqTables {
    /// The tables for rows of `n` inputs, codes of `bits` bits and the bundle's
    /// seed (42 so far, always).
    ///
    /// # Panics
    /// If `bits` is not one of [`MXTQ_BITS`]: the caller validates.
    pub fn new(n: usize, bits: u32, seed: u64) -> Arc<Self> {
        static CACHE: OnceLock<Mutex<HashMap<Key, Arc<MxtqTables>>>> = OnceLock::new();
        assert!(MXTQ_BITS.contains(&bits));
        let mut cache = CACHE
            .get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let tables = cache.entry((n, bits, seed)).or_insert_with(|| {
            Arc::new(Self {
                signs: signs(n, seed),
                codebook: codebook(n, bits),
            })
        });
        Arc::clone(tables)
    }
}
