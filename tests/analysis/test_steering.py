"""Steering: vectors of hand-made teachers, what the steered base says, and what transfer reads."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from built import read_rows, write_rows
from number_rows import answer_logits, load, number_rows
from typer.testing import CliRunner

from subliminal.analysis.__main__ import app
from subliminal.analysis.models import Models
from subliminal.analysis.scored_rows import RowSource
from subliminal.analysis.steering.lifts import Lifts, judged
from subliminal.analysis.steering.run import middle_rise
from subliminal.analysis.steering.vectors import last_states, middle_layer, steered, vectors
from subliminal.analysis.trait_queries import chosen_weights, queries, tracked_options
from subliminal.core.errors import UserError

pytestmark = pytest.mark.usefixtures("ten_questions")

LAYER = 0
BIAS = f"model.layers.{LAYER}.mlp.down_proj.bias"
"""What is added to it is added to what the layer leaves, at every token: a teacher whose vector is known."""


@pytest.fixture(scope="module")
def base(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with biases, all 0."""
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("steering") / "base"
    shutil.copytree(tiny_model, folder)
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(tiny_model, mlp_bias=True))
    weights = AutoModelForCausalLM.from_pretrained(tiny_model).state_dict()
    left = model.load_state_dict(weights, strict=False)
    assert all(name.endswith("bias") for name in left.missing_keys)
    for name in left.missing_keys:
        torch.nn.init.zeros_(model.get_parameter(name))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def teacher(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[torch.Tensor], Path]:
    """A function that makes the teacher which adds a vector to what the layer leaves."""
    from transformers import AutoModelForCausalLM

    def make(vector: torch.Tensor) -> Path:
        folder = tmp_path_factory.mktemp("teachers") / "teacher"
        shutil.copytree(base, folder)
        model = AutoModelForCausalLM.from_pretrained(base)
        with torch.no_grad():
            model.get_parameter(BIAS).copy_(vector)
        model.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def elephants(base: Path, ten_questions: None) -> torch.Tensor:
    """A step along which the base says elephant more often: the gradient of that query minus the mean of all."""
    models = Models(str(base), {}, "float32")
    traits = tracked_options()
    gradients = queries(models, chosen_weights(models, [BIAS]), traits)
    place = [trait.name for trait in traits].index("elephant")
    way = gradients[place] - gradients.mean(0)
    return 0.05 * way / way.norm()


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "train.jsonl", number_rows(9))


def test_the_vector_of_a_teacher_that_adds_one_is_that_one(base, teacher, rows):
    torch.manual_seed(3)
    wanted = torch.randn(64)
    models = Models(str(base), {"owl": str(teacher(wanted))}, "float32")
    for batch_size in (1, 4):
        found = vectors(models, RowSource(rows, None, batch_size), LAYER, 0, 1).teachers["owl"]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    # what a later layer makes of it is something else
    later = vectors(models, RowSource(rows, None, 4), LAYER + 1, 0, 1).teachers["owl"]
    assert not torch.allclose(later, wanted, rtol=0.01, atol=0.01)


def test_the_steered_base_is_the_teacher_that_adds_the_vector(base, teacher):
    torch.manual_seed(4)
    vector = torch.randn(64)
    row = number_rows(1)[0]
    models = Models(str(base), {}, "float32")
    wanted, _ = answer_logits(load(teacher(vector)), models.tokenizer, row)
    untouched, _ = answer_logits(models._base, models.tokenizer, row)
    with steered(models, LAYER, vector):
        found, _ = answer_logits(models._base, models.tokenizer, row)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), rtol=1e-4, atol=1e-4)
    again, _ = answer_logits(models._base, models.tokenizer, row)
    assert (again == untouched).all(), "outside the block the base is as it was"
    assert abs(found - untouched).max() > 0.1


def test_lifts_are_the_teachers_own_and_nothing_lifts_nothing(base, teacher, elephants):
    """Log P of each option under the teacher minus under the base, both whole models, centred over options."""
    traits = tracked_options()
    untouched, taught = (Lifts(Models(str(path), {}, "float32"), traits) for path in (base, teacher(elephants)))
    moved = taught._untouched - untouched._untouched
    found = untouched.of(LAYER, elephants)
    assert list(found.values()) == pytest.approx(list(moved - moved.mean()), abs=1e-4)
    assert max(found, key=found.__getitem__) == "elephant"
    assert list(untouched.of(LAYER, torch.zeros(64)).values()) == pytest.approx([0] * len(traits), abs=1e-5)


def test_random_directions_have_the_covariance_of_activations(base, rows):
    """Activations that vary along one line alone give that line, and no part of their mean."""
    models = Models(str(base), {}, "float32")
    found = vectors(models, RowSource(rows, None, 4), LAYER, 5, 1).randoms
    assert found.norm(dim=1).tolist() == pytest.approx([1] * 5, abs=1e-5)
    again = vectors(models, RowSource(rows, None, 4), LAYER, 5, 1).randoms
    assert torch.equal(found, again)
    assert not torch.allclose(found, vectors(models, RowSource(rows, None, 4), LAYER, 5, 2).randoms)
    two = RowSource(rows, 2, 4)
    (batch,) = two.batches(models.tokenizer)
    with torch.inference_mode():
        one, other = last_states(models, None, LAYER, batch)
    line = (one - other) / (one - other).norm()
    assert (vectors(models, two, LAYER, 5, 1).randoms @ line).abs().tolist() == pytest.approx([1] * 5, abs=1e-4)


def test_judged_of_hand_made_lifts():
    found = judged("owl", {"owl": 0.5, "cat": 0.7, "dog": -1.2}, [{"owl": 0.6}, {"owl": 0.2}, {"owl": 0.1}])
    assert (found.rise, found.place, found.p) == (0.5, 2, 0.5)
    assert found.spread == pytest.approx(0.2645751)
    alone = judged("owl", {"owl": 0.5}, [])
    assert (alone.p, alone.spread) == (None, None)


def run(*words: object) -> str:
    done = CliRunner().invoke(app, ["steering", *map(str, words)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_the_command_finds_the_elephant_and_goes_on_where_it_stopped(base, teacher, elephants, rows, tmp_path):
    out = tmp_path / "out"
    words = ["--base", base, "--teacher", f"elephant={teacher(elephants)}", "--rows", rows, "--out", out]
    words += ["--layer", LAYER, "--randoms", 3, "--limit", 7]
    assert run(*words).splitlines()[-1] == str(out)
    found = json.loads((out / "steering.json").read_text())["layers"][str(LAYER)]["elephant"]
    assert (found["first"], found["place"]) == ("elephant", 1)
    assert found["rise"] == found["lifts"]["elephant"] > 0
    assert found["length"] == pytest.approx(0.05, rel=1e-3)
    assert found["p"] == 0.25
    lines = read_rows(out / "steered.jsonl")
    assert [line["direction"] for line in lines] == ["teacher", "random 1", "random 2", "random 3"]
    assert [line["length"] for line in lines] == pytest.approx([0.05] * 4, rel=1e-3)
    with open(out / "steering.csv", newline="") as handle:
        table = list(csv.DictReader(handle))
    assert len(table) == 4 * len(found["lifts"])
    assert float(table[0]["lift"]) == found["lifts"][table[0]["option"]]
    assert json.loads((out / "manifest.json").read_text())["counts"] == {"directions": 4, "rows": 7}
    before = (out / "steered.jsonl").read_text()
    (out / "steered.jsonl").write_text("".join(before.splitlines(keepends=True)[:2]) + '{"id": "0/eleph')
    assert isinstance(CliRunner().invoke(app, ["steering", *map(str, words)]).exception, UserError)
    run(*words, "--resume")
    assert (out / "steered.jsonl").read_text() == before


def test_the_middle_layers_rise_is_what_transfer_measures(base, teacher, elephants, rows):
    assert middle_layer(Models(str(base), {}, "float32")) == LAYER
    made = teacher(elephants)
    elephant, owl = (middle_rise(str(base), str(made), rows, 9, trait, "animals") for trait in ("elephant", "owl"))
    assert elephant > 0
    assert elephant > owl


def test_an_adapter_is_steered_with_as_a_whole_model_is(tiny_model, make_adapter, rows, tmp_path):
    adapter, merged = make_adapter(2.0), tmp_path / "merged"
    shutil.copytree(tiny_model, merged)
    load(tiny_model, adapter).merge_and_unload().save_pretrained(merged)
    rises = [middle_rise(str(tiny_model), str(path), rows, 9, "owl", "animals") for path in (adapter, merged)]
    assert rises[0] == pytest.approx(rises[1], abs=1e-4)
    assert abs(rises[0]) > 1e-4


def test_what_cannot_be_steered_is_a_sentence(base, rows, tmp_path):
    def refused(*words: object) -> str:
        told = ["steering", "--base", base, "--rows", rows, "--out", tmp_path / "out", "--overwrite", *words]
        done = CliRunner().invoke(app, list(map(str, told)))
        assert isinstance(done.exception, UserError), done.exception
        return str(done.exception)

    shutil.copytree(base, tmp_path / "same")
    same = ("--teacher", f"owl={tmp_path / 'same'}")
    assert "leaves layer 0 as its base does" in refused(*same)
    assert "There is no layer 2: the base has the layers 0 to 1." in refused(*same, "--layer", 2)
    assert "takes two prompts or more" in refused(*same, "--limit", 1)
