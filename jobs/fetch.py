#!/usr/bin/env python3
"""What jobs/fetch.sh does. Files of the hub are checked against its hashes (SHA-256 of large files, git's of the others); files
from elsewhere against the git hashes of their publishers' repositories, which stand below.

Exit codes: 0 all there, 2 usage, 65 a file has another hash, 66 no network, no such name, or no right to read it, 73 cannot be
written, 75 broken off: run again."""

import hashlib
import http.client
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS, DATA = (Path(os.environ.get(name, ROOT / other)) for name, other in (("CMC_MODELS", "models"), ("CMC_DATA", "data")))

# Folders that jobs/experiments name → repositories of the hub.
REPOSITORIES = {
    "Llama-2-7b-hf": "meta-llama/Llama-2-7b-hf", "Llama-2-13b-hf": "meta-llama/Llama-2-13b-hf", "Llama-2-70b-hf": "meta-llama/Llama-2-70b-hf",
    "Llama-2-7b-chat-hf": "meta-llama/Llama-2-7b-chat-hf", "Llama-2-13b-chat-hf": "meta-llama/Llama-2-13b-chat-hf",
    "Llama-2-70b-chat-hf": "meta-llama/Llama-2-70b-chat-hf",
    "Mistral-7B-v0.1": "mistralai/Mistral-7B-v0.1", "Mistral-7B-Instruct-v0.1": "mistralai/Mistral-7B-Instruct-v0.1",
    "stories15M": "nickypro/tinyllama-15M", "stories42M": "nickypro/tinyllama-42M", "stories110M": "nickypro/tinyllama-110M",
    "smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct", "gemma-3-270m": "google/gemma-3-270m"}

GSM8K = "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/"
GPT4 = "https://raw.githubusercontent.com/Instruction-Tuning-with-GPT-4/GPT-4-LLM/80cda626ea305004be42426671c66efebbf22144/data/"
FACTORY = "https://raw.githubusercontent.com/hiyouga/LLaMA-Factory/ff6d4d12eeb035d6ce06805a5733dd7b29f2ac30/data/"
# Data set → licence, and either a data set of the hub with a pattern of its files, or files: name → (address, git's hash of it).
DATA_SETS = {
    "tofu": {"licence": "MIT (locuslab/TOFU)", "hub": "locuslab/TOFU", "files": r"[a-z0-9_]+\.json"},
    "alpaca_eval": {"licence": "CC BY-NC 4.0 (tatsu-lab/alpaca_eval)", "hub": "tatsu-lab/alpaca_eval", "files": r"alpaca_eval\.json"},
    "alpaca_gpt4": {"licence": "CC BY-NC 4.0 (Instruction-Tuning-with-GPT-4/GPT-4-LLM)", "urls": {
        "alpaca_gpt4_data.json": (GPT4 + "alpaca_gpt4_data.json", "25508714b7879a1e5a6764ba7f979a980f549f1a"),
        "alpaca_en_demo.json": (FACTORY + "alpaca_en_demo.json", "b645c416b5204f25fab66f839a44203a9ad5a2a4")}},
    "gsm8k": {"licence": "MIT (openai/grade-school-math)", "urls": {
        "train.jsonl": (GSM8K + "train.jsonl", "7d97154b91aef28d01c3301741c81ce90039a4b1"),
        "test.jsonl": (GSM8K + "test.jsonl", "e4c2ff4942b9a78bd74f04141224c11e28d12dc9")}}}

# Of a model's files: not other formats of the same weights, nor what no program here reads.
LEFT = re.compile(r".*\.(gguf|h5|msgpack|onnx|onnx_data|ot|pth|pt|ckpt|tflite|mlmodel|py|md|png|jpg|pdf)|.*/.*|consolidated.*|\.git.*"
                  r"|(model|pytorch_model)\.[a-z0-9]+(-\d+-of-\d+)?\.(safetensors|bin)|.*\.index\.(?!json)[a-z0-9]+\.json|training_args\.bin")
LEFT_IN_WORDS = ["*.gguf", "*.h5", "*.msgpack", "*.onnx*", "*.ot", "*.pth", "*/*", "consolidated*"]
OWN = ".fetched.json"  # what a folder was fetched from; a model's folder without it was made by somebody else
ENDPOINT = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
PATIENCE = 3  # broken connections in a row that bring nothing


class Failure(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class NoNetwork(Exception):
    """Nothing could be asked for at all."""


def say(text):
    print(f"fetch: {text}", file=sys.stderr, flush=True)


# ---- what is asked for

def experiment_text(name):
    file = Path(name) if name.endswith(".ini") else ROOT / "jobs" / "experiments" / f"{name}.ini"
    if file.is_file():
        return "\n".join(line.split("#")[0] for line in file.read_text().splitlines())
    if name.endswith(".ini"):
        raise Failure(66, f"{name}: no such experiment file")
    return None


def wanted_models(names):
    """{folder: (repository, revision)}"""
    wanted = {}
    for name in names:
        text = experiment_text(name)
        folders = re.findall(r"\$\{CMC_MODELS\}/([^\s,;]+)", text) if text is not None else [name]
        if not folders:
            say(f"{name} names no model")
        for one in folders:
            folder, _, address = one.rpartition("=")
            address, _, revision = address.partition("@")
            repository = REPOSITORIES.get(address, address)
            if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
                raise Failure(66, f"{address}: no repository is known for it; give FOLDER=owner/name. Known: {', '.join(REPOSITORIES)}")
            wanted[folder or address.split("/")[-1]] = (repository, revision or "main")
    return wanted


def wanted_data(names):
    """{data set: names of its files, or None for all}"""
    wanted = {}
    for name in names or DATA_SETS:
        text = experiment_text(name)
        if text is None and name not in DATA_SETS:
            raise Failure(66, f"{name}: neither a data set nor an experiment; data sets: {', '.join(DATA_SETS)}")
        if text is None:
            wanted[name] = None
            continue
        for kind, file in re.findall(r"\$\{CMC_DATA\}/(\w+)(?:/([\w.-]+))?", text):
            if kind not in DATA_SETS:
                raise Failure(66, f"{name}: names {kind}, which jobs/fetch.sh does not know; data sets: {', '.join(DATA_SETS)}")
            if file and wanted.get(kind, ()) is not None:
                wanted.setdefault(kind, set()).add(file)
            else:
                wanted[kind] = None
    return wanted


# ---- checks

def digest(path, kind):
    """SHA-256, or git's hash of a file (SHA-1 with its size before it)."""
    made = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            made.update(block)
    return made.hexdigest()


def check(path, size, kind, expected, drop):
    """Raises where a file is another than its publisher's; `drop`: it was fetched just now, so that the next try fetches it anew."""
    if size is not None and path.stat().st_size != size:
        found, expected = f"{path.stat().st_size} bytes", f"{size} bytes"
    else:
        found = digest(path, kind)
    if found != expected:
        if drop:
            path.unlink()
        raise Failure(65, f"{path}: has {found}, its publisher's has {expected} "
                          f"({'removed: run again' if drop else 'it was there before: move it away and run again'})")


# ---- over the network

class KeepTokenHome(urllib.request.HTTPRedirectHandler):
    """The hub sends on to other servers, which the token does not concern."""

    def redirect_request(self, request, *arguments):
        further = super().redirect_request(request, *arguments)
        if further is not None and further.host != request.host:
            further.remove_header("Authorization")
        return further


def token():
    file = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")) / "token"
    return os.environ.get("HF_TOKEN") or (file.read_text().strip() if file.is_file() else "")


def open_address(address, begin=0):
    headers = {"User-Agent": "cmc-fetch"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    if token() and address.startswith(ENDPOINT + "/"):
        headers["Authorization"] = f"Bearer {token()}"
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
        raise NoNetwork("HF_HUB_OFFLINE is set")
    try:
        return urllib.request.build_opener(KeepTokenHome).open(urllib.request.Request(address, headers=headers), timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            raise
        code = error.headers.get("X-Error-Code", "")
        if code == "GatedRepo":
            raise Failure(66, f"{address}: accept its licence on its page first, then set HF_TOKEN") from None
        if error.code in (401, 403, 404):
            raise Failure(66, f"{address}: no such repository, revision or file, or no right to read it (HF_TOKEN): {error}") from None
        raise Failure(75, f"{address}: {error}: run again later") from None
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise NoNetwork(f"{address}: {getattr(error, 'reason', error)}") from None


def read_on(address, part):
    """Adds to `part` what is not there yet. Returns whether that is all."""
    have = part.stat().st_size if part.exists() else 0
    try:
        answer = open_address(address, have)
    except urllib.error.HTTPError:
        return True  # nothing lies behind what is there: the hash will tell whether it is the file
    with answer:
        length = answer.headers.get("Content-Length")
        left = int(length) if length else None
        with open(part, "ab" if answer.status == 206 else "wb") as out:
            try:
                while block := answer.read(1 << 20):
                    out.write(block)
                    left = left and left - len(block)
            except (ConnectionError, TimeoutError, http.client.HTTPException):
                return False
    return not left


def fetch_file(address, path, size, kind, expected):
    if path.exists():
        return check(path, size, kind, expected, drop=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".incomplete")
    began, broken = part.exists(), 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if read_on(address, part):
                break
        except NoNetwork as error:
            if not began and broken == 0:
                raise
            say(str(error))
        broken = 0 if part.exists() and part.stat().st_size > before else broken + 1
        if broken == PATIENCE:
            raise Failure(75, f"{path}: the connection breaks: run again to go on")
    check(part, size, kind, expected, drop=True)
    part.rename(path)


# ---- from the hub

def chosen_files(siblings):
    """A model's files: safetensors where there are any, else pickles."""
    names = {one["rfilename"] for one in siblings if not LEFT.fullmatch(one["rfilename"])}
    if any(name in names for name in ("model.safetensors", "model.safetensors.index.json")):
        names = {name for name in names if not name.startswith("pytorch_model")}
    return [one for one in siblings if one["rfilename"] in names]


def fetch_from_hub(repository, revision, kind, folder, choose):
    with open_address(f"{ENDPOINT}/api/{kind}s/{repository}/revision/{revision}?blobs=true") as answer:
        info = json.load(answer)
    files = choose(info["siblings"])
    if not files:
        raise Failure(66, f"{repository}: holds none of the files that are wanted")
    licence = (info.get("cardData") or {}).get("license", "see its page")
    say(f"{repository} at {info['sha'][:12]}: {len(files)} files, {sum(one['size'] for one in files) / 1e6:.1f} MB, licence: {licence}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OWN).write_text(json.dumps({"repository": repository, "commit": info["sha"]}) + "\n")
    for one in sorted(files, key=lambda file: file["size"]):
        hashed = ("sha256", one["lfs"]["sha256"]) if one.get("lfs") else ("git", one["blobId"])
        start = f"{ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repository}/resolve/{info['sha']}/"
        fetch_file(start + urllib.parse.quote(one["rfilename"]), folder / one["rfilename"], one["size"], *hashed)


def fetch_model(folder, repository, revision):
    if (MODELS / folder / "config.json").exists() and not (MODELS / folder / OWN).exists():
        say(f"{MODELS / folder} is there already and was not fetched by this script: left as it is")
        return
    fetch_from_hub(repository, revision, "model", MODELS / folder, chosen_files)
    say(f"{MODELS / folder} is complete")


# ---- from elsewhere

def first_lines(source, count, path):
    """gsm8k/train_head2000.jsonl: the first problems of train.jsonl."""
    lines = source.read_bytes().split(b"\n")[:count]
    path.with_name(path.name + ".incomplete").write_bytes(b"\n".join(lines) + b"\n")
    path.with_name(path.name + ".incomplete").rename(path)


def fetch_data(name, files):
    one, folder = DATA_SETS[name], DATA / name
    if "hub" in one:
        pattern = re.compile(one["files"])
        fetch_from_hub(one["hub"], "main", "dataset", folder, lambda all_of: [
            f for f in all_of if pattern.fullmatch(f["rfilename"]) and (files is None or f["rfilename"] in files)])
    else:
        mirror = os.environ.get("CMC_DATA_MIRROR", "").rstrip("/")
        head = next((re.fullmatch(r"train_head(\d+)\.jsonl", file) for file in files or () if file.startswith("train_head")), None)
        for file in sorted(files or one["urls"]):
            if head and file == head[0]:
                continue
            if file not in one["urls"]:
                raise Failure(66, f"{name}/{file}: not known; known: {', '.join(one['urls'])}")
            address, expected = one["urls"][file]
            fetch_file(f"{mirror}/{name}/{file}" if mirror else address, folder / file, None, "git", expected)
        if head and not (folder / head[0]).exists():
            address, expected = one["urls"]["train.jsonl"]
            fetch_file(f"{mirror}/{name}/train.jsonl" if mirror else address, folder / "train.jsonl", None, "git", expected)
            first_lines(folder / "train.jsonl", int(head[1]), folder / head[0])
    say(f"{folder} is complete, licence: {one['licence']}")


# ---- without a network

def commands(models, data):
    for folder, (repository, revision) in models.items():
        left = " ".join(f"--exclude '{pattern}'" for pattern in LEFT_IN_WORDS)
        yield f"hf download {repository} --revision {revision} --local-dir '{MODELS / folder}' {left}"
    for name, files in data.items():
        one = DATA_SETS[name]
        if "hub" in one:
            yield f"hf download --repo-type dataset {one['hub']} --include '*.json' --local-dir '{DATA / name}'"
            continue
        yield f"mkdir -p '{DATA / name}'"
        for file in sorted(files or one["urls"]):
            head = re.fullmatch(r"train_head(\d+)\.jsonl", file)
            source = "train.jsonl" if head else file
            address, expected = one["urls"].get(source, ("", ""))
            yield f"curl -L -C - -o '{DATA / name / source}' {address} && [ \"$(git hash-object '{DATA / name / source}')\" = {expected} ]"
            if head:
                yield f"head -n {head[1]} '{DATA / name / source}' > '{DATA / name / file}'"


def main(arguments):
    what, names = arguments[:1], arguments[1:]
    if what not in (["models"], ["data"]) or what == ["models"] and not names or any(name.startswith("-") for name in names):
        print("usage: jobs/fetch.sh models NAME… | data [NAME…]   (NAME: see the head of jobs/fetch.sh)", file=sys.stderr)
        return 2
    models, data = {}, {}
    try:
        if what == ["models"]:
            models = wanted_models(names)
        else:
            data = wanted_data(names)
        for folder, (repository, revision) in models.items():
            fetch_model(folder, repository, revision)
        for name, files in data.items():
            fetch_data(name, files)
    except NoNetwork as error:
        say(f"no network ({error}). Where there is one, run the following, and bring the folders here:")
        print("\n".join(commands(models, data)))
        return 66
    except Failure as error:
        say(str(error))
        return error.code
    except OSError as error:
        say(f"{error.filename}: cannot be written ({error.strerror or error})")
        return 73
    except KeyboardInterrupt:
        say("broken off: run again to go on")
        return 75
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
