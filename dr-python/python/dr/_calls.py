"""From Python values to an operation of the library and back."""

from __future__ import annotations

import json
from typing import Any

from . import _dr
from .errors import from_record


def call(operation: str, request: dict[str, Any], settings: dict[str, Any] | None = None) -> str:
    """The answer in JSON; raises the error as its class."""
    answer, fine = _dr.call(operation, _given(settings or {}), _given(request))
    if not fine:
        raise from_record(json.loads(answer)) from None
    return answer


def _given(values: dict[str, Any]) -> str:
    # A key that was not given is left out: what is the default is the library's to say.
    return json.dumps({name: value for name, value in values.items() if value is not None})
