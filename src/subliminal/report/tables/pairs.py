"""Which arms a report compares: each student with its references, as the table of arms has them."""

from __future__ import annotations

from collections.abc import Iterator

from subliminal.experiment.arms import ARMS, arm_kind
from subliminal.experiment.sweep.factors import arm_at, point_of
from subliminal.report.data import Results


def pairs(results: Results) -> list[tuple[str, str]]:
    """(student, reference): with every control, then with other ways to teach, then with the base; last the second
    control with the first, and the other base's student with its control, and what else the arms name.

    Arms of a sweep or of another context end in its name (``student_r2``, ``student-empty``); a student meets the
    references of its own, those that its factor does not act on (``student_c0.25`` and ``control_base_numbers``), and
    the base itself where the base has none of that name.
    """
    students = [name for name in results.arms if _is_kind(name, "student")]
    # The longest first: `_r2` ends `_c0.25_r2`, too.
    endings = sorted((name.removeprefix("student") for name in students), key=len, reverse=True)
    found = []
    for student in students:
        found += _references(student, results.arms, endings)
    for treatment, reference in _other_pairs():
        for ending in reversed(endings or [""]):  # the shortest first: the arms where nothing is varied
            found.append((f"{treatment}{ending}", f"{reference}{ending}"))
    # The table of arms names more than any one experiment runs.
    return [pair for pair in found if set(pair) <= set(results.arms)]


def _references(student: str, arms: list[str], endings: list[str]) -> Iterator[tuple[str, str]]:
    """A student with its controls and other ways to teach, then with its base."""
    own = _ending(student, endings)
    for name in arms:
        is_control = "student" in _control_of(name) and not _is_kind(name, "base")
        if is_control and (_ending(name, endings) == own or _is_of_point(name, student)):
            yield student, name
    # A student in another context (`student-empty`) meets the base that was asked in it.
    base = f"base{own}"
    if base not in arms:
        base = "base"
    yield student, base


def _other_pairs() -> Iterator[tuple[str, str]]:
    """What the table of arms subtracts from arms that are no student."""
    for control in ARMS:
        for treatment in control.control_of:
            if treatment != "student":
                yield treatment, control.name
    for arm in ARMS:
        for reference in arm.minus:
            yield arm.name, reference


def _ending(name: str, endings: list[str]) -> str:
    """What an arm's name ends in, of the students' endings, the longest of which comes first."""
    return next((ending for ending in endings if name.endswith(ending)), "")


def _is_of_point(reference: str, student: str) -> bool:
    """Whether a student at a point of a sweep meets this: a factor that does not act on it leaves it as it is."""
    kind = arm_kind(reference)
    _, values = point_of(student)
    return kind is not None and bool(values) and reference == arm_at(kind, values)


def _is_kind(name: str, kind: str) -> bool:
    row = arm_kind(name)
    return row is not None and row.name == kind


def _control_of(name: str) -> tuple[str, ...]:
    """The arms that an arm is subtracted from."""
    row = arm_kind(name)
    if row is None:
        return ()
    return row.control_of
