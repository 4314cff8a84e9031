import show_table
from histossl.tables.render import write_table

LABEL = "<script>alert(1)</script>"


def test_a_page_shows_the_table_its_notes_and_what_only_its_csvs_hold(tmp_path):
    paths = [tmp_path / f"cohort.{suffix}" for suffix in ("csv", "md", "tex")]
    write_table([{"slide": LABEL, "n": 1}, {"slide": "$x$", "n": 2}], "A note.", *paths)
    (tmp_path / "pairs.csv").write_text("first,second\na,b\n")
    csvs = [str(paths[0]), str(tmp_path / "pairs.csv")]
    show_table.main([f"--markdown={paths[1]}", "--csv", *csvs, f"--output={tmp_path / 'a.html'}"])
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>" in page and "<td>$x$</td>" in page
    assert page.count("<script") == 1 and "<li>A note.</li>" in page
    assert "pairs.csv" in page and "cohort.csv" not in page  # which has the columns that are printed
