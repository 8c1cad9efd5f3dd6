"""What models there are, under which names, and how they are: `/v1/models` and the resolution of names.

Immutable, derived by a pure function from the document and the replicas' reports; `app` swaps whole catalogs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.board import Phase, ReplicaReport
from penstock.config.cache import AnswerCache
from penstock.config.fallback import Fallback
from penstock.config.suggest import nearest
from penstock.gateway.errors import ForbiddenError, NotFoundError
from penstock.gateway.model_names import meant
from penstock.gateway.starts import Outlook, last_starts

Permit = Callable[[str, str], bool]
"""Whether somebody may use a model: the name that is asked for, the model's own name."""

NAMES_SHOWN = 20
"""Names that an error lists at most."""

_NEAREST_TO_READY = [
    Phase.READY,
    Phase.WARMING,
    Phase.LOADING,
    Phase.STARTING,
    Phase.FETCHING,
    Phase.QUEUED,
    Phase.BACKING_OFF,
]


@dataclass(frozen=True, slots=True)
class ModelState:
    """What the replicas of a model say of themselves. The defaults: nothing is known yet."""

    known: bool = False
    """Whether the board was read: then no ready replica means that there is none."""
    replicas_ready: int = 0
    phase: Phase | None = None
    """The phase of the replica that is nearest to ready; None without replicas."""
    detail: str = ""
    """What that replica is doing, or why it failed."""
    phases: tuple[tuple[Phase, float], ...] = ()
    """What that replica went through, and the seconds that each took by its own clock; of the last, so far."""
    max_model_len: int | None = None
    endpoints: frozenset[str] = frozenset()
    """Paths that the engine offers; empty while unknown."""
    starts: tuple[tuple[str, float], ...] = ()
    """Replicas that became ready last, and the seconds that it took them; the latest last."""
    starting: float | None = None
    """Seconds for which a replica has been starting, the one that began first; None where none is."""
    serves: frozenset[str] = frozenset()
    """Digests of what the replicas that may answer were told to run."""

    @property
    def ready(self) -> bool:
        return self.replicas_ready > 0

    @property
    def status(self) -> str:
        """One word: `ready`, a phase, or `idle` where no replica runs."""
        return self.phase.value if self.phase else "idle"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model under its served name."""

    name: str
    aliases: tuple[str, ...] = ()
    created: int = 0
    """Seconds since the epoch."""
    state: ModelState = field(default_factory=ModelState)
    repository: str | None = None
    """Where its weights are on the hub; None where they come from elsewhere."""
    fallback: Fallback | None = None
    """A provider's model that answers where it cannot."""
    provider: str = ""
    """The provider that serves it; empty where we do."""
    available: Callable[[], bool] = lambda: True
    """Whether its provider is asked at present."""
    cache: AnswerCache | None = None
    """Whether its answers are kept."""

    def is_called(self, name: str) -> bool:
        """Whether engines know it by this name."""
        return name == self.name or name in self.aliases

    @property
    def is_ready(self) -> bool:
        """Whether a request is answered without waiting for a start."""
        return self.available() if self.provider else self.state.ready

    @property
    def status(self) -> str:
        """One word: as the state says; of a provider `ready`, or `unavailable` while its breaker is open."""
        if self.provider:
            return "ready" if self.available() else "unavailable"
        return self.state.status

    @property
    def identity(self) -> str | None:
        """What its answers follow from beside the request. None while that is not one thing, or not known: no replica
        is there, or replicas of two documents are."""
        if not self.state.known:
            return ""
        return next(iter(self.state.serves)) if len(self.state.serves) == 1 else None


class Named(Protocol):
    """A model's part of the document, or of what the gateway was told."""

    @property
    def aliases(self) -> Sequence[str]: ...

    @property
    def repository(self) -> str | None: ...
    @property
    def fallback(self) -> Fallback | None: ...
    @property
    def cache(self) -> AnswerCache | None: ...


class Catalog:
    """All models. Names and aliases are unique among each other; the document's checks see to it.

    Args:
        forgiving: whether names may be written as users of other servers write them.
    """

    def __init__(self, models: Iterable[ModelEntry] = (), *, forgiving: bool = False) -> None:
        self.models: Mapping[str, ModelEntry] = {model.name: model for model in models}
        self._forgiving = forgiving
        self._by_name = {name: model for model in self.models.values() for name in (model.name, *model.aliases)}

    def with_more(self, models: Iterable[ModelEntry]) -> Catalog:
        """The same, and these models besides."""
        return Catalog([*self.models.values(), *models], forgiving=self._forgiving)

    def resolve(self, name: str, permit: Permit | None = None) -> ModelEntry:
        """The model of a name or alias.

        Args:
            permit: what may be used and is told of; None: everything.

        Raises:
            NotFoundError: there is none; with the nearest name and the list.
            ForbiddenError: there is one, but it may not be used.
        """
        if (model := self._by_name.get(name)) is not None:
            if permit is not None and not permit(name, model.name):
                raise ForbiddenError(
                    f"This key may not use the model {name!r}; GET /v1/models lists those that it may use.",
                    code="model_not_allowed",
                    param="model",
                    layer="accounts",
                )
            return model
        if self._forgiving and (model := self._meant(name, permit)) is not None:
            return model
        shown = name if len(name) <= 128 else f"{name[:128]}…"
        if not self._by_name:
            text = f"The model {shown!r} does not exist: this gateway serves no models yet."
        elif not (known := sorted(self._permitted(permit))):
            text = f"The model {shown!r} does not exist, and of those that there are this key may use none."
        else:
            hint = nearest(name[:128], known)
            listed = ", ".join(known[:NAMES_SHOWN]) + (", …" if len(known) > NAMES_SHOWN else "")
            guess = f" Did you mean {hint!r}?" if hint else ""
            text = f"The model {shown!r} does not exist.{guess} Models here: {listed}."
        raise NotFoundError(text, code="model_not_found", param="model")

    def card(
        self, name: str, permit: Permit | None = None, outlook: Callable[[str], Outlook] = lambda _: Outlook()
    ) -> dict[str, Any]:
        """One model in OpenAI's form, with what we know besides. Raises as `resolve`.

        Args:
            outlook: when a model without a replica will have one, by its own name.
        """
        model = self.resolve(name, permit)
        expected = outlook(model.name)
        return {
            "id": name,
            "object": "model",
            "created": model.created,
            "owned_by": model.provider or "penstock",
            "root": model.name,
            "max_model_len": model.state.max_model_len,
            "ready": model.is_ready,
            "status": model.status,
            "replicas_ready": model.state.replicas_ready,
            # Why a replica failed is for administrators.
            "detail": "" if model.state.phase is Phase.FAILED else model.state.detail,
            "phases": [{"phase": phase.value, "seconds": round(took, 1)} for phase, took in model.state.phases],
            "start_seconds": expected.usual,
            "start_seconds_remaining": expected.remaining,
            "provider": model.provider or None,
            "fallback": model.fallback.to if model.fallback is not None else None,
        }

    def listing(
        self, permit: Permit | None = None, outlook: Callable[[str], Outlook] = lambda _: Outlook()
    ) -> dict[str, Any]:
        """All names in OpenAI's form, aliases after the name that they stand for. `outlook` as in `card`."""
        return {"object": "list", "data": [self.card(name, None, outlook) for name in self._permitted(permit)]}

    def _meant(self, name: str, permit: Permit | None) -> ModelEntry | None:
        known = [(spelling, self._by_name[spelling].name) for spelling in self._permitted(permit)]
        known += [
            (model.repository, model.name)
            for model in self.models.values()
            if model.repository and (permit is None or permit(model.repository, model.name))
        ]
        found = meant(name, known)
        return self.models[found] if found is not None else None

    def _permitted(self, permit: Permit | None) -> list[str]:
        return [name for name, model in self._by_name.items() if permit is None or permit(name, model.name)]


def derive_state(reports: Iterable[ReplicaReport]) -> ModelState:
    """The state of one model from its replicas' reports."""
    reports = sorted(reports, key=lambda report: -report.updated)
    if not reports:
        return ModelState(known=True)
    ready = [report for report in reports if report.phase is Phase.READY]
    leader = min(reports, key=_distance_to_ready)
    # An engine says what it offers once it is ready; a model that sleeps still offers what it offered.
    knowing = [report for report in [*ready, *reports] if report.endpoints or report.max_model_len]
    starting = [seconds for report in reports if (seconds := report.starting_seconds) is not None]
    return ModelState(
        known=True,
        replicas_ready=len(ready),
        phase=leader.phase,
        detail=leader.failure.cause if leader.failure else leader.detail,
        phases=leader.phase_seconds,
        max_model_len=next((report.max_model_len for report in knowing if report.max_model_len), None),
        endpoints=next((frozenset(report.endpoints) for report in knowing if report.endpoints), frozenset()),
        starts=last_starts(reports),
        starting=max(starting, default=None),
        serves=frozenset(report.spec for report in reports if report.phase in (Phase.READY, Phase.DRAINING)),
    )


def derive_catalog(
    models: Mapping[str, Named],
    reports: Iterable[ReplicaReport] = (),
    *,
    created: float = 0.0,
    alive: Collection[str] | None = None,
    forgiving: bool = False,
) -> Catalog:
    """The catalog of a document.

    Args:
        models: by served name; the document's models, or what the gateway is told of them.
        reports: what replicas said, of any model, possibly of replicas that are long gone.
        created: when the models were put in, in seconds since the epoch.
        alive: ids of the replicas that there are; None where unknown: then all reports count.
        forgiving: whether names may be written as users of other servers write them.
    """
    by_model: dict[str, list[ReplicaReport]] = {name: [] for name in models}
    for report in reports:
        if report.model in by_model and (alive is None or report.replica in alive):
            by_model[report.model].append(report)
    return Catalog(
        (
            ModelEntry(
                name,
                tuple(model.aliases),
                int(created),
                derive_state(by_model[name]),
                repository=model.repository,
                fallback=model.fallback,
                cache=model.cache,
            )
            for name, model in models.items()
        ),
        forgiving=forgiving,
    )


def _distance_to_ready(report: ReplicaReport) -> int:
    # draining and failed come last
    return _NEAREST_TO_READY.index(report.phase) if report.phase in _NEAREST_TO_READY else len(_NEAREST_TO_READY)
