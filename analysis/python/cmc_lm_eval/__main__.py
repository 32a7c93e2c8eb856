from lm_eval.__main__ import cli_evaluate

from . import model  # noqa: F401: registers the type `cmc`

if __name__ == "__main__":
    cli_evaluate()
