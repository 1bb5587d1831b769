"""Where all checks come together."""

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function
