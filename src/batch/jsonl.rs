//! Events as JSON: one object per line, each with `v` and `type`.

use serde_json::{Value, json};

use crate::agent::{Event, Meter, Owner};
use crate::sandbox::sanitize;

/// Version of the objects.
const VERSION: u32 = 1;

/// An object as one line. What a terminal would act on, or what some readers
/// take for the end of a line, is written as `\u` escapes: the same JSON.
pub fn line(object: &Value) -> String {
    let json = object.to_string();
    if !json.chars().any(sanitize::is_hidden) {
        return json;
    }
    let mut line = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if sanitize::is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            line.push(c);
        }
    }
    line
}

/// The object of an event; `None` for events that are for people, or for traces.
pub fn object(event: &Event) -> Option<Value> {
    let (kind, mut fields) = match event {
        Event::Text { text } => ("text", json!({ "text": text })),
        Event::Reasoning { text } => ("reasoning", json!({ "text": text })),
        Event::ToolCall {
            id,
            name,
            arguments,
            sandbox,
        } => (
            "tool_call",
            json!({ "id": id, "name": name, "arguments": arguments, "sandbox": sandbox }),
        ),
        Event::ToolResult {
            id,
            ok,
            output,
            truncated,
            sandbox,
        } => (
            "tool_result",
            json!({
                "id": id,
                "ok": ok,
                "output": output,
                "truncated": truncated,
                "sandbox": sandbox,
            }),
        ),
        Event::Context(meter) => ("context", context(meter)),
        Event::Usage { prompt, generated } => (
            "usage",
            json!({
                "prompt": prompt.prompt,
                "reused": prompt.reused,
                "prefilled": prompt.prefilled,
                "replayed": prompt.replayed,
                "generated": generated,
            }),
        ),
        Event::Error { message } => ("error", json!({ "message": message })),
        Event::Done(done) => (
            "done",
            json!({
                "exit": done.reason.exit().code(),
                "reason": done.reason.word(),
                "text": done.text,
                "session": done.session,
            }),
        ),
        Event::TurnStarted
        | Event::Prefill { .. }
        | Event::Token(_)
        | Event::ToolOutput { .. }
        | Event::Change { .. }
        | Event::Logged(_)
        | Event::Notice { .. } => {
            return None;
        }
    };
    let mut object = json!({ "v": VERSION, "type": kind });
    if let (Some(object), Some(fields)) = (object.as_object_mut(), fields.as_object_mut()) {
        object.append(fields);
    }
    Some(object)
}

/// The window, the prompt's length, and what it is made of.
fn context(meter: &Meter) -> Value {
    let mut fields = json!({ "window": meter.window, "total": meter.total() });
    for owner in Owner::ALL {
        let name = match owner {
            Owner::System => "system",
            Owner::Tools => "tools",
            Owner::Memory => "memory",
            Owner::Files => "files",
            Owner::History => "history",
            Owner::Reasoning => "reasoning",
            Owner::ToolOutput => "tool_output",
        };
        fields[name] = meter.of(owner).into();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Done, Reason};
    use crate::generate::PromptUsage;

    fn line(event: &Event) -> String {
        super::line(&object(event).unwrap())
    }

    #[test]
    fn nothing_in_a_line_ends_it_or_drives_a_terminal() {
        let text = "a\u{2028}b\u{85}c\x1b[2J\u{9b}2J\u{202e}d\x7f\u{e0041}é👍";
        let line = line(&Event::Text { text: text.into() });
        assert!(
            line.chars().all(|c| !sanitize::is_hidden(c)) && line.contains("é👍"),
            "{line:?}"
        );
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["text"], text);
    }

    #[test]
    fn objects_have_the_documented_fields_in_order() {
        let lines = [
            line(&Event::Text { text: "a\n".into() }),
            line(&Event::Reasoning { text: "b".into() }),
            line(&Event::ToolCall {
                id: "call_1".into(),
                name: "list_dir".into(),
                arguments: json!({ "path": "." }).as_object().unwrap().clone(),
                sandbox: "sandbox read-only".into(),
            }),
            line(&Event::ToolResult {
                id: "call_1".into(),
                ok: true,
                output: "src/".into(),
                truncated: false,
                sandbox: "sandbox read-only".into(),
            }),
            line(&Event::Context(Meter::new(
                9,
                &[Owner::Tools, Owner::ToolOutput, Owner::Tools],
            ))),
            line(&Event::Usage {
                prompt: PromptUsage {
                    prompt: 5,
                    reused: 3,
                    loaded: 1,
                    prefilled: 2,
                    replayed: 1,
                },
                generated: 9,
            }),
            line(&Event::Error {
                message: "m".into(),
            }),
            line(&Event::Done(Done {
                reason: Reason::Refused,
                text: "t".into(),
                session: "s".into(),
            })),
        ];
        assert_eq!(
            lines,
            [
                r#"{"v":1,"type":"text","text":"a\n"}"#,
                r#"{"v":1,"type":"reasoning","text":"b"}"#,
                r#"{"v":1,"type":"tool_call","id":"call_1","name":"list_dir","arguments":{"path":"."},"sandbox":"sandbox read-only"}"#,
                r#"{"v":1,"type":"tool_result","id":"call_1","ok":true,"output":"src/","truncated":false,"sandbox":"sandbox read-only"}"#,
                r#"{"v":1,"type":"context","window":9,"total":3,"system":0,"tools":2,"memory":0,"files":0,"history":0,"reasoning":0,"tool_output":1}"#,
                r#"{"v":1,"type":"usage","prompt":5,"reused":3,"prefilled":2,"replayed":1,"generated":9}"#,
                r#"{"v":1,"type":"error","message":"m"}"#,
                r#"{"v":1,"type":"done","exit":5,"reason":"refused","text":"t","session":"s"}"#,
            ]
        );
        let id = || "call_1".to_owned();
        let text = "x".to_owned();
        let diff = "+x".to_owned();
        for event in [
            Event::TurnStarted,
            Event::ToolOutput { id: id(), text },
            Event::Change { id: id(), diff },
        ] {
            assert_eq!(object(&event), None);
        }
    }
}
