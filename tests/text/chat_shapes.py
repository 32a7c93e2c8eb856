"""Chat templates in the shapes that model families ship, written for these tests: what a template can do with a question, a
system text and the date. The names say whose shape it is."""

LLAMA2 = """{% set default_system = 'You are a careful assistant.\\nNever guess.' %}
{% if messages[0]['role'] == 'system' %}
{% set turns = messages[1:] %}
{% set system = messages[0]['content'] %}
{% elif add_default_system is not defined %}
{% set turns = messages %}
{% set system = default_system %}
{% endif %}
{% for turn in turns %}
{% if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user and assistant must take turns') }}{% endif %}
{% if loop.first and system %}
{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + turn['content'] %}
{% else %}
{% set content = turn['content'] %}
{% endif %}
{% if turn['role'] == 'user' %}
{{- bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
{% else %}
{{- ' ' + content.strip() + ' ' + eos_token }}
{% endif %}
{% endfor %}"""

LLAMA2_PLAIN = ("{% for turn in messages %}{% if turn['role'] == 'user' %}{{ bos_token + '[INST] ' + turn['content'].strip() + ' [/INST]' }}"
                "{% endif %}{% endfor %}")

MARKS_IN_COMMENTS = ("{# not like [INST] <<SYS>> or <|im_start|>, <start_of_turn> | trim #}{{ bos_token }}{% for turn in messages %}"
                     "{{ '<' + turn.role + '>' + turn.content + '</' + turn.role + '>' }}{% endfor %}"
                     "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}")

LLAMA3 = ("{{ bos_token }}{% for turn in messages %}{{ '<|start_header_id|>' + turn['role'] + '<|end_header_id|>\n\n' + turn['content'] | trim "
          "+ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")

LLAMA3_OWN_SYSTEM = """{{- bos_token }}
{%- if messages[0].role != 'system' %}
    {{- '<|start_header_id|>system<|end_header_id|>\\n\\ndetailed thinking off<|eot_id|>' }}
{%- endif %}
{%- for turn in messages %}
    {{- '<|start_header_id|>' ~ turn.role ~ '<|end_header_id|>\\n\\n' ~ (turn.content | trim) ~ '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

LLAMA3_DATED = """{{- bos_token }}
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
{{- "Knowledge until: December 2023\\nToday: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL = """{{- bos_token }}
{%- for turn in messages %}
    {%- if turn["role"] == "user" %}
        {{- "[INST] " + turn["content"] + "[/INST]" }}
    {%- elif turn["role"] == "assistant" %}
        {{- " " + turn["content"] + eos_token }}
    {%- endif %}
{%- endfor %}
"""

MISTRAL_SYSTEM = """{%- set today = strftime_now("%Y-%m-%d") %}
{%- set default_system_message = "You are a small model of the tests.\\nIt is " + today + "." %}
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set system_message = default_system_message %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- '[SYSTEM_PROMPT]' + system_message + '[/SYSTEM_PROMPT]' }}
{%- for message in loop_messages %}
    {%- if message['role'] == 'user' %}
        {%- if message['content'] is string %}
            {{- '[INST]' + message['content'] + '[/INST]' }}
        {%- else %}
            {{- '[INST]' }}{%- for block in message['content'] %}{{- block['text'] }}{%- endfor %}{{- '[/INST]' }}
        {%- endif %}
    {%- else %}
        {{- raise_exception('Only user and assistant roles are supported!') }}
    {%- endif %}
{%- endfor %}
"""

PHI3 = ("{% for turn in messages %}{% if turn['role'] == 'system' %}{{ '<|system|>\n' + turn['content'] + '<|end|>\n' }}"
        "{% elif turn['role'] == 'user' %}{{ '<|user|>\n' + turn['content'] + '<|end|>\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}")

PHI4 = ("{% for turn in messages %}{% if (turn['role'] == 'system') %}{{ '<|im_start|>system<|im_sep|>' + turn['content'] + '<|im_end|>' }}"
        "{% elif (turn['role'] == 'user') %}{{ '<|im_start|>user<|im_sep|>' + turn['content'] + '<|im_end|>' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}")

CHATML = ("{% for turn in messages %}{{ '<|im_start|>' + turn['role'] + '\n' + turn['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
CHATML_THINKS = CHATML.replace("<|im_start|>assistant\n'", "<|im_start|>assistant\n<think>\n'")
CHATML_BEGINS = "{{ bos_token }}" + CHATML
CHATML_SYSTEM = ("{% set preamble = 'You answer in one line.' %}{% if messages[0]['role'] != 'system' %}"
                 "{{ '<|im_start|>system\n' ~ preamble ~ '<|im_end|>\n' }}{% endif %}") + CHATML

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('There is no system role') }}{% endif %}
{% for turn in messages %}
{% set role = 'model' if turn['role'] == 'assistant' else turn['role'] %}
{{ '<start_of_turn>' + role + '
' + turn['content'] | trim + '<end_of_turn>
' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model
' }}{% endif %}"""

GEMMA3 = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {{ '<start_of_turn>' + message['role'] + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
"""

QWEN3 = """{%- if tools %}
    {{- '<|im_start|>system\\n# Tools\\n' }}{% for tool in tools %}{{- tool | tojson }}{% endfor %}{{- '<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
        {{- '<|im_start|>assistant\\n' + content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

# Writes what follows a mark in the question: not text around it.
SPLITS_QUESTIONS = ("{% for turn in messages %}{{ '<|im_start|>' + turn.role + '\n' + turn.content.split('</think>')[-1] + '<|im_end|>\n' }}"
                    "{% endfor %}{{ '<|im_start|>assistant\n' }}")

THINKS_WHEN_ASKED = """{%- set ns = namespace(think=true) %}
{%- for message in messages %}
    {%- set content = message['content'] %}
    {%- if message['role'] == 'user' and '/no_think' in content %}{% set ns.think = false %}{% endif %}
    {{- '<SPECIAL_10>' + message['role'] | capitalize + '\\n' + content.replace('/no_think', '').strip() + '\\n' }}
{%- endfor %}
{{- '<SPECIAL_11>Assistant\\n' + ('<think>\\n' if ns.think else '<think></think>') }}"""

GLM = """[gMASK]<sop>
{%- if tools -%}<|system|>
tools{% endif %}
{%- macro visible(content) -%}
    {%- if content is string -%}
        {{- content }}
    {%- else -%}
        {%- for item in content -%}{{- item.text }}{%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
{%- for m in messages -%}
{%- if m.role == 'user' -%}<|user|>
{{ visible(m.content) }}
{{- '/nothink' if (enable_thinking is defined and not enable_thinking and not visible(m.content).endswith("/nothink")) else '' -}}
{%- elif m.role == 'system' -%}
<|system|>
{{ visible(m.content) }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    <|assistant|>{{- '\\n<think></think>' if (enable_thinking is defined and not enable_thinking) else '' -}}
{%- endif -%}
"""

OLMO = ("{{ bos_token }}{% for turn in messages %}{% if turn['role'] == 'system' %}{{ '<|system|>\n' + turn['content'] + '\n' }}"
        "{% elif turn['role'] == 'user' %}{{ '<|user|>\n' + turn['content'] + '\n' }}{% elif turn['role'] == 'assistant' %}"
        "{{ '<|assistant|>\n' }}{% generation %}{{ turn['content'] + eos_token }}{% endgeneration %}{% endif %}"
        "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}")

GRANITE = """{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set system_message = "Knowledge until: April 2024.\\nToday's Date: " + strftime_now('%B %d, %Y') + ".\\nYou are a model of the tests." %}
    {%- if tools and documents %}{% set system_message = system_message + " Tools." %}{% endif %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\\n' }}
{%- for message in loop_messages %}
    {{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] + '<|end_of_text|>\\n' }}
    {%- if loop.last and add_generation_prompt %}
        {{- '<|start_of_role|>assistant' }}
            {%- if controls %}
                {{- ' ' + controls | tojson()}}
            {%- endif %}
        {{- '<|end_of_role|>' }}
    {%- endif %}
{%- endfor %}"""

COHERE = ("{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system_message = messages[0]['content'] %}"
          "{% else %}{% set rest = messages %}{% set system_message = 'You are Test-R.' %}{% endif %}{% if system_message != false %}"
          "{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + system_message + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% for turn in rest %}"
          "{% set content = turn['content'] %}{% if turn['role'] == 'user' %}"
          "{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}")

DEEPSEEK = ("{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
            "{% set ns = namespace(is_first=false, is_tool=false, system_prompt='') %}{%- for turn in messages %}"
            "{%- if turn['role'] == 'system' %}{% set ns.system_prompt = turn['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}"
            "{%- for turn in messages %}{%- if turn['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + turn['content']}}{%- endif %}"
            "{%- if turn['role'] == 'assistant' and turn['content'] is not none %}{% set content = turn['content'] %}{% if '</think>' in content %}"
            "{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}"
            "{%- endfor -%}{% if ns.is_tool %}{{'<｜tool▁outputs▁end｜>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}"
            "{{'<｜Assistant｜><think>\\n'}}{% endif %}")

GPT_OSS = """{%- macro system_message() -%}
    {%- if model_identity is not defined %}
        {%- set model_identity = "You are a model of the tests." %}
    {%- endif %}
    {{- model_identity + "\\n" }}
    {{- "Knowledge cutoff: 2024-06\\n" }}
    {{- "Current date: " + strftime_now("%Y-%m-%d") + "\\n\\n" }}
    {%- if reasoning_effort is not defined %}
        {%- set reasoning_effort = "medium" %}
    {%- endif %}
    {{- "Reasoning: " + reasoning_effort + "\\n\\n" }}
    {{- "# Valid channels: analysis, commentary, final." }}
{%- endmacro -%}
{{- "<|start|>system<|message|>" }}
{{- system_message() }}
{{- "<|end|>" }}
{%- if messages[0].role in ["developer", "system"] %}
    {%- set developer_message = messages[0].content %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set developer_message = "" %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if developer_message or tools %}
    {{- "<|start|>developer<|message|>" }}
    {%- if developer_message %}{{- "# Instructions\\n\\n" }}{{- developer_message }}{%- endif %}
    {{- "<|end|>" }}
{%- endif %}
{%- for message in loop_messages -%}
    {%- if message.role == 'user' -%}
        {{- "<|start|>user<|message|>" + message.content + "<|end|>" }}
    {%- elif "thinking" in message -%}
        {{- raise_exception("no thoughts here") }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|start|>assistant
{%- endif -%}
"""

SMOLLM3 = """{%- if enable_thinking is not defined -%}
{%- set enable_thinking = true -%}
{%- endif -%}
{%- set reasoning_mode = "/think" if enable_thinking else "/no_think" -%}
{{- "<|im_start|>system\\n" -}}
{%- if messages[0].role == "system" -%}
  {%- set system_message = messages[0].content -%}
  {%- if "/no_think" in system_message -%}{%- set reasoning_mode = "/no_think" -%}{%- elif "/think" in system_message -%}{%- set reasoning_mode = "/think" -%}{%- endif -%}
  {%- set custom_instructions = system_message.replace("/no_think", "").replace("/think", "").rstrip() -%}
{%- endif -%}
{%- set today = strftime_now("%d %B %Y") -%}
{{- "## Metadata\\n\\nToday Date: " ~ today ~ "\\nReasoning Mode: " + reasoning_mode + "\\n\\n" -}}
{%- if custom_instructions -%}
{{- custom_instructions + "\\n\\n" -}}
{%- else -%}
{{- "You are named Test.\\n\\n" -}}
{%- endif -%}
{{- "<|im_end|>\\n" -}}
{%- for message in messages -%}
    {%- set content = message.content if message.content is string else "" -%}
    {%- if message.role == "user" -%}
        {{ "<|im_start|>" + message.role + "\\n"  + content + "<|im_end|>\\n" }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {%- if reasoning_mode == "/think" -%}
        {{ "<|im_start|>assistant\\n" }}
    {%- else -%}
        {{ "<|im_start|>assistant\\n" + "<think>\\n\\n</think>\\n"  }}
    {%- endif -%}
{%- endif -%}
"""

# What jinja and transformers' additions can do beside: filters, tests, loop controls, dictionaries, macros with calls.
TOOLBOX = """{% set seen = dict(a=1, b=[1, 'é']) %}{% set ns = namespace(n=0) %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{% set ns.n = ns.n + i %}{% endfor %}
{{ seen | tojson }}|{{ seen | tojson(indent=2) }}|{{ ['<&>', 'ü'] | tojson(ensure_ascii=True) }}|{{ dict.fromkeys([1, 2]) }}
{{ ns.n }} {{ 7 // 2 }} {{ [3, 1, 2] | sort | join(',') }} {{ 'a-b'.split('-')[-1] | upper }} {{ unk_token | default('none', true) }}
{%- for group in messages | groupby('role') %} {{ group.grouper }}:{{ group.list | length }}{% endfor %}
{%- for message in messages %}

<{{ message.role | replace('user', 'USER') }}>{{ message['content'].lstrip() }}</>
{%- endfor %}
{% if tools is none and documents is none and add_generation_prompt %}<BOT>{% endif %}
"""

SHAPES = {name.lower(): value for name, value in list(globals().items()) if name.isupper()}
# Templates that read a question in more ways than as text between two others, at these marks; "": one of nothing (Llama 2's
# with a default system text strips that text's own ends, then).
MARKED = {"splits_questions": "</think>", "thinks_when_asked": "/no_think", "llama2": ""}
NO_SYSTEM = {"gemma"}
DATED = {"llama3_dated", "mistral_system", "granite", "gpt_oss", "smollm3"}
