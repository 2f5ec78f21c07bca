"""Attributes that are computed when they are first asked for.

`functools.cached_property` holds one lock for all objects of a class while it computes, up to
Python 3.11. Code is compiled in such attributes: threads would wait for each other, and a child
forked meanwhile would wait for ever.

Examples
--------
>>> class Circle:
...     radius = 2.0
...     @once
...     def area(self):
...         print("computed")
...         return 3.14 * self.radius**2
>>> circle = Circle()
>>> circle.area, circle.area
computed
(12.56, 12.56)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["once"]

Result = TypeVar("Result")


class once(Generic[Result]):  # a name like a function: it is used as a decorator
    """A method as an attribute; threads that ask at the same time may compute it twice."""

    def __init__(self, method: Callable[[Any], Result]) -> None:
        self.method, self.name = method, method.__name__
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...

    @overload
    def __get__(self, owner: object, kind: type) -> Result: ...

    def __get__(self, owner: Any, kind: type) -> Self | Result:
        if owner is None:
            return self
        value: Result = self.method(owner)
        return vars(owner).setdefault(self.name, value)  # type: ignore[no-any-return]
