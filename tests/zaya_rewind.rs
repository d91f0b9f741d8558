//! Long random histories on bundles as converters write them, on the CPU: after
//! each turn the sequence must give the bits of a fresh run of the same tokens.

#[path = "rewind/mod.rs"]
mod rewind;

use cairn::backend::KvDtype;
use cairn::backend::cpu::Precision;
use cairn::model::BackendKind;
use rewind::Subject;

fn subject(bundle: &'static str, kv: KvDtype) -> Subject {
    Subject {
        backend: BackendKind::Cpu,
        bundle,
        kv,
        tolerance: 0.0,
        precision: Precision::Fast,
    }
}

#[test]
fn every_position_can_be_returned_to() {
    for (bundle, kv) in [("JANGTQ_K", KvDtype::F16), ("MXFP4", KvDtype::F32)] {
        rewind::every_position_can_be_returned_to(&subject(bundle, kv), 200);
    }
}

#[test]
fn any_history_leaves_the_state_of_its_tokens() {
    for (bundle, kv, seed) in [
        ("JANGTQ_K", KvDtype::F16, 1),
        ("JANGTQ3", KvDtype::F16, 2),
        ("BF16", KvDtype::F32, 3),
    ] {
        rewind::any_history_leaves_the_state_of_its_tokens(&subject(bundle, kv), seed, 150);
    }
}

#[test]
fn a_piece_that_can_not_be_is_refused() {
    for kv in [KvDtype::F16, KvDtype::F32] {
        rewind::a_piece_that_can_not_be_is_refused(&subject("JANGTQ_K", kv));
    }
}

#[test]
fn a_refused_call_changes_nothing() {
    rewind::a_refused_call_changes_nothing(&subject("JANGTQ_K", KvDtype::F16));
}
