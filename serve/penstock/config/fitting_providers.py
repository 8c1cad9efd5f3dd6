"""Checks that concern providers and models together: names that mean two models, fallbacks to nothing. Pure; used by
the document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from penstock.config.base import Finding
from penstock.config.models import Model, model_name_problem
from penstock.config.providers import Provider
from penstock.config.suggest import nearest


def provided_models(providers: Mapping[str, Provider]) -> dict[str, list[str]]:
    """The aliases of each model that providers serve, by its name."""
    return {name: model.aliases for provider in providers.values() for name, model in provider.models.items()}


def misfits_of_providers(providers: Mapping[str, Provider], models: Mapping[str, Model]) -> list[Finding]:
    """What does not fit together."""
    return [*_wrong_names(providers, models), *_wrong_fallbacks(providers, models)]


def _wrong_names(providers: Mapping[str, Provider], models: Mapping[str, Model]) -> Iterator[Finding]:
    taken = {alias: f"models.{name}" for name, model in models.items() for alias in (name, *model.aliases)}
    for provider, settings in providers.items():
        for name, model in settings.models.items():
            path = ("providers", provider, "models", name)
            if problem := model_name_problem(name):
                yield Finding(path, problem, name)
            for alias in (name, *model.aliases):
                if alias in taken:
                    reason = f"{alias!r} is a name of {taken[alias]} already; a name means one model"
                    yield Finding(path, reason, alias)
                taken[alias] = f"providers.{provider}.models.{name}"


def _wrong_fallbacks(providers: Mapping[str, Provider], models: Mapping[str, Model]) -> Iterator[Finding]:
    known = provided_models(providers)
    for name, model in models.items():
        if model.fallback is None or model.fallback.to in known:
            continue
        wanted = model.fallback.to
        hint = nearest(wanted, known)
        reason = f"{wanted!r} is no model of any of providers" + (f"; did you mean {hint!r}?" if hint else "")
        yield Finding(("models", name, "fallback", "to"), reason, wanted)
