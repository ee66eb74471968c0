"""What a run would take, and what it took."""

import json

import pytest

import list_costs
import plan
from lib.job.command import InputError

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def listed(folder, benchmarks, *arguments):
    """The lines of the table of costs, without its header, for benchmark files with their text."""
    for name, text in benchmarks.items():
        path = folder / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [
        "--benchmarks",
        folder / "benchmarks",
        "--markdown",
        folder / "costs.md",
        "--html",
        folder / "costs.html",
        *arguments,
    ]
    list_costs.main([str(part) for part in command])
    return [line for line in (folder / "costs.md").read_text().splitlines() if line.startswith("| ")][1:]


def measured(seconds, megabytes, busy):
    return HEADER + f"{seconds}\t0:01:00\t{megabytes}\t1\t1\t1\t1\t1\t1\t{busy}\n"


def test_costs_are_sums_of_times_and_the_largest_memory_of_a_part(tmp_path):
    benchmarks = {"embed/00000": measured(60, 1000, 120), "embed/00001": measured(90, 2000, 180)}
    benchmarks |= {"evaluate/m/int8": measured(6, 500, 6), "evaluate/peer/baseline": measured(30, 400, 30)}
    benchmarks |= {"sample_sentences": HEADER + "0.5" + "\tNA" * 9 + "\n"}
    embed, baseline, model, sample, everything = listed(tmp_path, benchmarks)
    assert embed == "| embed | 00001 | 2 | 2.50 | 1.50 | 5.00 | 2.0 | 0.83 |"
    assert baseline.startswith("| evaluate_baseline | peer/baseline | 1 | 0.50 |")
    assert model.startswith("| evaluate_model | m/int8 | 1 | 0.10 |")
    assert sample == "| sample_sentences | sample_sentences | 1 | 0.01 | 0.01 | 0.00 | – | 0.00 |"
    assert everything.startswith("| all | embed, 00001 | 5 | 3.11 | 1.50 | 5.60 | 2.0 |")


def test_emissions_are_energy_times_the_carbon_intensity_and_a_gpu_is_named(tmp_path):
    embed = listed(tmp_path, {"embed/00000": measured(60, 1000, 3600)}, "--carbon-intensity", 400)[0]
    assert embed.endswith("| 10.00 | 4.00 |")  # Wh and g
    shown = (tmp_path / "costs.md").read_text()
    assert "400 g CO2eq" in shown and "cuda" not in shown
    for number, device in enumerate(["cpu", "cuda: some GPU"]):
        (tmp_path / f"0000{number}.json").write_text(json.dumps({"device": device}))
    assert listed(tmp_path, {}, "--embeddings", tmp_path)[0].endswith("| 10.00 |")
    shown = (tmp_path / "costs.md").read_text()
    assert "cuda: some GPU" in shown and "CO2eq" not in shown


@pytest.mark.parametrize("text", ["", HEADER, HEADER + "a\n", "other\n1\n"])
def test_a_file_that_is_no_benchmark_is_named(tmp_path, text):
    with pytest.raises(InputError, match=r"embed/0\.tsv"):
        listed(tmp_path, {"embed/0": text})


def test_a_plan_says_what_is_not_known(capsys):
    jobs = [["embed", 1.5, 2000, None], ["embed", 1.5, 2500, None], ["score", None, 100, 3]]
    plan.main(["--plan", json.dumps({"downloads": {"a": 20.0, "b": None}, "jobs": jobs})])
    shown = capsys.readouterr().out
    assert "| embed | 2 | 3.0 | 2.5 | unknown |" in shown
    assert "| score | 1 | unknown | 0.1 | 3.0 |" in shown
    assert "| all | 3 | at least 3.0 | 2.5 | at least 3.0 |" in shown
    assert "| a | 20.0 |\n| b | unknown |\n| all | at least 20.0 |" in shown
