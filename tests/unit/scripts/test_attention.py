"""The scripts of attention, one after the other: from patches to figures and the table."""

import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

import draw_attention
import draw_components
import draw_patches
import record_attention
import score_attention
from histossl.attention.maps_file import read_maps, write_maps
from histossl.encoders.backbone import build_backbone
from histossl.encoders.encoder_file import save_encoder
from tests.unit.small_networks import CARD

COORDS = [(x, y) for y in (60, 124, 188) for x in (64, 128, 192)]
PHANTOM = {
    **{"seed": 3, "patch_px": 32, "spacing_um": 1.0, "per_class": 1, "test_per_class": 3, "cellularity": 2},
    "test_share": 0.5,
}
SAMPLED = {"searched": 6, "seed": 1, "source": None, "stain": None}


def record(output, encoder, settings=SAMPLED, files=(), coords=()):
    lists = ["--encoder", *map(str, encoder), "--files", *map(str, files), "--coords", *map(str, coords)]
    fixed = ["--name=net", f"--settings={json.dumps([settings])}", "--outputs", str(output), "--threads=1"]
    record_attention.main([*lists, *fixed])
    return read_maps(output)


def draw(maps, folder):
    figures = {kind: [folder / f"{kind}.{suffix}" for suffix in ("svg", "png")] for kind in ("patches", "heads")}
    listed = [text for kind, files in figures.items() for text in (f"--{kind}", *map(str, files))]
    draw_attention.main([f"--maps={maps}", f"--settings={json.dumps({'patches': 2, 'mass': 0.5})}", *listed])
    return [path for files in figures.values() for path in files]


def test_attention_on_slides_is_drawn(tmp_path, encoder_file, drawn_slide, write_tiles, capsys):
    coords = write_tiles("blob", drawn_slide.path, COORDS)
    found = record(tmp_path / "maps.h5", [encoder_file], files=[drawn_slide.path], coords=[coords])
    heads = build_backbone(CARD.model, CARD.model_args, 1).blocks[-1].attn.num_heads
    assert found.maps.shape == (6, heads, 2, 2)
    assert (found.encoder, found.reason, found.field) == ("net", "", 1.0)
    assert set(found.names) < {f"blob ({x}, {y})" for x, y in COORDS}
    assert all(path.stat().st_size > 10_000 for path in draw(tmp_path / "maps.h5", tmp_path / "figures"))
    brightest = sorted(range(6), key=lambda index: found.pictures[index].mean())
    assert f"patch 2: {found.names[brightest[4]]}" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["imported", "resnet", "no patch"])
def test_where_there_is_no_attention_a_sentence_says_why(kind, tmp_path, encoder_file, drawn_slide, write_tiles):
    coords = write_tiles("blob", drawn_slide.path, [], "no tissue found")
    if kind == "resnet":
        encoder_file = tmp_path / "resnet.pt"
        card = replace(CARD, model="test_resnet", model_args={})
        save_encoder(encoder_file, card, build_backbone(card.model, card.model_args, 1))
    encoder = [] if kind == "imported" else [encoder_file]
    found = record(tmp_path / "maps.h5", encoder, files=[drawn_slide.path], coords=[coords])
    said = {"imported": "made elsewhere", "resnet": "no layer of multi-head attention", "no patch": "no patch to look"}
    assert said[kind] in found.reason
    files = draw(tmp_path / "maps.h5", tmp_path / "figures")
    for path in files[1::2]:
        assert (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) < 128).any()


def test_heads_are_scored_on_drawn_tissue(tmp_path, encoder_file):
    sheet, components = tmp_path / "patches.csv", tmp_path / "components.h5"
    settings = f"--settings={json.dumps(PHANTOM)}"
    draw_patches.main([settings, f"--sheet={sheet}", f"--images={tmp_path / 'images'}"])
    draw_components.main([settings, f"--output={components}"])
    drawn = {"source": str(sheet), "layout": "", "split": "test", "all_up_to": 0, "searched": 20, "seed": 1}
    found = record(tmp_path / "maps.h5", [encoder_file], {**drawn, "stain": None})
    assert len(found.names) == 20
    record(tmp_path / "none.h5", [])
    tables = {kind: tmp_path / f"attention.{kind}" for kind in ("csv", "md", "tex")}
    outputs = [f"--{name}={tables[kind]}" for name, kind in (("csv", "csv"), ("markdown", "md"), ("latex", "tex"))]
    score_attention.main(
        ["--maps", str(tmp_path / "maps.h5"), str(tmp_path / "none.h5"), f"--components={components}", *outputs]
    )
    with tables["csv"].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["head"] for row in rows] == [
        *map(str, range(1, found.maps.shape[1] + 1)),
        *("dark", "bright", "chance", "no attention"),
    ]
    assert list(rows[0]) == ["encoder", "head", "tokens", "nuclei", "tumour cells", "stroma", "lumen", "concentration"]
    assert all(0 <= float(row["stroma"]) <= 1 for row in rows[:-1])
    assert "chance" in tables["md"].read_text(encoding="utf-8")
    # A head that looks at what is bright.
    grey = found.pictures.mean(axis=-1).reshape(-1, 2, 16, 2, 16).mean(axis=(2, 4))
    write_maps(tmp_path / "maps.h5", replace(found, maps=grey[:, None].astype(np.float32)))
    score_attention.main(["--maps", str(tmp_path / "maps.h5"), f"--components={components}", *outputs])
    with tables["csv"].open(encoding="utf-8") as file:
        head, _, bright, chance = csv.DictReader(file)
    assert float(head["lumen"]) == float(bright["lumen"]) > float(chance["lumen"])
