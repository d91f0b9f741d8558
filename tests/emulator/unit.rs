//! A kernel as one C++ unit: its text as the body of a function whose signature
//! is the one that MLX 0.32.2 generates, and what the runtime calls.

use std::fmt::Write as _;

use cairn::backend::kernels::{Dims, Element, HostArray, KernelSpec};

use crate::emulator::tokens::{self, Kind};

/// Metal's thread attributes that the emulator has. A kernel gets those that
/// its text mentions, found as plain substrings, as MLX does.
pub const ATTRIBUTES: &[(&str, &str)] = &[
    ("dispatch_simdgroups_per_threadgroup", "uint"),
    ("dispatch_threads_per_threadgroup", "uint3"),
    ("simdgroup_index_in_threadgroup", "uint"),
    ("simdgroups_per_threadgroup", "uint"),
    ("thread_execution_width", "uint"),
    ("thread_index_in_simdgroup", "uint"),
    ("thread_index_in_threadgroup", "uint"),
    ("thread_position_in_grid", "uint3"),
    ("thread_position_in_threadgroup", "uint3"),
    ("threadgroup_position_in_grid", "uint3"),
    ("threadgroups_per_grid", "uint3"),
    ("threads_per_grid", "uint3"),
    ("threads_per_simdgroup", "uint"),
    ("threads_per_threadgroup", "uint3"),
];

/// What MLX calls an element type.
fn type_name(element: Element) -> &'static str {
    match element {
        Element::F32 => "float",
        Element::F16 => "float16_t",
        Element::Bf16 => "bfloat16_t",
        Element::U32 => "uint32_t",
    }
}

/// Everything that a compiled kernel depends on.
pub struct Unit {
    pub text: String,
}

/// # Errors
/// What in the kernel's text can't be turned into C++.
pub fn unit(spec: &KernelSpec, dims: &Dims, inputs: &[HostArray]) -> Result<Unit, String> {
    let elements: Vec<Element> = inputs.iter().map(HostArray::element).collect();
    // Whether an input comes as `constant` makes no difference to C++, so that
    // one unit serves calls of any number of rows.
    let spaces = vec!["device"; inputs.len()];
    let (parameters, arguments) = signature(spec, &elements, &spaces);
    let mut text = String::from("#include \"shim.hpp\"\n");
    text.push_str(&function(spec, &parameters, Purpose::Run)?);
    let _ = writeln!(text, "const int msl_inputs = {};", spec.inputs.len());
    let _ = writeln!(text, "const int msl_outputs = {};", spec.outputs.len());
    text.push_str(
        "void msl_kernel(const msl::Array* inputs, const msl::Array* outputs, \
         const msl::Attributes& attributes) {\n",
    );
    let template = template_arguments(spec, dims);
    let _ = writeln!(
        text,
        "  metal::text::run_{}{template}(\n    {});\n}}",
        spec.name,
        arguments.join(",\n    ")
    );
    Ok(Unit { text })
}

/// The same function for a compiler that knows address spaces, and a call of it
/// that makes the compiler look at every template it uses.
///
/// # Errors
/// As [`unit`].
pub fn typed_unit(
    spec: &KernelSpec,
    dims: &Dims,
    elements: &[Element],
    spaces: &[&str],
) -> Result<Unit, String> {
    let (parameters, _) = signature(spec, elements, spaces);
    let mut text = String::from("#include \"spaces.hpp\"\n");
    text.push_str(&function(spec, &parameters, Purpose::Check)?);
    let names: Vec<&str> = parameters
        .iter()
        .filter_map(|p| p.rsplit([' ', '*', '&']).next())
        .collect();
    let _ = writeln!(
        text,
        "void call(\n  {}) {{\n  metal::text::run_{}{}({});\n}}",
        parameters.join(",\n  "),
        spec.name,
        template_arguments(spec, dims),
        names.join(", ")
    );
    Ok(Unit { text })
}

fn template_arguments(spec: &KernelSpec, dims: &Dims) -> String {
    if spec.template.is_empty() {
        return String::new();
    }
    let values = spec.template.iter().map(|name| dims.get(name).to_string());
    format!("<{}>", values.collect::<Vec<_>>().join(", "))
}

/// The kernel as a function, after its header, in a namespace where the names
/// of Metal's library come first.
fn function(spec: &KernelSpec, parameters: &[String], purpose: Purpose) -> Result<String, String> {
    let name = spec.name;
    let header = translate(spec.header, purpose).map_err(|e| format!("{name}.header: {e}"))?;
    let source = translate(spec.source, purpose).map_err(|e| format!("{name}: {e}"))?;
    let mut text = String::from("namespace metal { namespace text {\n");
    let _ = writeln!(text, "#line 1 \"{name}.header.metal\"\n{header}");
    let _ = writeln!(text, "#line 1 \"signature of {name}\"");
    if !spec.template.is_empty() {
        let _ = writeln!(text, "template <int {}>", spec.template.join(", int "));
    }
    let parameters = parameters.join(",\n  ");
    let _ = writeln!(text, "static void run_{name}(\n  {parameters}) {{");
    let _ = writeln!(text, "#line 1 \"{name}.metal\"\n{source}\n}}\n}} }}");
    Ok(text)
}

/// Parameters, and the arguments that the runtime has for them. `spaces`: the
/// address space of each input.
fn signature(
    spec: &KernelSpec,
    elements: &[Element],
    spaces: &[&str],
) -> (Vec<String>, Vec<String>) {
    let (mut parameters, mut arguments) = (Vec::new(), Vec::new());
    let mut add = |parameter: String, argument: String| {
        parameters.push(parameter);
        arguments.push(argument);
    };
    for (i, port) in spec.inputs.iter().enumerate() {
        let (name, element) = (port.name, type_name(elements[i]));
        add(
            format!("const {} {element}* {name}", spaces[i]),
            format!("static_cast<const {element}*>(inputs[{i}].data)"),
        );
        if spec.source.contains(&format!("{name}_shape")) {
            add(
                format!("const constant int* {name}_shape"),
                format!("inputs[{i}].shape"),
            );
        }
        if spec.source.contains(&format!("{name}_strides")) {
            add(
                format!("const constant int64_t* {name}_strides"),
                format!("inputs[{i}].strides"),
            );
        }
        if spec.source.contains(&format!("{name}_ndim")) {
            add(
                format!("const constant int& {name}_ndim"),
                format!("inputs[{i}].rank"),
            );
        }
    }
    for (i, port) in spec.outputs.iter().enumerate() {
        let element = type_name(port.elements[0]);
        add(
            format!("device {element}* {}", port.name),
            format!("static_cast<{element}*>(outputs[{i}].data)"),
        );
    }
    for (name, kind) in ATTRIBUTES {
        if spec.source.contains(name) {
            add(format!("{kind} {name}"), format!("attributes.{name}"));
        }
    }
    (parameters, arguments)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Run,
    Check,
}

/// Metal's text as C++: threadgroup variables become static ones, which are
/// counted and poisoned where they run; includes of Metal's library go. For
/// clang, `float4(...)` becomes a function's call. Lines stay.
fn translate(text: &str, purpose: Purpose) -> Result<String, String> {
    let tokens = tokens::tokens(text);
    let mut edits = Vec::new();
    for declaration in tokens::threadgroup_variables(text, &tokens)? {
        let whole = &text[declaration.at.clone()];
        let rest = whole.strip_prefix("threadgroup").unwrap_or(whole);
        let name = declaration.name;
        let new = match purpose {
            Purpose::Run => {
                format!("static{rest} msl::threadgroup_memory(&{name}, sizeof({name}));")
            }
            Purpose::Check => format!("static {whole}"),
        };
        edits.push((declaration.at, new));
    }
    for (i, token) in tokens.iter().enumerate() {
        let include = token.text.starts_with('#')
            && token.text[1..].trim_start().starts_with("include <metal_");
        if token.kind == Kind::Directive && include {
            edits.push((token.at.clone(), String::new()));
        }
        let converts = tokens.get(i + 1).is_some_and(|next| next.is("("));
        if purpose == Purpose::Check && converts && VECTORS.contains(&token.text) {
            edits.push((token.at.clone(), format!("make_{}", token.text)));
        }
    }
    edits.sort_by_key(|(at, _)| at.start);
    let (mut out, mut from) = (String::new(), 0);
    for (at, new) in edits {
        out.push_str(&text[from..at.start]);
        out.push_str(&new);
        from = at.end;
    }
    out.push_str(&text[from..]);
    Ok(out)
}

const VECTORS: &[&str] = &[
    "float2", "float3", "float4", "half2", "half3", "half4", "bfloat2", "bfloat3", "bfloat4",
    "char2", "char3", "char4", "uchar2", "uchar3", "uchar4", "short2", "short3", "short4",
    "ushort2", "ushort3", "ushort4", "int2", "int3", "int4", "uint2", "uint3", "uint4", "ulong2",
    "ulong3", "ulong4",
];
