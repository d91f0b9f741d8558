//! The MXTQ sidecar: signs and codebooks as the converter computed them. They
//! are computed here too; a sidecar is only compared, because a difference
//! means that the weights were encoded with other tables than these.

use std::collections::HashMap;
use std::sync::Arc;

use crate::quant::MxtqTables;

use super::error::{CONVERT_AGAIN, Error};
use super::index::SIDECAR;
use super::shard::{self, Dtype};
use super::storage::Storage;

/// Compares the sidecar, if there is one, with `used`: the tables by width and
/// bits. Entries for other widths are ignored: a converter writes a wrong
/// width for 3 bits.
pub(super) fn compare(
    storage: &Storage,
    used: &HashMap<(usize, u32), Arc<MxtqTables>>,
    seed: u64,
) -> Result<(), Error> {
    if used.is_empty() {
        return Ok(());
    }
    let Some(bytes) = storage.open(SIDECAR)? else {
        return Ok(());
    };
    let entries = shard::read(SIDECAR, &bytes)?;
    for entry in entries {
        let mut parts = entry.name.split('.');
        let kind = parts.next();
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (n, last) = (number(), number());
        let (Some(n), Some(last)) = (n, last) else {
            continue;
        };
        let expected = match kind {
            Some("signs") => {
                let tables = used.iter().find(|((width, _), _)| *width as u64 == n);
                if tables.is_some() && last != seed {
                    let problem = format!("is of seed {last}, but the bundle's is {seed}");
                    return Err(Error::tensor(SIDECAR, &entry.name, problem, CONVERT_AGAIN));
                }
                tables.map(|(_, tables)| &tables.signs)
            }
            Some("codebook") => used
                .iter()
                .find(|((width, bits), _)| *width as u64 == n && u64::from(*bits) == last)
                .map(|(_, tables)| &tables.codebook),
            _ => None,
        };
        let Some(expected) = expected else { continue };
        let differs =
            |problem: String| Err(Error::tensor(SIDECAR, &entry.name, problem, CONVERT_AGAIN));
        if entry.dtype != Dtype::F32 || entry.shape != [expected.len()] {
            return differs(format!(
                "is {} of {}, expected [{}] of F32",
                shard::dims(&entry.shape),
                entry.dtype,
                expected.len()
            ));
        }
        let stored = bytes[entry.range.clone()].as_chunks::<4>().0;
        let same = |(a, b): &(&[u8; 4], &f32)| **a == b.to_le_bytes();
        if let Some(at) = stored.iter().zip(expected).position(|pair| !same(&pair)) {
            let stored = f32::from_le_bytes(stored[at]);
            return differs(format!(
                "element {at} is {stored}, but the format defines {}",
                expected[at]
            ));
        }
    }
    Ok(())
}
