//! Kernels that are wrong on purpose, one mistake each, and what must come of
//! them. A mistake that nobody notices here would go unnoticed in a kernel.

use cairn::backend::kernels::{Element, HostArray, KernelSpec, Verdict, overall, selftest};

use super::runner::{Ability, EmuRunner};
use super::samples::{ADD, MEAN, TRANSPOSE, port};

/// The verdict on a kernel, over all its calls.
fn verdict(runner: &EmuRunner, spec: &KernelSpec) -> Verdict {
    let lines = selftest(runner, &[spec], 1, &mut |_| {});
    overall(&lines, spec.name)
}

fn differs(name: &'static str, spec: KernelSpec) {
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    let spec = KernelSpec { name, ..spec };
    assert_eq!(verdict(&runner, &spec), Verdict::Differs, "{name}");
}

/// `reasons`: what the reason must contain, all of them.
fn fails(name: &'static str, spec: KernelSpec, reasons: &[&str]) {
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    let spec = KernelSpec { name, ..spec };
    match verdict(&runner, &spec) {
        Verdict::Failed(reason) => {
            for part in reasons {
                assert!(reason.contains(part), "{name}: {reason}");
            }
        }
        other => panic!("{name}: {other}"),
    }
}

/// Whether the compiler helps to see such mistakes; if not, the runner said so.
fn sees(ability: Ability) -> bool {
    EmuRunner::new().is_some_and(|runner| runner.has(ability))
}

const fn add(source: &'static str) -> KernelSpec {
    KernelSpec { source, ..ADD }
}

#[test]
fn a_wrong_index_differs() {
    differs(
        "wrong_index",
        add("uint i = thread_position_in_grid.x; out[i] = a[i] + b[i / 2];"),
    );
}

#[test]
fn an_output_that_is_not_written_differs() {
    differs(
        "unwritten",
        add("uint i = thread_position_in_grid.x; if (i != 50) out[i] = a[i] + b[i];"),
    );
}

#[test]
fn threadgroup_memory_that_is_not_written_differs() {
    let source = "
threadgroup float kept[64];
uint i = thread_position_in_grid.x, mine = thread_index_in_threadgroup;
kept[mine] = mine == 1 ? kept[mine] : a[i];
out[i] = kept[mine] + b[i];";
    differs("unwritten_threadgroup", add(source));
}

/// Not even by what the group before left there.
#[test]
fn threadgroup_memory_does_not_outlive_its_group() {
    let source = "
threadgroup float kept[64];
uint i = thread_position_in_grid.x, mine = thread_index_in_threadgroup;
if (threadgroup_position_in_grid.x != 1) kept[mine] = 0.0f;
out[i] = kept[mine] + a[i] + b[i];";
    differs("stale_threadgroup", add(source));
}

#[test]
fn a_local_that_is_not_written_differs() {
    if !sees(Ability::Patterns) {
        return;
    }
    let source = "
float kept[2]; uint i = thread_position_in_grid.x;
if (i % 2 == 0) kept[0] = a[i];
out[i] = kept[0] + b[i];";
    differs("unwritten_local", add(source));
}

#[test]
fn reading_past_an_input_fails() {
    if !sees(Ability::Bounds) {
        return;
    }
    fails(
        "read_past",
        add("uint i = thread_position_in_grid.x; out[i] = a[i] + b[i + 1];"),
        &["read_past.metal:1"],
    );
}

#[test]
fn reading_before_an_input_fails() {
    if !sees(Ability::Bounds) {
        return;
    }
    fails(
        "read_before",
        add("uint i = thread_position_in_grid.x; out[i] = a[i] + b[int(i) - 1];"),
        &["read_before.metal:1"],
    );
}

#[test]
fn reading_far_outside_fails() {
    fails(
        "read_far",
        add("uint i = thread_position_in_grid.x; out[i] = a[i] + b[i + 100000];"),
        &["outside an array"],
    );
}

#[test]
fn writing_past_an_output_fails() {
    if !sees(Ability::Bounds) {
        return;
    }
    fails(
        "write_past",
        add("uint i = thread_position_in_grid.x; out[i + 1] = a[i] + b[i]; out[0] = a[0] + b[0];"),
        &["write_past.metal:1"],
    );
}

#[test]
fn writing_to_an_input_fails() {
    fails(
        "write_input",
        add(
            "uint i = thread_position_in_grid.x; out[i] = a[i] + b[i]; ((device float*)a)[i] = 0.0f;",
        ),
        &["a write to an input"],
    );
}

#[test]
fn leaving_a_threadgroup_array_fails() {
    if !sees(Ability::Bounds) {
        return;
    }
    let source = "
threadgroup float kept[64];
uint i = thread_position_in_grid.x, mine = thread_index_in_threadgroup;
kept[mine + 1] = a[i];
out[i] = kept[mine + 1] + b[i];";
    fails(
        "threadgroup_past",
        add(source),
        &["overflow", "threadgroup_past.metal:4"],
    );
}

#[test]
fn leaving_a_local_array_fails() {
    if !sees(Ability::Bounds) {
        return;
    }
    let source = "
uint i = thread_position_in_grid.x; float kept[4];
for (uint n = 0; n <= 4; n++) kept[n] = a[i];
out[i] = kept[i % 4] + b[i];";
    fails("local_past", add(source), &["local_past.metal:3"]);
}

#[test]
fn shifting_out_of_a_word_fails() {
    if !sees(Ability::Undefined) {
        return;
    }
    fails(
        "shift",
        add("uint i = thread_position_in_grid.x; out[i] = a[i] + b[i] * float(1u << (i + 1));"),
        &["shift exponent", "shift.metal:1"],
    );
}

#[test]
fn a_missing_barrier_fails() {
    let source = TRANSPOSE
        .source
        .replace("threadgroup_barrier(mem_flags::mem_threadgroup);", "");
    let source: &'static str = source.leak();
    let spec = KernelSpec {
        source,
        ..TRANSPOSE
    };
    fails("no_barrier", spec, &["order"]);
}

#[test]
fn a_race_for_one_element_fails() {
    let source = "
threadgroup float last[1];
uint i = thread_position_in_grid.x;
last[0] = a[i] + b[i];
threadgroup_barrier(mem_flags::mem_threadgroup);
out[i] = last[0];";
    fails("lost_update", add(source), &["order"]);
}

#[test]
fn a_barrier_that_some_threads_skip_fails() {
    let source = "
uint i = thread_position_in_grid.x;
if (i % 64 < 40) {
  threadgroup_barrier(mem_flags::mem_none);
}
out[i] = a[i] + b[i];";
    fails("skipped_barrier", add(source), &["skipped_barrier.metal:4"]);
}

#[test]
fn two_barriers_that_meet_fail() {
    let source = "
uint i = thread_position_in_grid.x;
if (i % 2 == 0) {
  threadgroup_barrier(mem_flags::mem_none);
} else {
  threadgroup_barrier(mem_flags::mem_none);
}
out[i] = a[i] + b[i];";
    fails(
        "two_barriers",
        add(source),
        &["divergent", "two_barriers.metal:4", "two_barriers.metal:6"],
    );
}

#[test]
fn a_simd_function_that_some_lanes_skip_fails() {
    let source = MEAN.source.replace(
        "float sum = simd_sum",
        "if (lane > 20) return;\nfloat sum = simd_sum",
    );
    let spec = KernelSpec {
        source: source.leak(),
        ..MEAN
    };
    fails("skipped_simd", spec, &["skipped_simd.metal:5"]);
}

#[test]
fn two_simd_functions_that_meet_fail() {
    let source = "
uint i = thread_position_in_grid.x;
float x = 0.0f;
if (i % 2 == 0) {
  x = simd_sum(a[i]);
} else {
  x = simd_max(a[i]);
}
out[i] = x;";
    fails("two_simd", add(source), &["divergent", "two_simd.metal:5"]);
}

/// A shuffle from a lane that a partial simdgroup does not have is NaN.
#[test]
fn a_shuffle_from_a_missing_lane_differs() {
    let source = "
uint i = thread_position_in_grid.x;
float beside = simd_shuffle_xor(a[i], 1);
out[i] = a[i] + b[i] + beside * 0.0f;";
    differs("missing_lane", add(source));
}

#[test]
fn a_matrix_in_part_of_a_simdgroup_fails() {
    let source = "
uint i = thread_position_in_grid.x;
simdgroup_float8x8 m = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
simdgroup_multiply(m, m, m);
out[i] = a[i] + b[i];";
    fails("partial_matrix", add(source), &["part of a simdgroup"]);
}

#[test]
fn too_much_threadgroup_memory_fails() {
    let source = "
threadgroup float kept[4096];
threadgroup float more[4097];
uint i = thread_position_in_grid.x;
kept[0] = more[0] = 0.0f;
out[i] = a[i] + b[i];";
    fails("too_much", add(source), &["32 KiB"]);
}

#[test]
fn too_many_threads_fail() {
    let spec = KernelSpec {
        threadgroup: |_| [1025, 1, 1],
        ..ADD
    };
    fails("too_many", spec, &["1024 threads"]);
}

#[test]
fn what_does_not_compile_fails() {
    fails(
        "nonsense",
        add("uint i = thread_position_in_grid.x; out[i] = nothing[i];"),
        &["does not compile", "nonsense.metal:1", "nothing"],
    );
}

#[test]
fn what_does_not_end_fails() {
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    let spec = KernelSpec {
        name: "endless",
        shapes: &[&[("N", 64)]],
        supports: |dims| dims.get("N") == 64,
        ..add("uint i = thread_position_in_grid.x; while (a[i] == a[i]) out[i] = b[i];")
    };
    match verdict(&runner.with_limit(1), &spec) {
        Verdict::Failed(reason) => assert!(reason.contains("seconds"), "{reason}"),
        other => panic!("{other}"),
    }
}

/// Mistakes in a spec rather than in its text.
#[test]
fn a_spec_that_contradicts_itself_fails() {
    let unsupported = KernelSpec {
        supports: |dims| dims.get("N") != 64,
        ..ADD
    };
    fails("unsupported", unsupported, &["does not support"]);
    const MISTYPED: KernelSpec = KernelSpec {
        outputs: &[port("out", &[Element::F16], &["N"])],
        ..ADD
    };
    fails("mistyped", MISTYPED, &["output out is F32"]);
    let idle = KernelSpec {
        grid: |_| [0, 1, 1],
        ..ADD
    };
    fails("idle", idle, &["empty grid"]);
    let missing = KernelSpec {
        random_inputs: |_, _| vec![HostArray::f32(&[1], vec![1.0])],
        ..ADD
    };
    fails("missing", missing, &["1 inputs, not 2"]);
}
