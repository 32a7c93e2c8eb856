"""What open-unlearning computes of an answer's tokens (src/evals/metrics: memorization.py, mia/min_k.py), as it computes it."""

import numpy as np


def extraction_strength(best):
    """The published loop, which ends with k = L - 1 where no suffix is right; `best`: of each token, its last one left out here."""
    labels = best[:-1]
    for k in range(len(labels)):
        if all(labels[k:]):
            break
    return 1 - k / len(labels)


def lowest(scores, share):
    """Minus the mean of that share of the lowest scores."""
    return -np.mean(sorted(scores)[: max(1, int(len(scores) * share))])
