import json

import pytest

import each_slide
from histossl.errors import JobError, UserError

WORK = """
import argparse
from pathlib import Path
from histossl.errors import JobError, UserError

def main(argv):
    parser = argparse.ArgumentParser()
    for name in ("file", "spacing", "before", "output", "settings", "mode"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args(argv)
    text = Path(given.file).read_text()
    if text == "bad":
        raise UserError(f"{given.file}: damaged")
    if text == "odd":
        raise RuntimeError("a defect")
    if text == "killed":
        raise JobError("memory")
    with open("worked.txt", "a") as file:
        file.write(Path(given.file).stem)
    Path(given.output).parent.mkdir(exist_ok=True)
    before = Path(given.before).read_text()
    Path(given.output).write_text(f"{text} {given.spacing} {before} {given.settings} {given.mode}")
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Run over some slides; what was worked on, the manifest and the outputs come back."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work.py").write_text(WORK)
    for name in "abc":
        (tmp_path / f"{name}.svs").write_text(f"slide {name}")
        (tmp_path / f"{name}{{}} *.before").write_text("before")

    def run(slides="abc", code="1", settings="{}", mode="x"):
        (tmp_path / "worked.txt").write_text("")
        own = {f"{name}{{}} *": {"file": f"{name}.svs", "spacing": 0.5 if name == "a" else None} for name in slides}
        each_slide.main(
            [
                *("--script=work.py", f"--code={code}", f"--slides={json.dumps(own)}", f"--settings={settings}"),
                *('--reads={"before": "*.before"}', '--writes={"output": "out/*.h5"}', "--made=out/made/*.json"),
                *("--manifest=out/batches/1.json", "--", f"--mode={mode}"),
            ]
        )
        return (tmp_path / "worked.txt").read_text()

    return run


def test_each_slide_gets_its_own_arguments_and_those_of_all(work, tmp_path):
    assert work() == "abc"
    assert (tmp_path / "out/a{} *.h5").read_text() == "slide a 0.5 before {} x"
    assert (tmp_path / "out/b{} *.h5").read_text() == "slide b None before {} x"
    lines = json.loads((tmp_path / "out/batches/1.json").read_text())
    assert [(line["slide"], line["files"]) for line in lines] == [(f"{n}{{}} *", [f"{n}{{}} *.h5"]) for n in "abc"]


def test_only_what_changed_is_made_again(work, tmp_path):
    work()
    assert work() == work(mode="y") == ""
    (tmp_path / "b.svs").write_text("repaired")
    assert work() == "b"
    (tmp_path / "c{} *.before").write_text("other before")
    assert work() == "c"
    (tmp_path / "out/a{} *.h5").unlink()
    assert work() == "a"
    assert work(settings='{"k": 1}') == "abc"
    assert work(settings='{"k": 1}', code="2") == "abc"
    assert work("ab", settings='{"k": 1}', code="2") == ""


def test_a_bad_slide_does_not_stop_the_others_and_is_tried_again(work, tmp_path):
    (tmp_path / "a.svs").write_text("bad")
    (tmp_path / "b.svs").write_text("bad")
    with pytest.raises(UserError, match=r"^a.svs: damaged \(1 more: b\{\} \*\)$"):
        work()
    assert (tmp_path / "worked.txt").read_text() == "c"
    assert not (tmp_path / "out/batches/1.json").exists()
    (tmp_path / "a.svs").write_text("good")
    with pytest.raises(UserError, match=r"^b.svs: damaged$"):
        work()
    assert (tmp_path / "worked.txt").read_text() == "a"


def test_what_is_no_fault_of_a_slide_ends_the_job_and_keeps_what_is_finished(work, tmp_path):
    (tmp_path / "b.svs").write_text("killed")
    with pytest.raises(JobError):
        work()
    (tmp_path / "b.svs").write_text("slide b")
    assert work() == "bc"


def test_a_defect_with_one_slide_does_not_stop_the_others(work, tmp_path, capsys):
    (tmp_path / "a.svs").write_text("odd")
    with pytest.raises(UserError, match=r"^slide a\{\} \*: unexpected error \(RuntimeError: a defect\)"):
        work()
    assert (tmp_path / "worked.txt").read_text() == "bc"
    assert "Traceback" in capsys.readouterr().err
