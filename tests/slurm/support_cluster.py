"""A real Slurm on this machine for the length of a test: munged, slurmctld and two slurmd, under a folder of their own."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(os.environ["CMC_SOURCE"])
PROGRAMS = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "mpirun": "openmpi-bin"}
NODES = ("n1", "n2")

# Requeued jobs wait cred_expire seconds (120 by default); sched_interval and bf_interval are the scheduler's own pauses.
CONFIGURATION = """
ClusterName=cmctest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/%n
TmpFS={folder}/%n/tmp
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
KillWait=5
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=1000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=1000 Gres=gpu:2
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def require_programs():
    assert os.geteuid() == 0, "the Slurm tests start slurmctld and slurmd, which must run as root: run the tests as root"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)})
    assert not missing, f"missing packages: {' '.join(missing)}; jobs/setup.sh --tests installs them"
    return path


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Cluster:
    def __init__(self):
        path = require_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="cmc-slurm-", dir="/tmp"))  # short: sockets' paths are limited to 108 bytes
        self.folder.chmod(0o755)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "OMPI_", "PMIX_"))}
        self.environment.update(PATH=path, SLURM_CONF=str(self.folder / "slurm.conf"), OMP_NUM_THREADS="1")
        self.daemons = []
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self):
        folder = self.folder
        for name in ("state", *(f"{node}/tmp" for node in NODES)):
            (folder / name).mkdir(parents=True)
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)
        host = socket.gethostname().split(".")[0]
        (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, host=host, ports=free_ports(1 + len(NODES))))
        # Any two devices will do: Slurm counts them and hands out their numbers.
        (folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
        self._daemon("munged", "--foreground", "--force", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket",
                     f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed")
        self._wait_until(lambda: (folder / "munge.socket").exists(), "munged made no socket")
        self._daemon("slurmctld", "-D")
        for node in NODES:
            self._daemon("slurmd", "-D", "-N", node)
        self._wait_until(lambda: self.call("sinfo", "-h", "-N", "-o", "%T").stdout.split() == ["idle"] * len(NODES),
                         "the nodes did not come up")

    def _daemon(self, *command):
        with open(self.folder / f"{command[0]}-{len(self.daemons)}.out", "w") as log:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, preexec_fn=die_with_parent))

    def _wait_until(self, condition, complaint, timeout=60):
        deadline = time.monotonic() + timeout
        while not condition():
            logs = "\n".join(log.read_text()[-1500:] for log in self.folder.glob("*.out"))
            assert all(daemon.poll() is None for daemon in self.daemons), f"a daemon ended\n{logs}"
            assert time.monotonic() < deadline, f"{complaint}\n{logs}"
            time.sleep(0.1)

    def call(self, *command, expect=None, **environment):
        done = subprocess.run([str(word) for word in command], env={**self.environment, **environment}, text=True,
                              capture_output=True, timeout=120)
        assert expect is None or done.returncode == expect, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def submit(self, experiment, *options, **settings):
        """Numbers of the jobs that submit.sh makes; `settings` are those of settings.sh."""
        small = {"CMC_TIME": "5", "CMC_WARNING_SECONDS": "60", "CMC_RANKS_PER_NODE": "1", "CMC_CORES_PER_RANK": "1",
                 "CMC_BIN": os.environ["CMC_BIN"]}
        done = self.call(ROOT / "jobs/slurm/submit.sh", experiment, *options, expect=0, **{**small, **settings})
        return done.stdout.split()

    def records(self, job):
        """What Slurm tells of a job, one {field: value} for each task of an array."""
        lines = self.call("scontrol", "--oneliner", "show", "job", job, expect=0).stdout.splitlines()
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines if line.strip()]

    def wait(self, job, timeout=150, until=("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")):
        """Records of a job when all of them have come to one of these states."""
        deadline = time.monotonic() + timeout
        while True:
            records = self.records(job)
            if all(record["JobState"] in until for record in records):
                return records
            assert time.monotonic() < deadline, f"job {job} took too long: {records}"
            time.sleep(0.2)

    def stop(self):
        if len(self.daemons) > 1:
            self.call("scancel", "--user=root")
            deadline = time.monotonic() + 15
            while self.call("squeue", "-h").stdout.strip() and time.monotonic() < deadline:
                time.sleep(0.2)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
        for process in self._left():
            os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _left(self):
        """Processes that still live with this cluster's configuration: what jobs started outlives its daemons."""
        mark = f"SLURM_CONF={self.folder}/".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes():
                    yield int(entry.name)
            except OSError:
                continue  # it ended meanwhile
