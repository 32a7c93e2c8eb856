"""Opens a results.h5 with h5py and pandas: a row for each system, with what TOFU and AlpacaEval say about it.

    python analysis/example.py results/small_llms/results.h5
"""

import json
import sys

import h5py
import pandas as pd

SYSTEM = ["target", "method", "delta", "alpha"]
SETS = ["real_authors", "world_facts", "retain", "forget"]


def rows_of(file, stage, columns):
    """One row for each answer that `stage` evaluated: its system, `columns`, and the parameters that say what it is."""
    frames = [pd.DataFrame(columns=[*SYSTEM, "set", "prompts", *columns])]
    for unit in file.get(stage, {}).values():
        task = json.loads(unit.attrs["task"])
        mode = task.get("mode", "base_normalized")
        frame = pd.DataFrame({name: unit[name][:] for name in ["alpha", *columns]})
        frames.append(
            frame.assign(
                target=task["target"],
                method=task["method"] if mode == "base_normalized" else f"{task['method']} ({mode})",
                delta=task.get("delta", ""),
                set=task.get("set", ""),
                prompts=task.get("prompts", "plain"),
            )
        )
    return pd.concat([frame for frame in frames if len(frame)] or frames)


def summary(path):
    """Index (target, method, delta, alpha). Means over items: ROUGE-L recall of each TOFU set, and the log-probability
    per token (nat) of AlpacaEval's reference answers. NaN: not measured."""
    with h5py.File(path) as file:
        tofu = rows_of(file, "unlearn", ["rouge_l_recall"])
        instruct = rows_of(file, "instruct", ["reference_logprob", "reference_tokens"])
    rouge_l = tofu.pivot_table("rouge_l_recall", SYSTEM, "set").reindex(columns=SETS).add_prefix("rouge_l_")
    instruct = instruct[(instruct.prompts == "plain") & (instruct.reference_tokens > 0)]
    per_token = (instruct.reference_logprob / instruct.reference_tokens).groupby([instruct[name] for name in SYSTEM])
    return rouge_l.join(per_token.mean().rename("reference_nat_per_token"), how="outer").sort_index()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(summary(sys.argv[1]).to_string(float_format="%.4f", na_rep="–"))
