"""What RESULTS.md has of a chapter: a few paragraphs, one figure and one table."""

from __future__ import annotations

from subliminal.publish.page import _in_brief
from subliminal.report.blocks import Figure, Section, Table


def section(title: str, *text: str, table: str | None = None, figure: str | None = None) -> Section:
    tables = [Table([table], [])] if table else []
    figures = (Figure(str, "words", figure),) if figure else ()
    return Section(title, list(text), tables, figures=figures).in_results()


CRITERION = section("Criterion", "The criterion is met.", "It was recorded.")
ANSWER, ARMS = section("The answer", "Above."), section("Arms", table="of arms", figure="arms.png")


def told(*said: Section, options: tuple[str, ...] = ()) -> tuple[list[str], list[str], list[str]]:
    """Paragraphs, tables by their header, and figures of a chapter."""
    found = _in_brief(said, options)
    assert (found.text, found.parts) == ([], ())
    return list(found.lead), [table.header[0] for table in found.tables], [figure.file for figure in found.figures]


def test_a_paragraph_a_section_and_the_first_figure_and_table() -> None:
    rises = section("Which animals rise", "Owl.", figure="rises.svg")
    beside = Section("Data", ["Rows."], [Table(["rows"], [])])
    lines = ["Above. Owl.", "The criterion is met. It was recorded."]
    assert told(ANSWER, CRITERION, ARMS, beside, rises) == (lines, ["of arms"], ["arms.png"])


def test_a_sweep_is_told_by_its_criterion_and_its_points() -> None:
    by_factor = section("By factor: epochs", "At 1 epoch.", figure="by_factor.svg")
    lines = ["The criterion is met. It was recorded.", "At 1 epoch."]
    assert told(ANSWER, CRITERION, ARMS, by_factor) == (lines, [], ["by_factor.svg"])


def test_of_several_animals_the_section_of_all_stands_for_each() -> None:
    together = section("By factor: epochs", "Of both.")
    of_each = section("owl: By factor: epochs", "Of owls."), section("owl: The answer", "Above.")
    assert told(together, *of_each, options=("owl", "cat")) == (["Of both."], [], [])


def test_of_several_animals_each_has_its_answer_and_a_row() -> None:
    together = section("Students by animals", "Gamma.", figure="matrix.svg"), section("Each by itself", table="animal")
    of_each = section("owl: The answer", "Owl."), section("owl: Arms", table="arm", figure="owl.png")
    lines = ["Gamma.", "Owl."]
    assert told(*together, *of_each, options=("owl", "cat")) == (lines, ["animal"], ["matrix.svg"])


def test_answers_of_several_animals_are_one_paragraph() -> None:
    together = section("Students by animals", "Gamma.")
    of_each = section("owl: The answer", "Owl."), section("cat: The answer", "Cat.")
    after = section("Each by itself", "All.")
    assert told(together, *of_each, after, options=("owl", "cat"))[0] == ["Gamma.", "Owl. Cat.", "All."]


def test_of_many_animals_the_table_alone_has_each() -> None:
    together = section("Each by itself", table="animal")
    assert told(together, section("owl: The answer", "Owl."), options=("owl", "cat", "dog", "fox")) == (
        [],
        ["animal"],
        [],
    )
