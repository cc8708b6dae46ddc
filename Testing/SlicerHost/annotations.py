"""Annotations of ``slicer.parameterNodeWrapper``: limits of values, defaults, and how widgets show numbers."""

from __future__ import annotations

import dataclasses
import typing


class Validator:
    """Refuses values: validate(value) raises ValueError or TypeError."""

    def validate(self, value) -> None:
        raise NotImplementedError


@dataclasses.dataclass
class NotNone(Validator):
    def validate(self, value):
        if value is None:
            raise ValueError("Value must not be None")


@dataclasses.dataclass
class IsInstance(Validator):
    """Takes None, too, as Slicer's does."""

    classtype: type | tuple[type, ...]

    def validate(self, value):
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"{value!r} is no {self.classtype}")


@dataclasses.dataclass
class WithinRange(Validator):
    """Both limits included."""

    minimum: float
    maximum: float

    def validate(self, value):
        if value < self.minimum or value > self.maximum:
            raise ValueError(f"{value} is not between {self.minimum} and {self.maximum}")


@dataclasses.dataclass
class Minimum(Validator):
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"{value} is below {self.minimum}")


@dataclasses.dataclass
class Maximum(Validator):
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"{value} is above {self.maximum}")


@dataclasses.dataclass
class Choice(Validator):
    choices: list

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


@dataclasses.dataclass
class Exclude(Validator):
    excludedValues: list

    def validate(self, value):
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is one of {self.excludedValues}")


class Default:
    """The value of a parameter that nobody has set; a generator is called anew for each node."""

    def __init__(self, value=None, *, generator=None):
        self._value, self._generator = value, generator

    @property
    def value(self):
        return self._value if self._generator is None else self._generator()


@dataclasses.dataclass
class Decimals:
    """Digits after the point that a spin box or slider shows."""

    value: int


@dataclasses.dataclass
class SingleStep:
    """What one step of a spin box or slider adds."""

    value: float


PUBLIC = (
    *(Validator, NotNone, IsInstance, WithinRange, Minimum, Maximum, Choice, Exclude),
    *(Default, Decimals, SingleStep),
)


def split(annotated) -> tuple[type, list]:
    """The bare type and the annotations of a type that may be Annotated."""
    if typing.get_origin(annotated) is typing.Annotated:
        bare, *annotations = typing.get_args(annotated)
        return bare, annotations
    return annotated, []


def first(annotations, kind):
    """The first annotation that is a `kind`, or None."""
    return next((one for one in annotations if isinstance(one, kind)), None)
