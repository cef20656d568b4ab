"""Files on disk, whatever is in them: written whole or not at all, locked, with checksums."""
