"""Lets lm-evaluation-harness measure a model that cmc runs: alone, or with a delta of the same or of another vocabulary.

    python -m cmc_lm_eval --model cmc --model_args model=DIR,delta=DIR,alpha=1 --tasks arc_easy

is lm_eval's own command line, in which `cmc` is one more type of model. From Python: import this package, then
lm_eval.simple_evaluate(model="cmc", model_args={"model": DIR}, tasks=[...]).
"""

from .model import CmcLM
from .worker import Worker, WorkerEnded, WorkerError

__all__ = ["CmcLM", "Worker", "WorkerEnded", "WorkerError"]
