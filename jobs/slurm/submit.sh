#!/usr/bin/env bash
# Submits an experiment to Slurm; run it again at any time: finished tasks are not done twice.
#   jobs/slurm/submit.sh EXPERIMENT [--array N] [--dry-run] [cmc run options…]     EXPERIMENT: a name in jobs/experiments/ or a file
# One job, or with --array N three, each waiting for the one before:
#   1. run.sbatch     what all shards need: token maps and trained models
#   2. sweep.sbatch   N shards
#   3. run.sbatch     what a shard has left undone (nothing, as a rule), the merge and the report
# --dry-run prints the sbatch lines and the line that starts the ranks. Nodes, GPUs, time: settings.sh, or the environment, e.g.
#   CMC_GPUS_PER_NODE=4 CMC_TIME=12:00:00 jobs/slurm/submit.sh paper --array 8 --set experiment.seed=1,2
# Prints the numbers of the jobs. Logs: OUTPUT/logs/slurm-*.out.
set -euo pipefail
from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
shared_stages=token_map,pretrain,prepare,train,adapt

fail() { echo "submit.sh: $2" >&2; exit "$1"; }
source jobs/slurm/job.sh

read_arguments() {
  local known
  known=$(basename -s .ini -a jobs/experiments/*.ini | tr '\n' ' ')
  if [ $# -eq 0 ] || [ "${1#-}" != "$1" ]; then
    fail 2 "usage: submit.sh EXPERIMENT [--array N] [--dry-run] [cmc run options…]; known: $known"
  fi
  experiment=$1 shards='' dry_run=no output='' options=()
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --array) shards=${2:-}; [[ $shards =~ ^[1-9][0-9]*$ ]] || fail 2 "--array $shards: not a number of shards"; shift ;;
      --output) output=${2:-}; [ -n "$output" ] || fail 2 "--output needs a folder"; shift ;;
      --output=*) output=${1#--output=} ;;
      --dry-run) dry_run=yes ;;
      --only | --only=*) only=yes options+=("$1") ;;
      --reserve | --reserve=*) fail 2 "$1: set CMC_WARNING_SECONDS" ;;
      --shard | --shard=*) fail 2 "$1: give --array N" ;;
      *) options+=("$1") ;;
    esac
    shift
  done
  [ -z "$shards" ] || [ -z "${only:-}" ] || fail 2 "--array and --only do not go together: the array's first job uses --only itself"
  local file
  for file in "$experiment" "$from/$experiment" "jobs/experiments/$experiment.ini"; do
    if [ -f "$file" ]; then experiment=$(realpath "$file"); break; fi
  done
  [ -f "$experiment" ] || fail 66 "no experiment $experiment; known: $known"
  name=$(basename "$experiment" .ini)
  output=${output:-$PWD/results/$name}
  output=$(cd "$from" && realpath -m "$output")
}

# submit LOG SBATCH_OPTION… SCRIPT ARGUMENT…: sets `job` to the number that Slurm gives, and adds it to `jobs`.
submit() {
  local log=$1
  shift
  # shellcheck disable=SC2206
  local command=(sbatch --parsable "--chdir=$PWD" "--job-name=cmc-$name" "--output=$output/logs/$log"
    "--time=$CMC_TIME" "--signal=B:USR2@$CMC_WARNING_SECONDS" "--nodes=$CMC_NODES" "--ntasks-per-node=$CMC_RANKS_PER_NODE"
    "--cpus-per-task=$CMC_CORES_PER_RANK" ${CMC_MEMORY_PER_NODE:+"--mem=$CMC_MEMORY_PER_NODE"} $CMC_SBATCH_OPTIONS)
  if [ "$CMC_GPUS_PER_NODE" -gt 0 ]; then command+=("--gpus-per-node=$CMC_GPUS_PER_NODE"); fi
  command+=("$@")
  if [ "$dry_run" = yes ]; then printf '%q ' "${command[@]}"; echo; job=JOB; return; fi
  job=$("${command[@]}")
  job=${job%%;*}  # a cluster's name may follow
  jobs+=("$job")
}

jobs=()
read_arguments "$@"
work=("$experiment" "$output" ${options[@]+"${options[@]}"})
if [ "$dry_run" = no ]; then
  command -v sbatch >/dev/null || fail 66 "sbatch is missing: run it where Slurm's commands are (Debian: slurm-client)"
  [ -n "$CMC_CONTAINER" ] || [ -x "$CMC_BIN/cmc" ] || fail 66 "$CMC_BIN/cmc is missing: run jobs/build.sh, or set CMC_BIN"
  mkdir -p "$output/logs"
fi
if [ -z "$shards" ]; then
  submit slurm-%j.out jobs/slurm/run.sbatch "${work[@]}"
else
  submit slurm-%j.out jobs/slurm/run.sbatch "${work[@]}" --only "$shared_stages"
  needed=$job
  submit slurm-%A_%a.out --kill-on-invalid-dep=yes "--dependency=afterok:$needed" "--array=0-$((shards - 1))" \
    jobs/slurm/sweep.sbatch "${work[@]}"
  submit slurm-%j.out --kill-on-invalid-dep=yes "--dependency=afterok:$needed,afterany:$job" jobs/slurm/run.sbatch "${work[@]}"
fi
if [ "$dry_run" = yes ]; then
  launch_line
  echo "${launch[*]} run …"
else
  echo "${jobs[*]}"
fi
