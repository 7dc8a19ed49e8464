"""A task file that lacks one of its two functions."""


def build(config: object) -> dict[str, object]:
    return {}
