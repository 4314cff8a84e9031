"""Snakemake's report of the finished chain, in a real browser that reaches no host."""

import json
import re

import pytest

from histossl.report.page import html_page
from histossl.tables.render import Figures, Section
from tests.workflow.browser import CHROMIUM, browse
from tests.workflow.conftest import REPOSITORY
from tests.workflow.tiny import CONFIG

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (apt-get install chromium)"),
]
PIPELINE = ("Cohort", "Pretraining", "Features", "Slide tasks", "Patch tasks", "Attention", "The run")
CATEGORIES = [f"{number} {name}" for number, name in enumerate(PIPELINE, 1)]
CLICK = """
const pause = () => new Promise(done => setTimeout(done, 300));
const click = async (text) => {
  await pause();
  [...document.querySelectorAll("#app nav a")].find(link => link.textContent.trim() === text).click();
  await pause();
};
"""


def said_in(name, dom):
    """What a script of ours has left in the page."""
    return json.loads(re.search(rf'<pre id="{name}">(.*?)</pre>', dom, re.DOTALL)[1].replace("&lt;", "<"))


LEAVE = """
const leave = (name, value) => {
  const element = document.createElement("pre");
  element.id = name;
  element.textContent = JSON.stringify(value);
  document.body.append(element);
};
"""


@pytest.fixture(scope="module")
def report(finished, tmp_path_factory):
    page = tmp_path_factory.mktemp("report") / "report.html"
    run = finished.snakemake(
        "--cores", "1", "--nolock", "--report", str(page), "--report-stylesheet", str(REPOSITORY / "report/style.css")
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-8000:]
    return page


def test_the_report_opens_offline_and_shows_its_categories_and_a_table(report, tmp_path):
    script = f"""{CLICK}{LEAVE}
    await pause();
    leave("menu", [...document.querySelectorAll("#app nav a")].map(link => link.textContent.trim()));
    await click("4 Slide tasks");
    await click("Tables");
    document.querySelector("#app nav table a").click();
    await pause();
    leave("shown", atob(document.querySelector("#app iframe").src.split("base64,")[1]));
    """
    seen = browse(report, tmp_path, script, tmp_path / "report.png")
    assert (seen.errors, seen.requests) == ([], [])
    assert [entry for entry in said_in("menu", seen.dom) if entry[:1].isdigit()] == CATEGORIES
    shown = said_in("shown", seen.dom)
    assert "<th" in shown and all(name in shown for name in CONFIG["encoders"])
    assert "system-message" not in seen.dom, "a caption is no clean reStructuredText"
    assert (tmp_path / "report.png").stat().st_size > 20_000


def test_the_runs_page_names_code_packages_seeds_and_every_key(finished):
    page = (finished.folder / "results/runs/runs.html").read_text(encoding="utf-8")
    for said in ("torch", "snakemake", "encoders.dino.pretrain.seed", "slide_tasks.subtype.folds", "--cores 2"):
        assert said in page, said
    (record,) = (finished.folder / "results/runs").glob("*.json")
    assert json.loads(record.read_text(encoding="utf-8"))["config"]["tables"]["resamples"] == 200


def test_headings_sort_numbers_as_numbers_and_markup_is_text(tmp_path):
    names = ["<script>document.title = 'owned'</script>", "$x$", "b10", "b9"]
    figures = ["0.10 [0.0, 0.9]", "", "-0.5 [-1.0, 0.0]", "1e-3"]
    rows = [[name, Figures(figure)] for name, figure in zip(names, figures, strict=True)]
    (tmp_path / "table.html").write_text(html_page("T", [Section("", ["name", "AUC"], rows, 1)], []), encoding="utf-8")
    script = f"""{LEAVE}
    const column = (i) => [...document.querySelectorAll("tbody tr")].map(row => row.cells[i].textContent);
    const [name, figure] = document.querySelectorAll("th button");
    figure.click();
    leave("up", column(1));
    figure.click();
    leave("down", column(1));
    name.click();
    leave("names", column(0).filter(text => text.startsWith("b")));
    leave("title", document.title);
    """
    seen = browse(tmp_path / "table.html", tmp_path / "browser", script)
    assert (seen.errors, seen.requests) == ([], [])
    assert said_in("up", seen.dom) == ["-0.5 [-1.0, 0.0]", "1e-3", "0.10 [0.0, 0.9]", ""]
    assert said_in("down", seen.dom) == ["0.10 [0.0, 0.9]", "1e-3", "-0.5 [-1.0, 0.0]", ""]
    assert said_in("names", seen.dom) == ["b9", "b10"]
    assert said_in("title", seen.dom) == "T"


def test_the_browser_tells_what_a_page_asks_for_and_its_errors(tmp_path):
    """Else an empty list would prove nothing."""
    page = tmp_path / "page.html"
    page.write_text("<img src='http://host.invalid/a.png'><script>missing()</script>", encoding="utf-8")
    seen = browse(page, tmp_path / "browser")
    assert seen.requests == ["http://host.invalid/a.png"]
    assert any("missing is not defined" in error for error in seen.errors)
