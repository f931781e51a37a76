"""Components: a signature is the schema of what a recipe may set."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import ValidationError

from asdcli.errors import UserError
from asdcli.recipe.components import Component, ComponentError, build, check


class Kettle:
    """Boils; `supplied` comes from the program."""

    def __init__(
        self,
        supplied: int,
        *,
        litres: float = 1.5,
        cups: int = 4,
        whistles: bool = False,
        colour: Literal["red", "blue"] = "red",
        label: str | None = None,
    ) -> None:
        if litres <= 0:
            raise ValueError(f"a kettle holds more than {litres} litres")
        self.all = (supplied, litres, cups, whistles, colour, label)


def pot(*, litres: float, lid: bool | None = None) -> tuple[float, bool | None]:
    return litres, lid


THINGS: dict[str, Any] = {"kettle": Kettle, "pot": pot}


def thing(**params: Any) -> Component:
    return Component.model_validate({"name": "kettle", **params})


def test_a_bare_string_is_a_name() -> None:
    assert Component.model_validate("kettle") == Component(name="kettle")
    assert Component.model_validate("kettle").params == {}
    assert thing(cups=3).params == {"cups": 3}


def test_parameters_are_checked_and_completed() -> None:
    assert check(THINGS, "thing", thing(cups=3)) == {
        "litres": 1.5,
        "cups": 3,
        "whistles": False,
        "colour": "red",
        "label": None,
    }
    assert build(THINGS, "thing", thing(colour="blue", label="tea"), 7).all == (7, 1.5, 4, False, "blue", "tea")
    assert build(THINGS, "thing", Component(name="pot", litres=2)) == (2.0, None)  # type: ignore[call-arg]


def test_numbers_come_as_their_type() -> None:
    params = check(THINGS, "thing", thing(litres="1e-3", cups=2.0))  # YAML 1.1 reads 1e-3 as text
    assert params["litres"] == 0.001
    assert isinstance(params["cups"], int)
    assert isinstance(check(THINGS, "thing", thing(litres=2))["litres"], float)


@pytest.mark.parametrize(
    ("component", "path", "says"),
    [
        (Component(name="kettel"), ("name",), r"unknown thing 'kettel'\. Did you mean 'kettle'\? Known: kettle, pot"),
        (Component(name="zzz"), ("name",), r"unknown thing 'zzz'\. Known: kettle, pot"),
        (thing(cup=1), ("cup",), r"kettle has no 'cup'\. Did you mean 'cups'\? It takes: litres, cups, whistles, col"),
        (thing(supplied=1), ("supplied",), "kettle has no 'supplied'"),
        (Component(name="pot"), (), "pot needs 'litres'"),
        (thing(cups="many"), ("cups",), "'many' is not possible here: .*integer"),
        (thing(cups=1.5), ("cups",), "1.5 is not possible here: .*integer"),
        (thing(cups=[1]), ("cups",), r"\[1\] is not possible here: .*integer"),
        (thing(cups=True), ("cups",), "True is not possible here: .*yes or no"),
        (thing(litres=False), ("litres",), "False is not possible here: .*yes or no"),
        (thing(label=True), ("label",), "True is not possible here: .*yes or no"),
        (thing(litres=float("nan")), ("litres",), "nan is not possible here: .*finite"),
        (thing(litres=float("inf")), ("litres",), "inf is not possible here: .*finite"),
        (thing(litres=None), ("litres",), "None is not possible here: .*number"),
        (thing(colour="green"), ("colour",), "'green' is not possible here: Input should be 'red' or 'blue'"),
        (thing(whistles="loudly"), ("whistles",), "'loudly' is not possible here: .*boolean"),
    ],
)
def test_what_cannot_be_is_refused(component: Component, path: tuple[str, ...], says: str) -> None:
    with pytest.raises(ComponentError, match=says) as caught:
        check(THINGS, "thing", component)
    assert caught.value.path == path
    with pytest.raises(UserError, match=says):
        build(THINGS, "thing", component, 1)


def test_a_flag_may_be_yes_or_no() -> None:
    assert check(THINGS, "thing", thing(whistles=True))["whistles"] is True
    assert check(THINGS, "thing", Component(name="pot", litres=1, lid=False))["lid"] is False  # type: ignore[call-arg]


def test_what_the_thing_itself_refuses_is_the_users_error() -> None:
    with pytest.raises(UserError, match=r"thing kettle: a kettle holds more than -1\.0 litres"):
        build(THINGS, "thing", thing(litres=-1), 1)


@pytest.mark.parametrize("value", [{}, {"cups": 1}, {"name": 5}, {"name": None}, 5, None, ["kettle"]])
def test_a_component_has_a_name(value: object) -> None:
    with pytest.raises(ValidationError):
        Component.model_validate(value)


def test_components_do_not_change() -> None:
    component = thing(cups=3)
    component.params["cups"] = 4
    assert component.params == {"cups": 3}
    with pytest.raises(ValidationError):
        component.name = "pot"
