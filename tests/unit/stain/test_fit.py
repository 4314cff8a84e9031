import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from torchstain.base.normalizers import MacenkoNormalizer, ReinhardNormalizer

from histossl.errors import UserError
from histossl.stain.fit import fit_stain
from histossl.stain.reference import fingerprint_reference

METHODS = ("macenko", "reinhard")


def test_without_settings_there_is_no_normaliser():
    assert fit_stain(None) is None


def test_torchstain_fits_the_reference(reference, write_picture):
    path = write_picture(reference)
    macenko, reinhard = (fit_stain({"method": method, "reference": path}) for method in METHODS)
    libraries = MacenkoNormalizer(backend="numpy"), ReinhardNormalizer(backend="numpy")
    for library in libraries:
        library.fit(reference)
    assert (macenko.stains == libraries[0].HERef).all() and (macenko.maxima == libraries[0].maxCRef).all()
    assert (reinhard.means == libraries[1].target_means).all()
    assert (macenko.name, reinhard.name) == ("macenko: reference.png", "reinhard: reference.png")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["white", "black", "one colour", "grey glass with noise", "glass with specks"])
def test_a_reference_without_stains_is_named(method, kind, odd_patches, write_picture):
    path = write_picture(odd_patches[kind], "odd.png")
    with pytest.raises(UserError, match=r"odd\.png: blank, or of one colour, so that .* give another"):
        fit_stain({"method": method, "reference": path})


def test_a_reference_that_is_missing_no_picture_or_large_is_named(tmp_path):
    settings = {"method": "macenko", "reference": str(tmp_path / "reference.png")}
    with pytest.raises(UserError, match=r"reference\.png: missing or not a readable picture"):
        fit_stain(settings)
    (tmp_path / "reference.png").write_text("no picture")
    with pytest.raises(UserError, match=r"reference\.png: missing or not a readable picture"):
        fit_stain(settings)
    cv2.imwrite(settings["reference"], np.zeros((1024, 1025, 3), np.uint8))
    with pytest.raises(UserError, match=r"1025 x 1024 px are too many"):
        fit_stain(settings)


def test_the_fingerprint_follows_the_content(reference, write_picture):
    one, same, other = (
        Path(write_picture(p, n)) for p, n in ((reference, "1.png"), (reference, "2.png"), (reference[1:], "3.png"))
    )
    assert fingerprint_reference(one) == fingerprint_reference(same) != fingerprint_reference(other)


def test_fitting_needs_no_torch():
    program = "import sys, histossl.stain.fit; sys.exit('torch' in sys.modules)"
    folder = Path(__file__).parents[3] / "workflow/scripts"
    assert subprocess.run([sys.executable, "-c", program], cwd=folder).returncode == 0
