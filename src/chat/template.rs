//! Chat templates: Jinja text that comes with a bundle, run by minijinja set up
//! to behave as Jinja2 does in Python. A template is not trusted: its steps, its
//! output and its time are bounded, and what goes wrong is one line.

use std::io;
use std::sync::Arc;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, State, UndefinedBehavior, Value, filters};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::bounds::{self, FUEL, Failure};
use super::{Error, python};

/// Renders what the template of ZAYA renders; for bundles that bring none.
const FALLBACK: &str = include_str!("fallback.jinja");
const NAME: &str = "chat_template";

/// Bytes of one rendering.
const MAX_OUTPUT: usize = 64 << 20;
/// Bytes of a template's source. Real ones have about ten thousand.
const MAX_SOURCE: usize = 4 << 20;
/// Columns that `indent` and `format` may be asked for. The engine allocates them
/// at once, which no watch from outside can stop.
const MAX_WIDTH: usize = 1000;

/// A compiled chat template.
#[derive(Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
}

/// The variables of a rendering. All of them are always passed.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// A list of messages in the shape of chat APIs.
    pub messages: serde_json::Value,
    /// A list of tools in the shape of chat APIs, or null.
    pub tools: serde_json::Value,
    pub bos_token: String,
    pub eos_token: String,
    pub add_generation_prompt: bool,
    pub enable_thinking: bool,
}

impl Template {
    /// Compiles `source`, or the built-in template if there is none.
    ///
    /// # Errors
    /// The source isn't a Jinja template that can be run here.
    pub fn new(source: Option<&str>) -> Result<Self, Error> {
        let source = source.unwrap_or(FALLBACK);
        if source.len() > MAX_SOURCE {
            return Err(Error::new(format!(
                "chat template: {} bytes are more than the {MAX_SOURCE} allowed",
                source.len()
            )));
        }
        let source = source.to_owned();
        let environment = bounds::run(move || {
            let mut environment = environment()?;
            environment.add_template_owned(NAME, source)?;
            Ok(environment)
        })?;
        Ok(Self {
            environment: Arc::new(environment),
        })
    }

    /// # Errors
    /// The template exceeds its bounds on this conversation. Any other error
    /// may be the conversation's.
    pub(super) fn check(&self, context: Context) -> Result<(), Error> {
        match self.run(context) {
            Err(bound @ Failure::Bound(_)) => Err(bound.into()),
            Ok(_) | Err(Failure::Template(_)) => Ok(()),
        }
    }

    /// # Errors
    /// The template raised an error, or exceeded its bounds.
    pub(super) fn render(&self, context: Context) -> Result<String, Error> {
        Ok(self.run(context)?)
    }

    fn run(&self, context: Context) -> Result<String, Failure> {
        let environment = Arc::clone(&self.environment);
        bounds::run(move || {
            let variables = Value::from_pairs([
                ("messages", value(&context.messages)),
                ("tools", value(&context.tools)),
                ("bos_token", Value::from(context.bos_token)),
                ("eos_token", Value::from(context.eos_token)),
                (
                    "add_generation_prompt",
                    Value::from(context.add_generation_prompt),
                ),
                ("enable_thinking", Value::from(context.enable_thinking)),
            ]);
            let mut output = Bounded(Vec::new());
            environment
                .get_template(NAME)?
                .render_captured_to(variables, &mut output)?;
            String::from_utf8(output.0).map_err(|_| {
                minijinja::Error::new(ErrorKind::WriteFailure, "the output isn't UTF-8")
            })
        })
    }
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut env = Environment::new();
    env.set_syntax(
        minijinja::syntax::SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(false)
            .build()?,
    );
    env.set_fuel(Some(FUEL));
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_unknown_method_callback(|state, value, method, args| {
        if method == "format" {
            narrow_format(value, args)?;
        }
        unknown_method_callback(state, value, method, args)
    });
    env.add_filter("engine.format", filters::format);
    env.add_filter(
        "format",
        |state: &mut State, value: Value, args: Rest<Value>| {
            narrow_format(&value, &args)?;
            let all: Vec<Value> = std::iter::once(value).chain(args.0).collect();
            state.apply_filter("engine.format", &all)
        },
    );
    env.add_filter("engine.indent", filters::indent);
    env.add_filter(
        "indent",
        |state: &mut State, value: Value, args: Rest<Value>| {
            narrow(args.iter().cloned())?;
            let all: Vec<Value> = std::iter::once(value).chain(args.0).collect();
            state.apply_filter("engine.indent", &all)
        },
    );
    env.set_formatter(|out, _, value| {
        let text = match value.as_str() {
            Some(text) => return Ok(out.write_str(text)?),
            None => python::string(value)?,
        };
        Ok(out.write_str(&text)?)
    });
    env.add_function("raise_exception", |message: Value| {
        Err::<Value, _>(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            message.to_string(),
        ))
    });
    env.add_filter("string", |value: Value| python::string(&value));
    env.add_filter(
        "tojson",
        |value: Value, indent: Option<Value>, options: Kwargs| {
            let indent = match indent {
                Some(indent) => Some(indent),
                None => options.get::<Option<Value>>("indent")?,
            };
            // The Python keyword; what it asks for is what always happens.
            let _ = options.get::<Option<bool>>("ensure_ascii")?;
            options.assert_all_used()?;
            let indent = indent.and_then(|i| i.as_usize()).unwrap_or(0).min(16);
            python::json(&value, indent)
        },
    );
    // In Python strings and mappings are sequences, too; templates written for
    // it ask `is sequence and is not string`.
    env.add_test("sequence", |value: Value| {
        matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined
        )
    });
    env.add_test("iterable", |value: Value| {
        !value.is_none() && value.try_iter().is_ok()
    });
    Ok(env)
}

/// Refuses a format that asks for more than [`MAX_WIDTH`], by a number in the
/// text or by one that `*` takes from the arguments.
fn narrow_format(format: &Value, args: &[Value]) -> Result<(), minijinja::Error> {
    let text = format.as_str().unwrap_or_default();
    for spec in text.split(['%', ':']).skip(1) {
        let spec = spec.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '*');
        let end = spec.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '*'));
        let spec = &spec[..end.unwrap_or(spec.len())];
        if spec.contains('*') {
            narrow(args.iter().cloned())?;
        }
        let numbers = spec.split(['.', '*']).filter(|n| !n.is_empty());
        narrow(numbers.map(|n| n.parse().map_or(Value::from(u64::MAX), |n: u64| n.into())))?;
    }
    Ok(())
}

/// Refuses widths beyond [`MAX_WIDTH`].
fn narrow(mut widths: impl Iterator<Item = Value>) -> Result<(), minijinja::Error> {
    let wide = |n: &Value| n.is_integer() && n.as_usize().is_none_or(|n| n > MAX_WIDTH);
    match widths.any(|n| wide(&n)) {
        true => Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            format!("a width of more than {MAX_WIDTH}"),
        )),
        false => Ok(()),
    }
}

/// Order of keys is preserved.
fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Value::from(n),
            (_, Some(n)) => Value::from(n),
            _ => Value::from(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(object) => {
            Value::from_pairs(object.iter().map(|(k, v)| (k.as_str(), value(v))))
        }
    }
}

struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::other(format!(
                "the prompt is larger than {MAX_OUTPUT} bytes"
            )));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
