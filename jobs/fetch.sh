#!/usr/bin/env bash
# Fetches what an experiment names, checked by size and hash; goes on where it stopped. Without a network it prints the
# commands to run elsewhere and exits 66.
#   jobs/fetch.sh models NAME…    into CMC_MODELS (default models/); NAME: a model's folder as jobs/experiments name it, a
#                                 repository of the hub (owner/name, FOLDER=owner/name, …@revision), or an experiment
#   jobs/fetch.sh data [NAME…]    into CMC_DATA (default data/); NAME: tofu, alpaca_gpt4, alpaca_eval, gsm8k, or an
#                                 experiment (a name in jobs/experiments/ or a file); default: all four
# Environment: HF_ENDPOINT (another hub), HF_TOKEN (models whose licence is to be accepted first), CMC_DATA_MIRROR (an address
# with the files of data sets that are not on the hub, by their paths under CMC_DATA).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CMC_MODELS=${CMC_MODELS:-$here/models} CMC_DATA=${CMC_DATA:-$here/data}
python=${CMC_VENV:-$here/.venv}/bin/python
[ -x "$python" ] || python=python3
exec "$python" "$here/jobs/fetch.py" "$@"
