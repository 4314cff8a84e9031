"""A page in a headless Chromium without a network: what it says, asks for and looks like."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.unit.viewer.browser import CHROMIUM

OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0"]
OPTIONS += ["--window-size=1500,950", "--virtual-time-budget=20000"]
ERROR = re.compile(r"CONSOLE.*?\] \"(.*(?:[Ee]rror|Refused|Failed).*)\", source")


@dataclass(frozen=True)
class Seen:
    """A page after its scripts have run.

    Attributes:
        dom: as HTML.
        errors: what its console says of errors.
        requests: the addresses that it asked a host for.
    """

    dom: str
    errors: list[str]
    requests: list[str]


def browse(page: Path, folder: Path, script: str = "", picture: Path | None = None) -> Seen:
    """Open a copy of `page` at which `script` runs once it is there.

    Args:
        page: an HTML file.
        folder: for what the browser writes.
        script: JavaScript; it may wait, up to 20 s of the page's own time.
        picture: where a PNG of the window is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy, log = folder / "page.html", folder / "net.json"
    added = f"<script>addEventListener('load', async () => {{ {script} }});</script>" if script else ""
    copy.write_text(page.read_text(encoding="utf-8") + added, encoding="utf-8")
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}"]

    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments, copy.as_uri()], capture_output=True, text=True, timeout=120, check=True
        )

    shown = start("--dump-dom")
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    # Chromium itself asks its maker's hosts for this and that.
    asked = [each for each in asked if each["initiator"] != "not an origin"]
    if picture:
        start(f"--screenshot={picture}")
    return Seen(
        shown.stdout, ERROR.findall(shown.stderr), [each["url"] for each in asked if each["url"].startswith("http")]
    )
