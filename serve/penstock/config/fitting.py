"""Checks that concern several sections: names that mean two models, hardware that is not there. Pure.

Used by the document on its models, and by loading on what can be made out of a document that has other problems, so
that a person sees everything at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.config.base import Finding
from penstock.config.labels import label_value_problem
from penstock.config.models import model_name_problem
from penstock.config.presets import CPU, PRESETS
from penstock.config.suggest import nearest


class Wishes(NamedTuple):
    """What a model says about others."""

    hardware: str = CPU
    gpus: int | None = None
    aliases: Sequence[str] = ()


def misfits(models: Mapping[str, Wishes], profiles: Mapping[str, bool]) -> list[Finding]:
    """What does not fit together.

    Args:
        models: wishes by the model's name.
        profiles: whether there are GPUs or the like, by the name of the hardware; without the presets.
    """
    return [*_wrong_names(models, profiles), *_repeated_names(models), *_wrong_hardware(models, profiles)]


def limits_of_nobody(named: Mapping[str, Iterable[str]], models: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Limits and prices of models that there are not.

    Args:
        named: names of models under each key of `accounts.limits`.
        models: the aliases of each model.
    """
    return [
        Finding(("accounts", "limits", key, name), _no_model(name, models), name)
        for key, names in named.items()
        for name in names
        if name not in models
    ]


def _no_model(name: str, models: Mapping[str, Sequence[str]]) -> str:
    for model, aliases in models.items():
        if name in aliases:
            return f"{name!r} is an alias of {model!r}; write the model's own name"
    hint = nearest(name, models)
    return f"{name!r} is no key of models" + (f"; did you mean {hint!r}?" if hint else "")


def wishes_in(document: Mapping[str, Any]) -> tuple[dict[str, Wishes], dict[str, bool]]:
    """The arguments of `misfits`, as far as they can be made out of an unchecked document in plain values."""
    models = {
        name: _wishes(model) for name, model in _map(document.get("models")).items() if isinstance(model, Mapping)
    }
    # A profile that is wrong in itself says nothing about its GPUs; so nothing is said about them.
    return models, dict.fromkeys(_map(document.get("hardware")), True)


def _wishes(model: Mapping[str, Any]) -> Wishes:
    hardware, aliases = model.get("hardware"), model.get("aliases")
    return Wishes(
        hardware if isinstance(hardware, str) else CPU,
        None,
        [alias if isinstance(alias, str) else "" for alias in aliases] if isinstance(aliases, list) else [],
    )


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _wrong_names(models: Mapping[str, Wishes], profiles: Mapping[str, bool]) -> Iterator[Finding]:
    for name in models:
        if problem := model_name_problem(name):
            yield Finding(("models", name), problem, name)
    for name in profiles:
        if problem := label_value_problem(name):
            yield Finding(("hardware", name), problem, name)


def _repeated_names(models: Mapping[str, Wishes]) -> Iterator[Finding]:
    owners = {name: name for name in models}
    for name, wishes in models.items():
        for position, alias in enumerate(wishes.aliases):
            if alias and (owner := owners.setdefault(alias, name)) != name:
                role = "the name of a model" if alias == owner else f"an alias of {owner!r}"
                reason = f"{alias!r} is {role} already; a name means one model"
                yield Finding(("models", name, "aliases", position), reason, alias)
            elif alias == name:
                reason = f"{alias!r} is the model's own name; an alias is a further one"
                yield Finding(("models", name, "aliases", position), reason, alias)


def _wrong_hardware(models: Mapping[str, Wishes], profiles: Mapping[str, bool]) -> Iterator[Finding]:
    known = {**{name: preset.has_devices for name, preset in PRESETS.items()}, **profiles}
    for name, (hardware, gpus, _) in models.items():
        if hardware not in known:
            hint = nearest(hardware, known)
            reason = f"{hardware!r} is no key of hardware" + (f"; did you mean {hint!r}?" if hint else ".")
            reason += f" Known are {', '.join(sorted(known))}"
            yield Finding(("models", name, "hardware"), reason, hardware)
        elif gpus and not known[hardware]:
            reason = (
                f"found {gpus}, but hardware {hardware!r} has no GPU; name a profile with one, such as"
                " resources: {nvidia.com/gpu: 1}"
            )
            yield Finding(("models", name, "gpus"), reason, gpus)
