"""A Slurm cluster of this machine alone, with a GPU that is none; started for a test, and ended with it.

Slurm and munge must be installed, and no cluster configured: the configuration goes to /etc/slurm, where the executor
plugin's job steps look for it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ETC = Path("/etc/slurm")
MARK = "# made by tests/slurm; removed at its end\n"
NEEDED = ["sbatch", "slurmctld", "slurmd", "srun", "squeue", "scancel", "scontrol", "munged"]
CONFIG = """\
ClusterName=made
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MinJobAge=3600
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:fake:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=01:00:00 State=UP
PartitionName=gpu Nodes={host} MaxTime=01:00:00 State=UP
"""


def missing() -> str:
    """What stands in the way of a cluster here, in a few words; empty where nothing does."""
    absent = [name for name in NEEDED if not shutil.which(name)]
    if absent:
        return f"expected Slurm and munge to be installed, found no {', '.join(absent)}"
    if os.getuid() != 0:
        return "expected to run as root, which starts Slurm's daemons"
    config = ETC / "slurm.conf"
    if config.exists() and not config.read_text(encoding="utf-8").startswith(MARK):
        return f"expected no cluster to be configured, found {config}"
    return ""


def end(pid_file: Path) -> None:
    """End a daemon, and wait until it is gone."""
    try:
        pid = int(pid_file.read_text(encoding="utf-8"))
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError):
        pass


@contextmanager
def cluster() -> Iterator[None]:
    """Start the cluster, and end it with all of its jobs."""
    host = socket.gethostname().partition(".")[0]
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    for name in ["state", "spool"]:
        (folder / name).mkdir()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 3 // 4
    ETC.mkdir(exist_ok=True)
    text = CONFIG.format(host=host, folder=folder, cpus=os.cpu_count(), memory=memory)
    (ETC / "slurm.conf").write_text(MARK + text)
    (ETC / "gres.conf").write_text(f"{MARK}NodeName={host} Name=gpu Type=fake File=/dev/null\n")
    munge = Path("/run/munge/munged.pid")
    own_munge = not munge.exists() or not Path(f"/proc/{munge.read_text(encoding='utf-8').strip()}").exists()
    try:
        if own_munge:
            subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "-m", "0755", "/run/munge"], check=True)
            subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
        subprocess.run(["slurmctld"], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["slurmd"], check=True, stderr=subprocess.DEVNULL)
        for _ in range(60):
            if subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, encoding="utf-8").stdout.startswith(
                "idle"
            ):
                break
            time.sleep(1)
        else:
            raise RuntimeError(f"slurm: the node is not idle after a minute; see {folder}")
        yield
    finally:
        subprocess.run(["scancel", "--me"], check=False)
        for name in ["slurmd", "slurmctld"]:
            end(folder / f"{name}.pid")
        if own_munge:
            end(munge)
        for name in ["slurm.conf", "gres.conf"]:
            (ETC / name).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
