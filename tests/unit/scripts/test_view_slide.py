import http.client
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import view_slide
from histossl.errors import UserError
from histossl.viewer import site
from tests.unit.judged_run import Judgement, write_run

SCRIPT = Path(view_slide.__file__)
LIBRARY = "// nothing\n"


@pytest.fixture
def place(tmp_path, drawn_slide, monkeypatch):
    """A folder with a finished run, which is the working folder."""
    write_run(tmp_path, drawn_slide.path, [Judgement("x", "a", 0, 0.1)])
    config = {
        "slides": {"sheet": "slides.csv"},
        "tilings": {"p32": {"patch_px": 32, "spacing_um": 1.0}},
        "encoders": {"enc": {"timm": {"model": "resnet18"}}},
        "slide_tasks": {"task": {"label": "label", "tiling": "p32", "models": {"abmil": {}}}},
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    library = tmp_path / "openseadragon.min.js"
    library.write_text(LIBRARY, encoding="utf-8")
    monkeypatch.setattr(view_slide, "find_openseadragon", lambda: library)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_slide_is_exported(place, capsys):
    view_slide.main(["--slide=x", "--export=out"])
    assert "out/index.html" in capsys.readouterr().out
    names = {path.name for path in (place / "out").iterdir()}
    assert names >= {"index.html", "data.js", "attention_1.png", "tiles"}
    assert "task \\u00b7 enc \\u00b7 abmil" in (place / "out/data.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--slide=y"], "there is no slide 'y'"),
        (["--slide=x", "--configfile=none.yaml"], "none.yaml: not a readable configuration"),
        (["--slide=x", "--results=elsewhere"], "elsewhere/slides/x/metadata.json"),
        (["--slide=x", "--port=70000"], "port 70000"),
    ],
)
def test_what_cannot_be_is_said(place, arguments, said):
    with pytest.raises(UserError, match=said):
        view_slide.main(arguments)


def test_the_command_serves_until_it_is_ended(place):
    try:
        site.find_openseadragon()
    except UserError as error:
        pytest.skip(str(error))
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
    command = [sys.executable, str(SCRIPT), "--slide=x", "--port=0"]
    with subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/data.js")
            assert connection.getresponse().read().startswith(b"window.SLIDE = ")
            connection.close()
        finally:
            process.terminate()
