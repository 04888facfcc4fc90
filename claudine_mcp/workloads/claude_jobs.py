"""Work that goes on beside the conversation: subagents, shells in the background and the like.

Claude Code announces each (`task_started`, `task_progress`, `task_updated`, `task_notification`) and gives, when
it changes, the whole list of those in the background. It does not end while there are any, for up to 600 s.
"""

from __future__ import annotations

from typing import Final

from claudine_mcp.core.models import JSON
from claudine_mcp.workloads import claude_fields as fields
from claudine_mcp.workloads.claude_state import MAX_JOBS, Job, StreamState

_ENDED: Final = frozenset({"completed", "failed", "stopped", "killed", "cancelled", "error"})


def follow_job(state: StreamState, message: JSON) -> None:
    """Take word of one job."""
    job_id = fields.word(message.get("task_id"))
    patch = fields.mapping(message.get("patch"))
    if not _ENDED.isdisjoint({fields.word(message.get("status")), fields.word(patch.get("status"))}):
        state.jobs.pop(job_id, None)
        return
    has_started = message.get("subtype") == "task_started"
    job = state.jobs.get(job_id) or (_added(state, job_id, message) if has_started and job_id else None)
    if job is None:
        return
    if not has_started:
        job.doing = fields.one_line(message.get("description")) or job.doing
    is_background = message.get("is_backgrounded") is True or patch.get("is_backgrounded") is True
    job.is_background = job.is_background or is_background


def list_background(state: StreamState, message: JSON) -> None:
    """Take the list of all that is in the background. What is ambient does not keep Claude Code from ending."""
    listed: dict[str, JSON] = {}
    for item in fields.items(message.get("tasks"))[:MAX_JOBS]:
        job = fields.mapping(item)
        if (job_id := fields.word(job.get("task_id"))) and job.get("ambient") is not True:
            listed[job_id] = job
    for job in state.background:
        if job.id not in listed:
            del state.jobs[job.id]
    for job_id, job in listed.items():
        (state.jobs.get(job_id) or _added(state, job_id, job)).is_background = True


def end_foreground(state: StreamState) -> None:
    """Forget the jobs that cannot outlive their turn."""
    state.jobs = {job.id: job for job in state.background}


def _added(state: StreamState, job_id: str, message: JSON) -> Job:
    kind, description = fields.word(message.get("task_type")), fields.one_line(message.get("description"))
    job = state.jobs[job_id] = Job(job_id, kind, description, is_background=False, since=state.read_at)
    if len(state.jobs) > MAX_JOBS:
        del state.jobs[next(iter(state.jobs))]
    return job
