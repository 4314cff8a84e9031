"""Which slides an encoder is trained on: all, but for those of patients whom a downstream task tests on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from histossl.config.sheets import SlideRow
from histossl.errors import UserError
from histossl.patch_datasets.listing import read_groups
from histossl.splits.labels import takes_part


def choose_slides(slides: Mapping[str, SlideRow], tested: Sequence[Mapping[str, Any]]) -> list[str]:
    """The slides to train on, in the order of their names: that of the sheet's lines must not change the result.

    Args:
        slides: the sheet.
        tested: the tasks whose test patients are left out, see `tested_patients`.

    Raises:
        UserError: it cannot be told whom a task tests on, or no slide is left.
    """
    excluded: set[str] = set()
    for task in tested:
        excluded |= tested_patients(slides, task)
    chosen = sorted(slide for slide, row in slides.items() if row.patient not in excluded)
    if not chosen:
        raise UserError(
            f"no slide is left to train on: {', '.join(task['task'] for task in tested)} tests on all "
            f"{len(excluded)} patients of the sheet; name fewer tasks, or add slides of other patients"
        )
    return chosen


def tested_patients(slides: Mapping[str, SlideRow], task: Mapping[str, Any]) -> set[str]:
    """The patients of the sheet whom a task tests on.

    Args:
        slides: the sheet.
        task: its name as `task`, with `label` and `classes` for a slide task, which tests on each of its patients in
            some fold, or with `source`, `layout` and `split` for a patch task, whose groups are then patients.

    Raises:
        UserError: no group of a patch task is a patient of the sheet.
    """
    if "label" in task:
        rows = slides.values()
        return {row.patient for row in rows if takes_part(row.columns.get(task["label"]), task["classes"])}
    groups = read_groups(Path(task["source"]), task["layout"], task["split"])
    patients = groups & {row.patient for row in slides.values()}
    if not patients:
        has = f"such as {min(groups)!r}" if groups else "none"
        raise UserError(
            f"{task['source']}: the groups that {task['task']!r} tests on ({has}) are no patients of the slide sheet, "
            "so that no slide can be left out for them; give patients as groups, or do not name the task"
        )
    return patients
