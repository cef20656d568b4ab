"""Names of the presets, apart from their contents so that the command line's help need not load the stages.

Examples
--------
>>> PRESETS
('default', 'quick', 'paper')
"""

#: Names accepted by :func:`visual_summaries.preset`.
PRESETS = ("default", "quick", "paper")
