"""Mistakes are met before anything runs: one clear sentence, exit code 1, no traceback."""

import copy

import pytest

CONFIG = {
    "slides": {"sheet": "slides.csv"},
    "tilings": {"p64": {"patch_px": 64, "spacing_um": 1.0}},
    "encoders": {"net": {"timm": {"model": "resnet18", "weights": False, "input_px": 64}}},
    "slide_tasks": {"subtype": {"label": "subtype", "tiling": "p64", "folds": 2, "models": {"abmil": {}}}},
}
ROWS = [
    {"slide": f"s{i}", "patient": f"p{i}", "path": f"s{i}.svs", "subtype": "ductal" if i % 2 else "lobular"}
    for i in range(8)
]


def edit_rows(index: int, **changes: str) -> list[dict]:
    return [{**row, **changes} if i == index else row for i, row in enumerate(ROWS)]


def edit_config(path: str, value: object) -> dict:
    config = copy.deepcopy(CONFIG)
    *parents, key = path.split(".")
    inner = config
    for parent in parents:
        inner = inner[parent]
    inner[key] = value
    return config


SHEETS = {
    "missing column": ([{k: v for k, v in row.items() if k != "patient"} for row in ROWS], ["slides.csv", "'patient'"]),
    "duplicate id": (edit_rows(3, slide="s2"), ["slides.csv", "line 5", "'s2'"]),
    "slash in id": (edit_rows(3, slide="a/b"), ["line 5", "'a/b'", "slash"]),
    "control character in id": (edit_rows(3, slide="a\nb"), ["'a\\nb'", "control character"]),
    "brace in id": (edit_rows(3, slide="S{1}"), ["line 5", "'S{1}'", "brace"]),
    "label of no patient's own": (
        edit_rows(3, subtype="mixed", patient="p1"),
        ["slides.csv", "'mixed'", "0 patients"],
    ),
    "leading dash": (edit_rows(3, slide="-rf"), ["line 5", "'-rf'", "dash"]),
    "path that isn't there": (edit_rows(3, path="nowhere.svs"), ["slides.csv", "'s3'", "nowhere.svs"]),
    "one class": ([{**row, "subtype": "ductal"} for row in ROWS], ["slides.csv", "ductal"]),
    "missing label column": (
        [{k: v for k, v in row.items() if k != "subtype"} for row in ROWS],
        ["slides.csv", "subtype"],
    ),
    "fewer patients than folds": ([{**row, "patient": f"p{i % 2}"} for i, row in enumerate(ROWS)], ["slides.csv", "2"]),
}
CONFIGS = {
    "unknown key": (edit_config("tilings.p64.patch_pix", 64), ["patch_pix", "did you mean 'patch_px'"]),
    "unknown key at the top": (edit_config("tisue", {}), ["tisue", "did you mean 'tissue'"]),
    "wrong type": (edit_config("tilings.p64.patch_px", "big"), ["tilings.p64.patch_px", "'big'", "integer"]),
    "unknown tiling": (edit_config("slide_tasks.subtype.tiling", "p63"), ["p63", "did you mean 'p64'"]),
    "weights that aren't there": (edit_config("encoders.net.timm.weights", "nope.pt"), ["encoders.net", "nope.pt"]),
    "another scale": (edit_config("encoders.net.timm.spacing_um", 0.5), ["slide_tasks.subtype", "'net'", "0.5"]),
    "no specification": (
        edit_config(
            "phantom",
            {
                "specification": "none.csv",
                "slides": {"seed": 1, "width_px": 512, "height_px": 512, "spacing_um": 0.5},
                "patches": {
                    "seed": 1,
                    "patch_px": 64,
                    "spacing_um": 1.0,
                    "per_class": 1,
                    "test_per_class": 1,
                    "cellularity": 2,
                    "test_share": 0.5,
                },
            },
        ),
        ["none.csv", "no such file"],
    ),
    "no sheet": (edit_config("slides.sheet", "sheet.csv"), ["sheet.csv", "no such"]),
}


def check_refusal(workplace, config: dict, rows: list[dict], expected: list[str]) -> None:
    workplace.write_config(config)
    workplace.write_sheet("slides.csv", rows)
    for i in range(8):
        (workplace.folder / f"s{i}.svs").write_bytes(b"slide")
    kept = workplace.folder / "results" / "tables" / "cohort.csv"
    kept.parent.mkdir(parents=True)
    kept.write_text("computed earlier")
    run = workplace.snakemake("--cores", "1")
    said = run.stdout + run.stderr
    assert run.returncode == 1, said
    assert "Traceback" not in said
    assert all(word in said for word in expected), said
    assert kept.read_text() == "computed earlier"


@pytest.mark.parametrize("name", SHEETS)
def test_a_mistake_in_the_sheet_is_explained(workplace, name):
    rows, expected = SHEETS[name]
    check_refusal(workplace, CONFIG, rows, expected)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_mistake_in_the_config_is_explained(workplace, name):
    config, expected = CONFIGS[name]
    check_refusal(workplace, config, ROWS, expected)


def test_without_a_mistake_the_same_input_is_accepted(workplace):
    workplace.write_config(CONFIG)
    workplace.write_sheet("slides.csv", ROWS)
    for i in range(8):
        (workplace.folder / f"s{i}.svs").write_bytes(b"slide")
    run = workplace.snakemake("--cores", "1", "--dry-run")
    assert run.returncode == 0, run.stderr
