import json
import os

import numpy as np
import pytest

from histossl.cohort.left_out import list_missing, missing_in_features, missing_in_shards
from histossl.cohort.run_end import SHOWN, missing_in_cohort, print_left_out
from histossl.errors import UserError
from histossl.tiles.shards import write_shard


def write_cohort(folder, rows):
    (folder / "tables").mkdir(exist_ok=True)
    lines = ["slide,status,reason", *(",".join(row) for row in rows)]
    (folder / "tables/cohort.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "tables/cohort.csv"


ROWS = [("a", "ok", ""), ("ü", "no tissue", "no tissue found"), ("c", "relaxed", ""), ("d", "excluded", "damaged")]


def test_the_cohort_table_names_slides_without_patches(tmp_path):
    expected = [("ü", "tile_slide", "no tissue found"), ("d", "tile_slide", "damaged")]
    assert list(missing_in_cohort(write_cohort(tmp_path, ROWS))) == expected


def test_shards_and_manifests_name_what_was_found_damaged_late(tmp_path):
    for slide, reason in (("good", ""), ("bad", "truncated")):
        streams = [] if reason else [b"xyz"]
        write_shard(tmp_path / f"{slide}.h5", streams, np.zeros((len(streams), 2)), slide, 8, 1.0, reason)
    assert list(missing_in_shards([tmp_path / "good.h5", tmp_path / "bad.h5"])) == [("bad", "pack_tiles", "truncated")]
    lines = [{"slide": "x", "reason": ""}, {"slide": "y", "reason": "gone"}]
    lines += [{"slide": "z", "stage": "import_features", "reason": "no file"}]
    (tmp_path / "0.json").write_text(json.dumps(lines))
    expected = [("y", "embed_slides", "gone"), ("z", "import_features", "no file")]
    assert list(missing_in_features([tmp_path / "0.json"])) == expected


def test_a_slide_is_listed_once_with_the_first_stage_that_missed_it():
    stages = [[("a", "1", "x")], [("b", "2", "y"), ("a", "2", "z")], []]
    assert list_missing(stages) == [("a", "1", "x"), ("b", "2", "y")]


def test_damaged_inputs_are_named(tmp_path):
    (tmp_path / "bad").write_text("rubbish\nrubbish\n")
    for read in (missing_in_cohort, lambda path: missing_in_shards([path]), lambda path: missing_in_features([path])):
        for path in (tmp_path / "bad", tmp_path / "gone"):
            with pytest.raises(UserError, match=path.name):
                list(read(path))


def test_the_end_of_a_run_names_slides_and_reasons(tmp_path, capsys):
    write_cohort(tmp_path, ROWS)
    print_left_out(tmp_path)
    assert capsys.readouterr().out == "2 slides were left out:\n  ü: no tissue found\n  d: damaged\n"


def test_the_list_goes_before_the_table_unless_the_table_is_newer(tmp_path, capsys):
    cohort = write_cohort(tmp_path, ROWS[:1])
    listed = tmp_path / "tables/left_out.csv"
    listed.write_text("slide,stage,reason\nlate,pack_tiles,truncated\n")
    print_left_out(tmp_path)
    assert capsys.readouterr().out == "1 slide was left out:\n  late: truncated\n"
    os.utime(listed, (1, 1))
    print_left_out(tmp_path)
    assert capsys.readouterr().out == ""
    cohort.unlink()
    print_left_out(tmp_path)
    assert "late" in capsys.readouterr().out


def test_many_are_not_all_named_and_none_is_no_line(tmp_path, capsys):
    write_cohort(tmp_path, [(f"s{i}", "excluded", "damaged") for i in range(SHOWN + 3)])
    print_left_out(tmp_path)
    out = capsys.readouterr().out
    assert out.count("damaged") == SHOWN
    assert "and 3 more" in out
    write_cohort(tmp_path, ROWS[:1])
    print_left_out(tmp_path)
    print_left_out(tmp_path / "nowhere")
    assert capsys.readouterr().out == ""
