"""Errors a user can act on, and the one place where commands turn them into a sentence and an exit status."""

from __future__ import annotations

import atexit
import difflib
import errno
import gc
import inspect
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any

from subliminal.core.noise import hide_noise

if TYPE_CHECKING:
    from typer import Typer


class UserError(Exception):
    """Something the user can put right. The message is a sentence: what is wrong, where, and what to do."""


def as_phrase(sentence: UserError | str) -> str:
    """A sentence for the middle of another one, which has a full stop and a `Correct it.` of its own."""
    return str(sentence).removesuffix(" Correct it.").rstrip(".")


def run_cli(app: Typer) -> None:
    """Run a typer app; a :class:`UserError`, a full disk or a path that cannot be is one sentence and status 2.

    Lines of libraries that say nothing about the command are hidden (:mod:`subliminal.core.noise`), and ``--help``
    shows the examples of a docstring as they are written.
    """
    ending = None
    # A test, or another program that calls a command, goes on after it and has an end of its own.
    if sys._getframe(1).f_globals["__name__"] == "__main__":
        ending = QuickEnd()
        # PEFT's import makes a million objects: at Python's own 700 it looks through all of them nine times.
        gc.set_threshold(10_000)
    # First: the command imports the libraries that say these lines.
    hide_noise()
    _prepare_help(app)
    try:
        _run(app)
    except SystemExit as end:
        if ending is not None:
            ending.status = end.code or 0
        raise


class QuickEnd:
    """Ends this process with its status as soon as all that was registered for the end, after this, is done.

    An ordinary end would go on to take apart all that was imported: two seconds where it was torch and PEFT.

    Attributes:
        status: of the process; None for an ordinary end, which tells what went wrong.
    """

    def __init__(self) -> None:
        self.status: Any = None
        self.process = os.getpid()
        atexit.register(self)

    def __call__(self) -> None:
        if not isinstance(self.status, int) or "torch" not in sys.modules or os.getpid() != self.process:
            return
        logging.shutdown()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):
            # A pipe that nobody reads: Python itself says so at an ordinary end, with a status of its own.
            return
        os._exit(self.status)


def _run(app: Typer) -> None:
    try:
        _refuse_nul(sys.argv[1:])
        app()
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        sentence = file_problem(error)
        if sentence is None:
            raise
        _stop(sentence)
    except ValueError as error:
        # So open, mkdir and subprocess begin what they say of a NUL, and none of them names the path.
        if "embedded null" not in str(error):
            raise
        _stop(
            "A file that this command reads has a NUL character in a path or an option, where none can be. Look for "
            "\\0 or \\u0000 in it, and take that out."
        )


def _refuse_nul(words: Iterable[str]) -> None:
    """Refuse a NUL character before anything is made: no path can have one, and no program's argument."""
    for word in words:
        if "\0" in word:
            raise UserError(f"{word!r} has a NUL character (\\x00), which no path can have. Write it without.")


@contextmanager
def stops_as_sentence() -> Iterator[None]:
    """End the process with a :class:`UserError`'s sentence and status 2, where another program's traceback would
    bury it."""
    try:
        yield
    except UserError as error:
        _stop(str(error))


MOST_LETTERS = 400
"""Letters that a sentence quotes of what a library says."""


def help_text(docstring: str) -> str:
    """A docstring as ``--help`` shows it: prose is broken to the terminal, indented examples are not, so that they can
    be copied; reStructuredText's quotes and roles are plain quotes."""
    plain = re.sub(r":[a-z]+:`~?([^`]+)`|``([^`]+)``", r"`\1\2`", inspect.cleandoc(docstring))
    paragraphs = plain.split("\n\n")
    for index, paragraph in enumerate(paragraphs):
        # Where a docstring has nothing else below its first line, its examples have lost their indentation.
        if all(line.startswith((" ", "python ")) for line in paragraph.splitlines()):
            # click leaves a paragraph behind this letter as it is.
            paragraphs[index] = "\b\n" + indent(dedent(paragraph), "    ")
    return "\n\n".join(paragraphs)


def _prepare_help(app: Typer) -> None:
    _arguments_keep_their_help()
    # Its tables would break every line, examples too, and leave little of a narrow terminal to the words.
    app.rich_markup_mode = None
    if isinstance(app.info.help, str):
        app.info.help = help_text(app.info.help)
    for command in app.registered_commands:
        said = command.help or (command.callback and command.callback.__doc__)
        if said:
            command.help = help_text(said)


def _arguments_keep_their_help() -> None:
    """Put right what click 8.5 does to typer 0.25, which Axolotl pins: an argument of a command loses its help."""
    from typer.core import TyperArgument, TyperCommand

    if TyperArgument(param_decls=["word"], help="said").help:
        return
    as_it_was = TyperArgument.__init__

    def with_help(argument: TyperArgument, *, help: str | None = None, **rest: Any) -> None:
        as_it_was(argument, **rest)
        argument.help = help

    TyperArgument.__init__ = with_help
    # typer lists arguments beside the options, and click would a second time.
    TyperCommand.format_arguments = lambda *_: None


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def file_problem(error: OSError) -> str | None:
    """A sentence about a file or folder that cannot be read or written; None for errors of another kind."""
    # A rename names two files: the second is the one that was to be written.
    name = error.filename2 or error.filename
    if error.errno in FULL:
        where = f" while writing {name}" if name else ""
        return (
            f"The disk is full{where}. Free some space, then run the same command again, with --resume where it has "
            "that option: what is whole is kept."
        )
    # Without a name, as from a socket, the traceback says more than a sentence could.
    if name is None or error.errno is None:
        return None
    what = f"{name} cannot be read or written ({error.strerror})"
    if error.errno in IN_THE_WAY:
        return (
            f"{what}: a file is where a folder is wanted, or the other way round. Move it away, or name another path."
        )
    if error.errno in REFUSED:
        return f"{what}. Name a path that you may write to, or have its permissions changed."
    if error.errno == errno.EIO:
        return f"{what}: the disk or its network does not answer. Run the command again, or use another disk."
    if error.errno in (errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENODEV, errno.ENXIO):
        return f"{what}. Check the path."
    return None


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The nearest of the known words as `` (did you mean `seeds`?)``, after a prefix; empty if none is near."""
    near = nearest(word, known, most=1)
    return f" (did you mean `{prefix}{near[0]}`?)" if near else ""


def nearest(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known words that are spelled most like a word, at most so many; none if none is near."""
    # 0.6 is difflib's own default: below it the words are no longer misspellings of each other.
    return difflib.get_close_matches(word, list(known), n=most, cutoff=0.6)


def one_line(error: BaseException) -> str:
    """What an exception of a library says, on one line and without a full stop; its kind if it says nothing."""
    text = " ".join(str(error).split()) or type(error).__name__
    # YAML's name of a text that it was handed; which file it is, the sentence around it says.
    text = text.replace('in "<unicode string>", ', "at ")
    # The sentence around it has a full stop of its own.
    if len(text) > MOST_LETTERS:
        text = f"{text[: MOST_LETTERS - 3]}..."
    return text.rstrip(".: ")


def _stop(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    # 2, as typer gives for a wrong option: 1 is left to what failed without a sentence.
    raise SystemExit(2) from None
