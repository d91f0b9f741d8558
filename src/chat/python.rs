//! Values printed as Python prints them. Chat templates are written for and
//! trained with Jinja2 in Python, so `true` in a prompt where the training text
//! had `True` is a difference that the model sees.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

/// Deeper values are refused: they would exhaust the stack.
const MAX_DEPTH: usize = 128;
/// So are larger ones: a sequence can be a lazy `[0] * 100000000`.
const MAX_ITEMS: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// `json.dumps(value, ensure_ascii=False)`, with an indent if not zero.
    Json { indent: usize },
    /// `repr(value)`
    Repr,
}

/// `json.dumps`: `", "` and `": "`, no HTML escaping, non-ASCII kept.
pub(super) fn json(value: &Value, indent: usize) -> Result<String, Error> {
    let mut out = String::new();
    write(&mut out, value, Style::Json { indent }, 0)?;
    Ok(out)
}

/// `str(value)`
pub(super) fn string(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    if value.is_undefined() {
        return Ok(String::new());
    }
    let mut out = String::new();
    write(&mut out, value, Style::Repr, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, style: Style, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a value is nested deeper than {MAX_DEPTH}"),
        ));
    }
    let json = style != Style::Repr;
    match value.kind() {
        ValueKind::Undefined if json => out.push_str("null"),
        ValueKind::Undefined => {}
        ValueKind::None => out.push_str(if json { "null" } else { "None" }),
        ValueKind::Bool => out.push_str(match (value.is_true(), json) {
            (true, true) => "true",
            (true, false) => "True",
            (false, true) => "false",
            (false, false) => "False",
        }),
        ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
        ValueKind::Number => match f64::try_from(value.clone()) {
            Ok(number) => out.push_str(&float(number)),
            Err(_) => out.push_str(&value.to_string()),
        },
        ValueKind::String if json => quote_json(out, value.as_str().unwrap_or_default()),
        ValueKind::String => quote_repr(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = items(value)?;
            bracket(out, style, depth, ['[', ']'], items.len(), |out, i| {
                write(out, &items[i], style, depth + 1)
            })?;
        }
        ValueKind::Map => {
            let keys = items(value)?;
            bracket(out, style, depth, ['{', '}'], keys.len(), |out, i| {
                match keys[i].as_str() {
                    Some(key) if json => quote_json(out, key),
                    _ if json => quote_json(out, &string(&keys[i])?),
                    _ => write(out, &keys[i], style, depth + 1)?,
                }
                out.push_str(": ");
                write(out, &value.get_item(&keys[i])?, style, depth + 1)
            })?;
        }
        _ => quote_json(out, &value.to_string()),
    }
    Ok(())
}

fn items(value: &Value) -> Result<Vec<Value>, Error> {
    let items: Vec<Value> = value.try_iter()?.take(MAX_ITEMS + 1).collect();
    if items.len() > MAX_ITEMS {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a value has more than {MAX_ITEMS} items"),
        ));
    }
    Ok(items)
}

fn bracket(
    out: &mut String,
    style: Style,
    depth: usize,
    [open, close]: [char; 2],
    count: usize,
    mut item: impl FnMut(&mut String, usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let indent = match style {
        Style::Json { indent } if count > 0 => indent,
        _ => 0,
    };
    let line = |out: &mut String, depth: usize| {
        if indent > 0 {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    };
    out.push(open);
    for i in 0..count {
        if i > 0 {
            out.push_str(if indent > 0 { "," } else { ", " });
        }
        line(out, depth + 1);
        item(out, i)?;
    }
    line(out, depth);
    out.push(close);
    Ok(())
}

fn quote_json(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn quote_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// `repr(float)`: shortest digits, scientific below 1e-4 and from 1e16 on.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .into();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(rest) => ('-', rest),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = format!("{number}");
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_python_s() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5e-5, "-2.5e-05"),
            (1e16, "1e+16"),
            (123456789012345.6, "123456789012345.6"),
            (1.5e300, "1.5e+300"),
            (0.0, "0.0"),
        ];
        for (number, text) in cases {
            assert_eq!(float(number), text);
        }
    }
}
