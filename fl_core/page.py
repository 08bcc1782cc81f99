"""A page in one file: text, style and a little script inline, nothing fetched, and no other script allowed to run."""

import base64
import hashlib
from importlib.resources import files
from string import Template

from fl_core.markup import Html, tag


def page(title: str, *body: str) -> str:
    """The HTML document. Its policy names the style and the script by their sha256, so that nothing else on the page can act."""
    style, script = _template("page.css"), _template("page.js")
    policy = f"default-src 'none'; style-src '{_sha256(style)}'; script-src '{_sha256(script)}'"
    return Template(_template("page.html")).substitute(
        policy=policy, title=tag("title", title), style=f"<style>{style}</style>", body="\n".join(body), script=f"<script>{script}</script>"
    )


def section(heading: str, *children: str, note: str = "", class_: str | None = None) -> Html:
    """A part of a page under its heading, with an optional sentence on what is to be seen."""
    return tag("section", tag("h2", heading), *([tag("p", note, class_="note")] if note else []), *children, class_=class_)


def tile(name: str, value: str, more: str, class_: str = "tile") -> Html:
    """A figure that matters, big, with its name above and a word on it below."""
    return tag("div", tag("div", name, class_="name"), tag("div", value, class_="value"), tag("div", more, class_="more"), class_=class_)


def _template(name: str) -> str:
    return (files("fl_core") / "templates" / name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
