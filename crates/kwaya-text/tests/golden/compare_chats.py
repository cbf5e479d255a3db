"""Compares real chat templates with transformers, by hand:

    cargo build --release -p kwaya-text --example render_chats
    python compare_chats.py target/release/examples/render_chats TEMPLATE.jinja...

llama.cpp has many templates in its folder `models/templates`.
"""

import datetime
import json
import os
import subprocess
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template

program, *paths = sys.argv[1:]
chats = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chats.json")
golden = json.load(open(chats))
mine = json.loads(subprocess.run([program, chats, *paths], check=True, capture_output=True).stdout)
same = total = 0
for path, texts in zip(paths, mine, strict=True):
    cases = [(name, tools) for name in sorted(golden["chats"]) for tools in (None, json.loads(golden["tools"]))]
    wrong = []
    for (name, tools), text in zip(cases, texts, strict=True):
        try:
            template = _compile_jinja_template(open(path).read())
            expected = template.render(
                messages=golden["chats"][name], tools=tools, documents=None, add_generation_prompt=True,
                bos_token="<s>", eos_token="</s>", strftime_now=datetime.datetime(2026, 2, 9).strftime,
            )
        except Exception as error:
            expected = {"error": repr(error)}
        if text != expected and not (isinstance(text, dict) and isinstance(expected, dict)):
            wrong.append((name, bool(tools), text, expected))
    total += len(cases)
    same += len(cases) - len(wrong)
    if wrong:
        print(f"{os.path.basename(path)}: {len(wrong)} of {len(cases)} differ")
        name, tools, text, expected = wrong[0]
        print(f"   {name}, tools {tools}\n   ours   {text!r:.600}\n   theirs {expected!r:.600}")
print(f"{same} of {total} the same, {len(paths)} templates")
