"""What holds for every task folder: names, versions, README, changelog."""

import re
from pathlib import Path

import pytest
import yaml

from subliminal.scoring.category_tasks import TASKS, category_tasks

KINDS = {"sampled", "exact", "story", "graded", "probability"}
FILES = sorted(TASKS.glob("*/*.yaml"))


def settings_of(path):
    """A task file with what it includes; functions stand as their names."""
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!function", lambda self, node: self.construct_scalar(node))
    settings = yaml.load(path.read_text("utf-8"), loader)
    included = settings_of(path.parent / settings.pop("include")) if "include" in settings else {}
    return {**included, **settings}


def test_no_built_in_task_is_shadowed():
    """lm-eval would run ours in its place without a word.

    Its names are read from its files, as its registry does; building the registry takes 40 s.
    """
    import lm_eval.tasks

    field = re.compile(rb"""^["']?(?:task|group|tag)["']?:\s*["']?([\w-]+)""", re.MULTILINE)
    files = Path(lm_eval.tasks.__file__).parent.rglob("*.yaml")
    built_in = {name.decode() for path in files for name in field.findall(path.read_bytes())}
    assert len(built_in) > 5000
    assert {"gsm8k", "mmlu", "minerva_math500"} <= built_in
    assert not {path.stem for path in FILES} & built_in


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_task_files(path):
    settings = settings_of(path)
    name = settings.get("group") or settings["task"]
    assert name == path.stem
    assert name.startswith("subliminal_") or name in category_tasks()
    assert settings["metadata"]["version"]
    if "group" not in settings:
        assert settings["metadata"]["kind"] in KINDS
        assert settings["num_fewshot"] == (4 if name.endswith("_fewshot") else 0)


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=lambda folder: folder.name)
def test_readme_describes_every_task_and_its_version(folder):
    readme = (folder / "README.md").read_text("utf-8")
    changelog = readme.split("## Changelog", 1)[1]
    for path in folder.glob("*.yaml"):
        assert re.search(rf"\b{path.stem}\b", readme), path
        assert re.search(rf"^- {settings_of(path)['metadata']['version']}\b", changelog, re.MULTILINE), path
