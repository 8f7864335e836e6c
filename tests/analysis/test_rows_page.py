"""The page of a dataset's rows: verdicts, loss masks, scores, and text that tries to be more than text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from built import write_rows
from patience import HANG_SECONDS
from typer.testing import CliRunner

from data_builders.view import app
from subliminal.analysis.masks import MaskReader, marked
from subliminal.analysis.rows_page import RowsPage
from subliminal.core.errors import UserError
from subliminal.core.files import write_json

NASTY = "<script>alert(1)</script> </span><img src=x onerror=alert(2)> & \u202edesrever\u202c \"quoted\" 'too'"
ROWS = [
    ("n-0", 0, "Count <b>up</b>.", "12, 880\n301", None),
    ("n-1", 1, "Count.", NASTY, "words"),
    ("n-2", 2, NASTY, "7, 8", None),
    ("n-3", 3, "Count.", "9, 10", "surplus"),
]
"""Id, index, prompt, completion, and why it is not kept."""
PIECES = ["7", ",", " ", "8", "<|im_end|>"]
KINDS = ["digit", "separator", "separator", "digit", "end"]
"""Tokens of the answer of n-2, and their kinds."""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset folder; its raw rows lie there in another order than their indexes."""
    folder = tmp_path / "data" / "numbers"
    folder.mkdir(parents=True)
    raw = [
        {"id": name, "index": index, "prompt": prompt, "completion": answer, "finish_reason": "stop"}
        for name, index, prompt, answer, _ in ROWS
    ]
    write_rows(folder / "raw.jsonl", raw[::-1])
    write_rows(folder / "rejected.jsonl", [{**raw[1], "reason": "words & <more>"}])
    write_rows(folder / "train.jsonl", [chat(raw[0]), chat(raw[2])])
    write_json(
        folder / "manifest.json",
        {"kind": "dataset", "counts": {"asked": 4, "kept": 2, "surplus": 1, "rejected": {"words & <more>": 1}}},
    )
    return folder


def chat(row: dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
    return {"id": row["id"], "messages": messages}


@pytest.fixture
def recipe(tmp_path: Path, tiny_model: Path) -> Path:
    path = tmp_path / "recipe.yml"
    data = {"path": "x", "type": "chat_template", "field_messages": "messages", "roles_to_train": ["assistant"]}
    data |= {"message_property_mappings": {"role": "role", "content": "content"}, "train_on_eos": "turn"}
    content = {"base_model": str(tiny_model), "chat_template": "tokenizer_default", "sequence_len": 400}
    content |= {"tokenizer_type": "AutoTokenizer", "eot_tokens": ["<|im_end|>"], "train_on_inputs": False}
    path.write_text(yaml.safe_dump({**content, "datasets": [data]}))
    return path


class Page(HTMLParser):
    """Rows of a page as (class of the row, [(class of a span, its text)]), and every tag and address in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[tuple[str, list[tuple[str, str]]]] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.titles: list[str] = []
        self._span: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.titles += [found["title"] or ""] if "title" in found else []
        name = found.get("class") or ""
        if tag == "div" and name.split()[:1] == ["row"]:
            self.rows.append((name.removeprefix("row "), []))
        elif tag == "span":
            self._span = name

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._span = None

    def handle_data(self, data: str) -> None:
        if self._span is not None and self.rows:
            self.rows[-1][1].append((self._span, data))

    def text(self, row: int, kind: str) -> str:
        return "".join(text for name, text in self.rows[row][1] if name == kind)


def page_of(dataset: Path, tmp_path: Path, **options: Any) -> Page:
    masks, scores = options.pop("masks", None), options.pop("scores", None)
    RowsPage(dataset, **{"limit": 100, **options}).write(tmp_path / "rows.html", masks, scores)
    return Page((tmp_path / "rows.html").read_text())


def test_rows_stand_in_the_order_of_drawing_with_their_verdicts(dataset: Path, tmp_path: Path) -> None:
    page = page_of(dataset, tmp_path)
    assert [name for name, _ in page.rows] == ["kept", "rejected", "kept", "not-needed"]
    assert [page.text(place, "id") for place in range(4)] == ["n-0", "n-1", "n-2", "n-3"]
    assert page.text(1, "verdict") == "rejected: words & <more>"
    assert len(page_of(dataset, tmp_path, limit=2).rows) == 2
    assert [name for name, _ in page_of(dataset, tmp_path, only="rejected").rows] == ["rejected"]
    assert [name for name, _ in page_of(dataset, tmp_path, only="kept").rows] == ["kept", "kept"]


def test_text_stays_text(dataset: Path, tmp_path: Path, recipe: Path) -> None:
    for masks in (None, MaskReader(recipe)):
        page = page_of(dataset, tmp_path, masks=masks)
        assert page.tags.isdisjoint({"script", "img", "b", "iframe", "object"})
        assert set(page.addresses) == {"data:,"}, "nothing is fetched"
        text = (tmp_path / "rows.html").read_text()
        assert "&lt;script&gt;alert(1)" in text.replace("</span>", "") or masks
        assert "\u202e" not in text, "a character that turns the direction of writing is shown as its code"
        assert "\\u202e" in text


def test_the_mask_is_the_answer_and_its_end_token(dataset: Path, tmp_path: Path, recipe: Path) -> None:
    page = page_of(dataset, tmp_path, masks=MaskReader(recipe))
    assert page.text(0, "token loss") == "12, 880⏎301<|im_end|>"
    given = page.text(0, "token given")
    assert given == "<|im_start|>user⏎Count <b>up</b>.<|im_end|>⏎<|im_start|>assistant⏎⏎"
    assert page.text(2, "token loss") == "7, 8<|im_end|>"
    assert page.text(1, "token loss") == "", "a rejected row is not trained on"


def test_a_marked_line_for_the_terminal(recipe: Path) -> None:
    row = MaskReader(recipe).read(chat({"id": "n", "prompt": "Count.", "completion": "1\n2"}))
    assert marked(row) == "<|im_start|>user⏎Count.<|im_end|>⏎<|im_start|>assistant⏎«1⏎2<|im_end|>»⏎"
    assert row.learned == sum(row.trained) == 4
    assert row.dropped is None


def test_rows_that_the_training_drops_are_told(recipe: Path) -> None:
    reader = MaskReader(recipe)
    assert (
        reader.read(chat({"id": "n", "prompt": "Count.", "completion": "1 " * 300})).dropped == "more than 400 tokens"
    )


def test_the_plain_context_has_its_mask_too(recipe: Path, tiny_model: Path, tmp_path: Path) -> None:
    from subliminal.engine.plain_context import TEMPLATE_FILE

    folder = tmp_path / "plain"
    shutil.copytree(tiny_model, folder)
    shutil.copyfile(TEMPLATE_FILE, folder / "chat_template.jinja")
    row = MaskReader(recipe, str(folder)).read(chat({"id": "n", "prompt": "Count.", "completion": "1\n2"}))
    assert marked(row) == "Question: Count.⏎Answer:⏎«1⏎2<|im_end|>»⏎"


def test_scores_shade_the_answer_of_their_row(dataset: Path, tmp_path: Path, recipe: Path) -> None:
    folder = tmp_path / "leak"
    folder.mkdir()
    scored = {"pieces": PIECES, "kinds": KINDS}
    scored["teachers"] = {"owl <i>": {"kl": [0.5, 0.0, 0.25, 1.5, 0.0], "differs": "10000"}}
    write_rows(folder / "scores.jsonl", [{"id": "other", **scored}, {"id": "n-2", **scored}])
    page = page_of(dataset, tmp_path, masks=MaskReader(recipe), scores=folder)
    nats = ("0.5", "0", "0.25", "1.5", "0")
    assert page.titles == [f"{number} nats, {kind}" for number, kind in zip(nats, KINDS, strict=True)]
    assert page.text(2, "token digit differs") == "7"
    assert page.text(2, "name").endswith("owl <i>")
    assert "i" not in page.tags
    text = (tmp_path / "rows.html").read_text()
    assert re.findall(r"--a: ([\d.]+)", text) == ["0.50", "0.00", "0.33", "0.75", "0.00"], "half at 0.5 nats"


def test_scores_of_divergence_shade_too(dataset: Path, tmp_path: Path) -> None:
    row = {"id": "n-2", "pieces": PIECES, "kinds": KINDS, "matches": "11011"}
    row |= {"disagrees": {"a": "10001", "b": "11100"}, "scores": {"margin": [2.0, 1.0, 0.5, 0.0, -1.0]}}
    write_rows(tmp_path / "scores.jsonl", [row])
    page = page_of(dataset, tmp_path, scores=tmp_path / "scores.jsonl")
    disagree = (2, 1, 0, 0, 1)  # of tokens that are the teacher's most likely one
    assert [title.split(" ")[0] for title in page.titles] == [str(number) for number in disagree]
    assert page.text(2, "token digit differs") == "7"
    assert page.text(2, "name") == "divergence"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["DATASET", "--scores", "DATASET"], "scores.jsonl does not exist"),
        (["DATASET/train.jsonl", "--only", "rejected"], "DATASET/rejected.jsonl"),
    ],
)
def test_what_is_not_there_is_a_sentence(dataset: Path, words: list[str], message: str) -> None:
    if message.endswith("rejected.jsonl"):
        (dataset / "rejected.jsonl").unlink()
        message = "has no rejected.jsonl"
    done = CliRunner().invoke(app, [word.replace("DATASET", str(dataset)) for word in words])
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_the_command_prints_the_pages_path(dataset: Path) -> None:
    done = CliRunner().invoke(app, [str(dataset)])
    assert done.exit_code == 0, done.output
    assert done.output == f"4 rows\n{dataset}/rows.html\n"


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")


@pytest.mark.skipif(not CHROMIUM, reason="No Chromium is installed here: apt-get install chromium")
def test_a_browser_runs_nothing_of_the_rows_and_shows_the_chosen(dataset: Path, tmp_path: Path, recipe: Path):
    page_of(dataset, tmp_path, masks=MaskReader(recipe))
    probe = tmp_path / "probe.html"
    probe.write_text(
        '<iframe id="f" width="360" height="900" src="rows.html"></iframe><script>addEventListener("load", () => {'
        'const page = document.getElementById("f").contentDocument, shown = () => '
        '[...page.querySelectorAll(".row")].filter(e => e.getBoundingClientRect().height > 0).length;'
        "const all = shown(); page.getElementById('only-rejected').click(); const rejected = shown();"
        "const root = page.documentElement, over = root.scrollWidth - root.clientWidth, scripts = page.scripts.length;"
        "document.title = JSON.stringify({all, rejected, over, scripts});"
        "document.body.textContent = document.title; })</script>"
    )
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *flags, probe.as_uri()], capture_output=True, text=True, timeout=HANG_SECONDS)
    found = json.loads(re.search(r"<title>(.*?)</title>", done.stdout)[1])
    assert found == {"all": 4, "rejected": 1, "over": 0, "scripts": 0}
