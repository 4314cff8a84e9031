import pytest

import inspect_slide
from histossl.errors import UserError
from histossl.slides.metadata import read_metadata


def arguments(tmp_path, file, as_json, policy="exclude", **settings):
    values = {"sheet_spacing_um": None, "assumed_spacing_um": None, "on_bad_slide": policy, **settings}
    return [
        "--slide=ü 1",
        f"--file={file}",
        f"--settings={as_json(values)}",
        f"--output={tmp_path / 'm/metadata.json'}",
    ]


def test_a_good_slide_is_described(tmp_path, drawn_slide, as_json, capsys):
    inspect_slide.main(arguments(tmp_path, drawn_slide.path, as_json))
    found = read_metadata(tmp_path / "m/metadata.json")
    assert (found.slide, found.status, found.spacing_um, found.spacing_source) == ("ü 1", "ok", 0.5, "vendor")
    assert capsys.readouterr().out == ""


def test_settings_reach_the_ladder(tmp_path, drawn_slide, as_json):
    inspect_slide.main(arguments(tmp_path, drawn_slide.path, as_json, sheet_spacing_um=0.3))
    assert read_metadata(tmp_path / "m/metadata.json").spacing_um == 0.3


def test_a_bad_slide_is_left_out_with_a_reason_or_ends_the_run(tmp_path, as_json, capsys):
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"rubbish")
    with pytest.raises(UserError, match=r"bad\.svs: OpenSlide cannot open"):
        inspect_slide.main(arguments(tmp_path, bad, as_json, "fail"))
    assert not (tmp_path / "m/metadata.json").exists()
    inspect_slide.main(arguments(tmp_path, bad, as_json))
    assert read_metadata(tmp_path / "m/metadata.json").status == "excluded"
    assert "slide ü 1 is left out" in capsys.readouterr().out
