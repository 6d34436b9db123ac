"""The names that functions take and that a shell completes."""

from __future__ import annotations

ACCOUNTINGS = ("by-the-hour", "own-pace")  # of modelled RAM and idle energy
ANALYSES = ("across", "curves", "explanation", "ranking", "sensitivity", "tables", "target")
KINDS = ("policies", "scenarios", "studies", "recipes", "spaces", "models", "runs")  # of what there is to list
