"""Write docs/patch_datasets.md from config/presets/patch_datasets.yaml: `make docs`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
HEAD = """# Patch data sets

Labelled patches that encoders are compared on. A published one is read as it is downloaded: name its preset and the
folder that you unpacked (this page is made from config/presets/patch_datasets.yaml by `make docs`).

```yaml
patch_datasets:
  pcam: {preset: pcam, source: data/pcam}
patch_tasks:
  metastases: {train: "pcam:train", test: "pcam:test", probes: {knn: {}, logistic: {}}}
```

A preset fills in `layout` and `spacing_um`; what the config says itself goes before it. Data sets of your own need no
preset: `source` is a folder with a folder of pictures for each class, or a CSV sheet with the columns `path`, `label`
or `target`, and if you like `split` and `group`. Patches of one group, such as a patient, are never on both sides. A
task without `test` is tested in folds of `train`; what `probes` there are is said in [probes](probes.md).

Before unpacking, compare what you downloaded with the published checksums:

```
python workflow/scripts/check_downloads.py --preset pcam --folder data/downloads
```

| preset | data set | patches | px | µm/px | licence |
|---|---|---|---|---|---|
"""
FIELDS = ("source", "classes", "target", "stain", "groups", "licence", "url", "doi")


def main() -> None:
    """Write the page."""
    presets = yaml.safe_load((ROOT / "config/presets/patch_datasets.yaml").read_text(encoding="utf-8"))
    text = HEAD + "".join(row(name, preset) for name, preset in presets.items())
    text += "".join(section(name, preset["about"]) for name, preset in presets.items())
    (ROOT / "docs/patch_datasets.md").write_text(text, encoding="utf-8")


def row(name: str, preset: Mapping[str, Any]) -> str:
    """A data set's line of the table."""
    about = preset["about"]
    cells = (f"[{name}](#{name})", about["title"], count(about["patches"]), about["px"])
    return f"| {' | '.join(map(str, cells))} | {preset['config']['spacing_um']} | {about['licence']} |\n"


def count(patches: Mapping[str, int | str]) -> str:
    """How many patches there are, by split."""
    if set(patches) == {"all"}:
        return f"{patches['all']:,}"
    return ", ".join(
        f"{split} {number:,}" if isinstance(number, int) else f"{split} {number}" for split, number in patches.items()
    )


def section(name: str, about: Mapping[str, Any]) -> str:
    """All that is said of a data set."""
    lines = [f"\n## {name}\n", f"{about['title']}. {about['what']}.\n"]
    for field in FIELDS:
        if field in about:
            value = about[field]
            lines.append(f"- {field}: {', '.join(value) if isinstance(value, list) else value}")
    lines += [f"- {remark}" for remark in about.get("mind", [])]
    archives = about.get("archives", {})
    lines += ["\n| archive | checksum |\n|---|---|"] if archives else []
    lines += [f"| {file} | {kind} `{value}` |" for file, sums in archives.items() for kind, value in sums.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
