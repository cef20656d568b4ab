"""Makes ``python -m visual_summaries`` the command line."""

from visual_summaries.cli import entry_point

if __name__ == "__main__":
    entry_point()
