"""Writes chats.json: chat templates, chats, and the text that transformers
makes of them, for tests/chat.rs.

The templates are written here in short, each with the constructs that the
family named has. Run it with transformers 5 and jinja2:

    python make_chats.py MODEL.gguf > chats.json

MODEL.gguf is SmolLM2 Instruct (Apache-2.0), whose own template is used.
"""

import datetime
import json
import sys

import jinja2
from gguf import GGUFReader
from transformers.utils.chat_template_utils import _compile_jinja_template

SMOLLM2 = GGUFReader(sys.argv[1]).fields["tokenizer.chat_template"].contents()

LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message + "<|eot_id|>" }}
{%- if tools is not none %}
    {%- set first_user_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
    {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>"}}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
        {{- raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported!") }}
    {%- endif %}
{%- endfor %}
"""

QWEN25 = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are a helpful assistant.' }}
    {%- endif %}
    {{- "\\n\\n# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

QWEN3 = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

GEMMA3 = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
"""

# What is left of the language: macros, loop controls, the generation tag,
# Python's methods, what values print as, tojson's options.
LANGUAGE = """{% macro turn(message, mark='#') -%}
    {{ mark }}{{ message.role | upper }}: {{ caller() if caller else message.content }}
{%- endmacro %}
{# a comment #}
  {% for message in messages %}
    {% if message.role == 'system' %}{% continue %}{% endif %}
    {% if loop.index > 4 %}{% break %}{% endif %}
    {{ turn(message) }}
    {% generation %}
  [{{ message.content.strip() | length }}{{ loop.cycle(' odd', ' even') }}]
    {%- endgeneration %}

  {% else %}
nobody
  {% endfor %}
{{ messages | map(attribute='role') | join(',') }}
{{ true }} {{ none }} {{ 1.5 }} {{ 7 // 2 }} {{ 7 / 2 }} {{ 2 ** 5 }} {{ -7 % 3 }} {{ undefined_thing }}
{{ 'a-b-c'.split('-') | last }} {{ 'title case'.title() }} {{ '  x '.strip() ~ '|' }} {{ 'abc'[::-1] }} {{ 'abc'[1:] }}
{{ {'b': 1, 'a': [1, 2.0, none, true, 'é<&>\\n"']} | tojson }}
{{ {'b': 1, 'a': [1e20, 1e-7]} | tojson(sort_keys=true, indent=2) }}
{{ ['é', '😀'] | tojson(ensure_ascii=true, separators=(',', ':')) }}
{{ {'x': 1}.get('x') }} {{ {'x': 1}.get('y', 'none') }} {% for k, v in {'z': 1, 'y': 2} | items %}{{ k }}={{ v }};{% endfor %}

{% set parts = [] %}
{% for m in messages %}{% set parts = parts + [m.role] %}{% endfor %}
{{ parts | length }} {{ 'in' if 'user' in messages[-1].role else 'out' }} {{ messages[-1]['role'].startswith('us') }}
{{ 'x'.replace('x', 'y') }} {{ 'A b'.lower() }} {{ "%s is %d" | format('n', 3) }} {{ [3, 1, 2] | sort | first }}
{{- '' if messages[0].tool_calls is defined else ' no calls' }}
"""

TEMPLATES = {
    "smollm2": SMOLLM2,
    "llama3": LLAMA3,
    "mistral": MISTRAL,
    "qwen2.5": QWEN25,
    "qwen3": QWEN3,
    "gemma3": GEMMA3,
    "language": LANGUAGE,
}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "hali_ya_hewa",
            "description": "Weather of a place, in °C <now> & \"later\"",
            "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
        },
    },
    {"type": "function", "function": {"name": "zero", "description": "", "parameters": {}}},
]


def chat(*turns):
    return [{"role": role, "content": content} for role, content in turns]


CHATS = {
    "one": chat(("user", "Habari ya asubuhi?")),
    "system": chat(("system", "Jibu kwa Kiswahili.\n"), ("user", "What is 2 + 2?")),
    "turns": chat(
        ("user", "  שלום, मैं 😀 café e\u0301\t"),
        ("assistant", "<think>\nhmm\n\n</think>\n\nJibu: 4 < 5 & \"6\"\n"),
        ("user", "Na   sasa?\n\n"),
        ("assistant", "Sasa hivi."),
        ("user", "{{ messages }} {% if %} </s>"),
    ),
    "ends with assistant": chat(("user", "a"), ("assistant", "<think>b</think>c")),
    "empty": chat(("user", "")),
    "twice user": chat(("user", "a"), ("user", "b")),
    "tool": chat(("user", "a"), ("assistant", "b"), ("tool", "1"), ("tool", "2"), ("user", "c")),
    "none": [],
}


def render(source, **values):
    template = _compile_jinja_template(source)
    date = values.pop("date")
    values["strftime_now"] = datetime.datetime(*date).strftime if date else jinja2.Undefined()
    try:
        return template.render(documents=None, **values)
    except Exception:
        return None


cases = []
for number, (name, source) in enumerate(TEMPLATES.items()):
    for about, messages in CHATS.items():
        for tools, date, prompt in [(None, None, True), (None, (2026, 2, 9), False), (TOOLS, None, True)]:
            values = dict(
                messages=messages, tools=tools, date=date, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>"
            )
            cases.append({"template": name, "chat": about, "tools": tools is not None, "date": date,
                          "add_generation_prompt": prompt, "text": render(source, **values)})
json.dump(
    {"templates": TEMPLATES, "chats": CHATS, "tools": json.dumps(TOOLS, ensure_ascii=False), "cases": cases},
    sys.stdout, ensure_ascii=False, indent=0,
)
print()
