from html.parser import HTMLParser

from histossl.report.page import MOST_ROWS, html_page
from histossl.tables.render import Figures, Section

LABEL = """<script>alert("1")</script> $x$ & 'q' <!-- <b>"""


class Read(HTMLParser):
    """The cells and tags of a page, as a browser understands them."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not {"src", "href"} & dict(attributes).keys()

    def handle_data(self, data):
        self.texts.append(data)


def read(page):
    reader = Read()
    reader.feed(page)
    return reader


def test_markup_in_any_place_comes_out_as_text():
    section = Section(LABEL, [LABEL, "n"], [[LABEL, Figures("1")]], 1)
    page = read(html_page(LABEL, [section], [LABEL], [section]))
    assert page.tags.count("script") == 1 and "b" not in page.tags
    assert page.texts.count(LABEL) == 9  # title twice, heading, summary, two columns, two cells, note


def test_a_table_has_its_cells_and_figures_stand_right():
    page = html_page("T", [Section("", ["a", "b"], [["x", Figures("0.5")]], 1)], [])
    assert '<td>x</td><td class="figures">0.5</td>' in page and "<h2>" not in page and "<details>" not in page


def test_a_long_table_is_cut_with_a_sentence():
    page = html_page("T", [Section("", ["a"], [[str(i)] for i in range(MOST_ROWS + 5)], 1)], [])
    assert page.count("<tr>") == MOST_ROWS + 1
    assert f"The first {MOST_ROWS} of {MOST_ROWS + 5} rows" in page
