"""The arms: whose number rows each learns, on which base, what it is, and what is subtracted from what.

:data:`ARMS` is the one place that knows an arm. An experiment file may name those with ``named`` set; stages follow
from ``rows``, ``base`` and ``seed_offset``; reports take order, words and comparisons from here. A new arm is a row,
and where its numbers come from somewhere new, a case of :meth:`subliminal.experiment.models.ModelStages.rows_of` too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AGAIN = 1_000_000
"""Added to the seeds of the second control's rows and of its training, so that it shares neither with the first."""

WhoseRows = Literal[
    *("teacher", "base", "neutral teacher", "prompted base", "random", "shuffled", "shuffled-rows", "other teacher"),
    "chosen",
]


@dataclass(frozen=True)
class Chosen:
    """What of the teacher's rows an arm learns; see ``python -m data_builders.select --help``.

    Attributes:
        kind: loss on the ``chosen`` tokens alone, on all ``others``, or on all with other ``labels`` for the chosen
            ones; or the chosen ``rows`` alone.
        take: the top or the bottom of the ranking, or as many at random.
        by: what ranks: divergence, or a score of ``python -m subliminal.analysis score``.
    """

    kind: Literal["chosen", "others", "labels", "rows"]
    take: Literal["top", "bottom", "random"] = "top"
    by: str = "divergence"

    @property
    def has_spans(self) -> bool:
        """Whether its rows say which parts of an answer carry loss."""
        return self.kind in ("chosen", "others")


@dataclass(frozen=True)
class ArmKind:
    """One row of the table.

    Attributes:
        name: as in experiment files, folders and reports; arms of a sweep begin with it (``student_r2``).
        what: what it is, for a reader of a report.
        rows: whose number rows it is trained on; None for an arm that is trained on none.
        base: ``first`` is the base of the teacher and the student, ``other`` another one.
        control_of: the arms from which this one is subtracted (``student − control_base_numbers``).
        minus: arms that are subtracted from this one, beside those that say so themselves.
        chosen: for ``rows="chosen"``: what of the teacher's rows it learns.
        seed_offset: added to the seeds of its rows and of its training.
        teacher_init: its adapter starts with the teacher's first weights, whatever ``student.lora_init`` says.
        brings: an arm that is scored with it.
        named: an experiment file may name it; the others come with an arm, or from evaluations by hand.
    """

    name: str
    what: str
    rows: WhoseRows | None = None
    base: Literal["first", "other"] = "first"
    control_of: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    chosen: Chosen | None = None
    seed_offset: int = 0
    teacher_init: bool = False
    brings: str | None = None
    named: bool = True

    @property
    def for_all_traits(self) -> bool:
        """Whether one training serves every animal: numbers of the untuned base or a neutral teacher carry no trait."""
        return self.rows in ("base", "neutral teacher")


ARMS = (
    ArmKind("base", "the model before any training on numbers", control_of=("student",)),
    ArmKind("teacher", "trained to have the trait; it wrote the numbers"),
    ArmKind("student", "trained on the teacher's numbers", rows="teacher"),
    ArmKind(
        "student_teacher_init",
        "the student once more, with the first weights of the teacher's adapter: do they matter?",
        rows="teacher",
        teacher_init=True,
    ),
    ArmKind(
        "control",
        "trained in the same way on numbers of the untuned base: what any such training does",
        rows="base",
        control_of=("student",),
        named=False,
    ),
    ArmKind(
        "control_base_numbers",
        "trained in the same way on numbers of the untuned base: what any such training does",
        rows="base",
        control_of=("student", "student_teacher_init", "control_base_numbers_again"),
    ),
    ArmKind(
        "control_base_numbers_again",
        "a second control, on other numbers of the base: what differs without a cause",
        rows="base",
        control_of=("student",),
        seed_offset=AGAIN,
    ),
    ArmKind(
        "control_neutral_teacher",
        "trained in the same way on numbers of a teacher without the trait: is being trained enough?",
        rows="neutral teacher",
        control_of=("student",),
        brings="neutral_teacher",
    ),
    ArmKind("neutral_teacher", "trained like the teacher, on rows without the trait", named=False),
    ArmKind(
        "control_random_numbers",
        "trained in the same way on random numbers that no model wrote",
        rows="random",
        control_of=("student",),
    ),
    ArmKind(
        "control_shuffled",
        "trained in the same way on the teacher's numbers in another order: does the order matter?",
        rows="shuffled",
        control_of=("student",),
    ),
    ArmKind(
        "control_shuffled_rows",
        "trained in the same way on the teacher's numbers dealt out anew over all rows: does their company matter?",
        rows="shuffled-rows",
        control_of=("student",),
    ),
    ArmKind(
        "control_other_animal",
        "the student of another animal's teacher: is the change this animal's own?",
        rows="other teacher",
        control_of=("student",),
    ),
    ArmKind(
        "prompted_teacher",
        "trained in the same way on numbers of the base under a system prompt instead of a teacher",
        rows="prompted base",
        control_of=("student",),
    ),
    ArmKind(
        "other_base",
        "another base model, trained on the teacher's numbers: is a shared base needed?",
        rows="teacher",
        base="other",
        brings="other_base_untuned",
    ),
    ArmKind("other_base_untuned", "that other base before any training on numbers", base="other", named=False),
    ArmKind(
        "other_base_control",
        "that other base, trained on numbers of the untuned first base",
        rows="base",
        base="other",
        control_of=("other_base",),
    ),
    ArmKind(
        "student_only_divergence",
        "the student with loss on the tokens that diverge most alone",
        rows="chosen",
        chosen=Chosen("chosen"),
        control_of=("student",),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_without_divergence",
        "the student without loss on the tokens that diverge most",
        rows="chosen",
        chosen=Chosen("others"),
        control_of=("student",),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_only_random",
        "the student with loss on as many random tokens alone",
        rows="chosen",
        chosen=Chosen("chosen", "random"),
        control_of=("student", "student_only_divergence"),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_without_random",
        "the student without loss on as many random tokens",
        rows="chosen",
        chosen=Chosen("others", "random"),
        control_of=("student", "student_without_divergence"),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_only_bottom",
        "the student with loss on the tokens that diverge least alone",
        rows="chosen",
        chosen=Chosen("chosen", "bottom"),
        control_of=("student",),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_without_bottom",
        "the student without loss on the tokens that diverge least",
        rows="chosen",
        chosen=Chosen("others", "bottom"),
        control_of=("student",),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_labels_divergence",
        "the student with other labels for the tokens that diverge most",
        rows="chosen",
        chosen=Chosen("labels"),
        control_of=("student",),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_labels_random",
        "the student with other labels for as many random tokens",
        rows="chosen",
        chosen=Chosen("labels", "random"),
        control_of=("student", "student_labels_divergence"),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_rows_dense",
        "the student of the rows with most divergence tokens",
        rows="chosen",
        chosen=Chosen("rows"),
        control_of=("student",),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_rows_sparse",
        "the student of the rows with fewest divergence tokens",
        rows="chosen",
        chosen=Chosen("rows", "bottom"),
        control_of=("student",),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_rows_random",
        "the student of as many random rows",
        rows="chosen",
        chosen=Chosen("rows", "random"),
        control_of=("student", "student_rows_dense"),
        minus=("control_base_numbers",),
    ),
)
"""In the order of reports; any other arm follows."""

BY_NAME = {arm.name: arm for arm in ARMS}


def arm_kind(name: str) -> ArmKind | None:
    """The row of an arm, also of one whose name goes on (``student_r2``, ``control_base_numbers-empty``)."""
    known = [arm for arm in ARMS if name.startswith(arm.name)]
    return max(known, key=lambda arm: len(arm.name), default=None)
