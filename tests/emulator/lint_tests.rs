//! Each static check fires on text that is wrong in just that way, and none
//! does on text that is right.

use cairn::backend::kernels::{Dims, KernelSpec};

use super::lint::{FUNCTIONS, check, threadgroup_bytes};
use super::runner::EmuRunner;
use super::samples::{ADD, MATMUL, MEAN, TRANSPOSE};

fn complaints(header: &str, source: &str) -> Vec<String> {
    check(&KernelSpec {
        header: header.to_owned().leak(),
        source: source.to_owned().leak(),
        ..ADD
    })
}

/// Exactly one complaint, at that place and about that.
fn complains(header: &str, source: &str, place: &str, about: &str) {
    let found = complaints(header, source);
    assert!(
        found.len() == 1 && found[0].starts_with(place) && found[0].contains(about),
        "{header}{source}: {found:?}"
    );
}

#[test]
fn good_kernels_pass() {
    for spec in [&ADD, &MEAN, &TRANSPOSE, &MATMUL] {
        assert_eq!(check(spec), [""; 0], "{}", spec.name);
    }
}

#[test]
fn everything_that_kernels_need_passes() {
    let header = "
#include <metal_stdlib>
using namespace metal;
template <int BITS> struct Book {
  float c0, c1;
  template <typename L> Book(L levels, uint) : c0(levels[0]), c1(levels[1]) {}
  float at(uint word) const { return word & 1 ? c0 : c1; }
};
typedef float4 Four;
using Word = uint;
constant constexpr float THIRDS[2] = {1.0f / 3.0f, 2.0f / 3.0f};
template <int N = 2> int twice() { int n = N; return n * 2; }
inline Four four(const device float* p) { return *(const device Four*)p; }
template <int N, typename X> inline void fill(thread float* v, X x, threadgroup float* t) {
#pragma unroll
  for (int i = 0; i < N; i++) { v[i] = float(x[i * 2]) * t[i]; }
}
";
    let source = "
threadgroup float4 kept[4];
threadgroup float* flat = (threadgroup float*)kept;
const Book<2> book(a, thread_index_in_simdgroup);
float v[4];
fill<4>(v, a + 3 * 2, flat);
const device float* mine = out + 1 * 2;
uint i = thread_position_in_grid.x;
out[i] = metal::precise::exp(v[0] * book.at(i)) * 1e-3f + min(i, 3u) * (a[0] * b[0]) * (i << 2);
";
    assert_eq!(complaints(header, source), [""; 0]);
}

#[test]
fn pointers_need_an_address_space() {
    complains("", "float* p = 0;", "add.metal:1", "`float *`");
    complains("", "const float *p = 0;", "add.metal:1", "address space");
    complains(
        "",
        "\nuint* p = (device uint*)out;",
        "add.metal:2",
        "`uint *`",
    );
    complains("", "out[0] = *(float4*)out;", "add.metal:1", "`float4 *`");
    complains("void f(float& x) {}", "", "add.header.metal:1", "`float &`");
    complains(
        "template <typename T> void f(const T* x) {}",
        "",
        "add.header.metal:1",
        "`const T *`",
    );
    complains(
        "struct S { int x; };\nvoid f(S* s) {}",
        "",
        "add.header.metal:2",
        "`S *`",
    );
    complains("", "vec<float, 4>* p;", "add.metal:1", "address space");
}

#[test]
fn words_outside_the_subset() {
    complains("", "double x;", "add.metal:1", "`double`");
    complains("", "static int x;", "add.metal:1", "`static`");
    complains("", "goto end;", "add.metal:1", "`goto`");
    complains("", "throw 1;", "add.metal:1", "`throw`");
    complains("", "std::min(1, 2);", "add.metal:1", "`std`");
    complains("", "\n\nfloat x = 0.5;", "add.metal:3", "0.5f");
    complains("", "float x = 1e-5;", "add.metal:1", "1e-5f");
    complains("#include <vector>\n", "", "add.header.metal:1", "include");
    complains("#define F(x) x\n", "", "add.header.metal:1", "define");
}

#[test]
fn program_scope_is_constant() {
    let about = "values are `constant`";
    complains("constexpr int N = 4;\n", "", "add.header.metal:1", about);
    let list = "int f(int x) { int y = x; return y; }\nconst float T[2] = {1.0f, 2.0f};\n";
    complains(list, "", "add.header.metal:2", about);
}

#[test]
fn lambdas_function_pointers_and_recursion() {
    complains(
        "",
        "auto f = [](float x) { return x; };",
        "add.metal:1",
        "lambda",
    );
    complains("", "int (*f)(int);", "add.metal:1", "pointers to functions");
    complains(
        "int f(int x) { return x > 0 ? f(x - 1) : 0; }",
        "",
        "add.header.metal:1",
        "calls itself",
    );
    let both = complaints(
        "int g(int x);\nint f(int x) { return g(x); }\nint g(int x) { return f(x); }",
        "",
    );
    assert!(
        both.iter().any(|c| c.contains("`f` calls itself")),
        "{both:?}"
    );
}

#[test]
fn calls_outside_the_subset() {
    complains("", "out[0] = erf(a[0]);", "add.metal:1", "`erf`");
    complains(
        "",
        "out[0] = metal::fast::sinh(a[0]);",
        "add.metal:1",
        "`sinh`",
    );
    complains(
        "",
        "out[0] = quad_sum<float>(a[0]);",
        "add.metal:1",
        "`quad_sum`",
    );
    complains("", "out.push(3);", "add.metal:1", "`push`");
}

/// `ADD` is tested with one element as with a thousand.
#[test]
fn inputs_may_be_constant() {
    let header = "float f(const device float* x) { return x[0]; }\n";
    complains(
        header,
        "out[0] = f(a + 1);",
        "add.metal:1",
        "`a` comes as device or constant",
    );
    complains(
        "",
        "const device float* p = a + 1;",
        "add.metal:1",
        "`a` comes as",
    );
    let template = "template <typename X> float f(X x) { return x[0]; }\n";
    assert_eq!(complaints(template, "out[0] = f(a + 1) + f(b);"), [""; 0]);
    let elements = "out[0] = f(a[0]); const device float* p = out + 1;";
    assert_eq!(
        complaints("float f(float x) { return x; }\n", elements),
        [""; 0]
    );
    let large = KernelSpec {
        header,
        source: "out[0] = f(a + 1);",
        shapes: &[&[("N", 0)], &[("N", 8)]],
        ..ADD
    };
    assert_eq!(check(&large), [""; 0]);
}

#[test]
fn threadgroup_memory_is_counted() {
    let spec = KernelSpec {
        source: "constexpr int ROW = N + 1;
threadgroup float a1[ROW * 2][4]; threadgroup half3 b1[3];
threadgroup uint one;
threadgroup float* p = a1[0];",
        template: &["N"],
        ..ADD
    };
    let bytes = threadgroup_bytes(&spec, &Dims::new(&[("N", 10)]));
    assert_eq!(bytes, Ok(22 * 4 * 4 + 32 + 16));
    let found = check(&KernelSpec {
        shapes: &[&[("N", 10)], &[("N", 1023)], &[("N", 1024)]],
        ..spec
    });
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("32816 bytes") && found[0].contains("N=1023"));
    complains(
        "",
        "threadgroup float a1[count];",
        "add: line 1: a1",
        "[count]",
    );
    complains(
        "",
        "threadgroup Thing a1[2];",
        "add: line 1: a1",
        "how large",
    );
    complains(
        "",
        "threadgroup float a1[2], b1[2];",
        "add: line 1",
        "one threadgroup variable",
    );
    complains(
        "void f() { threadgroup float a1[2]; }",
        "",
        "add.header.metal",
        "kernel itself",
    );
}

/// The list of known functions is what the emulator in fact defines.
#[test]
fn the_emulator_defines_every_known_function() {
    let Some(runner) = EmuRunner::new() else {
        return;
    };
    let mut unit = String::from(
        "#include \"shim.hpp\"\nconst int msl_inputs = 0, msl_outputs = 0;
void msl_kernel(const msl::Array*, const msl::Array*, const msl::Attributes&) {\n",
    );
    for name in FUNCTIONS {
        unit.push_str(&format!("using metal::{name};\n"));
    }
    unit.push('}');
    runner.executable(&unit).unwrap();
}
