"""What a run of a whole experiment took, read from its log, its trainings and nvidia-smi's samples."""

from __future__ import annotations

import json

import pytest

from benchmarks.chain import busy, busy_by_stage, read_card_uses, seconds_of, stages, training

LOG = """owl: 25 of 25 stages to run. Logs: results/owl/logs/
0 of 25 done, time left not known yet; running: serve-base (59 s)
 1 of 25  build-owl_teacher_chat                      29 s  3,600 kept of 14,501
12 of 25  serve-base                            3 min 06 s
13 of 25  train-control-seed-1              1 h 02 min 03 s  loss 0.16
"""


def test_stages_that_are_done_have_seconds_and_a_figure() -> None:
    assert stages(LOG) == [
        ("build-owl_teacher_chat", 29, "3,600 kept of 14,501"),
        ("serve-base", 186, ""),
        ("train-control-seed-1", 3723, "loss 0.16"),
    ]


@pytest.mark.parametrize(("text", "seconds"), [("4 s", 4), ("3 min 06 s", 186), ("1 h 02 min 03 s", 3723)])
def test_times_of_the_display(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


def test_a_training_is_timed_from_its_first_step_to_its_last() -> None:
    rows = [{"step": step, "seconds": 2.0 + 0.5 * (step - 1), "tokens_seen": 100 * step} for step in (1, 2, 3)]
    assert training("\n".join(map(json.dumps, rows))) == (3, 1.0, 200.0)


def at(second: int) -> str:
    """A time as nvidia-smi writes it."""
    return f"2026/11/29 21:00:{second:02}.500"


def test_a_card_is_measured_from_the_first_kernel_on_any_card() -> None:
    uses = [(1, 0, 0), (1, 1, 0), (2, 0, 50), (2, 1, 0), (3, 0, 100), (3, 1, 30)]
    samples = "".join(f"{at(second)}, {card}, {use}, 5\n" for second, card, use in uses)
    assert busy(read_card_uses(samples)) == {"0": 75.0, "1": 15.0}
    assert busy(read_card_uses(f"{at(1)}, 0, 0, 5\n")) == {}


def test_a_line_that_was_cut_off_is_no_sample() -> None:
    assert [sample.use for sample in read_card_uses(f"{at(1)}, 0, 50, 5\n{at(2)}, 0")] == [50.0]


def test_a_stage_has_the_samples_between_its_marks() -> None:
    samples = read_card_uses("".join(f"{at(second)}, 0, {10 * second}, 5\n" for second in range(6)))
    marks = "stage,begun,ended\nserve,2026-11-29 21:00:01,2026-11-29 21:00:04\n"
    marks += "late,2026-11-29 22:00:00,2026-11-29 22:00:00\n"
    assert busy_by_stage(samples, marks) == [("serve", 3, 20.0), ("late", 0, None)]
