"""No command grows with the number of slides: the system takes none beyond 128 kB."""

import re

import pytest

from histossl.config import attention

SLIDES, A_BATCH = 24, 4
DEEP = "/".join(["the folder of a cohort"] * 3)


@pytest.fixture
def large(workplace):
    (workplace.folder / DEEP).mkdir(parents=True)
    rows = []
    for number in range(SLIDES):
        path = f"{DEEP}/slide{number:03d}.svs"
        (workplace.folder / path).touch()
        label = ("a", "b")[number % 2]
        rows.append({"slide": f"slide{number:03d}", "patient": f"p{number}", "path": path, "label": label})
    workplace.write_sheet("slides.csv", rows)
    pretrain = {"method": "dino", "tiling": "p256", "model": "vit_small_patch16_224", "epochs": 1}
    task = {"label": "label", "tiling": "p256", "folds": 2, "models": {"abmil": {}}}
    workplace.write_config(
        {
            "slides": {"sheet": "slides.csv"},
            "tilings": {"p256": {"patch_px": 256, "spacing_um": 0.5}},
            "encoders": {"dino": {"pretrain": pretrain}, "control": {"untrained": "dino"}},
            "features": {"slides_per_job": A_BATCH},
            "slide_tasks": {"task": task},
        }
    )
    return workplace


def test_commands_name_no_more_slides_than_a_batch_has(large):
    run = large.snakemake("--dry-run", "--printshellcmds")
    assert run.returncode == 0, run.stderr[-4000:]
    commands = [line for line in run.stdout.splitlines() if "/workflow/scripts/" in line]
    named = {}
    for command in commands:
        (rule,) = re.findall(r"/workflow/scripts/(?!launch|each_slide)(\w+)\.py", command)
        named[rule] = max(named.get(rule, 0), len(set(re.findall(r"slide\d{3}", command))))
    assert {"summarise_cohort", "draw_cohort", "list_left_out", "choose_slides", "pretrain", "train_mil"} <= set(named)
    # A hash deals the slides to batches, some of which are larger than others.
    assert 1 < named.pop("embed_slides") < SLIDES
    assert named.pop("record_attention") == attention.SLIDES < SLIDES
    assert max(named.values()) == 1, named
