"""Jobs side by side and their GPUs."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import lib.job.device as device

SCRIPTS = Path(device.__file__).parents[2]


def other_job(folder):
    """Another process that takes a device and keeps it; the device's number, and the process."""
    code = "import sys; from pathlib import Path; from lib.job.device import take_free"
    code += "; print(take_free(['a', 'b'], Path(sys.argv[1])), flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    job = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=SCRIPTS, **pipes)
    return job.stdout.readline().strip(), job


def test_each_job_has_its_own_device_and_a_killed_one_gives_it_back(tmp_path):
    (one, first), (two, second), (three, third) = (other_job(tmp_path) for _ in range(3))
    assert [one, two, three] == ["0", "1", "None"]
    first.kill()
    first.wait()
    again, fourth = other_job(tmp_path)
    assert again == "0"
    for job in (second, third, fourth):
        job.kill()


def test_without_a_gpu_a_cpu_serves():
    threads = device.torch.get_num_threads()
    assert device.job_device(Namespace(gpu=0, threads=threads)) == "cpu"
    if not device.torch.cuda.is_available():
        assert device.job_device(Namespace(gpu=1, threads=threads)) == "cpu"
