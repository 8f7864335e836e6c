"""The report's page in a browser: nothing from the network, no error, every figure drawn, readable on any screen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fake_results import add_arm, add_results
from patience import HANG_SECONDS
from PIL import Image

from subliminal.report.write import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="No Chromium is installed here: apt-get install chromium")

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
FLAGS += ["--allow-file-access-from-files", "--enable-logging=stderr", "--disable-background-networking"]
NARROW, WIDE = 360, 1000
PROBE = """<!doctype html><meta charset="utf-8"><body>
<iframe id="narrow" width="NARROW" height="3000" src="PAGE"></iframe>
<iframe id="wide" width="WIDE" height="3000" src="PAGE"></iframe>
<script>
window.addEventListener("load", () => {
  const seen = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, root = page.documentElement;
    seen[frame.id] = {
      overflow: root.scrollWidth - root.clientWidth,
      wider: [...page.querySelectorAll("body *")].filter(e => !e.closest(".scroll, figure, pre")
        && e.getBoundingClientRect().right > root.clientWidth + 1).map(e => e.tagName),
      figures: [...page.querySelectorAll("svg[role=img]")].map(e => ({
        words: (e.getAttribute("aria-label") || "").length, shapes: e.querySelectorAll("path, use").length,
        width: e.getBoundingClientRect().width, height: e.getBoundingClientRect().height})),
      tables: page.querySelectorAll(".scroll table").length, loose: page.querySelectorAll("table").length,
      ids: [...page.querySelectorAll("nav a")].every(a => page.querySelector(a.getAttribute("href"))),
      loaded: frame.contentWindow.performance.getEntriesByType("resource").length,
    };
  }
  document.body.innerHTML = "<pre>" + JSON.stringify(seen) + "</pre>";
});
</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every section: three seeds, a second control, every animal's rates, something that failed."""
    root = tmp_path_factory.mktemp("page")
    for arm in ("base", "teacher", "student", "control", "control_random_numbers"):
        for seed in (1,) if arm in ("base", "teacher") else (1, 2, 3):
            add_results(add_arm(root, arm, seed, rate=None if arm != "control_random_numbers" else 0.012), {"dog": 0.3})
    folder = root / "results/owl-demo"
    entry = {"arm": "other_base", "seed": 1, "stage": "train", "reason": "out of memory", "log": "x" * 200}
    (folder / "missing.json").write_text(json.dumps({"missing": [entry]}))
    return write_report(folder)


def browse(*flags: str, page: Path, home: Path) -> subprocess.CompletedProcess[str]:
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={home}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the page wrote to the console."""
    return [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def test_every_figure_is_drawn_and_nothing_overflows(page: Path, tmp_path: Path) -> None:
    probe = tmp_path / "probe.html"
    values = {"PAGE": page.as_uri(), "NARROW": str(NARROW), "WIDE": str(WIDE)}
    probe.write_text(re.sub("PAGE|NARROW|WIDE", lambda found: values[found[0]], PROBE), encoding="utf-8")
    done = browse("--dump-dom", "--virtual-time-budget=4000", page=probe, home=tmp_path / "home")
    assert said(done) == []
    seen = json.loads(re.search(r"<pre>(.*)</pre>", done.stdout)[1])
    assert set(seen) == {"narrow", "wide"}
    for name, found in seen.items():
        assert (found["overflow"], found["wider"]) == (0, []), name
        assert len(found["figures"]) == 5, name
        for figure in found["figures"]:
            assert figure["shapes"] > 20, (name, figure)
            assert figure["words"] > 20, (name, figure)
            assert figure["width"] > 300, (name, figure)
            assert figure["height"] > 100, (name, figure)
        assert found["tables"] == found["loose"] > 5, "every table scrolls in a box of its own"
        assert found["ids"], "every entry of the table of contents leads somewhere"
        assert found["loaded"] == 0, "one file is all there is"


def test_a_console_error_would_be_seen(tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text("<!doctype html><script>nothing.there()</script>", encoding="utf-8")
    assert said(browse("--dump-dom", page=broken, home=tmp_path / "home"))


@pytest.mark.parametrize(("scheme", "value", "dark"), [("light", 1, False), ("dark", 0, True)])
def test_it_is_light_or_dark_as_the_reader_likes(
    page: Path, tmp_path: Path, scheme: str, value: int, dark: bool
) -> None:
    shot = tmp_path / f"{scheme}.png"
    flags = [f"--screenshot={shot}", f"--window-size={WIDE},2600", f"--blink-settings=preferredColorScheme={value}"]
    done = browse(*flags, page=page, home=tmp_path / "home")
    assert said(done) == []
    picture = Image.open(shot).convert("L")
    assert (picture.getpixel((3, 3)) < 60) == dark
    lightness = picture.resize((100, 260)).getdata()
    assert (sorted(lightness)[len(lightness) // 2] < 60) == dark, "figures have the page's colours, too"
