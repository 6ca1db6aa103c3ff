"""What kubectl olive draws, as pictures: its renderers on recorded objects, into SVG by rich."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import yaml
from olive_cli.commands import status
from olive_cli.job.table import table
from olive_cli.job.view import job
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from olive_docs.hooks import ROOT

RECORDED: Final = ROOT / "hack" / "docs" / "recorded"
PICTURES: Final = ROOT / "docs" / "pictures"
NOW: Final = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)
"""When the recorded objects are looked at."""
COLUMNS: Final = 124

# rich's own has a font from the network.
SVG: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px;
line-height: {line_height}px;
font-variant-east-asian: full-width;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def write() -> None:
    """Draw every screen anew."""
    for name, picture in screens().items():
        (PICTURES / name).write_text(picture)


def screens() -> dict[str, str]:
    """The pictures by the names of their files."""
    return {"status.svg": _status(RECORDED / "travel.yaml")}


def _status(recorded: Path) -> str:
    found = job(yaml.safe_load(recorded.read_text()))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(Text("$ kubectl olive status travel", "bold"))
    console.print(table(found, status.elapsed(found, NOW), NOW, COLUMNS))
    if hint := status.last_word(found):
        console.print(f"\n{hint}", markup=False)
    svg = console.export_svg(title="", theme=MONOKAI, code_format=SVG, unique_id="status")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
