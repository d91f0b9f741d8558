//! The self-test in a build with MLX.

use super::{Bench, By, on_cpu, printed};
use crate::agent::Exit;
use crate::backend::kernels::{ALL, Key, Record, Runner};
use crate::backend::mlx::{Session, version};
use crate::cli::folders;

pub fn preferred() -> Exit {
    run()
}

/// If MLX can't start, on the CPU: a conversation would go on there, too.
pub fn run() -> Exit {
    let session = match Session::start() {
        Ok(session) => session,
        Err(reason) => return on_cpu(&format!("on the CPU backend, since {reason}")),
    };
    let fallbacks = session.fallbacks();
    let Some(metal) = session.metal() else {
        let device = fallbacks.device();
        return printed(Bench {
            title: format!("on {device}: no Metal here, so what replaces its kernels is tested"),
            by: By::Fallback,
            runner: &fallbacks,
            fallback: None,
            record: None,
        });
    };
    let (device, system) = (metal.device(), version());
    let cache = folders::cache();
    let key = Key::new(&device, &system, ALL);
    printed(Bench {
        title: format!("on {device}, {system}"),
        by: By::Kernel,
        runner: &metal,
        fallback: Some(&fallbacks),
        record: Some(Record::fresh(cache.as_deref(), key)),
    })
}
