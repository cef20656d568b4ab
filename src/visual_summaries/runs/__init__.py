"""The stages joined: from a classifier and images to a run in a directory, and what a finished run can do with its network."""
