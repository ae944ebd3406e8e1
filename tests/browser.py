"""Pages as a browser shows them, on a telephone and on a desk."""

import re
import shutil
import subprocess

import pytest

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
WIDTHS = (360, 1400)
# Frames of the widths, and what their documents say of themselves.
FRAMES = """<!DOCTYPE html>
{frames}
<script>
addEventListener("load", () => {{
  for (const frame of document.querySelectorAll("iframe")) {{
    const page = frame.contentDocument.documentElement, found = document.createElement("p");
    const wide = [...frame.contentDocument.querySelectorAll(".wide")];
    const scrolls = wide.filter((part) => part.scrollWidth > part.clientWidth).length;
    const widths = `${{page.clientWidth}}: ${{page.scrollWidth}}`;
    found.textContent = `page ${{frame.name}} width ${{widths}}, ${{scrolls}} scroll`;
    document.body.append(found);
  }}
}});
</script>
"""


def shown(pages, folder):
    """Opens pages at both widths.

    Args:
        pages: Paths of HTML files.
        folder: An empty folder for the browser's own files.

    Returns:
        For each page `{width of the screen: (width of the page, parts that scroll)}`, and the
        lines of errors on the console.
    """
    frames = "".join(
        f'<iframe name="{number}" src="{page.resolve().as_uri()}" '
        f'style="border: 0; height: 900px; width: {width}px"></iframe>'
        for number, page in enumerate(pages)
        for width in WIDTHS
    )
    (folder / "frames.html").write_text(FRAMES.format(frames=frames))
    done = subprocess.run(
        [
            BROWSER,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--allow-file-access-from-files",
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=1500,1000",
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=10000",
            "--dump-dom",
            (folder / "frames.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = re.findall(r"<p>page (\d+) width (\d+): (\d+), (\d+) scroll</p>", done.stdout)
    found = [{} for _ in pages]
    for number, width, wide, parts in lines:
        found[int(number)][int(width)] = (int(wide), int(parts))
    return found, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
