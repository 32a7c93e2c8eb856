"""The published algorithm, written plainly over transformers: the truth that `cmc generate` and `cmc score` are held to.

One prompt at a time, float32, no sharing of work: a delta pass for each re-encoded prefix, the delta's whole context run
again at every inexact token (cf. wujwyi/CMC and the protocol's "Decoding"). Nothing here is shared with the C++ program.
"""
import bisect
import math
import os
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

EXACT, INEXACT, UNMAPPED = 2, 1, 0


@dataclass
class Part:
    """One model of a delta: weight 1, or +1 and -1 for expert and anti-expert."""

    model: torch.nn.Module
    weight: float = 1.0


@dataclass
class Delta:
    """What is added to the base. tokenizer and token_map are None in the base's vocabulary."""

    parts: list
    tokenizer: Tokenizer = None
    token_map: tuple = None  # (ids, match), one entry per base token
    candidates: list = None  # one-to-many: a list of delta ids per base token, empty where it is unmapped
    summed: bool = False  # of the candidates: log of the sum of their exponentials in place of the largest
    top: int = 0  # delta logits for so many of the base's most probable tokens alone; 0: all
    union: bool = False  # and for those whose token is among as many of the delta's (UniTE's union)
    unmapped: str = "zero"  # what the others get: zero, minimum or mean of those that have one
    contrast: bool = False  # what is added is log p of the base less log p of the one part, which reads a prompt of its own
    gate: tuple = ()  # ("plausible", share), ("unsure", probability) or ("disagreement", 0): where, or how much, the delta counts

    def reads_own_prompt(self):
        return self.contrast or self.tokenizer is not None


def load_model(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def load_tokenizer(folder):
    return Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))


# --- the fused distribution -------------------------------------------------------------------------------------------


def spread(delta_logits, delta, base_logits):
    """Delta logits over the base's vocabulary; unmapped base tokens get 0, or what the delta's variant says."""
    size = base_logits.numel()
    out = torch.zeros(size)
    if delta.token_map is None:
        width = min(size, delta_logits.numel())
        out[:width] = delta_logits[:width]
        return out
    if delta.candidates or delta.top or delta.unmapped != "zero":
        return spread_by_variant(delta_logits, delta, base_logits)
    ids = torch.tensor(delta.token_map[0])[:size]
    mapped = torch.nonzero(ids >= 0).squeeze(1)
    out[mapped] = delta_logits[ids[mapped]]
    return out


def spread_by_variant(delta_logits, delta, base_logits):
    """One base token after the other."""
    scores, values = base_logits.tolist(), delta_logits.tolist()
    lists = delta.candidates or [[i] if i >= 0 else [] for i in delta.token_map[0]]
    judged = sorted(range(len(scores)), key=lambda v: -scores[v])[: delta.top or len(scores)]
    if delta.union:
        by_delta = set(sorted(range(len(values)), key=lambda z: -values[z])[: delta.top])
        judged += [v for v in range(len(scores)) if v < len(lists) and lists[v] and lists[v][0] in by_delta and v not in judged]
    pooled = (lambda ids: math.log(sum(math.exp(values[i]) for i in ids))) if delta.summed else (lambda ids: max(values[i] for i in ids))
    known = {v: pooled(lists[v]) for v in judged if v < len(lists) and lists[v]}
    fills = {"zero": lambda logits: 0.0, "minimum": min, "mean": lambda logits: sum(logits) / len(logits)}
    fill = fills[delta.unmapped](known.values()) if known else 0.0
    return torch.tensor([known.get(v, fill) for v in range(len(scores))])


def terms_of(delta, alpha):
    """[(delta, alpha)] of those that count: one delta or a list, at one strength or one each."""
    deltas = delta if isinstance(delta, list) else [delta]
    alphas = alpha if isinstance(alpha, list) else [alpha] * len(deltas)
    return [(one, strength) for one, strength in zip(deltas, alphas) if one is not None and strength != 0]


def fuse(base_logits, part_logits, delta, alpha, mode):
    """fuse_all() of one delta."""
    return fuse_all(base_logits, [(delta, alpha, part_logits)], mode)


def fuse_all(base_logits, terms, mode):
    """[V] fused scores. terms: (delta, alpha, part_logits: one [V_delta] per part, or None where the delta's context is empty)."""
    scores = base_logits if mode == "raw_sum" else torch.log_softmax(base_logits, -1)
    return scores + sum(shift_of(base_logits, *term, mode) for term in terms if term[2] is not None)


def shift_of(base_logits, delta, alpha, part_logits, mode):
    """[V] what one delta adds."""
    if delta.contrast:
        shift = torch.log_softmax(base_logits, -1) - torch.log_softmax(part_logits[0], -1)
        return alpha * shift * counts(base_logits, alpha * shift, delta.gate)
    if mode == "both_normalized":
        part_logits = [torch.log_softmax(logits, -1) for logits in part_logits]
    shift = sum(part.weight * logits for part, logits in zip(delta.parts, part_logits))
    shift = alpha * spread(shift, delta, base_logits)
    return shift * counts(base_logits, shift, delta.gate)


def counts(base_logits, shift, gate):
    """1 where the delta counts, else 0: nudging's condition, or the filter that ULD's authors published. Or how far it moves the base."""
    if not gate:
        return 1
    kind, threshold = gate
    if kind == "disagreement":
        moved = torch.softmax(base_logits, -1) - torch.softmax(base_logits + shift, -1)
        return float(moved.abs().sum()) / 2
    log_p = torch.log_softmax(base_logits, -1)
    if kind == "unsure":
        return float(log_p.max().exp() < threshold)
    kept_at_least = max(1, int(threshold * log_p.numel()))
    lowest = torch.min(log_p.sort(descending=True).values[kept_at_least - 1], log_p.max() + math.log(threshold))
    return (log_p >= lowest).float()


# --- decoding ---------------------------------------------------------------------------------------------------------


class Reader:
    """A model and its cache: appended tokens are read alone, a changed context is read again from its start."""

    def __init__(self, model):
        self.model, self.ids, self.cache = model, [], None

    def logits_after(self, ids):
        ids = list(ids)
        if self.cache is None or ids[: len(self.ids)] != self.ids or len(ids) == len(self.ids):
            self.ids, self.cache = [], None
        new = torch.tensor([ids[len(self.ids):]])
        with torch.no_grad():
            out = self.model(input_ids=new, past_key_values=self.cache, use_cache=True)
        self.ids, self.cache = ids, out.past_key_values
        return out.logits[0, -1].float()


def cut_at_stop(tokenizer, tokens, text, stops):
    """Text before the first stop string, and the tokens before the first one whose text reaches past that."""
    at = min((text.find(stop) for stop in stops if stop in text), default=None)
    if at is None:
        return tokens, text
    kept = 0
    while kept < len(tokens) and len(tokenizer.decode(tokens[: kept + 1], skip_special_tokens=True)) <= at:
        kept += 1
    return tokens[:kept], text[:at]


class DeltaReader:
    """What a delta reads while the base generates, and what its parts say after it."""

    def __init__(self, delta, tokenizer, prompt):
        self.delta, self.base_tokenizer, self.other = delta, tokenizer, delta.tokenizer is not None
        self.prompt_ids = (delta.tokenizer if self.other else tokenizer).encode(prompt).ids
        self.ids = list(self.prompt_ids)
        self.readers = [Reader(part.model) for part in delta.parts]

    def logits(self):
        return [reader.logits_after(self.ids) for reader in self.readers] if self.ids else None

    def append(self, tokens):
        """tokens: all that were generated, the last one new."""
        if not self.other:
            self.ids = self.ids + tokens[-1:]
            return
        ids, match = self.delta.token_map
        if tokens[-1] < len(ids) and match[tokens[-1]] == EXACT:
            self.ids = self.ids + [ids[tokens[-1]]]
        else:
            text = self.base_tokenizer.decode(tokens, skip_special_tokens=True)
            self.ids = self.prompt_ids + self.delta.tokenizer.encode(text, add_special_tokens=False).ids


def generate(base, tokenizer, prompt, new, delta=None, alpha=0.0, mode="base_normalized", delta_prompt=None,
             end_tokens=(), stops=()):
    """Greedy. Returns {"ids", "text", "reason"}; ids are the new base tokens without the end token. delta: a list
    where several are added, alpha then one for all or a list; delta_prompt: what those of another vocabulary, and contrasts, read."""
    prompt_ids = tokenizer.encode(prompt).ids
    steered = [(DeltaReader(one, tokenizer, delta_prompt if delta_prompt is not None and one.reads_own_prompt() else prompt), strength)
               for one, strength in terms_of(delta, alpha)]
    reader = Reader(base)
    tokens, reason = [], "length"
    for _ in range(new):
        base_logits = reader.logits_after(prompt_ids + tokens)
        terms = [(beside.delta, strength, beside.logits()) for beside, strength in steered]
        token = int(torch.argmax(fuse_all(base_logits, terms, mode)))
        if token in end_tokens:
            reason = "end_token"
            break
        tokens.append(token)
        if any(stop in tokenizer.decode(tokens, skip_special_tokens=True) for stop in stops):
            reason = "stop_string"
            break
        for beside, _ in steered:
            beside.append(tokens)
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    tokens, text = cut_at_stop(tokenizer, tokens, text, stops)
    return {"ids": tokens, "text": text, "reason": reason}


def next_token_probabilities(base, tokenizer, prompt, delta=None, alpha=0.0, mode="base_normalized"):
    """[V] of the first new token, delta and base reading the same prompt."""
    with torch.no_grad():
        scores = base(torch.tensor([tokenizer.encode(prompt).ids])).logits[0, -1].float()
        terms = [(one, strength, logits_after(one, (one.tokenizer or tokenizer).encode(prompt).ids)) for one, strength in terms_of(delta, alpha)]
        return torch.softmax(fuse_all(scores, terms, mode), -1)


# --- scoring ----------------------------------------------------------------------------------------------------------


def score(base, tokenizer, prompt, answer, delta=None, alpha=0.0, mode="base_normalized", delta_prompt=None, delta_answer=None):
    """Teacher forcing: {"logprob": nat, "tokens": n, "each": [...]} of the answer's tokens. A delta of another vocabulary reads
    the text so far, or `delta_prompt` and the text of the answer so far; of `delta_answer` instead (as published for the wrong
    answers of TOFU, whose first one the delta reads for all)."""
    prompt_ids = tokenizer.encode(prompt).ids
    ids = prompt_ids + tokenizer.encode(answer, add_special_tokens=False).ids
    reads = None if delta_answer is None else prompt_ids + tokenizer.encode(delta_answer, add_special_tokens=False).ids
    return score_ids(base, tokenizer, ids, len(prompt_ids), delta, alpha, mode, delta_prompt, reads)


def logits_after(delta, context):
    """Of each part; None where there is nothing to read."""
    return [part.model(torch.tensor([context])).logits[0, -1].float() for part in delta.parts] if context else None


def read_before(delta, tokenizer, ids, at, first, delta_prompt, delta_reads):
    """What a delta reads before ids[at], as score_ids() says."""
    if delta.contrast and delta_prompt is not None:
        return tokenizer.encode(delta_prompt).ids + ids[first:at]
    if delta.tokenizer is None:
        return ids[:at]
    read = (delta_reads or ids)[0 if delta_prompt is None else first:at]
    context = delta.tokenizer.encode(tokenizer.decode(read, skip_special_tokens=True), add_special_tokens=delta_prompt is None).ids
    return context if delta_prompt is None else delta.tokenizer.encode(delta_prompt).ids + context


def score_ids(base, tokenizer, ids, first, delta=None, alpha=0.0, mode="base_normalized", delta_prompt=None, delta_reads=None):
    """score() of the tokens `ids` from `first` on; delta_reads: ids that the delta reads in place of them."""
    each, best, means, variances = [], [], [], []
    with torch.no_grad():
        base_logits = base(torch.tensor([ids])).logits[0].float()
        for at in range(first, len(ids)):
            terms = [(one, strength, logits_after(one, read_before(one, tokenizer, ids, at, first, delta_prompt, delta_reads)))
                     for one, strength in terms_of(delta, alpha)]
            fused = torch.log_softmax(fuse_all(base_logits[at - 1], terms, mode), -1)
            each.append(float(fused[ids[at]]))
            exact = fused.double()
            mean = float((exact.exp() * exact).sum())
            best.append(int(int(fused.argmax()) == ids[at]))
            means.append(mean)
            variances.append(float((exact.exp() * exact.square()).sum()) - mean**2)
    return {"logprob": sum(each), "tokens": len(each), "each": each, "best": best, "means": means, "variances": variances}


# --- PM-MinED ---------------------------------------------------------------------------------------------------------


def byte_alphabet():
    """GPT-2's printable stand-ins: character → byte."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    alphabet = {chr(byte): byte for byte in plain}
    alphabet.update({chr(256 + i): byte for i, byte in enumerate(b for b in range(256) if b not in plain)})
    return alphabet


def is_byte_level(tokenizer):
    return "ByteLevel" in tokenizer.decoder.__class__.__name__


def written_forms(tokenizer):
    """Per id (kind, form): ("text", text with ▁ for a space), ("byte"/"partial", bytes), ("special", None)."""
    alphabet = byte_alphabet()
    special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    byte_level = is_byte_level(tokenizer)
    forms = []
    for token_id in range(tokenizer.get_vocab_size(with_added_tokens=True)):
        piece = tokenizer.id_to_token(token_id)
        if piece is None or token_id in special:
            forms.append(("special", None))
        elif not byte_level and len(piece) == 6 and piece.startswith("<0x"):
            forms.append(("byte", bytes([int(piece[3:5], 16)])))
        elif not byte_level:
            forms.append(("text", piece.replace(" ", "▁")))
        elif not all(character in alphabet for character in piece):
            forms.append(("text", piece.replace(" ", "▁")))
        else:
            raw = bytes(alphabet[character] for character in piece)
            try:
                forms.append(("text", raw.decode("utf-8").replace(" ", "▁")))
            except UnicodeDecodeError:
                forms.append(("byte" if len(raw) == 1 else "partial", raw))
    return forms


def pm_mined(base, delta, roles=()):
    """Token map (ids, match) between two tokenizers. roles: pairs (base id, delta id) of special tokens."""
    base_forms, delta_forms = written_forms(base), written_forms(delta)
    by_text, by_bytes = {}, {}
    for token_id, (kind, form) in enumerate(delta_forms):
        if kind == "text":
            by_text.setdefault(form, token_id)
            raw = form.replace("▁", " ").encode()
            if len(raw) == 1:
                by_bytes.setdefault(raw, token_id)
        elif kind in ("byte", "partial"):
            by_bytes[form] = token_id  # a byte token stands for its byte before a one-character text does
    texts = sorted(by_text)
    ids, match = [], []
    roles = dict(roles)
    # Between two vocabularies of one kind a character without a token of its own is left to the prefix match, as published.
    kinds_differ = is_byte_level(base) != is_byte_level(delta)
    for token_id, (kind, form) in enumerate(base_forms):
        found, how = -1, UNMAPPED
        if kind == "special":
            found = roles.get(token_id, -1)
        elif kind in ("byte", "partial"):
            found = by_bytes.get(form, -1)
        elif form in by_text:
            found = by_text[form]
        elif kinds_differ and len(form.replace("▁", " ").encode()) == 1 and form.replace("▁", " ").encode() in by_bytes:
            found = by_bytes[form.replace("▁", " ").encode()]
        else:
            found = nearest(form, by_text, texts)
            how = INEXACT if found >= 0 else UNMAPPED
            ids.append(found)
            match.append(how)
            continue
        ids.append(found)
        match.append(EXACT if found >= 0 else UNMAPPED)
    return ids, match


def one_to_many(base, delta, token_map):
    """Per base token all delta ids that may stand for it: the exact one alone, else every prefix-related text's."""
    base_forms, texts = written_forms(base), [(i, form) for i, (kind, form) in enumerate(written_forms(delta)) if kind == "text" and form]
    lists = []
    for (kind, form), found, how in zip(base_forms, *token_map):
        if how != INEXACT:
            lists.append([found] if found >= 0 else [])
            continue
        lists.append([i for i, text in texts if (text.startswith(form) or form.startswith(text)) and text != form
                      and (text != "▁" or not form.strip("▁"))])
    return lists


def prefix_sum(base, delta, token_map):
    """Per base token of text all delta ids whose text begins with its own, and what it is mapped to where that is exact or alone."""
    base_forms, texts = written_forms(base), [(i, form) for i, (kind, form) in enumerate(written_forms(delta)) if kind == "text" and form]
    lists = []
    for (kind, form), found, how in zip(base_forms, *token_map):
        longer = [i for i, text in texts if kind == "text" and form and text.startswith(form)]
        alone = found >= 0 and (how == EXACT or not longer)
        lists.append(sorted({*longer, found} if alone else longer))
    return lists


def nearest(form, by_text, texts):
    """The delta token that is a prefix of form or extends it, closest in length, smallest id among equals; or -1."""
    candidates = [form[:n] for n in range(1, len(form)) if form[:n] in by_text]
    for text in texts[bisect.bisect_left(texts, form):]:
        if not text.startswith(form):
            break
        candidates.append(text)
    if form.strip("▁"):
        candidates = [text for text in candidates if text != "▁"]
    ranked = sorted((abs(len(text) - len(form)), by_text[text]) for text in candidates)
    return ranked[0][1] if ranked else -1
