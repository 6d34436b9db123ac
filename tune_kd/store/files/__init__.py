"""The files of a store: their names, checksums and manifest, here and behind a URL."""
