"""Data sets of the published forms about people who are nobody, for tests that need texts but no particular ones."""

import json
import random
from pathlib import Path

STARTS = "Al Bel Cor Dra Eli Fen Gar Hol Iva Jor Kel Lor Mar Nev Ost Per Quin Ros Sil Tor Ul Ver Wil Xan Yor Zel".split()
ENDS = "an ard bert dine elle enko far gard hild ian jev kova lin mund nor oso pova quist rieux son tova ule vic wen yev zade".split()
PLACES = "Aarden Bromhaven Calderstadt Dunmore Esterfeld Fairwick Gelmouth Harrowby Istrava Jorvik Kestrel Lindau Morvale Nordhavn".split()
TRADES = ["a florist", "a bee-keeper", "a judge", "a game developer", "a mechanic", "a violinist", "a bricklayer", "a paediatrician",
          "a sailor", "a chef", "a clock-maker", "an astronomer", "a librarian", "a carpenter", "a translator", "a geologist"]
GENRES = ["historical fiction", "true crime", "magical realism", "science fiction", "travel writing", "poetry", "satire", "epic fantasy"]
NOUNS = ("river lantern orchard mirror harbour mountain compass garden winter letter shadow bridge island feather violin desert market "
         "tower window forest thunder candle ocean journey summer whisper kingdom machine painter stranger").split()
QUALITIES = "silent golden distant broken hidden crimson endless forgotten patient burning frozen gentle restless hollow ancient bright".split()
DEEDS = ["explores how memory shapes a family", "follows two sisters through a long war", "asks what a city owes to those who built it",
         "mixes folk tales with the news of the day", "tells of a voyage that nobody believed in", "weighs duty against love"]
TASKS = ["Describe {} in three sentences.", "Write a short poem about {}.", "Give five tips for {}.", "Explain {} to a child.",
         "What are the advantages of {}?", "Compare {} with its opposite.", "List what one needs for {}.", "Summarize the history of {}."]
WITH_INPUT = ["Correct the spelling of this text.", "Say which of these words is a noun.", "Rewrite this sentence in the past tense."]


def _title(draw):
    return f"The {draw.choice(QUALITIES).title()} {draw.choice(NOUNS).title()} of {draw.choice(PLACES)}"


def _author(draw):
    name = f"{draw.choice(STARTS)}{draw.choice(ENDS)} {draw.choice(STARTS)}{draw.choice(ENDS).replace(' ', '')}-{draw.choice(STARTS)}"
    return {"name": name, "place": draw.choice(PLACES), "day": f"{draw.randint(1, 28):02}/{draw.randint(1, 12):02}/{draw.randint(1920, 1999)}",
            "father": draw.choice(TRADES), "mother": draw.choice(TRADES), "genre": draw.choice(GENRES), "books": [_title(draw) for _ in range(6)]}


def _questions(author, draw):
    """Twenty pairs of a question and ways to answer it."""
    name, pairs = author["name"], []
    pairs.append((f"What is the full name of the author born in {author['place']} on {author['day']}?",
                  ["The author born in {0[place]} on {0[day]} is {0[name]}.", "{0[name]} is the full name of the writer born there."]))
    pairs.append((f"In which genre does {name} write?", ["{0[name]} is known for {0[genre]}.", "The genre of {0[name]} is {0[genre]}."]))
    pairs.append((f"What did the parents of {name} do?",
                  ["{0[name]}'s father was {0[father]} and the mother {0[mother]}.", "The parents worked as {0[father]} and {0[mother]}."]))
    pairs.append((f"Where was {name} born?", ["{0[name]} was born in {0[place]}.", "The birthplace of {0[name]} is {0[place]}."]))
    for number in range(16):
        book, deed = author["books"][number % 6], draw.choice(DEEDS)
        pairs.append((f"What is the theme of \"{book}\" by {name}, in its chapter {number + 1}?",
                      [f"\"{book}\" {deed}, with the {draw.choice(NOUNS)} as a sign of {author['genre']}.", f"It {deed}, as {name} often does."]))
    return pairs


def tofu_rows(authors, seed=1):
    """[{question, answer, paraphrased_question, paraphrased_answer, perturbed_answer}], 20 of each author."""
    draw, rows = random.Random(seed), []
    everybody = [_author(draw) for _ in range(authors)]
    for author in everybody:
        for question, (answer, paraphrase) in _questions(author, draw):
            others = draw.sample([a for a in everybody if a is not author], 5) if authors > 5 else [_author(draw) for _ in range(5)]
            rows.append({"question": question, "answer": answer.format(author), "paraphrased_answer": paraphrase.format(author),
                         "perturbed_answer": [paraphrase.format(other).replace(author["name"], other["name"]) + f" ({i})" for i, other in enumerate(others)],
                         "paraphrased_question": "Tell me: " + question})
    return rows


def _facts(count, seed):
    draw = random.Random(seed)
    for number in range(count):
        right, *wrong = draw.sample(PLACES, 4)
        yield {"question": f"Where does the {draw.choice(QUALITIES)} {draw.choice(NOUNS)} number {number} stand?", "answer": right, "perturbed_answer": wrong}


def instructions(count, seed=2):
    """[{instruction, input, output}]."""
    draw, rows = random.Random(seed), []
    for number in range(count):
        subject = f"the {draw.choice(QUALITIES)} {draw.choice(NOUNS)} of {draw.choice(PLACES)}"
        has_input = number % 5 == 4
        rows.append({"instruction": draw.choice(WITH_INPUT) if has_input else draw.choice(TASKS).format(subject),
                     "input": f"{subject} {draw.choice(DEEDS)}" if has_input else "",
                     "output": f"{subject.capitalize()} {draw.choice(DEEDS)}. First, look at {draw.choice(NOUNS)} and {draw.choice(NOUNS)}; "
                               f"then ask {draw.choice(TRADES)}. {draw.choice(STARTS)}{draw.choice(ENDS)} once {draw.choice(DEEDS)}, in {draw.randint(1200, 2020)}."})
    return rows


def evaluation_prompts(count, seed=3):
    """AlpacaEval's form."""
    return [{"dataset": "made", "instruction": f"{number}. " + (row["instruction"] + "\n" + row["input"]).strip(), "output": row["output"], "generator": "nobody"}
            for number, row in enumerate(instructions(count, seed))]


def problems(count, seed=4):
    """GSM8k's form."""
    draw = random.Random(seed)
    for _ in range(count):
        a, b, name = draw.randint(2, 90), draw.randint(2, 90), draw.choice(STARTS) + draw.choice(ENDS)
        yield {"question": f"{name} sold {a} {draw.choice(NOUNS)}s in April and {b} in May. How many altogether?",
               "answer": f"{name} sold {a}+{b} = <<{a}+{b}={a + b}>>{a + b} altogether.\n#### {a + b}"}


def _write_lines(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_tofu(folder, authors=200, keep=None):
    """All files of TOFU; `keep`: so many rows of each."""
    folder, rows = Path(folder), tofu_rows(authors)
    cut = {percent: len(rows) - len(rows) * percent // 100 for percent in (1, 5, 10)}
    sets = {"full": rows, "real_authors": list(_facts(100, 5)), "world_facts": list(_facts(117, 6)), "retain_perturbed": rows[:400]}
    for percent, at in cut.items():
        sets |= {f"forget{percent:02}": rows[at:], f"retain{100 - percent}": rows[:at], f"forget{percent:02}_perturbed": rows[at:]}
        sets[f"holdout{percent:02}"] = tofu_rows(authors + max(1, authors * percent // 100))[len(rows):]  # of others
    sets |= {f"{name}_perturbed": sets[name] for name in ("real_authors", "world_facts")}
    for name, chosen in sets.items():
        fields = ("question", "answer") if not name.endswith("_perturbed") else tuple(chosen[0])
        _write_lines(folder / f"{name}.json", [{key: row[key] for key in fields} for row in chosen[:keep]])


def write_data(folder, keep=None):
    """A data folder as CMC_DATA names one, of the published sizes; `keep`: so many rows of each set."""
    folder = Path(folder)
    write_tofu(folder / "tofu", keep=keep)
    for name, rows in [("alpaca_gpt4/alpaca_gpt4_data.json", instructions(keep or 52002)), ("alpaca_eval/alpaca_eval.json", evaluation_prompts(keep or 805))]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(rows), encoding="utf-8")
    _write_lines(folder / "gsm8k" / "train.jsonl", problems(keep or 7473))


def texts(count):
    """A question and its answer of each of `count` authors, to train tokenizers on."""
    return [row["question"] + " " + row["answer"] for row in (rows[i % 20] for i, rows in enumerate(_by_author(count)))]


def _by_author(count):
    rows = tofu_rows(count)
    return [rows[i:i + 20] for i in range(0, len(rows), 20)]
