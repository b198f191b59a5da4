"""Find a model or a GPU of the catalog by what a person types: a name, an alias, a repository, or the path of a config.json."""

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from scout_chat.core.errors import UserError
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Checkpoint, Gpu, License, Model


def find_gpu(name: str) -> Gpu:
    """Return a GPU by its name, a product name, or the beginning of a name if no other GPU's name begins so (rtx-pro finds rtx-pro-6000).

    Raises UserError, with the nearest names, if there is no such GPU or more than one.
    """
    gpus = catalog.gpus().values()
    found = {_plain(gpu.name): gpu for gpu in gpus} | {_plain(product): gpu for gpu in gpus for product in gpu.products}
    if _plain(name) in found:
        return found[_plain(name)]
    begun = [gpu for gpu in gpus if gpu.name.startswith(f"{name.lower()}-")]
    if len(begun) == 1:
        return begun[0]
    if len(options := gpu_options(name)) > 2:
        hint = f"Give {' '.join(options)}, or {options[1]} alone to scout-chat check, which reads the number from your values."
        raise UserError(f"--gpu {name}: the number of GPUs is an option of its own", hint)
    raise UserError(f"there is no GPU {name!r} in the catalog", _nearest(name, catalog.gpus(), "schema/catalog/gpus.yaml"))


def gpu_options(text: str) -> list[str]:
    """Return GPU or GPUxN as options: l40sx2 is --gpu l40s --gpus 2."""
    numbered = re.fullmatch(r"(.+?)x(\d+)", text)
    return ["--gpu", numbered[1], "--gpus", numbered[2]] if numbered else ["--gpu", text]


def find_model(name: str) -> tuple[Model, Checkpoint]:
    """Return a model and its checkpoint.

    ``name`` is the model's name, its title or an alias (then the checkpoint is the catalog's preferred one), or a repository with or
    without its owner. An exact match takes precedence over one that ignores case and punctuation. ``name`` may also be the path of a
    config.json or of its folder; the size of that model's weights is then unknown.

    Raises UserError, with the nearest names, if the catalog has no such model.
    """
    if name.endswith((".yaml", ".yml")):
        raise UserError(f"{name} is a values file, not a model", f"To check it: scout-chat check -f {name}")
    if ("/" in name and Path(name).exists()) or name.endswith(".json"):
        return _from_config(Path(name))
    models = catalog.models()
    if name in models:
        return models[name], models[name].checkpoints[0]
    repositories = [(model, checkpoint) for model in models.values() for checkpoint in model.checkpoints]
    for spelling in (str, _plain):
        for model, checkpoint in repositories:
            if spelling(name) in (spelling(checkpoint.id), spelling(checkpoint.name)):
                return model, checkpoint
        for model in models.values():
            if spelling(name) in map(spelling, (model.name, model.title, *model.aliases)):
                return model, model.checkpoints[0]
    names = [*models, *(checkpoint.id for _, checkpoint in repositories)]
    raise UserError(f"there is no model {name!r} in the catalog", _nearest(name, names, "schema/catalog/models; scout-chat plan also accepts a config.json"))


def _from_config(path: Path) -> tuple[Model, Checkpoint]:
    file = path / "config.json" if path.is_dir() else path
    try:
        config = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read as a model's config.json: {error}") from None
    title = file.resolve().parent.name
    unknown = Checkpoint(id=title, quantization="", disk=0, loaded=0, source="not in the catalog")
    license = License(name="not in the catalog", source="")
    return Model(title=title, name=title, parameters=0, active=0, license=license, checkpoints=(unknown,), config=config), unknown


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9/]", "", name.lower())


def _nearest(name: str, names: Iterable[str], where: str) -> str:
    plain = {_plain(item): item for item in names}
    typed = _plain(name)
    near = difflib.get_close_matches(typed, plain, 3, 0.5) or [key for key in plain if typed[:4] in key or key.startswith(typed[:2])][:3]
    return f"Nearest: {', '.join(plain[item] for item in near)} ({where})" if near else f"The names are in {where}"
