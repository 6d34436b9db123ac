"""Tests, intervals and error rates on plain arrays: nothing here knows of a store."""
