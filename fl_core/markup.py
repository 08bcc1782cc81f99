"""HTML and SVG as text that is escaped by construction: a plain string put into a tag is escaped, only what `tag` made is not."""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: object) -> Html:
    """An element; an attribute that is None is left out, `class_` and `aria_label` stand for `class` and `aria-label`.

    >>> tag("p", "1 < 2", tag("b", "yes"), class_="note")
    '<p class="note">1 &lt; 2<b>yes</b></p>'
    """
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{words}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Html:
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def table(head: Iterable[str], rows: Iterable[Iterable[str]], numeric: Iterable[int] = ()) -> Html:
    """A table in a box that scrolls; the columns in `numeric` are set flush right."""
    right = set(numeric)
    header = [tag("th", cell, scope="col", class_="number" if i in right else None) for i, cell in enumerate(head)]
    body = [tag("tr", *(tag("td", cell, class_="number" if i in right else None) for i, cell in enumerate(row))) for row in rows]
    return tag("div", tag("table", tag("thead", tag("tr", *header)), tag("tbody", *body)), class_="scroll", tabindex=0)
