"""Benchmarks by subject; each is a script, ``python benchmarks/SUBJECT/NAME.py --json FILE [--size quick|full] [--data DIR]``.

What they share is in :mod:`benchmarks.harness`, the seeds of drawn images are in :mod:`benchmarks.seeds`.
"""
