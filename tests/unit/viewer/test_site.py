import json
import re

import pytest

from histossl.errors import UserError
from histossl.viewer.server import POLICY
from histossl.viewer.site import build_files, find_openseadragon
from tests.unit.viewer.conftest import NAME


def test_the_page_is_complete_and_its_data_are_text(layers, library):
    files = build_files(*layers, library)
    page = files["index.html"].decode()
    for name in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert name in files or name == "data:,"
    assert b"innerHTML" not in files["viewer.js"]
    data = files["data.js"].decode("ascii")
    described = json.loads(data.removeprefix("window.SLIDE = ").removesuffix(";\n"))
    assert described["slide"] == NAME
    assert [heatmap["url"] for heatmap in described["heatmaps"]] == ["attention_1.png"]
    assert set(files) > {"attention_1.png", "viewer.css"}


def test_page_and_server_have_one_policy(layers, library):
    page = build_files(*layers, library)["index.html"].decode()
    (stated,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert f"{stated}; frame-ancestors 'none'" == POLICY
    assert "://" not in page


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(UserError, match="make viewer"):
        find_openseadragon(tmp_path / "none.js")
