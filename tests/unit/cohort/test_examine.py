import os
import signal
from pathlib import Path

import numpy as np
import pytest

from histossl.cohort import examine as module
from histossl.cohort.examine import Examined, examine_slide, examine_slides, group_series
from histossl.errors import UserError


@pytest.fixture
def slides(tmp_path, make_slide):
    picture = np.full((96, 128, 3), 200, np.uint8)
    stated = make_slide(tmp_path / "stated.svs", picture, spacing_um=0.2525)
    silent = make_slide(tmp_path / "silent.tif", picture, spacing_um=None)
    rubbish = tmp_path / "rubbish.svs"
    rubbish.write_bytes(b"rubbish")
    return stated, silent, rubbish


@pytest.mark.parametrize("processes", [1, 2])
def test_size_scale_and_problems_are_noted_by_path(slides, processes, capsys):
    rubbish, silent, stated = examine_slides(slides, processes)
    assert (stated.opened, stated.width_px, stated.height_px) == (True, 128, 96)
    assert (stated.spacing_um, stated.spacing_source, stated.problem) == (0.2525, "vendor", "")
    assert (silent.opened, silent.width_px, silent.spacing_um, silent.spacing_source) == (True, 128, None, "")
    assert silent.problem.startswith("states no usable µm/px")
    assert (rubbish.opened, rubbish.width_px) == (False, 0)
    assert "rubbish.svs" in rubbish.problem
    assert "3/3 files" in capsys.readouterr().err


def test_a_refused_scale_is_said(tmp_path, make_slide):
    path = make_slide(tmp_path / "zero.svs", np.full((96, 128, 3), 200, np.uint8), spacing_um=1000.0)
    found = examine_slide(path)
    assert found.opened
    assert found.spacing_um is None
    assert "1000" in found.problem


def test_a_crash_is_the_problem_of_that_slide_alone(slides, monkeypatch):
    def inspect(slide, path, *_):
        if slide == "silent.tif":
            os.kill(os.getpid(), signal.SIGSEGV)
        if slide == "rubbish.svs":
            raise ValueError("surprise\nof two lines")
        raise UserError(f"{path}: no good")

    monkeypatch.setattr(module, "inspect_slide", inspect)
    rubbish, silent, stated = examine_slides(slides, 1)
    assert stated.problem.endswith("stated.svs: no good")
    assert "SIGSEGV" in silent.problem
    assert "\n" not in rubbish.problem
    assert "please report" in rubbish.problem


def dicom(name, series="", **values):
    return Examined(Path("cohort") / name, opened=bool(series), series=series, **values)


def test_a_dicom_series_is_one_slide_named_after_the_folder_it_has_to_itself():
    found = group_series([dicom("S1/1.dcm", "uid1"), dicom("S1/2.dcm", "uid1"), dicom("S1/3.dcm"), dicom("S2/7", "u2")])
    assert [(f.path.as_posix(), f.own_name) for f in found] == [("cohort/S1/1.dcm", "S1"), ("cohort/S2/7", "S2")]


def test_several_series_in_one_folder_keep_the_names_of_their_files():
    found = group_series([dicom("S/1.dcm", "u1"), dicom("S/2.dcm", "u2"), dicom("S/3.dcm", "u2")])
    assert [(f.path.name, f.own_name) for f in found] == [("1.dcm", ""), ("2.dcm", "")]


def test_dicom_files_that_are_no_slide_are_named_once_a_folder():
    found = group_series([dicom(f"CT/{i}.dcm", problem="cannot open") for i in range(300)] + [dicom("a.svs", "")])
    assert [f.path.name for f in found] == ["0.dcm", "a.svs"]
    assert found[0].problem == "cannot open (and 299 more .dcm files of this folder)"
