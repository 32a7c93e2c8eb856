"""AlpacaEval's length-controlled win rate by scikit-learn's LogisticRegressionCV, set as alpaca_eval's metrics/glm_winrate.py sets it:
L1 penalty, liblinear, no intercept, ten values of C, five folds of grouped rows, scored by the weighted log-loss of probabilities."""

import warnings

import numpy as np
import pandas
import sklearn
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import make_scorer
from sklearn.model_selection import GroupKFold


def log_loss(y_true, y_pred, probability, weight):
    y_pred = np.clip(y_pred, 1e-15, 1 - 1e-15)
    target = np.where(y_true == 1, probability, 1 - probability)
    return -np.mean(weight * (target * np.log(y_pred) + (1 - target) * np.log(1 - y_pred)))


def design(form, difference, difficulty, gamed):
    columns = [np.tanh(difference), *([] if form == "minimal" else [difficulty]), 1.0 - gamed]
    return np.stack(columns, axis=1)


def truth(form, preference, difference, difficulty=None, gamed=None):
    """(rate, standard error), %. `preference`: 1 to 2, 0 a draw, NaN; `difference`: of lengths, reference minus model; `gamed`: a
    frame. Labels and weights: each row once as 1 with its probability, once as 0."""
    preference = pandas.Series(preference, dtype=float).replace({0.0: 1.5}).to_numpy() - 1
    difference = np.asarray(difference, dtype=float)
    rows = difference
    difficulty = np.zeros(len(rows)) if difficulty is None else difficulty
    x = design(form, difference / difference.std(ddof=1), difficulty, np.zeros(len(rows)))
    weight = np.ones(len(rows))
    if form == "v1":
        x = np.concatenate([design(form, gamed["std_delta_len"].to_numpy(), gamed["instruction_difficulty"].to_numpy(), np.ones(len(gamed))), x])
        preference = np.concatenate([gamed["preference"].to_numpy(), preference])
        weight = np.concatenate([np.full(len(gamed), 0.2 / 2), weight])
    judged = ~np.isnan(preference)
    x, preference, weight = x[judged], preference[judged], weight[judged]
    probability, weights = np.concatenate([preference, 1 - preference]), np.concatenate([weight, weight])
    labels, groups = np.repeat([1, 0], len(x)), np.tile(np.arange(len(x)), 2)
    with sklearn.config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scorer = make_scorer(log_loss, response_method="predict_proba", greater_is_better=False).set_score_request(probability=True, weight=True)
        model = LogisticRegressionCV(cv=GroupKFold(n_splits=5), scoring=scorer, random_state=123, dual=False, penalty="l1",
                                     solver="liblinear", fit_intercept=False).set_fit_request(sample_weight=True)
        model.fit(np.concatenate([x, x]), labels, sample_weight=probability * weights, groups=groups, probability=probability, weight=weights)
    predicted = model.predict_proba(design(form, np.zeros(len(rows)), difficulty, np.zeros(len(rows))))[:, 1]
    return 100 * predicted.mean(), 100 * pandas.Series(predicted).sem()
