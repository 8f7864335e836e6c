#!/usr/bin/env bash
# The three environments on a GPU host without a network, from folders of wheels and the host's own torch.
#
#   scripts/offline_host.sh packs/site packs/workflow packs/server    # in the checkout; docs/offline_host.md says how to pack
#
# packs/site holds the wheels of Axolotl, lm-eval and vLLM, packs/workflow those of Snakemake, and packs/server, if given, what
# vLLM needs in another version than Axolotl. Nothing is installed: wheels are unpacked into build/offline/, compiled, and named
# in a .pth file before the site-packages that hold the host's torch.
set -euo pipefail
site=${1:?folder of the wheels of Axolotl, lm-eval and vLLM}
workflow=${2:?folder of the wheels of Snakemake}
server=${3:-}
for folder in "$site" "$workflow" ${server:+"$server"}; do    # two versions unpacked over each other make a third
  twice=$(cd "$folder" && printf '%s\n' *.whl | sed 's/-.*//; s/.*/\L&/' | sort | uniq -d | paste -sd ' ')
  if [ -n "$twice" ]; then
    echo "error: $folder holds two wheels of $twice. Keep the one that training needs, and give the server's folder its own." >&2
    exit 1
  fi
done
unset PYTHONDONTWRITEBYTECODE    # else every process compiles everything again: an import of Axolotl took over a minute
out=$PWD/build/offline
torch=$(python3 -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])')

for name in site workflow ${server:+server}; do
  mkdir -p "$out/$name"
  printf '%s\0' "${!name}"/*.whl | xargs -0 -P "$(nproc --all)" -I{} python3 -m zipfile -e {} "$out/$name"
done
python3 -m compileall -q -j "$(nproc --all)" "$out" src data_builders || true    # some packages hold templates that are no Python

environment() {    # environment FOLDER PATHS...: a Python that sees these paths, then the host's torch
  python3 -m venv --without-pip "$1"
  printf '%s\n' "${@:2}" "$torch" > "$(echo "$1"/lib/python3*/site-packages)/offline.pth"
  touch "$1/.installed"
}
environment .venv "$out/site" "$PWD/src" "$PWD"
environment .venv-serve ${server:+"$out/server"} "$out/site"
environment .venv-workflow "$out/workflow"

command_of() {    # command_of FILE ENVIRONMENT MODULE FUNCTION: the entry points that the stages call by their paths
  printf '#!%s\nimport sys\nfrom %s import %s\nsys.exit(%s())\n' "$PWD/$2/bin/python" "$3" "$4" "$4" > "$1"
  chmod +x "$1"
}
command_of .venv/bin/accelerate .venv accelerate.commands.accelerate_cli main
command_of .venv-workflow/bin/snakemake .venv-workflow snakemake.cli main

.venv/bin/python -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)'
.venv-serve/bin/python -c 'import vllm; print("vllm", vllm.__version__)'
.venv-workflow/bin/python -c 'import snakemake; print("snakemake is there")'
