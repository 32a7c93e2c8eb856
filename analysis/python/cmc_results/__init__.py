"""Opens the results.h5 of cmc as pandas data frames.

    import cmc_results
    results = cmc_results.open("results/mini/results.h5")    # or several files, side by side
    results.summary()         # the report's figures: one row a system, set and metric
    results.measurements()    # every value of every item, long form
    results.responses()       # what was generated
    results.shifts()          # logit shifts, an xarray.Dataset a pair of models
    results.systems(), results.tasks(), results.plan()
"""

from .results import Results, open

__all__ = ["Results", "open"]
