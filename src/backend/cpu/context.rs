//! What every operation of the CPU backend works with.

use super::huge::Arena;
use super::level::Level;
use super::options::{CpuOptions, HeadSwitch, Instructions, Precision};
use super::pool::Pool;

pub(super) struct Context {
    /// Instructions to use.
    pub level: Level,
    /// Whether tiles of int8 may be multiplied in AMX.
    pub amx: bool,
    pub precision: Precision,
    pub head: HeadSwitch,
    pub pool: Pool,
    pub arena: Arena,
}

impl Context {
    /// # Errors
    /// If the threads can't be started.
    pub fn new(options: &CpuOptions) -> std::io::Result<Self> {
        let limit = options.instructions.unwrap_or(Instructions::Amx);
        Ok(Self {
            level: Level::detect(limit),
            amx: false,
            precision: options.precision,
            head: HeadSwitch::new(options.head),
            pool: Pool::new(options.threads)?,
            arena: Arena::default(),
        })
    }
}
