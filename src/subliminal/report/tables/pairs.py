"""Which arms a report compares: each student with its references, as the table of arms has them."""

from __future__ import annotations

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
    points = sorted((name.removeprefix("student") for name in students), key=len, reverse=True)

    def point(name: str) -> str:
        """What an arm's name ends in, the longest of the students' endings."""
        for end in points:
            if name.endswith(end):
                return end
        return ""

    found = []
    for student in students:
        for name in results.arms:
            is_control = "student" in _control_of(name) and not _is_kind(name, "base")
            if is_control and (point(name) == point(student) or _is_of_point(name, student)):
                found.append((student, name))
        # A student in another context (`student-empty`) meets the base that was asked in it.
        base = f"base{point(student)}"
        if base not in results.arms:
            base = "base"
        found.append((student, base))
    others = []
    for control in ARMS:
        others += [(treatment, control.name) for treatment in control.control_of if treatment != "student"]
    for arm in ARMS:
        others += [(arm.name, reference) for reference in arm.minus]
    for treatment, reference in others:
        for end in reversed(points or [""]):  # the shortest first: the arms where nothing is varied
            found.append((f"{treatment}{end}", f"{reference}{end}"))
    # The table of arms names more than any one experiment runs.
    return [pair for pair in found if set(pair) <= set(results.arms)]


def _is_of_point(reference: str, student: str) -> bool:
    """Whether a student at a point of a sweep meets this: a factor that does not act on it leaves it as it is."""
    kind, (_, values) = arm_kind(reference), point_of(student)
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
