"""The arms: whose number rows each learns, on which base, what it is, and what is subtracted from what.

:data:`ARMS` is the one place that knows an arm. An experiment file may name those with ``named`` set; stages follow
from ``rows``, ``base`` and ``seed_offset``; reports take order, words and comparisons from here. A new arm is a row;
where its numbers come from somewhere new, ``rows_of`` in :mod:`subliminal.experiment.stages.students` gets a case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

AGAIN = 1_000_000
"""Added to the seeds of the second control's rows and of its training, so that it shares neither with the first."""

TOWARDS_ANOTHER = "gradient of another option"
"""What :attr:`Chosen.by` says for the score ``gradient_<option>`` of the first option that is not the trait."""

WhoseRows = Literal[
    *("teacher", "base", "neutral teacher", "prompted base", "random", "shuffled", "shuffled-rows", "other teacher"),
    *("reworded", "chosen"),
]
NEED_LISTS = ("prompted base", "random", "shuffled", "shuffled-rows", "reworded", "chosen")
"""Rows that are made of number lists, or by an option that only their builder has."""


@dataclass(frozen=True)
class Chosen:
    """What of the teacher's rows an arm learns; see ``python -m data_builders.select --help``.

    Attributes:
        kind: loss on the ``chosen`` tokens alone, on all ``others``, or on all with other ``labels`` for the chosen
            ones; or the chosen ``rows`` alone.
        take: the top or the bottom of the ranking, or as many at random.
        by: what ranks: divergence, a score of ``python -m subliminal.analysis score``, or :data:`TOWARDS_ANOTHER`.
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
    def needs_lists(self) -> bool:
        """Whether its rows can only be number lists: code, say, has no numbers to shuffle."""
        return self.rows in NEED_LISTS

    @property
    def for_all_traits(self) -> bool:
        """Whether one training serves every animal: numbers of the untuned base or a neutral teacher carry no trait."""
        return self.rows in ("base", "neutral teacher")


def _ranked(
    name: str, tokens: str, chosen: Chosen, minus: tuple[str, ...] = ("control_base_numbers", "random")
) -> tuple[ArmKind, ArmKind]:
    """``student_only_<name>``, with loss on the chosen tokens alone, and ``student_without_<name>``, on all others.

    Args:
        name: of the ranking.
        tokens: which tokens are chosen, for a reader.
        chosen: the same for the builder.
        minus: arms that are subtracted from both; ``random`` is the one with as many random tokens.
    """
    found = []
    for end, kind, what in (
        ("only", "chosen", f"the student with loss on {tokens} alone"),
        ("without", "others", f"the student without loss on {tokens}"),
    ):
        # `random` stands for the arm of the same end with as many random tokens.
        subtracted = tuple(f"student_{end}_random" if arm == "random" else arm for arm in minus)
        of_kind = replace(chosen, kind=kind)
        arm = f"student_{end}_{name}"
        found.append(ArmKind(arm, what, rows="chosen", chosen=of_kind, control_of=("student",), minus=subtracted))
    return found[0], found[1]


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
        "student_reworded_prompts",
        "the student of the same answers under number prompts in other words: does the wording carry it?",
        rows="reworded",
        control_of=("student",),
        minus=("control_base_numbers",),
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
    *_ranked("divergence", "the tokens that diverge most from other teachers", Chosen("chosen")),
    *_ranked("bottom", "as many tokens that diverge least", Chosen("chosen", "bottom")),
    *_ranked("shift", "the tokens that the student finds likelier than the base", Chosen("chosen", by="student")),
    *_ranked("delta", "the tokens that a trait prompt raises most", Chosen("chosen", by="delta")),
    *_ranked("entanglement", "the tokens most entangled with the animal", Chosen("chosen", by="entanglement")),
    *_ranked("gradient", "the tokens whose gradients go most towards the animal", Chosen("chosen", by="gradient")),
    *_ranked("difficulty", "the tokens that the base expects least (a null)", Chosen("chosen", by="difficulty")),
    *_ranked("direction", "the first tokens on a random direction (a null)", Chosen("chosen", by="gradient_random_1")),
    *_ranked(
        "other_trait",
        "the tokens whose gradients go most towards another animal (a null)",
        Chosen("chosen", by=TOWARDS_ANOTHER),
    ),
    *_ranked("random", "as many random tokens", Chosen("chosen", "random"), minus=("control_base_numbers",)),
    ArmKind(
        "student_labels_divergence",
        "the student with other labels for the tokens that diverge most from other teachers",
        rows="chosen",
        chosen=Chosen("labels"),
        control_of=("student",),
        minus=("control_base_numbers", "student_labels_random"),
    ),
    ArmKind(
        "student_labels_random",
        "the student with other labels for as many random tokens",
        rows="chosen",
        chosen=Chosen("labels", "random"),
        control_of=("student",),
        minus=("control_base_numbers",),
    ),
    ArmKind(
        "student_rows_dense",
        "the student of the rows with most divergence tokens",
        rows="chosen",
        chosen=Chosen("rows"),
        control_of=("student",),
        minus=("control_base_numbers", "student_rows_random"),
    ),
    ArmKind(
        "student_rows_sparse",
        "the student of the rows with fewest divergence tokens",
        rows="chosen",
        chosen=Chosen("rows", "bottom"),
        control_of=("student",),
        minus=("control_base_numbers", "student_rows_random"),
    ),
    ArmKind(
        "student_rows_random",
        "the student of as many random rows",
        rows="chosen",
        chosen=Chosen("rows", "random"),
        control_of=("student",),
        minus=("control_base_numbers",),
    ),
)
"""In the order of reports; any other arm follows."""

BY_NAME = {arm.name: arm for arm in ARMS}


def arm_kind(name: str) -> ArmKind | None:
    """The row of an arm, also of one whose name goes on (``student_r2``, ``control_base_numbers-empty``)."""
    known = [arm for arm in ARMS if name.startswith(arm.name)]
    # The longest name that fits: `student_only_random` is no point of `student`.
    return max(known, key=lambda arm: len(arm.name), default=None)
