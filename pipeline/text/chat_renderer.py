"""Renders chat templates as transformers' apply_chat_template does, with nothing but jinja2. The program is part of cmc
(chat_renderer.cpp), which starts it as `python3 -c`, and gives it JSON lines on standard input:

    {"template": source, "variables": {"bos_token": ...}, "date": "2024-07-26"}   -> {"jinja2": version}
    {"literals": true}                      -> {"literals": texts that stand in the template}
    {"chats": [[{"role", "content"}, ...], ...], "open"?: each ends where its last message's content does}
        -> {"replies": [{"text"} or {"error", "unsafe"?}, ...], "dated": whether a template asked for the date}
    what cannot be done                     -> {"error": sentence, "unsafe"?: true, "environment"?: true}

A template comes from whoever made the checkpoint. It runs in jinja2's sandbox, and the process itself may open no file,
start no process, and use no more than so much memory and, a line, so many seconds of a processor.
"""
import sys

sys.path[:] = [path for path in sys.path if path]  # nothing is imported from the working folder

import datetime
import html  # noqa: F401: filters import these three where they are first used, and by then no file may be opened
import json
import math
import os
import resource
import textwrap  # noqa: F401
import unicodedata  # noqa: F401

SECONDS, BYTES, LONGEST = 5, 1 << 30, 1 << 22  # LONGEST: code points of a prompt


def say(reply):
    sys.stdout.buffer.write(json.dumps(reply).encode("ascii") + b"\n")
    sys.stdout.buffer.flush()


try:
    import jinja2
    import jinja2.debug
    import jinja2.ext
    import jinja2.nodes
    import jinja2.sandbox
except ImportError as error:
    sys.stdin.buffer.readline()
    say({"error": f"{sys.executable} has no jinja2 ({error})", "environment": True})
    sys.exit(0)


class Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %} marks what an assistant wrote: for a prompt, just what stands inside."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        inside = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_inside"), [], [], inside).set_lineno(line)

    def _inside(self, caller):
        return caller()


class Dictionaries:
    """`dict` of a template: makes dictionaries, and shows nothing of the type."""

    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)

    def fromkeys(self, *args, **kwargs):
        return dict.fromkeys(*args, **kwargs)


class Names(jinja2.utils.Namespace):
    """`namespace` of a template, without names that begin with an underscore."""

    def __init__(*args, **kwargs):
        self, *args = args
        values = dict(*args, **kwargs)
        for name in values:
            Names.check(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __setitem__(self, name, value):
        Names.check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def check(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace takes no name that begins with an underscore ({name})")


class Clock:
    """The pinned day, at midnight."""

    def __init__(self, day):
        self.moment, self.asked = datetime.datetime.fromisoformat(day), False

    def strftime_now(self, format):
        self.asked = True
        return self.moment.strftime(format)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment_of(clock):
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                               extensions=[Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = to_json
    environment.globals.update(raise_exception=raise_exception, strftime_now=clock.strftime_now, dict=Dictionaries(),
                               namespace=Names)
    return environment


def is_sealed(environment):
    """Whether this jinja2's sandbox holds: of a faulty version a format string gets at a value's type."""
    for escape in ("{{ ('{0.__class__}' | attr('format'))(1) }}", "{{ '{0.__class__}'.format(1) }}",
                   "{% set f = '{0.__class__}'.format %}{{ f(1) }}", "{{ ().__class__ }}"):
        try:
            if "class" in environment.from_string(escape).render():
                return False
        except Exception:
            pass
    return True


def restrict():
    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NPROC, 0),
                       (resource.RLIMIT_NOFILE, 3), (resource.RLIMIT_AS, BYTES)):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def allow_seconds():
    spent = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = math.ceil(spent.ru_utime + spent.ru_stime) + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def whole(text):
    """The text without halves of surrogate pairs, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def failure(error):
    """What went wrong, in one line."""
    unsafe = isinstance(error, (jinja2.exceptions.SecurityError, MemoryError, OverflowError, RecursionError))
    text = whole(" ".join(str(error).split())[:300]) or type(error).__name__
    if isinstance(error, jinja2.exceptions.TemplateSyntaxError):
        text = f"is no template jinja2 can read: line {error.lineno}: {text}"
    elif unsafe:
        text = f"does what a template may not do ({type(error).__name__}: {text})"
    elif type(error) is jinja2.exceptions.TemplateError:
        text = f"refuses the chat: {text}"
    else:
        text = f"cannot be rendered ({type(error).__name__}: {text})"
    return {"error": text, "unsafe": True} if unsafe else {"error": text}


LAST = "THE LAST MESSAGE ENDS HERE "  # with a space that a template which strips it takes away


def before_mark(text, content):
    """A chat up to the end of its last message, after whose content the mark stood."""
    if content.strip() not in text or LAST.strip() not in text:
        raise ValueError("the template leaves out some of the last message, so that it cannot be gone on with")
    end = text.rindex(LAST.strip())
    return text[:end] if text.startswith(LAST, end) else text[:end].rstrip()


def rendered(template, variables, chat, is_open):
    if is_open:
        if not chat:
            raise ValueError("there is no last message to go on with")
        content = chat[-1]["content"]
        chat[-1]["content"] += LAST
    text = template.render(messages=chat, tools=None, documents=None, add_generation_prompt=not is_open, **variables)
    if is_open:
        text = before_mark(text, content)
    if len(text) > LONGEST:
        raise OverflowError(f"a prompt of {len(text)} characters")
    text.encode("utf-8")  # half a surrogate pair is no text
    return text


def reply_to(template, variables, chat, is_open):
    try:
        return {"text": rendered(template, variables, chat, is_open)}
    except Exception as error:
        return failure(error)


def literals_of(environment, source):
    tree = environment.parse(source)
    found = {node.data for node in tree.find_all(jinja2.nodes.TemplateData)}
    found |= {node.value for node in tree.find_all(jinja2.nodes.Const) if isinstance(node.value, str)}
    return sorted({whole(text) for text in found})


def main():
    os.closerange(3, 65536)  # what the program that started this one has open
    request = json.loads(sys.stdin.buffer.readline())
    clock = Clock(request["date"])
    environment = environment_of(clock)
    if not is_sealed(environment):
        return say({"error": f"the sandbox of jinja2 {jinja2.__version__} ({sys.executable}) lets templates out",
                    "environment": True})
    restrict()
    allow_seconds()
    source, variables = request["template"], request["variables"]
    try:
        template = environment.from_string(source)
    except Exception as error:
        return say(failure(error))
    say({"jinja2": jinja2.__version__})
    for line in sys.stdin.buffer:
        allow_seconds()
        request = json.loads(line)
        if "literals" in request:
            say({"literals": literals_of(environment, source)})
            continue
        replies = [reply_to(template, variables, chat, request.get("open")) for chat in request["chats"]]
        say({"replies": replies, "dated": clock.asked})


main()
