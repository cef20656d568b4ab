"""Many classes and many networks: one run for each pair."""

from visual_summaries.audit.plan import Job, plan_jobs
from visual_summaries.audit.work import Outcome, run_audit

__all__ = ["Job", "Outcome", "plan_jobs", "run_audit"]
