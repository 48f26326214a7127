"""Makes src/fixtures/chat-templates.json: what transformers renders with chat templates as the usual families write them.

    python3 scripts/make_chat_templates.py [--smollm2 SmolLM2.gguf]

Needs transformers, and gguf for SmolLM2, whose own template is read from its file and not copied.
"""

import argparse
import json
from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

FIXTURE = Path(__file__).parent.parent / "src" / "fixtures" / "chat-templates.json"

CHATML = """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

LLAMA_2 = """{% if messages[0]['role'] == 'system' %}
{% set rest = messages[1:] %}
{% set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}
{% else %}
{% set rest = messages %}
{% set system = '' %}
{% endif %}
{% for message in rest %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('roles must alternate between user and assistant') }}
{% endif %}
{% if message['role'] == 'user' %}
{{- bos_token + '[INST] ' + (system if loop.first else '') + message['content'].strip() + ' [/INST]' -}}
{% else %}
{{- ' ' + message['content'] | trim + ' ' + eos_token -}}
{% endif %}
{% endfor %}"""

LLAMA_3 = """{{- bos_token }}
{%- if tools is defined and tools is not none %}
    {{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}
    {{- 'You have these functions:\\n\\n' }}
    {%- for tool in tools %}
        {{- tool | tojson(indent=4) }}
        {{- '\\n\\n' }}
    {%- endfor %}
    {{- '<|eot_id|>' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.tool_calls is defined %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson }}
        {{- '}<|eot_id|>' }}
    {%- elif message.role == 'tool' or message.role == 'ipython' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' }}
        {%- if message.content is mapping or message.content is iterable %}{{- message.content | tojson }}{%- else %}{{- message.content }}{%- endif %}
        {{- '<|eot_id|>' }}
    {%- else %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace(index=0) %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST]" + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST]" ~ message["content"] ~ "[/INST]" }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- elif message["role"] == "assistant" %}
        {{- message["content"] ~ eos_token }}
    {%- endif %}
{%- endfor %}
{#- How often the user spoke. -#}
{%- if ns.index > 9 %}{{ raise_exception("Too long after " ~ ns.index ~ " turns") }}{% endif %}"""

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}\
{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}\
{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"""

ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

QWEN = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- "# Tools\\n\\nYou may call one or more functions.\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}
{%- endif %}
{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}{%- if index == 0 %}{{- '' }}{%- endif %}{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- if '</think>' in content %}{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- for call in message.tool_calls or [] %}
            {{- '\\n<tool_call>\\n{"name": "' ~ call.function.name ~ '", "arguments": ' }}
            {{- call.function.arguments if call.function.arguments is string else call.function.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + content + '\\n</tool_response><|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}"""

TEMPLATES = {
    "chatml": CHATML, "llama-2": LLAMA_2, "llama-3": LLAMA_3, "mistral": MISTRAL, "gemma": GEMMA, "zephyr": ZEPHYR, "qwen": QWEN,
}  # fmt: skip

TOOL = {
    "type": "function",
    "function": {
        "name": "temperature", "description": 'Temperature at a "place" <here> & now, in °C',
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}, "days": {"type": "integer", "default": 1}}, "required": ["place"]},
    },
}  # fmt: skip

user, assistant, system = (lambda content, role=role: {"role": role, "content": content} for role in ("user", "assistant", "system"))
CHATS = [
    {"messages": [user("Hello!")], "add_generation_prompt": True},
    {"messages": [user("Hello!")], "add_generation_prompt": False},
    {"messages": [system("Be brief."), user("  Who are you? \n")], "add_generation_prompt": True},
    {"messages": [system("Be brief."), user("1 + 1?"), assistant("<think>\nhm\n</think>\n\n2 "), user("And 2 + 2?")], "add_generation_prompt": True},
    {"messages": [user("naïve ☃ 😀 \"quoted\" {{ braces }} {% set x = 1 %}"), assistant("\n\nYes.\t")], "add_generation_prompt": False},
    {"messages": [assistant("I begin."), user("No.")], "add_generation_prompt": True},
    {"messages": [user("Warm?")], "tools": [TOOL], "add_generation_prompt": True},
    {
        "messages": [
            user("Warm?"), assistant("") | {"tool_calls": [{"type": "function", "function": {"name": "temperature", "arguments": {"place": "Köln", "days": 2}}}]},
            {"role": "tool", "content": "21.5"},
        ],
        "tools": [TOOL], "add_generation_prompt": True,
    },
    {"messages": [user("Quick!")], "add_generation_prompt": True, "enable_thinking": False},
]  # fmt: skip
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


def rendered(template: str, chat: dict) -> str | None:
    """None where the template refuses the chat."""
    arguments = {key: value for key, value in chat.items() if key not in ("messages", "tools")}
    try:
        texts, _ = render_jinja_template([chat["messages"]], tools=chat.get("tools"), chat_template=template, **arguments, **SPECIAL)
    except Exception as error:
        print("refused:", error)
        return None
    return texts[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--smollm2", type=Path)
    arguments = parser.parse_args()
    templates = [{"name": name, "template": text, "texts": [rendered(text, chat) for chat in CHATS]} for name, text in TEMPLATES.items()]
    if arguments.smollm2:
        from gguf import GGUFReader

        template = GGUFReader(arguments.smollm2).fields["tokenizer.chat_template"].contents()
        SPECIAL = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
        templates.append({"name": "smollm2", "texts": [rendered(template, chat) for chat in CHATS]})
    FIXTURE.write_text(json.dumps({"chats": CHATS, "templates": templates}, indent=1) + "\n")
