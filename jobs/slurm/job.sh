# One Slurm job of an experiment; sourced by run.sbatch and sweep.sbatch, whose only difference is what they give to it.
#
#   run_to_checkpoint EXPERIMENT OUTPUT OPTION…   `cmc run` until it is done, fails, or is warned; sets `output` and `code`
#   requeue_if_stopped                            queues a stopped job (75) again and ends it, or names what is missing
#   end_job                                       exits with `code`
#   launch_line                                   sets `launch`: the command that starts cmc's ranks in this allocation
#
# A warning (USR2, CMC_WARNING_SECONDS before the end) is passed on to mpirun or srun, which forwards it to the ranks; each stops
# at its next checkpoint, and cmc exits 75. After TERM the job is being cancelled or is out of time: it stops, but is not queued
# again. Whatever happens, finished units stay, and the next job goes on from them. Exit codes are those of cmc.
# shellcheck source=jobs/slurm/settings.sh
source "${CMC_SLURM_SETTINGS:-jobs/slurm/settings.sh}"

say() { echo "$(date +%FT%T) job ${SLURM_JOB_ID:-?}: $*" >&2; }

in_container() {
  # shellcheck disable=SC2086  # a prefix of several words
  $CMC_CONTAINER "$@"
}

launch_line() {
  case $CMC_LAUNCHER in
    mpirun)
      launch=(mpirun --map-by "ppr:$CMC_RANKS_PER_NODE:node" --bind-to none)
      if [ "$(id -u)" -eq 0 ]; then launch+=(--allow-run-as-root); fi ;;
    srun) launch=(srun --mpi=pmix "--ntasks-per-node=$CMC_RANKS_PER_NODE" "--cpus-per-task=$CMC_CORES_PER_RANK") ;;
    *) echo "CMC_LAUNCHER: $CMC_LAUNCHER is neither mpirun nor srun" >&2; exit 78 ;;
  esac
  # shellcheck disable=SC2206
  launch+=($CMC_CONTAINER "$CMC_BIN/cmc")
}

launcher='' output='' warnings=0 may_requeue=yes code=70

# Repeated until the launcher is gone, so that a warning is not lost while ranks start.
remind() {
  if [ -n "$launcher" ]; then while kill -USR2 "$launcher" 2>/dev/null; do sleep 1; done & fi
}

warn() {
  warnings=$((warnings + 1))
  say "$1; the ranks stop at their next checkpoint"
  remind
}

# The name by which Slurm knows this job alone. The id of an array's first task is also the id of the whole array.
own_id() { echo "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}"; }

# Not every version of Slurm sets it. cmc takes no task that would not be done by the warning.
tell_end_time() {
  local end
  if [ -n "${SLURM_JOB_END_TIME:-}" ]; then return; fi
  if end=$(date -d "$(squeue --noheader --job "$(own_id)" --format %e)" +%s 2>/dev/null); then export SLURM_JOB_END_TIME=$end; fi
}

run_to_checkpoint() {
  local experiment=$1
  output=$2
  shift 2
  trap 'warn "warned by Slurm"' USR2
  trap 'may_requeue=no; warn "told to end"' TERM
  load_modules
  launch_line
  tell_end_time
  say "restart ${SLURM_RESTART_COUNT:-0} of at most $CMC_MAX_RESTARTS on ${SLURM_JOB_NODELIST:-this node}"
  "${launch[@]}" run "$experiment" --output "$output" "$@" --reserve "$CMC_WARNING_SECONDS" &
  launcher=$!
  if [ "$warnings" -gt 0 ]; then remind; fi
  local seen=-1
  while [ "$seen" -ne "$warnings" ]; do  # a trap ends `wait` early
    seen=$warnings code=0
    wait "$launcher" || code=$?
  done
  if [ "$warnings" -gt 0 ]; then code=$(code_after_warning "$code"); fi
}

# A launcher that is warned while it starts ranks or ends them has codes of its own (Open MPI: 1, 140 and 244, by the moment):
# it was stopped. That some tasks failed (1) is told by the next start, which tries them again.
code_after_warning() {
  case $1 in 0 | 2 | 6? | 7?) echo "$1" ;; *) echo 75 ;; esac
}

requeue() {
  local restarts=${SLURM_RESTART_COUNT:-0}
  if [ "$may_requeue" = no ]; then say "stopped, and not queued again"; return 1; fi
  if [ "$restarts" -ge "$CMC_MAX_RESTARTS" ]; then
    say "stopped after $restarts restarts, the most that CMC_MAX_RESTARTS allows; submit again to go on"
    return 1
  fi
  scontrol requeue "$(own_id)" || { say "stopped, and Slurm does not queue it again; submit again to go on"; return 1; }
  say "stopped at a checkpoint, queued again"
}

# At once, before anything that could outlast the time that is left.
requeue_if_stopped() {
  trap '' USR2 TERM
  if [ "$code" -ne 75 ]; then return; fi
  if requeue; then exit 75; fi
  in_container "$CMC_BIN/cmc" status "$output" >&2 || true
}

end_job() {
  say "ended with exit code $code"
  exit "$code"
}
