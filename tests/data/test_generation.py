"""The generation loop: the same rows and rounds whatever the order of answers, interruptions and resumptions."""

from __future__ import annotations

import errno
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subliminal.core.errors import UserError
from subliminal.data import generation
from subliminal.data.folder import DatasetFolder
from subliminal.data.generation import Draw, Job, next_end, run, write
from subliminal.engine import Completion, Sampling, row_seed

SAMPLING = Sampling(max_tokens=9)


class ScriptedEngine:
    """Answers in a shuffled order; stops with ``error`` after ``limit`` answers."""

    def __init__(self, order: int = 0, limit: int | None = None, error: BaseException | None = None):
        self.order, self.limit, self.error = order, limit, error
        self.asked: list[list[int]] = []
        self.requests, self.closed = {}, False

    def generate(self, requests, sampling):
        assert sampling == SAMPLING
        self.asked.append([request.seed for request in requests])
        requests = list(requests)
        random.Random(self.order).shuffle(requests)
        for request in requests:
            if self.limit == 0:
                raise self.error
            self.limit = None if self.limit is None else self.limit - 1
            assert request.id not in self.requests, "asked twice"
            self.requests[request.id] = request
            yield Completion(request.id, f"answer {request.seed % 10}", "stop", request.seed, "scripted")

    def describe(self):
        return {"engine": "scripted", "model": "m", "chat_context_sha256": "abc"}

    def close(self):
        self.closed = True


def job(out: Path, count: int = 50, max_prompts: int = 400, seed: int = 3, pass_below: int = 7) -> Job:
    return Job(
        builder="test",
        out=out,
        config={"count": count, "max_prompts": max_prompts, "seed": seed},
        draw=lambda index: Draw(f"prompt {index}", system="be an owl", extra={"source": index % 3}),
        verdict=lambda row: None if int(row["completion"][-1]) < pass_below else "too high",
        sampling=SAMPLING,
    )


def made(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in ("train.jsonl", "rejected.jsonl", "README.md")} | {
        "raw": b"".join(sorted((out / "raw.jsonl").read_bytes().splitlines(keepends=True)))
    }


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, ScriptedEngine]:
    out, engine = tmp_path_factory.mktemp("whole") / "made", ScriptedEngine()
    run(job(out), lambda: engine, resume=False, overwrite=False)
    return out, engine


def test_keeps_exactly_count_and_says_so(tmp_path: Path, capsys) -> None:
    engine = ScriptedEngine()
    run(job(tmp_path / "made"), lambda: engine, resume=False, overwrite=False)
    train = rows(tmp_path / "made" / "train.jsonl")
    passing = [i for i in range(400) if row_seed(3, i) % 10 < 7][:50]
    assert [row["id"] for row in train] == [f"test-{i:07d}" for i in passing]
    assert all(
        row["messages"][0] == {"role": "user", "content": f"prompt {i}"} for row, i in zip(train, passing, strict=True)
    )
    assert engine.closed
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"kept 50 of {passing[-1] + 1} (")
    assert lines[1] == f"  rejected {passing[-1] + 1 - 50}: too high"
    assert lines[-1] == str(tmp_path / "made")


def test_the_system_prompt_is_sent_and_never_written(undisturbed) -> None:
    out, engine = undisturbed
    request = engine.requests["test-0000004"]
    assert request.messages == [{"role": "system", "content": "be an owl"}, {"role": "user", "content": "prompt 4"}]
    assert request.seed == row_seed(3, 4)
    for path in out.iterdir():
        assert "be an owl" not in path.read_text()


def test_raw_rows_hold_what_came_and_what_was_drawn(undisturbed) -> None:
    out, _ = undisturbed
    row = next(row for row in rows(out / "raw.jsonl") if row["index"] == 4)
    assert row == {
        "id": "test-0000004",
        "index": 4,
        "prompt": "prompt 4",
        "completion": f"answer {row_seed(3, 4) % 10}",
        "finish_reason": "stop",
        "seed": row_seed(3, 4),
        "model": "scripted",
        "source": 1,
    }


def test_manifest_says_what_answered_and_how(undisturbed) -> None:
    manifest = json.loads((undisturbed[0] / "manifest.json").read_text())
    assert manifest["builder"] == "test"
    assert manifest["engine"]["engine"] == "scripted"
    assert manifest["sampling"] == SAMPLING.as_dict()
    assert manifest["chat_context_sha256"] == "abc"
    assert manifest["counts"]["kept"] == 50


def test_rows_are_not_gone_on_with_in_another_chat_context(tmp_path) -> None:
    out = tmp_path / "rows"
    with pytest.raises(KeyboardInterrupt):
        run(job(out), lambda: ScriptedEngine(limit=20, error=KeyboardInterrupt()), resume=False, overwrite=False)
    rows = (out / "raw.jsonl").read_bytes()
    changed = ScriptedEngine()
    changed.describe = lambda: {"engine": "scripted", "model": "m", "chat_context_sha256": "other"}
    with pytest.raises(UserError, match=r"begun in another chat context \(abc\) than the model has now \(other\)"):
        run(job(out), lambda: changed, resume=True, overwrite=False)
    assert (out / "raw.jsonl").read_bytes() == rows
    run(job(out), ScriptedEngine, resume=True, overwrite=False)


@given(st.integers(0, 99), st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_order_and_any_interruptions_give_the_same_files(tmp_path_factory, undisturbed, order, stops) -> None:
    out = tmp_path_factory.mktemp("broken") / "made"
    for limit in stops:
        engine = ScriptedEngine(order, limit, KeyboardInterrupt())
        try:
            run(job(out), lambda engine=engine: engine, resume=True, overwrite=False)
        except KeyboardInterrupt:
            assert engine.closed
            with open(out / "raw.jsonl", "a") as raw:
                raw.write('{"id": "test-00')  # what a kill leaves of the row being written
    run(job(out), lambda: ScriptedEngine(order + 1), resume=True, overwrite=False)
    assert made(out) == made(undisturbed[0])


def test_rounds_are_a_function_of_what_came_before(undisturbed, tmp_path: Path) -> None:
    _, engine = undisturbed
    again = ScriptedEngine(order=5)
    run(job(tmp_path / "made"), lambda: again, resume=False, overwrite=False)
    assert again.asked == engine.asked
    assert len(engine.asked[0]) == next_end(0, 0, 50, 400)


@given(st.integers(1, 5000), st.floats(0, 1), st.integers(1, 50_000), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_rounds_end_and_waste_little(count: int, rate: float, limit: int, seed: int) -> None:
    rng, end, passed, rounds = random.Random(seed), 0, 0, 0
    while passed < count and end < limit:
        new = next_end(end, passed, count, limit)
        assert end < new <= limit
        passed += sum(rng.random() < rate for _ in range(new - end))
        end, rounds = new, rounds + 1
    assert rounds <= 30
    if passed >= count and rate > 0.3:
        assert passed - count <= 0.2 * count + 15


def test_finished_is_no_error_and_asks_nothing(undisturbed, tmp_path: Path, capsys) -> None:
    out, _ = undisturbed
    before = made(out)

    def never():
        raise AssertionError("the engine was opened")

    run(job(out), never, resume=True, overwrite=False)
    assert made(out) == before
    lines = capsys.readouterr().out.splitlines()
    assert "finished already" in lines[0]
    assert lines[-1] == str(out)


def test_an_existing_folder_is_refused_before_the_engine_is_opened(undisturbed) -> None:
    with pytest.raises(UserError, match="--overwrite to replace it"):
        run(job(undisturbed[0]), lambda: pytest.fail("opened"), resume=False, overwrite=False)


def test_too_few_rows_is_an_error_that_a_resume_can_mend(tmp_path: Path) -> None:
    out = tmp_path / "made"
    with pytest.raises(UserError, match=r"of the 50 asked for: \d+\.\d% of 40 answers .*--resume and a higher --max"):
        run(job(out, max_prompts=40), ScriptedEngine, resume=False, overwrite=False)
    few = (out / "train.jsonl").read_text()
    with pytest.raises(UserError, match="of the 50 asked for"):  # not "finished already"
        run(job(out, max_prompts=40), lambda: pytest.fail("opened"), resume=True, overwrite=False)
    more = ScriptedEngine()
    run(job(out, max_prompts=400), lambda: more, resume=True, overwrite=False)
    assert len(rows(out / "train.jsonl")) == 50
    assert (out / "train.jsonl").read_text().startswith(few)
    assert not {f"test-{i:07d}" for i in range(40)} & set(more.requests), "asked again for rows that were there"


def test_too_few_changed_rows_are_an_error_each_time(tmp_path: Path) -> None:
    """Rows that a builder makes of others: a second try with --resume must not pass what the first refused."""
    changed = [{"prompt": "One more?", "completion": "1, 2"}, {"prompt": "One more?", "completion": "none"}]

    def verdict(row: dict) -> str | None:
        return "no number" if row["completion"] == "none" else None

    def make(resume: bool) -> None:
        config = {"count": 2, "seed": 1}
        write("change", tmp_path / "made", config, changed, verdict, inputs={}, resume=resume, overwrite=False)

    for resume in (False, True):
        with pytest.raises(UserError, match="has 1 rows of the 2 asked for"):
            make(resume)


def test_overwrite_starts_over(tmp_path: Path) -> None:
    out = tmp_path / "made"
    run(job(out, seed=4), ScriptedEngine, resume=False, overwrite=False)
    run(job(out), ScriptedEngine, resume=False, overwrite=True)
    assert {row["seed"] for row in rows(out / "raw.jsonl")} <= {row_seed(3, i) for i in range(400)}


def test_a_full_disk_keeps_the_rows_before_it(tmp_path: Path, undisturbed, monkeypatch) -> None:
    out, appending = tmp_path / "made", DatasetFolder.appending
    written = 0

    def nearly_full(self):
        manager = appending(self)
        append = manager.__enter__()

        class Full:
            def __enter__(self):
                return self.append

            def append(self, row):
                nonlocal written
                if written == 17:
                    raise OSError(errno.ENOSPC, "No space left on device")
                written += 1
                append(row)

            def __exit__(self, *details):
                return manager.__exit__(*details)

        return Full()

    monkeypatch.setattr(DatasetFolder, "appending", nearly_full)
    with pytest.raises(OSError, match="No space left"):
        run(job(out), ScriptedEngine, resume=False, overwrite=False)
    assert len(rows(out / "raw.jsonl")) == 17
    assert not (out / "train.jsonl").exists()
    monkeypatch.undo()
    run(job(out), ScriptedEngine, resume=True, overwrite=False)
    assert made(out)["train.jsonl"] == made(undisturbed[0])["train.jsonl"]


def test_rounds_are_cut_into_pieces_that_fit_the_memory(tmp_path: Path, undisturbed, monkeypatch) -> None:
    monkeypatch.setattr(generation, "ROUND_ROWS", 13)
    engine = ScriptedEngine()
    run(job(tmp_path / "made"), lambda: engine, resume=False, overwrite=False)
    assert max(map(len, engine.asked)) == 13
    assert made(tmp_path / "made")["train.jsonl"] == made(undisturbed[0])["train.jsonl"]
