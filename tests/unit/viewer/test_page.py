"""The page in a real browser."""

import numpy as np
import pytest

from histossl.viewer.export import export_page
from histossl.viewer.site import build_files
from tests.unit.viewer.browser import CHROMIUM, Browser
from tests.unit.viewer.conftest import NAME

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian's package chromium)")
READY = "viewer.world.getItemCount() === 2 && [0, 1].every((i) => viewer.world.getItemAt(i).getFullyLoaded())"
TISSUE, HEATMAP = "#switches label:nth-child(1) input", "#switches label:nth-child(2) input"
ORANGE, PINK = np.array((213, 94, 0)), np.array((214, 120, 180))


@pytest.fixture
def browser(tmp_path):
    with Browser(tmp_path / "profile", 900, 600) as browser:
        yield browser


def share(picture, colour, within=12):
    """The share of pixels that have about this colour."""
    return (np.abs(picture.astype(int) - colour).max(axis=2) <= within).mean()


def seen(browser):
    """What is seen once nothing moves any more."""
    last, picture = None, browser.screenshot()
    while last is None or (last != picture).any():
        last, picture = picture, browser.screenshot()
    return picture


def test_the_slide_is_seen_and_its_layers_are_switched(serve, real_library, browser):
    browser.open(serve(real_library).address)
    browser.wait_for(f"typeof viewer !== 'undefined' && {READY}")
    everything = seen(browser)
    assert share(everything, ORANGE) > 0.002
    browser.click(TISSUE)
    without_tissue = seen(browser)
    assert share(without_tissue, ORANGE) < 0.0005
    browser.click(HEATMAP)
    slide_alone = seen(browser)
    assert share(slide_alone, PINK, 30) > share(without_tissue, PINK, 30) + 0.05
    browser.click(HEATMAP)
    browser.click(TISSUE)
    np.testing.assert_array_equal(seen(browser), everything)
    browser.evaluate("opacity.value = 1; opacity.dispatchEvent(new Event('input'))")
    assert share(seen(browser), (253, 231, 36), 20) > share(everything, (253, 231, 36), 20)
    assert browser.problems == []


def test_texts_are_text_and_the_scale_bar_is_right(serve, real_library, browser):
    browser.open(serve(real_library).address)
    browser.wait_for(f"typeof viewer !== 'undefined' && {READY}")
    assert browser.evaluate("document.getElementById('title').textContent") == NAME
    assert browser.evaluate("document.getElementById('injected')") is None
    assert browser.evaluate("document.querySelectorAll('#switches label').length") == 2
    wide_px = browser.evaluate("document.getElementById('scale').getBoundingClientRect().width")
    length_um = float(browser.evaluate("document.getElementById('length').textContent").removesuffix(" µm"))
    slide_px = browser.evaluate(
        "viewer.viewport.pixelFromPoint(new OpenSeadragon.Point(1, 0)).x - "
        "viewer.viewport.pixelFromPoint(new OpenSeadragon.Point(0, 0)).x"
    )
    assert length_um == pytest.approx(wide_px * 640 * 0.5 / slide_px, rel=0.01)
    browser.click("#in")
    browser.wait_for(f"document.getElementById('scale').getBoundingClientRect().width !== {wide_px}")


def test_an_export_opens_without_a_server(tmp_path, layers, tiles, real_library, browser):
    export_page(tmp_path / "out", build_files(*layers, real_library), tiles)
    browser.open((tmp_path / "out/index.html").as_uri())
    browser.wait_for(f"typeof viewer !== 'undefined' && {READY}")
    assert share(seen(browser), ORANGE) > 0.002
    assert browser.problems == []


def test_a_slide_without_layers_is_shown_with_a_sentence(serve, layers, real_library, browser):
    browser.open(serve(real_library, (layers[0], [], [])).address)
    browser.wait_for("typeof viewer !== 'undefined' && viewer.world.getItemCount() === 1")
    browser.wait_for("viewer.world.getItemAt(0).getFullyLoaded()")
    assert "no attention" in browser.evaluate("document.getElementById('layers').innerText")
    assert browser.evaluate("document.getElementById('opacity').offsetParent") is None
    assert share(seen(browser), PINK, 30) > 0.05
    assert browser.problems == []
