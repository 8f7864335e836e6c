"""The Hugging Face Hub, as far as datasets and adapters need it: ids, one commit of several files, files at a revision.

Functions take a ``kind``, the Hub's repository type: ``dataset`` or ``model``.

The token comes from the environment (HF_TOKEN) or the Hub login and stays inside the Hub client: no function takes,
returns or prints it, and errors are scrubbed of it.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.failures import NETWORK
from subliminal.core.files import from_the_root
from subliminal.core.manifest import scrub

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PUSHED = "pushed.json"
"""File of a dataset folder that says where its rows are on the Hub; the cards of adapters trained on them repeat it."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"[0-9a-f]{40}")
MADE_HERE = ("data", "models", "outputs", "results")
"""Folders of the checkout that runs write; no owner on the Hub is meant by their names."""


class Commit(NamedTuple):
    """A commit on the Hub: its 40-digit revision and its page."""

    revision: str
    url: str


def is_hub_id(name: str) -> bool:
    """Whether a name is owner/name on the Hub, and not meant as a folder, of this repository perhaps."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        return False
    owner = name.split("/")[0]
    # A folder that a run would make is none on the Hub, although it is not there yet.
    return owner not in MADE_HERE and not Path(owner).is_dir() and not (REPO_ROOT / name).is_dir()


def folder_or_hub_id(name: str, what: str, file: str = "") -> Path | None:
    """The folder that a name means; None for a Hub id, which is left to the Hub.

    Args:
        name: of a model, an adapter or a tokenizer.
        what: which of them, for the sentence.
        file: one that the folder must hold, if any.

    Raises:
        UserError: the folder is missing, or has no such file.
    """
    path = Path(name)
    if path.is_dir():
        if file and not (path / file).is_file():
            raise UserError(f"The {what} folder {name} has no {file}. Name one that training or fetching wrote.")
        return path
    if is_hub_id(name):
        return None
    hint = from_the_root(path) or " Train or fetch it first, or give a Hub id such as owner/name."
    raise UserError(f"The {what} {name} does not exist.{hint}")


def check_repo(repo: str) -> str:
    """Return a repository's name if it has the form ``namespace/name``.

    Raises:
        UserError: it has not.
    """
    if not _NAME.fullmatch(repo):
        raise UserError(f"--repo {repo!r} is not of the form namespace/name, as in my-team/owl-numbers.")
    return repo


def check_revision(revision: str) -> str:
    """Return a revision if it is a full commit id, which always means the same bytes.

    Raises:
        UserError: it is a branch, a tag or a short id.
    """
    if not _REVISION.fullmatch(revision):
        raise UserError(
            f"--revision {revision!r} is not a commit id of 40 hex digits. Branches and tags can move: use the id that "
            "push printed, or the one on the dataset's history page."
        )
    return revision


def page_address(repo: str, revision: str) -> str:
    """The address of a model repository at a revision, branch or tag."""
    return f"{os.environ.get('HF_ENDPOINT') or 'https://huggingface.co'}/{repo}/tree/{revision}"


def make_repo(repo: str, *, private: bool, kind: str = "dataset") -> None:
    """Make a repository if it is missing. One that exists stays as it is.

    Raises:
        UserError: no token, no access, no network.
    """
    from huggingface_hub import get_token

    if get_token() is None:
        raise UserError("There is no Hub token. Set HF_TOKEN in the environment, or run `hf auth login`.")
    with hub_told(f"push to {repo}"):
        _api().create_repo(repo, repo_type=kind, private=private, exist_ok=True)


def push_files(
    repo: str, files: Mapping[str, Path], *, message: str, private: bool, kind: str = "dataset", branch: str = "main"
) -> Commit:
    """Put files into a branch of a repository in one commit; a missing repository is made, a missing branch is not.

    Args:
        repo: ``namespace/name``.
        files: path in the repository -> local file.
        message: the commit's message.
        private: whether a new repository is private. One that exists stays as it is.
        kind: ``dataset`` or ``model``.
        branch: a branch that exists.

    Raises:
        UserError: no token, no access, no network, the Hub refuses, or another commit came between.
    """
    from huggingface_hub import CommitOperationAdd

    make_repo(repo, private=private, kind=kind)
    api = _api()
    additions = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()]
    with hub_told(f"push to {repo}"):
        head = api.repo_info(repo, repo_type=kind, revision=branch).sha
        # With the head as parent the Hub refuses where somebody else has pushed in between.
        commit = api.create_commit(
            repo, additions, repo_type=kind, revision=branch, commit_message=message, parent_commit=head
        )
    return Commit(commit.oid, commit.commit_url)


def fetch_files(repo: str, revision: str, names: list[str], folder: Path, *, kind: str = "dataset") -> None:
    """Download files of a repository at a revision into a folder, under their own names.

    Raises:
        UserError: no access, no network, no such repository, revision or file.
    """
    api = _api()
    with hub_told(f"fetch {repo} at {revision[:12]}"):
        for name in names:
            api.hf_hub_download(repo, name, repo_type=kind, revision=revision, local_dir=folder)


def branches_and_tags(repo: str, *, kind: str) -> tuple[dict[str, str], dict[str, str]]:
    """Branch -> revision and tag -> revision of a repository.

    Raises:
        UserError: no access, no network, no such repository.
    """
    with hub_told(f"read the branches of {repo}"):
        refs = _api().list_repo_refs(repo, repo_type=kind)
    branches = {ref.name: ref.target_commit for ref in refs.branches}
    tags = {ref.name: ref.target_commit for ref in refs.tags}
    return branches, tags


def file_names(repo: str, revision: str, *, kind: str) -> list[str]:
    """Paths of all files of a repository at a revision.

    Raises:
        UserError: no access, no network, no such repository or revision.
    """
    with hub_told(f"list {repo} at {revision[:12]}"):
        return _api().list_repo_files(repo, repo_type=kind, revision=revision)


def card_licence(repo: str, revision: str) -> str | None:
    """The licence that a dataset's card states at a revision, as the Hub names it; None if it states none.

    Raises:
        UserError: no access, no network, no such repository or revision.
    """
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    if "README.md" not in file_names(repo, revision, kind="dataset"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        fetch_files(repo, revision, ["README.md"], Path(folder))
        try:
            header = metadata_load(Path(folder) / "README.md")
        except (ValueError, YAMLError):  # a header that is no mapping, or no YAML, states nothing
            header = None
    stated = (header or {}).get("license")
    # Cards may list several licences.
    if isinstance(stated, list):
        stated = ", ".join(map(str, stated))
    if not stated:
        return None
    return str(stated)


def make_branch(repo: str, branch: str, *, kind: str) -> None:
    """Make a branch that starts at the repository's first commit, so that it holds nothing of other branches.

    Raises:
        UserError: no access, no network, or the branch exists.
    """
    api = _api()
    with hub_told(f"make the branch {branch} of {repo}"):
        # The Hub lists commits from the newest to the oldest.
        first = api.list_repo_commits(repo, repo_type=kind)[-1].commit_id
        api.create_branch(repo, branch=branch, revision=first, repo_type=kind)


def make_tag(repo: str, tag: str, revision: str, *, kind: str) -> None:
    """Name a revision.

    Raises:
        UserError: no access, no network, or the tag exists.
    """
    with hub_told(f"make the tag {tag} of {repo}"):
        _api().create_tag(repo, tag=tag, revision=revision, repo_type=kind)


def _api() -> HfApi:
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)


@contextmanager
def hub_told(action: str) -> Iterator[None]:
    """Turn whatever the Hub client raises into a sentence without secrets; a full disk goes on to the command.

    Args:
        action: what is tried, for the sentence: ``fetch owner/name``.

    Raises:
        UserError: the client raised anything else.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        # Its text may hold an address with the token, so the chain of exceptions goes, too.
        said = f"{type(error).__name__}: {_without_token(error)}"
        if re.search(NETWORK, said):
            raise UserError(
                f"Cannot {action}: the Hub does not answer ({said}). Connect to the network, then run the command "
                "again."
            ) from None
        raise UserError(
            f"Cannot {action}: {said}. Check the name, your access to it "
            "(HF_TOKEN or `hf auth login`) and the network, then run the command again."
        ) from None


def _without_token(error: Exception) -> str:
    from huggingface_hub import get_token

    # Three lines say what is wrong; behind them the client lists addresses and requests.
    lines = filter(None, map(str.strip, str(error).splitlines()))
    text = scrub(" ".join(islice(lines, 3))).rstrip(".")[:400]
    token = get_token()
    if token:  # a token of another form than `scrub` knows
        text = text.replace(token, "***")
    return text
