//! The messages of a conversation, in the shape that chat templates read.
//! Deserialisation accepts what chat APIs write: calls wrapped in `function`,
//! arguments as a JSON string, nulls for what is absent.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    #[serde(alias = "developer")]
    System,
    User,
    Assistant,
    #[serde(alias = "function")]
    Tool,
}

impl Role {
    /// As templates spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    #[serde(default, deserialize_with = "super::content::text")]
    pub content: String,
    #[serde(
        default,
        deserialize_with = "super::content::text",
        skip_serializing_if = "String::is_empty"
    )]
    pub reasoning_content: String,
    #[serde(
        default,
        deserialize_with = "super::content::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tool_calls: Vec<ToolCall>,
    /// For role `tool`: the call it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolCall {
    /// Empty if the source gave none; see [`name_calls`].
    pub id: String,
    pub name: String,
    pub arguments: Map<String, Value>,
}

/// What the model is told about a tool; `parameters` is a JSON schema.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// Null if the tool takes none.
    pub parameters: Value,
}

/// Gives `call_1`, `call_2`, ... to the calls that came without an id.
pub fn name_calls(messages: &mut [Message]) {
    let calls = messages.iter_mut().flat_map(|m| &mut m.tool_calls);
    for (index, call) in calls.enumerate() {
        if call.id.is_empty() {
            call.id = format!("call_{}", index + 1);
        }
    }
}

/// The object under `function`, or the object itself.
fn unwrap_function<E: serde::de::Error>(value: Value, what: &str) -> Result<Map<String, Value>, E> {
    let Value::Object(mut object) = value else {
        return Err(E::custom(format!("{what} must be an object")));
    };
    match object.remove("function") {
        Some(Value::Object(mut function)) => {
            if let Some(id) = object.remove("id") {
                function.insert("id".into(), id);
            }
            Ok(function)
        }
        Some(_) => Err(E::custom(format!("{what}.function must be an object"))),
        None => Ok(object),
    }
}

fn string<E: serde::de::Error>(
    object: &mut Map<String, Value>,
    key: &str,
) -> Result<Option<String>, E> {
    match object.remove(key) {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(E::custom(format!("`{key}` must be a string"))),
    }
}

impl<'de> Deserialize<'de> for ToolCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut call = unwrap_function(Value::deserialize(deserializer)?, "tool call")?;
        let id = string(&mut call, "id")?.unwrap_or_default();
        let name = string(&mut call, "name")?
            .ok_or_else(|| D::Error::custom("tool call without a `name`"))?;
        let arguments = match call.remove("arguments").or(call.remove("parameters")) {
            Some(Value::String(json)) if !json.trim().is_empty() => serde_json::from_str(&json)
                .map_err(|e| D::Error::custom(format!("arguments of `{name}`: {e}")))?,
            Some(Value::String(_) | Value::Null) | None => Value::Object(Map::new()),
            Some(value) => value,
        };
        let Value::Object(arguments) = arguments else {
            return Err(D::Error::custom(format!(
                "arguments of `{name}` must be an object"
            )));
        };
        Ok(Self {
            id,
            name,
            arguments,
        })
    }
}

impl<'de> Deserialize<'de> for ToolSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut spec = unwrap_function(Value::deserialize(deserializer)?, "tool")?;
        Ok(Self {
            name: string(&mut spec, "name")?
                .ok_or_else(|| D::Error::custom("tool without a `name`"))?,
            description: string(&mut spec, "description")?.unwrap_or_default(),
            parameters: spec.remove("parameters").unwrap_or(Value::Null),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn api_shapes_are_read() {
        let mut messages: Vec<Message> = serde_json::from_value(json!([
            {"role": "developer", "content": [{"type": "text", "text": "a"}, "b"]},
            {"role": "assistant", "content": null, "reasoning_content": null, "tool_calls": [
                {"type": "function", "function": {"name": "f", "arguments": "{\"x\": [1]}"}},
                {"id": "mine", "name": "g", "arguments": {"y": 2}},
                {"function": {"name": "h", "arguments": ""}}]},
            {"role": "tool", "content": "out", "tool_call_id": "mine", "tool_calls": null},
        ]))
        .unwrap();
        name_calls(&mut messages);
        assert_eq!(messages[0].role, Role::System);
        assert_eq!(messages[0].content, "ab");
        let calls = serde_json::to_value(&messages[1].tool_calls).unwrap();
        assert_eq!(
            calls,
            json!([
                {"id": "call_1", "name": "f", "arguments": {"x": [1]}},
                {"id": "mine", "name": "g", "arguments": {"y": 2}},
                {"id": "call_3", "name": "h", "arguments": {}},
            ])
        );
        assert_eq!(messages[2].tool_call_id.as_deref(), Some("mine"));
        let again: Vec<Message> =
            serde_json::from_value(serde_json::to_value(&messages).unwrap()).unwrap();
        assert_eq!(again, messages);
    }

    #[test]
    fn tools_are_read_flat_and_wrapped() {
        let spec = json!({"name": "f", "description": "d", "parameters": {"type": "object"}});
        let flat: ToolSpec = serde_json::from_value(spec.clone()).unwrap();
        let wrapped: ToolSpec =
            serde_json::from_value(json!({"type": "function", "function": spec})).unwrap();
        assert_eq!(flat, wrapped);
        assert_eq!(flat.parameters, json!({"type": "object"}));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        let error = |v: Value| {
            serde_json::from_value::<Message>(v)
                .unwrap_err()
                .to_string()
        };
        assert!(error(json!({"role": "robot"})).contains("robot"));
        let call = |arguments: Value| json!({"role": "assistant", "tool_calls": [{"name": "f", "arguments": arguments}]});
        assert!(error(call(json!("{"))).contains("arguments of `f`"));
        assert!(error(call(json!([1]))).contains("must be an object"));
    }
}
