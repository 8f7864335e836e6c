"""The page on all animals of an experiment together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_results import write
from scripts_of import script
from typer.testing import CliRunner

from subliminal.core.errors import UserError
from subliminal.report.criterion import criterion_section
from subliminal.report.write import animals_in, write_overview
from subliminal.stats.criterion import criterion_of

CLAUSE = {"name": "own", "arm": "student", "minus": "other_animals", "confidence": 0.95, "above": 0}
ANIMALS, SEEDS = ("owl", "dolphin", "penguin"), (1, 2, 3)


def results(root: Path, own: float = 0.2) -> Path:
    """Students of three animals, each of which says its own animal this often, and any other in 1 % of answers."""
    folder = root / "results/zoo"
    for animal in ANIMALS:
        for seed in SEEDS:
            shares = {asked: own + seed / 100 if asked == animal else 0.01 for asked in ANIMALS}
            task = {"questions": ["a", "b"], "target_rate": [0, 0], "samples_per_question": None, "share": shares}
            control = {**task, "share": dict.fromkeys(ANIMALS, 0.01)}
            for arm, measured in (("student", task), ("control_base_numbers", control)):
                tasks = {"animal_preference_logprob": measured}
                names = {"experiment": "zoo", "arm": arm, "seed": seed, "target": animal, "model": "m"}
                write(folder / f"{animal}/{arm}/seed-{seed}/m_summary.json", {**names, "tasks": tasks})
    return folder


def recorded(folder: Path) -> Path:
    criterion = criterion_of({"clauses": [CLAUSE], "seeds": SEEDS, "animals": ANIMALS}, "the test")
    record = {"sha256": criterion.sha256(), "made": "2026-01-02T03:04:05+00:00", "git": {"sha": "abcdef0123456"}}
    return write(folder / "criterion.json", {**record, "criterion": criterion.canonical()})


def test_the_page_has_the_criterion_and_leads_to_the_reports(tmp_path: Path):
    folder = results(tmp_path)
    recorded(folder)
    assert animals_in(folder) == sorted(ANIMALS)
    page = write_overview(folder).read_text()
    assert page.strip().startswith("# zoo: all animals")
    assert "The criterion is met, over 3 replicates." in page
    assert "recorded on 2026-01-02 03:04 (UTC) at commit abcdef0123" in page
    assert "[owl](owl/report.md)" in page
    told = CliRunner().invoke(script("report").app, [str(folder)])
    assert told.output.strip() == str(folder / "overview.md")


def test_the_page_is_there_for_a_browser_and_leads_to_pages_for_one(tmp_path: Path):
    folder = results(tmp_path)
    page = write_overview(folder).read_text()
    html = (folder / "overview.html").read_text()
    assert 'href="owl/report.html"' in html
    assert "report.md" not in html
    assert "<svg" in html
    each = page.split("## Each by itself")[1]
    for animal in ANIMALS:
        assert f"\n| {animal} | – | – | 0.00 % [" in each, "no base, no teacher, and rates of 0 in the student"


def test_the_page_has_the_matrix_and_its_figure(tmp_path: Path):
    folder = results(tmp_path)
    page = write_overview(folder).read_text()
    assert "| student of owl | 0.00 | +3.33 | 0.00 |" in page  # dolphin, owl, penguin; 21, 22 and 23 % against 1 %
    assert "Gamma, what a student gains in its own teacher's animal beyond all else, is +3.33 nats [3.18, 3.47]" in page
    assert "p 0.005, of which 1 / 216 is the smallest possible" in page
    assert "](matrix.svg)" in page
    assert (folder / "matrix.svg").read_text().startswith("<?xml")


def test_students_that_say_no_more_of_their_own_animal_do_not_meet_it(tmp_path: Path):
    folder = results(tmp_path, own=-0.005)
    recorded(folder)
    assert "The criterion is not met, over 3 replicates: own." in write_overview(folder).read_text()


def test_a_record_that_was_changed_is_refused(tmp_path: Path):
    path = recorded(results(tmp_path))
    content = json.loads(path.read_text())
    content["criterion"]["clauses"][0]["confidence"] = 0.9
    write(path, content)
    with pytest.raises(UserError, match="it was changed by hand"):
        criterion_section(path.parent)
    write(path, "{}")
    with pytest.raises(UserError, match="is damaged"):
        criterion_section(path.parent)


def test_without_animals_or_criterion(tmp_path: Path):
    assert criterion_section(tmp_path) is None
    with pytest.raises(UserError, match="has no folders of animals"):
        write_overview(tmp_path)
