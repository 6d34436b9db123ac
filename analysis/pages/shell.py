"""The frame of a page: one HTML text with its style and scripts in it, which asks no network for anything."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def document(title: str, body: str, *, scripts: Sequence[str] = ("report.js",), policy: str = POLICY) -> str:
    """A page with ``body``; ``scripts`` are files beside this one, ``policy`` is what a browser lets it do."""
    here = resources.files("analysis.pages")
    style = here.joinpath("report.css").read_text("utf-8")
    script = "\n".join(here.joinpath(name).read_text("utf-8") for name in scripts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}
<script>
{script}</script>
</body>
</html>
"""
