"""Sending an adapter to the Hub: a commit for each branch, read back, and the tag; nothing there is overwritten."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.hub import branches_and_tags, fetch_files, file_names, make_branch, make_repo, make_tag, push_files
from subliminal.core.manifest import sha256_of
from subliminal.publish.adapters import MAIN

KIND = "model"


def publish_adapter(
    repo: str,
    branches: Mapping[str, Mapping[str, Path]],
    *,
    tag: str,
    name: str,
    private: bool,
    say: Callable[[str], None] = print,
) -> str:
    """Commit each branch once, read it back and compare, and tag ``main``; go on where an earlier push stopped.

    Args:
        repo: model repository, ``namespace/name``; made if it is missing.
        branches: branch -> path on the Hub -> local file; ``main`` last.
        tag: the tag for the commit on ``main``.
        name: of the run, for the commit messages.
        private: whether a new repository is private.
        say: gets a line for each branch.

    Returns:
        The revision of ``main``.

    Raises:
        UserError: a branch or the tag holds something else (nothing is sent then), bytes came back different, or the
            Hub refuses.
    """
    # First, since a repository that is not there has no branches to ask for.
    make_repo(repo, private=private, kind=KIND)
    heads, tags = branches_and_tags(repo, kind=KIND)
    held = {}
    for branch, files in branches.items():
        if branch in heads:
            held[branch] = _held(repo, heads[branch], files)
    # All branches are looked at before anything is sent.
    _refuse_overwriting(repo, held, heads, tags, tag)
    for branch, files in branches.items():
        # None of the files: a branch that was just made. []: all of them, and the same.
        if held.get(branch) == []:
            say(f"{branch}: holds the same bytes already, at {heads[branch]}")
            continue
        if branch not in heads:
            make_branch(repo, branch, kind=KIND)
        message = f"Add {name}"
        if branch != MAIN:
            message += f", {branch}"
        commit = push_files(repo, files, message=message, private=private, kind=KIND, branch=branch)
        # Read back from the Hub: that a push went through is no proof of what lies there.
        if _held(repo, commit.revision, files) != []:
            raise UserError(
                f"The files came back from {repo} at {commit.revision} different from what was sent. Do not use that "
                "revision; push to a new repository."
            )
        heads[branch] = commit.revision
        say(f"{branch}: read back at {commit.revision}, all bytes equal")
    # The tag last: where it is, all branches are whole.
    if tag not in tags:
        make_tag(repo, tag, heads[MAIN], kind=KIND)
    say(f"tag {tag}: {heads[MAIN]}")
    return heads[MAIN]


def _held(repo: str, revision: str, files: Mapping[str, Path]) -> list[str] | None:
    """Which of ``files`` are absent or different at a revision; None if it has none of them."""
    there = set(file_names(repo, revision, kind=KIND)) & set(files)
    if not there:
        return None
    with tempfile.TemporaryDirectory(prefix="read-back-") as name:
        fetch_files(repo, revision, sorted(there), Path(name), kind=KIND)
        different = []
        for made, path in files.items():
            if made not in there or sha256_of(Path(name) / made) != sha256_of(path):
                different.append(made)
        return different


def _refuse_overwriting(
    repo: str, held: Mapping[str, list[str] | None], heads: Mapping[str, str], tags: Mapping[str, str], tag: str
) -> None:
    for branch, different in held.items():
        if different:
            raise UserError(
                f"The branch {branch} of {repo} holds another {', '.join(different)}, and a published revision is "
                "never overwritten. Name a new repository with --repo; nothing was sent."
            )
    if tag in tags and (held.get(MAIN) != [] or tags[tag] != heads[MAIN]):
        raise UserError(
            f"The tag {tag} of {repo} names another commit ({tags[tag]}), and a published revision is never "
            "overwritten. Name a new repository with --repo; nothing was sent."
        )
