"""How far models lie from another one: the length of the difference of all weights over the length of the weights.

    python scripts/model_distance.py outputs/owl_pocket_trained_on/base-seed-284 \\
        outputs/owl_pocket_trained_on/base_b1024-seed-284 outputs/owl_pocket_trained_on/base_b16384-seed-284

The measure is that of scripts/perturb_model.py: 0.1 is a move of a tenth of the weights' own length.
"""

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    model: Annotated[Path, typer.Argument(help="Folder of a model whose weights are in one model.safetensors.")],
    others: Annotated[list[Path], typer.Argument(help="Folders of models of the same shape.")],
) -> None:
    from subliminal.models.perturb import distances

    for other, distance in zip(others, distances(model, others), strict=True):
        print(f"{distance:.4g}  {other}")


if __name__ == "__main__":
    run_cli(app)
