# What a site sets once for the jobs of this folder: sourced by submit.sh (what to ask Slurm for) and in each job (how to start
# ranks). A value of the same name in the environment wins; CMC_SLURM_SETTINGS names another file to use instead of this one.
# Edit the values after :=, and load_modules. Partition, account and the like: CMC_SBATCH_OPTIONS, e.g. "-p gpu -A my_account".
# Ranks: one for each GPU; without GPUs, some for each node, of several cores each. A rank's threads are its share of the cores.
# The warning must leave time to reach a checkpoint (a step of training, a unit); Slurm may send it up to a minute early.
: "${CMC_SBATCH_OPTIONS:=}"
: "${CMC_TIME:=04:00:00}"          # of one job, as sbatch --time; the experiment takes as many jobs as it needs
: "${CMC_WARNING_SECONDS:=300}"    # before the end of the job: ranks stop at their next checkpoint
: "${CMC_MAX_RESTARTS:=20}"        # a job that stopped at a checkpoint is queued again so many times at most
: "${CMC_NODES:=1}"                # of one job, that is of one shard of an array
: "${CMC_GPUS_PER_NODE:=0}"
: "${CMC_RANKS_PER_NODE:=$((CMC_GPUS_PER_NODE > 0 ? CMC_GPUS_PER_NODE : 4))}"
: "${CMC_CORES_PER_RANK:=4}"
: "${CMC_MEMORY_PER_NODE:=}"       # as sbatch --mem; empty: the partition's default
: "${CMC_LAUNCHER:=mpirun}"        # or srun, where Slurm has the plugin pmix (srun --mpi=list)
: "${CMC_CONTAINER:=}"             # a prefix of every program, e.g. "apptainer exec --nv /path/cmc.sif"
: "${CMC_BIN:=$PWD/build/release/bin}"
export CMC_MODELS=${CMC_MODELS:-$PWD/models} CMC_DATA=${CMC_DATA:-$PWD/data}

# Called in each job before anything else.
load_modules() {
  :  # module load gcc openmpi hdf5 cuda
}
