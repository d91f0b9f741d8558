//! What every operation of the CPU backend works with.

use super::cca::Rotary;
use super::huge::Arena;
use super::level::Level;
use super::options::{CpuOptions, Instructions, Precision};
use super::panels::Luts;
use super::pool::Pool;
use super::slab::Slabs;
use super::streams::Successors;
use crate::backend::available_memory;

pub(super) struct Context {
    /// Instructions to use.
    pub level: Level,
    /// Whether tiles of int8 may be multiplied in AMX.
    pub amx: bool,
    pub precision: Precision,
    pub pool: Pool,
    pub arena: Arena,
    pub successors: Successors,
    pub rotary: Rotary,
    pub luts: Luts,
    /// Where keys and values lie.
    pub slabs: Slabs,
}

impl Context {
    /// The instructions in use.
    pub fn instructions(&self) -> Instructions {
        match self.amx {
            true => Instructions::Amx,
            false => self.level.instructions(),
        }
    }

    /// # Errors
    /// If the threads can't be started.
    pub fn new(options: &CpuOptions) -> std::io::Result<Self> {
        let limit = options.instructions.unwrap_or(Instructions::Amx);
        let level = Level::detect(limit);
        Ok(Self {
            level,
            amx: limit >= Instructions::Amx && level.has_amx(),
            precision: options.precision,
            pool: Pool::new(options.threads)?,
            arena: Arena::new(weights_budget()),
            successors: Successors::default(),
            rotary: Rotary::default(),
            luts: Luts::default(),
            slabs: Slabs::default(),
        })
    }
}

/// Memory that is left for what is not weights: keys and values, activations.
const RESERVE: u64 = 768 << 20;

/// Bytes that weights may take.
fn weights_budget() -> usize {
    match available_memory() {
        Some(bytes) => usize::try_from(bytes.saturating_sub(RESERVE)).unwrap_or(usize::MAX),
        None => usize::MAX,
    }
}
