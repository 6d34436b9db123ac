"""The names that functions take and that a shell completes."""

from __future__ import annotations

ANALYSES = ("across", "curves", "explanation", "ranking", "sensitivity", "tables", "target")
KINDS = ("policies", "scenarios", "studies", "recipes", "spaces", "models", "runs")  # of what there is to list
