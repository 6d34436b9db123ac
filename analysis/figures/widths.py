"""The widths of a figure on paper, in inches: a column, or all of the page."""

COLUMN, PAGE = 3.5, 7.0
