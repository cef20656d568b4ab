"""One run in a process of its own: ``python -m visual_summaries.audit.process`` reads a job and writes what became of it.

The job comes as JSON on stdin, so that what a user named is never part of a command line; the outcome is the last line of
stdout.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict

from visual_summaries.audit.plan import Job
from visual_summaries.audit.work import do_job

if __name__ == "__main__":
    # Pieces are whole whenever the process ends; the process that started this one tells how to go on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    outcome = asdict(do_job(Job(**json.load(sys.stdin))))
    del outcome["job"]
    print("\n" + json.dumps(outcome))
