"""The quality gate of a release: how much a model's scores may lose as int8."""

from lib.job.command import InputError
from lib.plan.tasks import CATEGORIES


def stage_rows(rows: list[dict], model: str, stage: str) -> list[dict]:
    """The rows, or averages, of the summary for one stage of a model."""
    return [row for row in rows if (row["model"], row["stage"]) == (model, stage)]


def averages_of(summary: dict, model: str, stage: str) -> dict:
    """The summary's means for one stage of a model.

    Raises:
        InputError: there are none.
    """
    rows = stage_rows(summary["averages"], model, stage)
    if not rows:
        raise InputError(f"release of {model}: expected scores of the stage {stage} in the summary, found none")
    return rows[0]


def check_loss(name: str, before: dict, after: dict, gate: float) -> None:
    """Compare the category means of an int8 model with those of the model that it was made from.

    Raises:
        InputError: one of them is lower by more than ``gate``.
    """
    for category in CATEGORIES:
        if category in before and before[category] - after[category] > gate:
            raise InputError(
                f"release of {name}: int8 has {after[category]:.2f} in {category}, {before['stage']} has "
                f"{before[category]:.2f}: expected a loss of at most {gate}; release.most_lost allows more"
            )
