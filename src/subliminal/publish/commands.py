"""The commands of ``scripts/results.py``: their options. What each does is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError

app = typer.Typer(add_completion=False, help="Publish experiments, make RESULTS.md of their raw answers, and check it.")

Published = Annotated[Path, typer.Option(help="Where the published experiments lie.")]
PageFile = Annotated[Path, typer.Option(help="The page.")]
PUBLISHED, PAGE = Path("results/published"), Path("RESULTS.md")


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="results/<experiment>, finished.")],
    search: Annotated[
        str | None, typer.Option(help="Folder beside it with tried.csv: what was tried before; default as it was.")
    ] = None,
    lost: Annotated[
        list[str] | None, typer.Option(help="A training that was evaluated and whose record is gone; repeat it.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace what is published of this experiment.")] = False,
    published: Published = PUBLISHED,
) -> None:
    """Pack a finished experiment into the repository and name it in experiments.txt."""
    from subliminal.publish.pack import publish_experiment as pack

    made = pack(folder, published=published, search=search, lost=lost or (), overwrite=overwrite)
    for path in sorted(made.iterdir()):
        print(f"{path}  {path.stat().st_size:,} bytes")
    print(made)


@app.command()
def join(
    folders: Annotated[list[Path], typer.Argument(help="results/<experiment> of each shard.")],
    file: Annotated[Path | None, typer.Option(help="Experiment file; default experiments/<experiment>.yml.")] = None,
) -> None:
    """Put shards of one experiment together in this checkout, and make its reports anew."""
    from subliminal.publish.join import join as put_together

    made, left = put_together(folders, file)
    if left:
        print(f"{len(left)} stages are left, the first is {left[0]}: `make experiment` goes on.")
    print(made)


@app.command()
def write(published: Published = PUBLISHED, page: PageFile = PAGE) -> None:
    """Make the pages and their drawings anew from the raw answers."""
    from subliminal.core.files import write_text
    from subliminal.publish.page import make_pages

    made = make_pages(published, page)
    # Pages last: whoever reads one finds the drawings that it names.
    drawn = {path: draw() for path, draw in made.drawings.items()}
    for path, text in {**drawn, **made.pages}.items():
        write_text(path, text)
        print(path)


@app.command()
def verify(published: Published = PUBLISHED, page: PageFile = PAGE) -> None:
    """Score the raw answers again and compare everything that was written about them, the page included."""
    from subliminal.publish.verify_pages import verify_published

    verify_published(published, page, lambda sentence: print(f"checked: {sentence}.", flush=True))


@app.command()
def tried(
    folder: Annotated[Path, typer.Argument(help="results/<experiment> of a search: a swept experiment of one target.")],
    out: Annotated[Path, typer.Option(help="The CSV file; rows of other searches in it stay.")],
) -> None:
    """Record every configuration that a search tried, for `publish --search`."""
    from subliminal.publish.tried import write_tried

    print(f"{write_tried(folder, out)} configurations")
    print(out)


@app.command()
def unpack(
    folder: Annotated[Path, typer.Argument(help="results/published/<date>-<experiment>")],
    out: Annotated[Path, typer.Option(help="A folder that does not exist yet.")],
) -> None:
    """Lay out the files of a published experiment: records as they were, samples and tables made of the raw answers."""
    from subliminal.publish.entries import lay_out

    if out.exists():
        raise UserError(f"{out} exists already. Name another folder with --out.")
    lay_out(folder, out)
    print(out)
