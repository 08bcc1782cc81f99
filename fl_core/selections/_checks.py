"""Checks that several selections share."""

from fl_core.errors import InputError
from fl_core.strategy import Draw


def check_count(clients_per_round: int) -> None:
    if clients_per_round < 1:
        raise InputError(f"selection.clients_per_round is {clients_per_round}; at least 1 client takes part in a round.")


def check_enough(draw: Draw, count: int, option: str = "clients_per_round") -> None:
    """InputError where the federation has fewer clients than an option asks for."""
    if count > len(draw.clients):
        raise InputError(f"selection.{option} is {count}, but the federation has {len(draw.clients)} clients; draw at most as many.")
