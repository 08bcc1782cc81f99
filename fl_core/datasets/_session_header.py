"""The header of an event file: whether the first row is one, and which of its names are known."""

import re
from collections.abc import Iterable, Sequence

from fl_core.datasets._session_traits import Trait, is_numeral, shape_of

# In the order of preference; names are compared in lower case without anything but letters and digits.
PEOPLE = ("visitorid", "visitor", "userid", "user", "uid", "username", "customerid", "customer", "reviewerid")
BASKETS = ("order", "basket", "transaction", "cart", "invoice")
KNOWN = {
    "session": (
        "sessionid", "session", "usersession", "sessid", "sid", "visitid", *(f"{name}id" for name in BASKETS), "invoiceno", *PEOPLE, *BASKETS,
    ),
    "item": (
        "itemid", "item", "productid", "product", "articleid", "clickarticleid", "article", "skuid", "sku", "aid", "trackid", "track", "songid", "song",
        "trackname", "videoid", "movieid", "newsid", "pageid", "page", "stockcode", "asin", "businessid", "venueid", "reference", "url", "artistid", "artist",
        "artistname",
    ),
    "time": (
        "timestamp", "time", "ts", "eventtime", "datetime", "eventtimestamp", "clicktimestamp", "unixtime", "unixreviewtime", "eventdate", "date", "createdat",
        "when",
    ),
    "within": ("timeframe", "position", "step", "addtocartorder"),
}  # fmt: skip
# Parts of names by which a column is known where none has a name of those above, and words beside them that tell of something else.
PARTS = {
    "session": ("session", "visitor", "user", "basket"), "item": ("item", "product", "article", "track", "song", "sku"), "time": ("timestamp", "time", "date"),
}  # fmt: skip
OTHERS = ("type", "name", "category", "price", "count", "number", "length", "duration", "start", "end", "action", "event")
TITLES = ("item", "items", "itemids", "session", "sessions", "sequence", "sequences", "clicks")


def is_header(first: Sequence[str], below: Sequence[Trait]) -> bool:
    """Whether a row is the header of the columns below it: it has words where they have numbers or times, or names, and nothing that looks like them."""
    columns = list(zip(first, below, strict=False))
    if any(_is_one_of(cell, trait) for cell, trait in columns):
        return False
    above_numbers = any(cell and (trait.numeric or trait.is_date) for cell, trait in columns)
    return above_numbers or all(places(kind, first) for kind in ("session", "item"))


def _is_one_of(cell: str, trait: Trait) -> bool:
    """Whether a cell is a number or a time where the others are, or looks like them, but for other digits."""
    if trait.numeric or trait.is_date:
        return is_numeral(cell) or trait.clock(cell) is not None
    return any(map(str.isdigit, cell)) and shape_of(cell) == trait.shape


def places(kind: str, header: Sequence[str]) -> list[int]:
    """The columns that may be a kind's, by their names, the likeliest first."""
    plain = [_plain(name) for name in header]
    exact = [plain.index(name) for name in KNOWN[kind] if name in plain]
    parts = PARTS.get(kind, ())
    return exact + [place for part in parts for place, name in enumerate(plain) if part in name and not any(other in name for other in OTHERS)]


def are_titles(cells: Iterable[str]) -> bool:
    """Whether a line of these cells stands above sessions and is none itself."""
    return all(_plain(cell) in TITLES for cell in cells)


def are_people(name: str) -> bool:
    """Whether a column of that name holds people, whose events go on for months."""
    return _plain(name).startswith(("visitor", "user", "uid", "customer", "reviewer")) and "session" not in _plain(name)


def _plain(name: str) -> str:
    """A name without what databases put before it (`table.name`), what RecBole puts behind it (`name:token`), and marks."""
    return re.sub(r"[^a-z0-9]", "", name.lower().partition(":")[0].rpartition(".")[2])
