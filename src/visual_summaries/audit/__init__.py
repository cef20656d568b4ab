"""Many classes and many networks: one run for each pair, one after the other or several at a time."""

from visual_summaries.audit.folders import class_folders, network_folders, read_targets, target_of_folder
from visual_summaries.audit.plan import Job, plan_jobs
from visual_summaries.audit.work import Outcome, do_job, run_audit

__all__ = [
    "Job",
    "Outcome",
    "class_folders",
    "do_job",
    "network_folders",
    "plan_jobs",
    "read_targets",
    "run_audit",
    "target_of_folder",
]
