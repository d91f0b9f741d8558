//! What Metal's compiler would refuse and C++ accepts, looked for in the text of
//! kernels: address spaces, threadgroup memory, and anything that the emulator
//! does not define.

use std::collections::HashSet;

use cairn::backend::kernels::{Dims, KernelSpec};

use super::constant::{constants, value};
use super::text::{Function, SPACES, Text, opening};
use super::tokens::{Kind, Token, threadgroup_variables, tokens};

/// Metal allows a threadgroup this much.
const MOST_THREADGROUP_MEMORY: usize = 32 << 10;

/// MLX passes inputs of fewer elements in the constant address space.
pub const CONSTANT_BELOW: usize = 8;

/// Words that Metal lacks, or that kernels do without.
const FORBIDDEN: &[&str] = &[
    "double",
    "static",
    "goto",
    "try",
    "catch",
    "throw",
    "new",
    "delete",
    "virtual",
    "asm",
    "std",
    "typeid",
    "dynamic_cast",
    "thread_local",
    "namespace",
];

/// The functions that the emulator defines.
pub const FUNCTIONS: &[&str] = &[
    "abs",
    "ceil",
    "clamp",
    "clz",
    "copysign",
    "cos",
    "ctz",
    "dot",
    "exp",
    "exp2",
    "extract_bits",
    "fabs",
    "floor",
    "fma",
    "isfinite",
    "isinf",
    "isnan",
    "log",
    "log2",
    "make_filled_simdgroup_matrix",
    "max",
    "min",
    "popcount",
    "pow",
    "rint",
    "round",
    "rsqrt",
    "select",
    "sign",
    "simd_all",
    "simd_any",
    "simd_broadcast",
    "simd_broadcast_first",
    "simd_max",
    "simd_min",
    "simd_prefix_exclusive_sum",
    "simd_prefix_inclusive_sum",
    "simd_shuffle",
    "simd_shuffle_down",
    "simd_shuffle_up",
    "simd_shuffle_xor",
    "simd_sum",
    "simdgroup_barrier",
    "simdgroup_load",
    "simdgroup_multiply",
    "simdgroup_multiply_accumulate",
    "simdgroup_store",
    "sin",
    "sqrt",
    "tanh",
    "threadgroup_barrier",
    "trunc",
];

/// Outside of the namespace of Metal's library.
const GLOBAL_FUNCTIONS: &[&str] = &["as_type"];

const MEMBERS: &[&str] = &["thread_elements"];

/// Metal's headers, all of whose allowed part the emulator has anyway.
const INCLUDES: &[&str] = &[
    "metal_math",
    "metal_simdgroup",
    "metal_simdgroup_matrix",
    "metal_stdlib",
];

/// Everything wrong with a kernel, for any of the calls that it lists.
pub fn check(spec: &KernelSpec) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, text) in [("header.metal", spec.header), ("metal", spec.source)] {
        let tokens = tokens(text);
        for complaint in check_words(&tokens) {
            complaints.push(format!("{}.{file}:{complaint}", spec.name));
        }
    }
    if has_threadgroup_variables(spec.header) {
        complaints.push(format!(
            "{}.header.metal: threadgroup variables belong into the kernel itself",
            spec.name
        ));
    }
    for line in program_scope_variables(spec.header) {
        complaints.push(format!(
            "{}.header.metal:{line}: outside of functions, values are `constant`",
            spec.name
        ));
    }
    // Names of the header are known in the source, so the rest reads both.
    let whole = format!("{}\n{}", spec.header, spec.source);
    let tokens = tokens(&whole);
    let text = Text::new(&tokens);
    let first_line = spec.header.lines().count() + 1;
    let found = [
        check_pointers(&text),
        check_calls(&text),
        check_recursion(&text),
        check_inputs(&text, spec),
    ];
    for (line, complaint) in found.into_iter().flatten() {
        let place = if line > first_line {
            format!("{}.metal:{}", spec.name, line - first_line)
        } else {
            format!("{}.header.metal:{line}", spec.name)
        };
        complaints.push(format!("{place}: {complaint}"));
    }
    for pairs in spec.shapes {
        let dims = Dims::new(pairs);
        match threadgroup_bytes(spec, &dims) {
            Ok(bytes) if bytes <= MOST_THREADGROUP_MEMORY => {}
            Ok(bytes) => complaints.push(format!(
                "{}: {bytes} bytes of threadgroup memory at {dims}",
                spec.name
            )),
            Err(error) => complaints.push(format!("{}: {error}", spec.name)),
        }
    }
    // What is wrong at every call is said once.
    let mut said = HashSet::new();
    complaints.retain(|complaint| said.insert(complaint.clone()));
    complaints
}

fn has_threadgroup_variables(text: &str) -> bool {
    threadgroup_variables(text, &tokens(text)).is_ok_and(|found| !found.is_empty())
}

/// Lines of values that the header defines outside of functions, but not in the
/// constant address space.
fn program_scope_variables(header: &str) -> Vec<usize> {
    let (mut lines, mut depth, mut statement) = (Vec::new(), 0_usize, Vec::new());
    for token in tokens(header) {
        if token.kind == Kind::Directive {
            continue;
        }
        let text = token.text;
        if [")", "]", "}"].contains(&text) {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            statement.push(token);
        }
        depth += usize::from(["(", "[", "{"].contains(&text));
        let has = |word: &str| statement.iter().any(|t: &Token<'_>| t.is(word));
        // Braces with values belong to what the semicolon ends.
        let ends = text == ";" || text == "}" && !has("=");
        if depth > 0 || !ends {
            continue;
        }
        let other = ["using", "typedef", "template", "struct", "enum"];
        let defines = text == ";" && has("=") && !has("(");
        if defines && !has("constant") && !other.contains(&statement[0].text) {
            lines.push(statement[0].line);
        }
        statement.clear();
    }
    lines
}

/// Words, literals and marks that are wrong wherever they stand.
fn check_words(tokens: &[Token<'_>]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let (line, text) = (token.line, token.text);
        let before = i.checked_sub(1).map_or("", |i| tokens[i].text);
        let after = tokens.get(i + 1).map_or("", |t| t.text);
        match token.kind {
            Kind::Word if FORBIDDEN.contains(&text) && before != "using" => {
                complaints.push(format!("{line}: `{text}` is not in the subset"));
            }
            Kind::Number if lacks_suffix(text) => {
                complaints.push(format!("{line}: `{text}` is a double: write {text}f"));
            }
            Kind::Directive if !allowed_directive(text) => {
                complaints.push(format!("{line}: `{text}` is not in the subset"));
            }
            // `[[` begins an attribute, and an index follows what it indexes.
            Kind::Mark if text == "[" && before != "[" && after != "[" => {
                let indexes = [")", "]"].contains(&before)
                    || i > 0 && tokens[i - 1].kind == Kind::Word && before != "return";
                if !indexes {
                    complaints.push(format!("{line}: no lambdas"));
                }
            }
            Kind::Mark if text == "(" && (after == "*" || after == "&") => {
                let pointer = tokens.get(i + 2).is_some_and(|t| t.kind == Kind::Word)
                    && tokens.get(i + 3).is_some_and(|t| t.is(")"))
                    && tokens.get(i + 4).is_some_and(|t| t.is("("));
                if pointer {
                    complaints.push(format!("{line}: no pointers to functions"));
                }
            }
            _ => {}
        }
    }
    complaints
}

fn lacks_suffix(number: &str) -> bool {
    let hexadecimal = number.starts_with("0x") || number.starts_with("0X");
    let floating = !hexadecimal && number.contains(['.', 'e', 'E']);
    floating && !number.ends_with(['f', 'F'])
}

fn allowed_directive(text: &str) -> bool {
    let text = text[1..].trim_start();
    if let Some(name) = text.strip_prefix("include") {
        let name = name.trim().trim_start_matches('<').trim_end_matches('>');
        return INCLUDES.contains(&name);
    }
    text.starts_with("pragma unroll") || text.starts_with("pragma clang loop")
}

/// Each pointer and reference names the address space that it points to.
fn check_pointers(text: &Text<'_>) -> Vec<(usize, String)> {
    let tokens = text.tokens;
    let mut complaints = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        if !["*", "&"].contains(&token.text) || i == 0 {
            continue;
        }
        let Some(start) = type_before(text, i) else {
            continue;
        };
        // `float(x) * y` has a bracket between; `T * 4` is no declaration.
        let declares = tokens.get(i + 1).is_some_and(|next| {
            next.kind == Kind::Word || [")", ",", ">", "*", "("].contains(&next.text)
        });
        let spaced = tokens[start..i].iter().any(|t| SPACES.contains(&t.text));
        if declares && !spaced {
            let written: Vec<&str> = tokens[start..=i].iter().map(|t| t.text).collect();
            complaints.push((
                token.line,
                format!("`{}` without an address space", written.join(" ")),
            ));
        }
    }
    complaints
}

/// Where the type begins that ends before token `i`, with its qualifiers.
fn type_before(text: &Text<'_>, i: usize) -> Option<usize> {
    let tokens = text.tokens;
    let qualifier = |t: &Token<'_>| {
        ["const", "volatile", "constexpr"].contains(&t.text) || SPACES.contains(&t.text)
    };
    let mut at = i - 1;
    // `T* const*` and `T**`: the first pointer was looked at.
    while at > 0 && qualifier(&tokens[at]) {
        at -= 1;
    }
    if tokens[at].is(">") {
        at = opening(tokens, at)?.checked_sub(1)?;
    }
    if !text.is_type(&tokens[at]) {
        return None;
    }
    while at > 0 && (qualifier(&tokens[at - 1]) || text.is_type(&tokens[at - 1])) {
        at -= 1;
    }
    Some(at)
}

/// Only what the emulator or the text itself defines is called.
fn check_calls(text: &Text<'_>) -> Vec<(usize, String)> {
    let defined = |name: &str| text.functions.iter().any(|f| f.name == name);
    let mut complaints = Vec::new();
    for call in text.calls(text.tokens) {
        let known = if call.member {
            MEMBERS.contains(&call.name)
        } else {
            FUNCTIONS.contains(&call.name) || GLOBAL_FUNCTIONS.contains(&call.name)
        };
        if !known && !defined(call.name) {
            complaints.push((call.line, format!("`{}` is not in the subset", call.name)));
        }
    }
    complaints
}

/// No function reaches itself. Overloads count as one.
fn check_recursion<'a>(text: &Text<'a>) -> Vec<(usize, String)> {
    let called = |f: &Function<'a>| -> Vec<&'a str> {
        let calls = text.calls(f.body);
        calls.iter().map(|call| call.name).collect()
    };
    let mut complaints = Vec::new();
    for function in &text.functions {
        let mut reached = called(function);
        let mut at = 0;
        while at < reached.len() {
            let name = reached[at];
            for callee in text.functions.iter().filter(|f| f.name == name) {
                for name in called(callee) {
                    if !reached.contains(&name) {
                        reached.push(name);
                    }
                }
            }
            at += 1;
        }
        if reached.contains(&function.name) {
            complaints.push((function.line, format!("`{}` calls itself", function.name)));
        }
    }
    complaints
}

/// Inputs that come as `constant` in some call and as `device` in another go
/// only where a pointer of either kind fits: into a parameter of a template's
/// type. One that is always the same may also go to a pointer to that space.
fn check_inputs(text: &Text<'_>, spec: &KernelSpec) -> Vec<(usize, String)> {
    let mut complaints = Vec::new();
    for port in spec.inputs {
        let spaces: Vec<&str> = ["device", "constant"]
            .into_iter()
            .filter(|space| {
                spec.shapes.iter().any(|pairs| {
                    let count: usize = port.shape(&Dims::new(pairs)).iter().product();
                    (count < CONSTANT_BELOW) == (*space == "constant") && count > 0
                })
            })
            .collect();
        let fits = |parameter: &[Token<'_>]| {
            let named = |space: &&str| parameter.iter().any(|t| t.is(space));
            SPACES
                .iter()
                .find(|s| named(s))
                .is_none_or(|space| spaces == [*space])
        };
        for call in text.calls(text.tokens) {
            for (i, argument) in call.arguments.iter().enumerate() {
                // The pointer itself, perhaps moved, but none of its elements.
                let pointer = argument.first().is_some_and(|t| t.is(port.name))
                    && !argument.iter().any(|t| t.is("["));
                let mut overloads = text.functions.iter().filter(|f| f.name == call.name);
                let defined = text.functions.iter().any(|f| f.name == call.name);
                let accepted = overloads.any(|f| f.parameters.get(i).is_some_and(|p| fits(p)));
                if pointer && defined && !accepted {
                    complaints.push((call.line, misfit(port.name, &spaces)));
                }
            }
        }
        // `const device float* p = input + ...;`
        for (i, token) in text.tokens.iter().enumerate() {
            let assigned = token.is(port.name) && i >= 3 && text.tokens[i - 1].is("=");
            if assigned && text.tokens[i - 3].is("*") && !element_of(text.tokens, i) {
                let from = text.tokens[..i]
                    .iter()
                    .rposition(|t| t.is(";") || t.is("{") || t.is("}"));
                if !fits(&text.tokens[from.map_or(0, |at| at + 1)..i]) {
                    complaints.push((token.line, misfit(port.name, &spaces)));
                }
            }
        }
    }
    complaints
}

fn element_of(tokens: &[Token<'_>], i: usize) -> bool {
    tokens.get(i + 1).is_some_and(|t| t.is("["))
}

fn misfit(name: &str, spaces: &[&str]) -> String {
    format!(
        "input `{name}` comes as {}: take it as a template's type",
        spaces.join(" or ")
    )
}

/// Threadgroup memory at a call, each variable padded to 16 bytes.
///
/// # Errors
/// A declaration whose type or extents can't be computed.
pub fn threadgroup_bytes(spec: &KernelSpec, dims: &Dims) -> Result<usize, String> {
    let whole = format!("{}\n{}", spec.header, spec.source);
    let all = tokens(&whole);
    let known = constants(
        &all,
        spec.template.iter().map(|name| (*name, dims.get(name))),
    );
    let source = tokens(spec.source);
    let mut bytes = 0;
    for declaration in threadgroup_variables(spec.source, &source)? {
        let place = format!("line {}: {}", declaration.line, declaration.name);
        let mut size = type_size(declaration.element)
            .ok_or_else(|| format!("{place}: how large is {}?", declaration.element))?;
        for extent in declaration.extents {
            size *= value(&tokens(extent), &known)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| format!("{place}: what is [{extent}]?"))?;
        }
        bytes += size.next_multiple_of(16);
    }
    Ok(bytes)
}

fn type_size(name: &str) -> Option<usize> {
    let base = name.trim_end_matches(['2', '3', '4']);
    let lanes = match &name[base.len()..] {
        "" => 1,
        "2" => 2,
        // Vectors of three take the room of four.
        _ => 4,
    };
    let size = match base {
        "bool" | "char" | "uchar" => 1,
        "half" | "bfloat" | "short" | "ushort" => 2,
        "float" | "int" | "uint" => 4,
        "long" | "ulong" => 8,
        _ => return None,
    };
    Some(size * lanes)
}
