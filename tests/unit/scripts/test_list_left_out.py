import csv
import json

import numpy as np

import list_left_out
from histossl.tiles.shards import write_shard


def run(folder, *arguments):
    outputs = [f"--csv={folder / 'left_out.csv'}", f"--markdown={folder / 'left_out.md'}"]
    list_left_out.main([f"--sheet={folder / 'slides.csv'}", f"--cohort={folder / 'cohort.csv'}", *arguments, *outputs])
    with (folder / "left_out.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_stage_adds_the_slides_it_missed(tmp_path, capsys):
    (tmp_path / "slides.csv").write_text("slide,patient,path\n" + "".join(f"{s},p{s},x\n" for s in "abcd"))
    (tmp_path / "cohort.csv").write_text("slide,status,reason\na,no tissue,no tissue found\nb,ok,\nc,ok,\nd,relaxed,\n")
    for slide, reason in {"a": "no tissue found", "b": "truncated", "c": "", "d": ""}.items():
        write_shard(tmp_path / f"shards/{slide}.h5", [], np.zeros((0, 2)), slide, 8, 1.0, reason)
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches/0.json").write_text(
        json.dumps([{"slide": "b", "reason": "gone"}, {"slide": "c", "reason": ""}])
    )
    (tmp_path / "batches/1.json").write_text(json.dumps([{"slide": "d", "reason": "burnt"}]))
    (tmp_path / "batches/7.json").write_text(json.dumps([{"slide": "c", "reason": "of an earlier run"}]))
    folders = [f"--shards={tmp_path / 'shards'}", f"--manifests={tmp_path / 'batches'}"]
    rows = run(tmp_path, *folders, "--batches", "0", "1")
    assert [tuple(row.values()) for row in rows] == [
        ("a", "tile_slide", "no tissue found"),
        ("b", "pack_tiles", "truncated"),
        ("d", "embed_slides", "burnt"),
    ]
    assert "3 of 4 slides" in capsys.readouterr().out
    assert "burnt" in (tmp_path / "left_out.md").read_text()


def test_a_whole_cohort_gives_an_empty_list(tmp_path):
    (tmp_path / "slides.csv").write_text("slide,patient,path\na,p,x\n")
    (tmp_path / "cohort.csv").write_text("slide,status,reason\na,ok,\n")
    assert run(tmp_path) == []
    assert "0 of 1" in (tmp_path / "left_out.md").read_text()
