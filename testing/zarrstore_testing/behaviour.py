"""`Behaviour`: one thing that the contract asks of a store, and the registry of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zarrstore.abc import Capability

__all__ = ["Behaviour", "Failed", "NotApplicable", "behaviour", "registered"]

F = TypeVar("F", bound=Callable[..., Any])


class Failed(AssertionError):  # noqa: N818
    """A store did not do what a behaviour asks; the message says what was found instead."""


class NotApplicable(Exception):  # noqa: N818
    """A behaviour does not concern a store; the message says why."""


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
    reads_only : bool
        Whether all that it writes is there before it begins: a store that cannot be written is
        asked too, if there is a way to seed one.
    rewrites : bool
        Whether it writes a key that is there: not asked of a store that only appends.
    """

    name: str
    rule: str
    function: Callable[..., Any] = field(repr=False)
    needs: Capability = Capability.READ | Capability.WRITE
    section: str = ""
    reads_only: bool = False
    rewrites: bool = False

    @property
    def over_faces(self) -> bool:
        """Whether it is run over each face of a store in turn."""
        return inspect.iscoroutinefunction(self.function)


registered: list[Behaviour] = []
"""What the modules of the contract have registered so far."""


def behaviour(
    rule: str,
    needs: Capability = Capability.READ,
    *,
    reads_only: bool = False,
    rewrites: bool = False,
) -> Callable[[F], F]:
    """Register a function as the check of a rule.

    Reading and writing are needed in any case.
    """

    def register(function: F) -> F:
        name = function.__name__
        if any(other.name == name for other in registered):
            raise ValueError(f"there are two behaviours {name!r}")
        section = function.__module__.rpartition(".")[2]
        wanted = needs | Capability.READ | Capability.WRITE
        registered.append(Behaviour(name, rule, function, wanted, section, reads_only, rewrites))
        return function

    return register
