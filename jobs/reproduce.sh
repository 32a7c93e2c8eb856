#!/usr/bin/env bash
# Set-up, build, run and report of one experiment:
#   jobs/reproduce.sh [EXPERIMENT] [cmc run options…]        EXPERIMENT: a name in jobs/experiments/ (default mini) or a file
# Environment: CMC_RANKS (default: one per core, at most 4), CMC_DATA, CMC_MODELS, CMC_OUTPUT (default results/<experiment>).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
experiment=mini
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then experiment=$1; shift; fi
file=$experiment
[ -e "$file" ] || file=jobs/experiments/$experiment.ini
[ -e "$file" ] || { echo "reproduce.sh: no experiment $experiment; known: $(cd jobs/experiments && ls *.ini | tr '\n' ' ')" >&2; exit 66; }
name=$(basename "$file" .ini)
output=${CMC_OUTPUT:-results/$name}

if [ "$name" = small_llms ] && [ -z "${CMC_MODELS:-}" ]; then jobs/setup.sh --models; else jobs/setup.sh; fi
jobs/build.sh release

export CMC_MODELS=${CMC_MODELS:-$PWD/models} CMC_DATA=${CMC_DATA:-$PWD/data}
cores=$(nproc)
ranks=${CMC_RANKS:-$((cores < 4 ? cores : 4))}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores / ranks > 0 ? cores / ranks : 1))}
launch=(mpirun -n "$ranks" --bind-to none --oversubscribe)
[ "$(id -u)" -eq 0 ] && launch+=(--allow-run-as-root)
"${launch[@]}" build/release/bin/cmc run "$file" --output "$output" "$@" && code=0 || code=$?
# Also after a stop (75) or a partial failure (1): what is there is reported, what is missing is a dash.
if [ -e "$output/results.h5" ]; then build/release/bin/cmc-report "$output"; fi
exit "$code"
