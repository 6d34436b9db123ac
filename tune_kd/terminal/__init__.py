"""Output that fits any terminal: streams of any encoding, tables of any width."""
