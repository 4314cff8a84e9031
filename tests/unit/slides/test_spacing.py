import math

import pytest

from histossl.slides.spacing import PLAUSIBLE_UM, resolve_spacing

VENDOR = {"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.26"}
TAGS = {"tiff.ResolutionUnit": "centimeter", "tiff.XResolution": "20000", "tiff.YResolution": "20000"}
OBJECTIVE = {"openslide.objective-power": "20"}


@pytest.mark.parametrize(
    ("sheet", "properties", "assumed", "um", "source"),
    [
        (0.9, {**VENDOR, **TAGS, **OBJECTIVE}, 0.3, 0.9, "sheet"),
        (None, {**VENDOR, **TAGS, **OBJECTIVE}, 0.3, 0.255, "vendor"),
        (None, {**TAGS, **OBJECTIVE}, 0.3, 0.5, "tiff_resolution"),
        (None, {**OBJECTIVE, "openslide.objective-power": "40"}, 0.3, 0.25, "objective_power"),
        (None, {}, 0.3, 0.3, "assumed"),
        (None, {}, None, None, "none"),
    ],
)
def test_each_step_goes_before_those_below_it(sheet, properties, assumed, um, source):
    spacing = resolve_spacing(sheet, properties, assumed)
    assert (spacing.um, spacing.source) == (um, source)
    assert bool(spacing.refused) == (sheet is not None)  # far from what the file says: noted


@pytest.mark.parametrize("text", ["0", "1000", "-0.5", "nan", "inf", "-inf", "0,25", "", "0.25 um", "1e-400", "1e400"])
def test_nonsense_of_the_vendor_is_refused_recorded_and_passed_over(text):
    spacing = resolve_spacing(None, {"openslide.mpp-x": text, "openslide.mpp-y": text, **OBJECTIVE}, None)
    assert (spacing.um, spacing.source) == (0.5, "objective_power")
    (refused,) = spacing.refused
    assert refused.startswith("vendor ")


@pytest.mark.parametrize("power", ["0", "-20", "nan", "inf", "1e-9", "twenty", "0.1"])
def test_nonsense_of_the_objective_is_refused_and_recorded(power):
    spacing = resolve_spacing(None, {"openslide.objective-power": power}, None)
    assert (spacing.um, spacing.source, len(spacing.refused)) == (None, "none", 1)


def test_unequal_sides_are_refused_and_nearly_equal_ones_averaged():
    unequal = resolve_spacing(None, {"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.5"}, None)
    assert unequal.um is None
    assert "unequal" in unequal.refused[0]
    near = resolve_spacing(None, {"openslide.mpp-x": "0.50", "openslide.mpp-y": "0.48"}, None)
    assert near.um == pytest.approx(0.49)


@pytest.mark.parametrize(("unit", "resolution", "um"), [("inch", 25400 / 0.46, 0.46), ("centimeter", 1e4 / 0.46, 0.46)])
def test_resolution_tags_are_pixels_per_unit(unit, resolution, um):
    tags = {"tiff.ResolutionUnit": unit, "tiff.XResolution": str(resolution), "tiff.YResolution": str(resolution)}
    assert resolve_spacing(None, tags, None).um == pytest.approx(um, rel=1e-5)


@pytest.mark.parametrize("tags", [{**TAGS, "tiff.ResolutionUnit": "none"}, {**TAGS, "tiff.XResolution": "0"}])
def test_resolution_tags_without_a_meaning_are_passed_over(tags):
    assert resolve_spacing(None, {**tags, **OBJECTIVE}, None).source == "objective_power"


def test_a_printing_resolution_is_refused():
    tags = {"tiff.ResolutionUnit": "inch", "tiff.XResolution": "72", "tiff.YResolution": "72"}
    spacing = resolve_spacing(None, tags, 0.5)
    assert (spacing.um, spacing.source) == (0.5, "assumed")
    assert spacing.refused[0].startswith("tiff_resolution")


def test_several_refusals_are_all_recorded_in_order():
    properties = {"openslide.mpp-x": "0", **TAGS, "tiff.XResolution": "72", "openslide.objective-power": "nan"}
    refused = resolve_spacing(None, properties, None).refused
    assert [text.split()[0] for text in refused] == ["vendor", "tiff_resolution", "objective_power"]


def test_the_limits_themselves_are_plausible():
    for um in PLAUSIBLE_UM:
        assert resolve_spacing(None, {"openslide.mpp-x": str(um), "openslide.mpp-y": str(um)}, None).um == um
        beyond = math.nextafter(um, 0 if um == PLAUSIBLE_UM[0] else math.inf)
        assert resolve_spacing(None, {"openslide.mpp-x": str(beyond)}, None).um is None


def test_a_generic_tiff_states_resolution_tags_not_a_vendor():
    generic = {"openslide.vendor": "generic-tiff", "openslide.mpp-x": "0.5", "openslide.mpp-y": "0.5"}
    assert resolve_spacing(None, {**generic, **TAGS}, None) == resolve_spacing(None, TAGS, None)
    assert resolve_spacing(None, {**generic, **TAGS}, None).source == "tiff_resolution"
    assert resolve_spacing(None, generic, None).um is None


def test_a_flat_picture_states_an_image_resolution():
    tags = {"image.ResolutionUnit": "inch", "image.XResolution": "50800", "image.YResolution": "50800"}
    spacing = resolve_spacing(None, tags, None)
    assert (spacing.um, spacing.source) == (0.5, "image_resolution")


@pytest.mark.parametrize(("sheet", "noted"), [(0.25, False), (0.27, False), (0.3, True), (0.2, True), (0.5, True)])
def test_a_sheet_that_disagrees_with_the_file_is_used_and_noted(sheet, noted):
    spacing = resolve_spacing(sheet, VENDOR, None)
    assert (spacing.um, spacing.source) == (sheet, "sheet")
    assert bool(spacing.refused) == noted
    if noted:
        assert spacing.refused[0] == f"vendor gives 0.255 µm/px but the sheet {sheet:g}, which is used"


def test_a_sheet_that_overrides_nonsense_keeps_the_record():
    spacing = resolve_spacing(0.5, {"openslide.mpp-x": "1000"}, None)
    assert (spacing.um, spacing.source) == (0.5, "sheet")
    assert spacing.refused[0].startswith("vendor gives 1000")
