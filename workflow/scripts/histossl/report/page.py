"""A page of tables as one HTML file that loads nothing: a click on a heading sorts by that column."""

from collections.abc import Sequence
from html import escape

from histossl.tables.render import Section, numeric

MOST_ROWS = 2000
"""Of a table: a browser is slow with many more, and the CSV has them all."""
STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 1.5rem; }
h1 { font-size: 1.4rem; margin: 0 0 1rem; }
h2, summary { font-size: 1.05rem; font-weight: 600; margin: 1.4rem 0 .5rem; }
summary { cursor: pointer; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; border-bottom: 2px solid #1a1a1a; padding: 0; vertical-align: bottom; background: #fff; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; cursor: pointer;
  width: 100%; text-align: inherit; padding: .25rem .7rem; white-space: nowrap; }
th button::after { content: "\\2195"; color: #999; margin-left: .3em; }
th[aria-sort=ascending] button::after { content: "\\2191"; color: #0072b2; }
th[aria-sort=descending] button::after { content: "\\2193"; color: #0072b2; }
td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; vertical-align: top; max-width: 46rem;
  overflow-wrap: break-word; }
tr:hover td { background: #eef4f8; }
.figures { text-align: right; white-space: nowrap; }
li { max-width: 60rem; margin: .25rem 0; }
"""
SORT = """
const NUMBER = /^[+-]?(\\d+\\.?\\d*|\\.\\d+)(e[+-]?\\d+)?(?=$|[\\s%\\/\\[])/i;
const words = new Intl.Collator("en", {numeric: true});
function sortBy(heading) {
  const body = heading.closest("table").tBodies[0], column = heading.cellIndex;
  const rows = [...body.rows].map(row => [row.cells[column].textContent.trim(), row]);
  const empty = rows.filter(([text]) => text === "" || text === "nan");
  const full = rows.filter(([text]) => text !== "" && text !== "nan");
  const numbers = full.every(([text]) => NUMBER.test(text));
  const down = heading.ariaSort === "ascending" ? -1 : 1;
  full.sort(([a], [b]) => down * (numbers ? parseFloat(a) - parseFloat(b) : words.compare(a, b)));
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.ariaSort = down > 0 ? "ascending" : "descending";
  body.append(...full.concat(empty).map(([, row]) => row));
}
for (const button of document.querySelectorAll("th button"))
  button.addEventListener("click", () => sortBy(button.parentNode));
"""


def html_page(title: str, sections: Sequence[Section], notes: Sequence[str], more: Sequence[Section] = ()) -> str:
    """The page: tables, notes, and further tables that a click unfolds. All text is shown as it is, markup too.

    Numbers sort as numbers, also before an interval, a percent sign or a slash; empty cells come last.
    """
    parts = [f"<h1>{escape(title)}</h1>"]
    for section in sections:
        parts += [f"<h2>{escape(section.title)}</h2>"] if section.title else []
        parts.append(_table(section))
    if notes:
        parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>")
    parts += [
        f"<details><summary>{escape(section.title)}</summary>{_table(section)}</details>"
        for section in more
        if section.rows
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(
        [*parts, f"<script>{SORT}</script>", "</body></html>\n"]
    )


def _table(section: Section) -> str:
    kinds = [' class="figures"' if right and section.rows else "" for right in numeric(section)]
    head = "".join(
        f'<th{kind}><button type="button">{escape(column)}</button></th>'
        for column, kind in zip(section.columns, kinds, strict=True)
    )
    rows = section.rows[:MOST_ROWS]
    cut = f"<p>The first {MOST_ROWS} of {len(section.rows)} rows; the CSV has all.</p>" if rows != section.rows else ""
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    return f'{cut}<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
