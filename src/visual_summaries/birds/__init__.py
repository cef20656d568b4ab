"""A world with planted parts: drawn birds whose classes differ in known parts, with the truth of every pixel."""
