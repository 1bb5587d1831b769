"""Where all checks come together."""

import contextlib

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Caught:
    error = None


@contextlib.contextmanager
def raises(kind):
    """What is inside must raise just that."""
    caught = Caught()
    try:
        yield caught
    except kind as error:
        caught.error = error
    else:
        raise AssertionError(f"no {kind.__name__} was raised")
