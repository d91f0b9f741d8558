"""Renders what the chat tests compare with, by Jinja2 in Python as transformers sets it up.

    python make_goldens.py EVAL_JSONL      (needs jinja2 and tokenizers)

Writes render.jsonl (the demo model's template over a spread of its evaluation cases, and over some conversations that those do
not have) and features.txt (features.jinja).
"""
import json
import os
import sys

import jinja2
import jinja2.ext
from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
DEMO = os.path.join(HERE, "..", "..", "models", "demo")


def render(path, **variables):
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    env.filters["tojson"] = lambda x, **_: json.dumps(x, ensure_ascii=False)
    source = open(path, encoding="utf-8", newline="").read()
    return env.from_string(source).render(bos_token="<bos>", eos_token="<|im_end|>", **variables)


def call(name, arguments):
    return {"function": {"name": name, "arguments": arguments}}


ODD = [
    {"id": "long", "messages": [
        {"role": "system", "content": "You are a terminal assistant. Be brief."},
        {"role": "user", "content": "list the files"},
        {"role": "assistant", "reasoning_content": " I will list. ", "content": "", "tool_calls": [call("list_dir", {"path": "."})]},
        {"role": "tool", "content": "a.txt\nb/"},
        {"role": "assistant", "reasoning_content": "Done.", "content": "There are two: `a.txt` and `b/`."},
        {"role": "user", "content": "> quote é 日本 <b>&amp;\n\n"},
        {"role": "assistant", "reasoning_content": "Two calls.", "content": "Both.", "tool_calls": [
            call("f", {"n": 3, "x": 1.5, "on": True, "none": None, "list": [1, "é\"\n", {"k": []}], "obj": {"z": 1, "a": {}}}),
            call("g", {})]},
        {"role": "tool", "content": "first"}, {"role": "tool", "content": "second\n"}]},
    {"id": "plain", "messages": [{"role": "user", "content": "hi"}]},
    {"id": "second-system", "messages": [
        {"role": "user", "content": "hi"}, {"role": "system", "content": "note"}, {"role": "assistant", "content": "x"}]},
]


def main(path):
    tokenizer = Tokenizer.from_file(os.path.join(DEMO, "tokenizer.json"))
    seen, cases = set(), []
    for i, row in enumerate(map(json.loads, open(path, encoding="utf-8"))):
        kind = (row["task"], tuple(m["role"] for m in row["messages"]))
        if kind not in seen or i % 40 == 0:
            seen.add(kind)
            cases.append((row, len(cases) % 3 != 0, True))
    tools = cases[0][0]["tools"]
    for row in ODD:
        cases += [({**row, "tools": tools[:2]}, think, ask) for think, ask in ((True, True), (False, True), (True, False))]
        cases.append((row, False, True))
    with open(os.path.join(HERE, "render.jsonl"), "w", encoding="utf-8") as out:
        for n, (row, think, ask) in enumerate(cases):
            text = render(os.path.join(DEMO, "chat_template.jinja"), messages=row["messages"], tools=row.get("tools"),
                          add_generation_prompt=ask, enable_thinking=think)
            case = {"id": row["id"], "messages": row["messages"], "enable_thinking": think, "add_generation_prompt": ask, "text": text}
            # Most cases have the same tools: only the first writes them out.
            case["tools"] = row.get("tools") if n == 0 or row.get("tools") != tools else "as first"
            if n % 4 == 0 or row["id"] == "long":
                case["ids"] = tokenizer.encode(text, add_special_tokens=False).ids
            out.write(json.dumps(case, ensure_ascii=False) + "\n")
    with open(os.path.join(HERE, "features.txt"), "w", encoding="utf-8", newline="") as out:
        out.write(render(os.path.join(HERE, "features.jinja"), messages=ODD[0]["messages"][1:], tools=None,
                         add_generation_prompt=True, enable_thinking=False))


if __name__ == "__main__":
    main(sys.argv[1])
