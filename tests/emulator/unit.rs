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
    let header = translate(spec.header).map_err(|e| format!("{}.header: {e}", spec.name))?;
    let source = translate(spec.source).map_err(|e| format!("{}: {e}", spec.name))?;
    let mut text = String::from("#include \"shim.hpp\"\nnamespace metal { namespace text {\n");
    let _ = writeln!(text, "#line 1 \"{}.header.metal\"\n{header}", spec.name);
    let _ = writeln!(text, "#line 1 \"signature of {}\"", spec.name);
    let (parameters, arguments) = signature(spec, inputs);
    if !spec.template.is_empty() {
        let _ = writeln!(text, "template <int {}>", spec.template.join(", int "));
    }
    let parameters = parameters.join(",\n  ");
    let _ = writeln!(text, "static void run_{}(\n  {parameters}) {{", spec.name);
    let _ = writeln!(text, "#line 1 \"{}.metal\"\n{source}\n}}\n}} }}", spec.name);
    let _ = writeln!(text, "const int msl_inputs = {};", spec.inputs.len());
    let _ = writeln!(text, "const int msl_outputs = {};", spec.outputs.len());
    text.push_str(
        "void msl_kernel(const msl::Array* inputs, const msl::Array* outputs, \
         const msl::Attributes& attributes) {\n",
    );
    let values: Vec<String> = spec
        .template
        .iter()
        .map(|name| dims.get(name).to_string())
        .collect();
    let template = if values.is_empty() {
        String::new()
    } else {
        format!("<{}>", values.join(", "))
    };
    let _ = writeln!(
        text,
        "  metal::text::run_{}{template}(\n    {});\n}}",
        spec.name,
        arguments.join(",\n    ")
    );
    Ok(Unit { text })
}

/// Parameters, and the arguments that the runtime has for them. Whether an
/// input comes as `constant` makes no difference to C++, so that one unit
/// serves calls of any number of rows; the static checks care for it.
fn signature(spec: &KernelSpec, inputs: &[HostArray]) -> (Vec<String>, Vec<String>) {
    let (mut parameters, mut arguments) = (Vec::new(), Vec::new());
    let mut add = |parameter: String, argument: String| {
        parameters.push(parameter);
        arguments.push(argument);
    };
    for (i, (port, input)) in spec.inputs.iter().zip(inputs).enumerate() {
        let (name, element) = (port.name, type_name(input.element()));
        add(
            format!("const device {element}* {name}"),
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

/// Metal's text as C++: threadgroup variables become static ones that are
/// counted and poisoned; includes of Metal's library go. Lines stay.
fn translate(text: &str) -> Result<String, String> {
    let tokens = tokens::tokens(text);
    let mut edits = Vec::new();
    for declaration in tokens::threadgroup_variables(text, &tokens)? {
        let whole = &text[declaration.at.clone()];
        let rest = whole.strip_prefix("threadgroup").unwrap_or(whole);
        let name = declaration.name;
        let new = format!("static{rest} msl::threadgroup_memory(&{name}, sizeof({name}));");
        edits.push((declaration.at, new));
    }
    for token in tokens.iter().filter(|t| t.kind == Kind::Directive) {
        if token.text[1..].trim_start().starts_with("include <metal_") {
            edits.push((token.at.clone(), String::new()));
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
