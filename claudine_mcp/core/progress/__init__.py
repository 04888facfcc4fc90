"""How far a task has come, as far as it says so: recognised in its output, or told by itself. Pure."""
