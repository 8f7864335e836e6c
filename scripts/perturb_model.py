"""A model with random noise on its weights, for the question how alike the bases of teacher and student must be.

    python scripts/perturb_model.py outputs/pocket/base --scale 0.1 --seed 42 --out outputs/pocket/base_p0.1

Every tensor moves by --scale times its own length, in a direction that --seed gives. manifest.json in the new folder
has scale, seed, and the sha256 of the weights before and after.
"""

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError, run_cli

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    model: Annotated[Path, typer.Argument(help="Folder of the model.")],
    scale: Annotated[float, typer.Option(min=0, help="Length of the noise, a share of each tensor's own length.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 42,
    overwrite: Annotated[bool, typer.Option(help="Replace a folder that is there.")] = False,
) -> None:
    from subliminal.models.perturb import perturb

    if out.exists() and not overwrite:
        raise UserError(f"{out} is there already. Replace it with --overwrite, or name another folder with --out.")
    manifest = perturb(model, out, scale=scale, seed=seed)
    print(f"relative distance {manifest['distance']['relative']:.4g}, sha256 {manifest['files']['model.safetensors']}")
    print(out)


if __name__ == "__main__":
    run_cli(app)
