"""The words of the gate: what a comparison can say of one figure."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a comparison says of one figure. The members stand in the order in which reports count them.

    Attributes:
        sign: the mark before the word in tables.
        style: the style of a row in a terminal, as rich names styles; empty for the terminal's own.
        fails: whether a comparison with such a figure ends with status 1.
        meaning: what the word says, as the rest of a sentence about the figure.
    """

    sign: str
    style: str
    fails: bool
    meaning: str

    REGRESSED = ("regressed", "✗", "bold red", True, "is worse in head, or another output")
    MISSING = ("missing", "✗", "bold red", True, "is in base, and head has lost it")
    IMPROVED = ("improved", "✓", "green", False, "is better in head")
    SAME = ("same", "=", "dim", False, "does not differ, or by less than matters")
    AMBIGUOUS = ("ambiguous", "?", "yellow", False, "varies too much to tell; more processes would")
    NOT_COMPARABLE = ("not comparable", "–", "", False, "has no like on the other side; the note says why")

    def __new__(cls, word: str, sign: str, style: str, fails: bool, meaning: str) -> Verdict:
        # the word alone is the value: a verdict is stored, compared and read back as its word
        verdict = str.__new__(cls, word)
        verdict._value_ = word
        verdict.sign = sign
        verdict.style = style
        verdict.fails = fails
        verdict.meaning = meaning
        return verdict
