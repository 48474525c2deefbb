"""`Behaviour`: one thing that the contract asks of a store, and the registry of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zarrstore.abc import Capability

__all__ = ["Behaviour", "Failed", "Options", "behaviour", "registered"]

MANY_KEYS = 1500
RANDOM_EXAMPLES = 20
TIMEOUT = 120.0

F = TypeVar("F", bound=Callable[..., Any])


class Failed(AssertionError):  # noqa: N818
    """A store did not do what a behaviour asks; the message says what was found instead."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an author may say about the store under test.

    Parameters
    ----------
    many_keys : int, default 1500
        How many keys "many" are. Above 1,000 a backend that lists in pages has to ask for a
        second one; fewer are quicker where each request is slow.
    examples : int, default 20
        How many random sequences of operations are compared with those on a ``dict``.
    timeout : float or None, default 120
        After how many seconds over one face a behaviour has failed, because the store hangs;
        ``None`` waits for ever.
    """

    many_keys: int = MANY_KEYS
    examples: int = RANDOM_EXAMPLES
    timeout: float | None = TIMEOUT


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing that the contract asks of a store.

    Parameters
    ----------
    name : str
        An identifier; the pytest method is ``test_`` and this name.
    rule : str
        The rule of the contract, in one line.
    function : callable
        A coroutine function ``(face)``, which is run over every face of a store, or a plain
        function ``(case, store)``, which is run once. It raises if the store does otherwise.
    needs : Capability
        Without one of these the behaviour does not apply.
    section : str
        The part of the contract it belongs to.
    """

    name: str
    rule: str
    function: Callable[..., Any] = field(repr=False)
    needs: Capability = Capability.READ | Capability.WRITE
    section: str = ""

    @property
    def over_faces(self) -> bool:
        """Whether it is run over each face of a store in turn."""
        return inspect.iscoroutinefunction(self.function)


registered: list[Behaviour] = []
"""What the modules of the contract have registered so far."""


def behaviour(rule: str, needs: Capability = Capability.READ) -> Callable[[F], F]:
    """Register a function as the check of a rule.

    Reading and writing are needed in any case.
    """

    def register(function: F) -> F:
        name = function.__name__
        if any(other.name == name for other in registered):
            raise ValueError(f"there are two behaviours {name!r}")
        section = function.__module__.rpartition(".")[2]
        wanted = needs | Capability.READ | Capability.WRITE
        registered.append(Behaviour(name, rule, function, wanted, section))
        return function

    return register
