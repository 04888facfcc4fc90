"""The plan that Claude keeps while it works: a to-do list (TodoWrite) or a task list (TaskCreate, TaskUpdate).

A call changes the plan once it has succeeded, since a tool that is switched off is called as well: to 2.1.328 both
lists are, in `-p`, unless its environment has CLAUDE_CODE_ENABLE_TODO_TOOLS=1 (and CLAUDE_CODE_ENABLE_TASKS=0
for the to-do list).
"""

from __future__ import annotations

import re
from typing import Any, Final

from claudine_mcp.core.models import JSON
from claudine_mcp.workloads import claude_fields as fields
from claudine_mcp.workloads.claude_state import MAX_TODOS, TODO_CHARS, StreamState, Todo, ToolCall

_CREATED: Final = re.compile(r"Task #(\S{1,40}) created")
_DELETED: Final = "deleted"
_PENDING: Final = "pending"


def planned(tool: str, tool_input: Any) -> list[Todo]:
    """What a tool call is to do to the plan: the items that it sets, creates or changes."""
    given = fields.mapping(tool_input)
    match tool:
        case "TodoWrite":
            return [_todo(item, "content") for item in fields.items(given.get("todos"))[:MAX_TODOS]]
        case "TaskCreate" | "TaskUpdate":
            return [_todo(given, "subject")]
        case _:
            return []


def apply_plan(state: StreamState, call: ToolCall, result: Any, content: Any) -> None:
    """Change the plan by a call that has succeeded.

    Args:
        state: whose plan it is.
        call: the call. What a subagent writes on its own to-do list is not the run's plan.
        result: `tool_use_result` of the message, which the messages of subagents do not have.
        content: what the model was told.
    """
    given = fields.mapping(result)
    match call.name:
        case "TodoWrite" if call.parent_id is None:
            state.todos = [todo for todo in state.todos if todo.id is not None] + call.todos
        case "TaskCreate" if call.todos:
            created = _created_id(given, content)
            state.todos = [todo for todo in state.todos if todo.id is None or todo.id != created]
            state.todos += [Todo(call.todos[0].text, _PENDING, call.todos[0].active_text, created)]
        case "TaskUpdate" if call.todos and given.get("success") is not False:
            _update(state, call.todos[0])
        case "TaskList" if isinstance(given.get("tasks"), list):
            known = {todo.id: todo.active_text for todo in state.todos}
            tasks = [_todo(item, "subject") for item in fields.items(given["tasks"])[:MAX_TODOS]]
            for task in tasks:
                task.active_text = known.get(task.id, "")
            state.todos = [todo for todo in state.todos if todo.id is None] + tasks
        case _:
            return
    del state.todos[MAX_TODOS:]


def _todo(item: Any, text_field: str) -> Todo:
    given = fields.mapping(item)
    todo_id = given.get("taskId", given.get("id"))
    if isinstance(todo_id, int):
        todo_id = str(fields.integer(todo_id))
    return Todo(
        text=fields.text(given.get(text_field), TODO_CHARS),
        status=fields.word(given.get("status")),
        active_text=fields.text(given.get("activeForm"), TODO_CHARS),
        id=fields.word(todo_id) or None,
    )


def _created_id(result: JSON, content: Any) -> str | None:
    told = _CREATED.search(fields.whole_text(content)[:TODO_CHARS])
    return fields.word(fields.mapping(result.get("task")).get("id")) or (
        fields.word(told[1]) if told else None
    )


def _update(state: StreamState, change: Todo) -> None:
    """Change a task of the list; one that an earlier run of the session has created is new to us."""
    if change.id is None:
        return
    known = next((todo for todo in state.todos if todo.id == change.id), None)
    if change.status == _DELETED:
        state.todos = [todo for todo in state.todos if todo.id != change.id]
    elif known is None:
        state.todos.append(Todo(change.text or f"task {change.id}", change.status or _PENDING, "", change.id))
    else:
        known.text = change.text or known.text
        known.status = change.status or known.status
        known.active_text = change.active_text or known.active_text
