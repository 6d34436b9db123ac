"""A stand-in for Ray, for what depends on which nodes there are just then and not on what runs on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray import exceptions
from ray.exceptions import GetTimeoutError

NEVER = object()
"""The answer of an actor, and of a task that no node has the resources for."""


@dataclass
class PretendRay:
    """Nodes by id, with their resources. Tasks are done at once, by ``answers``; actors do not answer."""

    alive: dict[str, dict[str, float]]
    answers: Mapping[str, Callable[..., Any]] = field(default_factory=dict)  # by the function's name
    asked: list[str] = field(default_factory=list)  # the actors' methods, in the order of the calls
    busy_cpus: float = 0  # of every node, held by others
    exceptions: Any = exceptions

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": node_id, "Alive": True, "NodeManagerAddress": "10.0.0.1", "Resources": resources}
            for node_id, resources in self.alive.items()
        ]

    def get_runtime_context(self) -> PretendRay:
        return self

    def get_node_id(self) -> str:
        return next(iter(self.alive))

    def put(self, value: Any) -> Any:
        return value

    def remote(self, what: Any = None, **_: Any) -> Any:
        if what is None:
            return self.remote
        return _Actor(self) if isinstance(what, type) else _Task(self, self.answers.get(what.__name__))

    def get(self, answer: Any, timeout: float | None = None) -> Any:
        if answer is NEVER:
            raise GetTimeoutError("waited for ever")
        return answer

    def wait(self, answers: list[Any], num_returns: int = 1, timeout: float | None = None) -> tuple[list[Any], Any]:
        return [answer for answer in answers if answer is not NEVER], None


class _Task:
    def __init__(self, cluster: PretendRay, answer: Any) -> None:
        self._cluster, self._answer, self._options = cluster, answer, dict[str, Any]()

    def options(self, **options: Any) -> _Task:
        self._options = options
        return self

    def remote(self, *_: Any) -> Any:
        cpus, gpus = (self._options.get(name, 0) for name in ("num_cpus", "num_gpus"))
        busy = self._cluster.busy_cpus if cpus else 0
        fits = [
            node_id
            for node_id, there in self._cluster.alive.items()
            if there.get("CPU", 0) - busy >= cpus and there.get("GPU", 0) >= gpus
        ]
        if not fits:
            return NEVER
        where = self._options.get("scheduling_strategy")
        return self._answer(where.node_id if where else fits[0])


class _Actor:
    def __init__(self, cluster: PretendRay) -> None:
        self._cluster = cluster

    def options(self, **_: Any) -> _Actor:
        return self

    def remote(self, *_: Any) -> _Actor:
        return self

    def __getattr__(self, method: str) -> Any:
        return _Method(self._cluster, method)


class _Method:
    def __init__(self, cluster: PretendRay, name: str) -> None:
        self._cluster, self._name = cluster, name

    def remote(self, *_: Any) -> Any:
        self._cluster.asked.append(self._name)
        return NEVER
