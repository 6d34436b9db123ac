"""Names in a data folder: the hidden ones, those of splits, and one name in two spellings."""

from __future__ import annotations

import re
import unicodedata

TRAIN, TEST, VALID = "train", "test", "valid"  # the kinds of a split

_LEFT_BY_SYSTEMS = ("__MACOSX", "__pycache__", "@eaDir", "lost+found", "Thumbs.db", "desktop.ini")
_FIRST_WORD = re.compile(r"(train|test|valid|val(?![a-z]))")
_LATER_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "test": TEST,
    "testing": TEST,
    "val": VALID,
    "valid": VALID,
    "validation": VALID,
}


def is_hidden(name: str) -> bool:
    """Whether the name is of something that no user put there: ``.ipynb_checkpoints``, ``._x.png``, ``__MACOSX``."""
    return name.startswith(".") or name in _LEFT_BY_SYSTEMS


def one_spelling(name: str) -> str:
    """The name with its accents composed: file systems, archives and people write ``é`` in two ways."""
    return unicodedata.normalize("NFC", name)


def split_kind(name: str) -> str | None:
    """TRAIN, TEST or VALID if the name is a split's, else None.

    It is if it begins so, as ``train2017`` and ``validation-00000-of-00001`` do, or has such a word later, as
    ``seg_train`` does.
    """
    lower = name.lower()
    first = _FIRST_WORD.match(lower)
    if first:
        return VALID if first[0] == "val" else first[0]
    return next((_LATER_WORDS[word] for word in re.split(r"[-_. ]", lower) if word in _LATER_WORDS), None)
