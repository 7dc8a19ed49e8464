"""HTML that is safe by construction: a plain `str` is always escaped, only `Html` goes in as it is.

el("td", name, class_="left") -> Html('<td class="left">&lt;b&gt;</td>')
"""

from __future__ import annotations

from html import escape

Child = object  # Html, text, a number, None, or a list of these
_VOID = frozenset({"meta", "br"})


class Html(str):
    """Finished markup."""

    __slots__ = ()


def el(name: str, /, *children: Child, **attributes: object) -> Html:
    """An element. `class_` is `class`, `view_box` is `viewBox`; an attribute that is None or False is left out, True has no value."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    return Html(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{text(children)}</{name}>")


def text(child: Child) -> Html:
    """Markup of whatever may stand inside an element."""
    if isinstance(child, Html):
        return child
    if isinstance(child, (list, tuple)):
        return Html("".join([text(one) for one in child]))
    return Html() if child is None else Html(escape(printable(str(child))))


def printable(value: str) -> str:
    """Control characters, lone surrogates and marks that turn text around become visible."""
    return (
        value
        if value.isprintable()
        else "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in value)
    )


def _attribute(key: str, value: object) -> str:
    name = {"class_": "class", "view_box": "viewBox", "preserve": "preserveAspectRatio"}.get(key, key.replace("_", "-"))
    return f" {name}" if value is True else f' {name}="{escape(printable(str(value)))}"'
