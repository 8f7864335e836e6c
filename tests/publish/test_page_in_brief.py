"""What RESULTS.md has of a chapter: of a sweep the verdicts and one section, in a few lines."""

from __future__ import annotations

from subliminal.publish.page import _in_brief
from subliminal.report.format import Section, Table


def section(title: str, *text: str, tables: tuple = ()) -> Section:
    return Section(title, list(text), list(tables)).in_results()


CLAUSES = Table(
    ["clause", "difference", "asked", "found", "verdict"],
    [["effect", "a − b", "above 0", "+1", "holds"], ["null (a goal)", "c − b", "within 0.8", "+2", "fails"]],
)
CRITERION = section("Criterion", "The criterion is met.", tables=(CLAUSES,))


def test_a_sweep_is_told_by_its_criterion_and_its_points() -> None:
    by_factor = section("By factor: epochs", "At 1 epoch.")
    said = [CRITERION, section("The answer", "Above."), section("Arms", "Many."), by_factor, Section("Data", ["Rows."])]
    criterion, points = _in_brief(said)
    assert criterion.brief.text == ["The criterion is met.", "effect: holds; null (a goal): fails."]
    assert criterion.brief.tables == []
    assert points is by_factor


def test_of_several_animals_the_section_of_all_stands_for_each() -> None:
    together = section("By factor: epochs", "Of both.")
    said = [together, section("owl: By factor: epochs", "Of owls."), section("owl: Arms", "Many.")]
    assert _in_brief(said) == [together]


def test_any_other_experiment_is_told_as_it_was() -> None:
    said = [CRITERION, section("Arms", "Many."), Section("Data", ["Rows."])]
    assert _in_brief(said) == said[:2]


def test_of_several_animals_each_has_its_answer_and_figure() -> None:
    tabled = section("owl: Arms", tables=(CLAUSES,))
    said = [CRITERION, section("owl: The answer", "Above."), tabled, section("owl: Which animals rise", "Owl.")]
    found = _in_brief(said, ["owl", "dolphin"])
    assert [each.title for each in found] == ["Criterion", "owl: The answer", "owl: Arms"]
    assert found[0].brief.tables == [CLAUSES]
    assert found[2].brief.tables == []
