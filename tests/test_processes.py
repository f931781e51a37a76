"""What test processes are forked from."""

from importlib.util import find_spec

import pytest
from processes import PRELOADED


@pytest.mark.parametrize("name", PRELOADED)
def test_what_is_imported_first_is_there(name: str) -> None:
    assert find_spec(name), "the fork server passes over what it cannot import, and every process imports it again"
