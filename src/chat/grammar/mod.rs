//! What a tool call may be, as a grammar: a call that our own parser reads, of a
//! tool that exists, with every required parameter once and values of their
//! type. The format is the one that templates write and `zaya_xml` reads; here
//! is nothing of tokens, which is `generate`'s.

mod place;
mod value;

use serde_json::Value;

use super::zaya_xml::{self, End, FUNCTION, FUNCTION_CLOSE, PARAMETER, PARAMETER_CLOSE};
use super::{ToolSpec, schema};
pub use place::{Place, Plain};
use value::{Kind, Rules};

/// A parameter's bit must fit into the grammar's one number of state.
const MAX_PARAMETERS: usize = 64;

/// The calls that a list of tools allows.
#[derive(Debug)]
pub struct CallForm {
    lark: String,
    tools: Vec<Tool>,
}

#[derive(Debug)]
struct Tool {
    name: String,
    /// The required ones first.
    parameters: Vec<Parameter>,
    required: usize,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    kind: Kind,
}

impl Parameter {
    fn opener(&self) -> String {
        format!("{PARAMETER}{}>\n", self.name)
    }

    /// With the shortest value that fits.
    fn shortest(&self) -> String {
        let value = self.kind.shortest();
        format!("{}{value}{}", self.opener(), closer())
    }
}

/// What templates write after a value.
fn closer() -> String {
    format!("\n{PARAMETER_CLOSE}\n")
}

impl Tool {
    fn new(spec: &ToolSpec) -> Result<Self, String> {
        let none = serde_json::Map::new();
        let properties = { spec.parameters.get("properties") }
            .and_then(Value::as_object)
            .unwrap_or(&none);
        let mut named: Vec<&str> = { spec.parameters.get("required") }
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if let Some(name) = named.iter().find(|name| !properties.contains_key(**name)) {
            return Err(format!("required parameter `{name}` isn't declared"));
        }
        named.dedup();
        let required = named.len();
        for name in properties.keys() {
            if !named.contains(&name.as_str()) {
                named.push(name);
            }
        }
        if named.len() > MAX_PARAMETERS {
            return Err(format!("more than {MAX_PARAMETERS} parameters"));
        }
        let parameters = named.iter().map(|name| {
            let kind =
                Kind::of(&properties[*name]).map_err(|why| format!("parameter `{name}`: {why}"))?;
            let name = (*name).to_owned();
            Ok(Parameter { name, kind })
        });
        Ok(Self {
            name: spec.name.clone(),
            parameters: parameters.collect::<Result<_, String>>()?,
            required,
        })
    }

    fn opener(&self) -> String {
        format!("\n{FUNCTION}{}>\n", self.name)
    }

    /// Bits of the required parameters.
    fn required(&self) -> u64 {
        (0..self.required).fold(0, |bits, at| bits | 1 << at)
    }

    /// Whether the parser reads what this tool's calls are made of as what it is
    /// meant to be. Names may spell markup, and values of an enumeration, too.
    fn check(&self, specs: &[ToolSpec]) -> Result<(), String> {
        let required: Vec<String> = { self.parameters[..self.required].iter() }
            .map(Parameter::shortest)
            .collect();
        let call = |more: &str, without: Option<usize>| {
            let others = required.iter().enumerate();
            let others = others.filter(|(at, _)| Some(*at) != without);
            let others: String = others.map(|(_, text)| text.as_str()).collect();
            format!("{}{others}{more}{FUNCTION_CLOSE}\n", self.opener())
        };
        self.reads(&call("", None), specs)
            .ok_or("its calls can't be told from other text")?;
        let spec = specs.iter().find(|spec| spec.name == self.name);
        for (at, parameter) in self.parameters.iter().enumerate() {
            let own = spec.and_then(|spec| schema::parameter(spec, &parameter.name));
            for value in parameter.kind.samples() {
                let text = format!("{}{value}{}", parameter.opener(), closer());
                let read = self.reads(&call(&text, Some(at)), specs);
                let meant = schema::typed(value, own);
                if read.and_then(|mut read| read.remove(&parameter.name)) != Some(meant) {
                    let name = &parameter.name;
                    return Err(format!("parameter `{name}` can't be written as `{value}`"));
                }
            }
        }
        Ok(())
    }

    /// The arguments that the parser finds in a call of this tool.
    fn reads(&self, call: &str, specs: &[ToolSpec]) -> Option<serde_json::Map<String, Value>> {
        let mut calls = zaya_xml::read(call, specs, End::Closed);
        let read = calls.pop().filter(|_| calls.is_empty())?.ok()?;
        (read.name == self.name && !read.cut_off).then_some(read.arguments)
    }
}

impl CallForm {
    /// # Errors
    /// When calls of one of the tools can't be written so that they are read as
    /// what they are; which, and why.
    pub fn new(specs: &[ToolSpec]) -> Result<Self, String> {
        let mut tools: Vec<Tool> = Vec::new();
        for spec in specs {
            let wrong = |why| format!("tool `{}`: {why}", spec.name);
            if tools.iter().any(|tool| tool.name == spec.name) {
                return Err(wrong("there are two of that name".to_owned()));
            }
            let tool = Tool::new(spec).map_err(wrong)?;
            tool.check(specs).map_err(wrong)?;
            tools.push(tool);
        }
        Ok(Self {
            lark: lark(&tools),
            tools,
        })
    }

    /// The grammar of a call's body, from behind the token that opens it up to the
    /// one that closes it, in llguidance's dialect of Lark.
    pub fn lark(&self) -> &str {
        &self.lark
    }

    /// For each tool, its shortest call.
    pub fn shortest_calls(&self) -> impl Iterator<Item = String> + '_ {
        self.tools.iter().map(|tool| {
            let required = tool.parameters[..tool.required].iter();
            let required: String = required.map(Parameter::shortest).collect();
            format!("{}{required}{FUNCTION_CLOSE}\n", tool.opener())
        })
    }

    /// Each parameter with its shortest value.
    pub fn shortest_parameters(&self) -> impl Iterator<Item = String> + '_ {
        let all = self.tools.iter().flat_map(|tool| &tool.parameters);
        all.map(Parameter::shortest)
    }
}

fn lark(tools: &[Tool]) -> String {
    let mut rules = Rules::default();
    let parameters = || tools.iter().flat_map(|tool| &tool.parameters);
    // One terminal for all tools: what llguidance does first takes its time for each.
    if parameters().any(|own| matches!(own.kind, Kind::Text)) {
        let mut names: Vec<&str> = parameters().map(|own| own.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        rules.add_text(&names);
    }
    let names: Vec<String> = { tools.iter().enumerate() }
        .map(|(at, tool)| {
            let name = value::quoted(&format!("{}>\n", tool.name));
            match tool.parameters.is_empty() {
                true => format!("{name} t{at}"),
                false => format!("{name} t{at}::0x0"),
            }
        })
        .collect();
    let opener = value::quoted(&format!("\n{FUNCTION}"));
    rules.add("start", &format!("{opener} function"));
    rules.add("function", &names.join(" | "));
    let end = value::quoted(&format!("{FUNCTION_CLOSE}\n"));
    for (at, tool) in tools.iter().enumerate() {
        if tool.parameters.is_empty() {
            rules.add(&format!("t{at}"), &end);
            continue;
        }
        let closed = match tool.required {
            0 => String::new(),
            n => format!(" %if is_ones([0:{n}])"),
        };
        let mut choices = vec![format!("{end}{closed}")];
        for (bit, parameter) in tool.parameters.iter().enumerate() {
            let name = format!("p{at}_{bit}");
            let opener = value::quoted(&parameter.opener());
            let value = rules.value(&parameter.kind);
            rules.add(&name, &format!("{opener} {value}"));
            choices.push(format!("{name} t{at}::set_bit({bit}) %if bit_clear({bit})"));
        }
        rules.add(&format!("t{at}::_"), &choices.join("\n  | "));
    }
    rules.into_text()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
