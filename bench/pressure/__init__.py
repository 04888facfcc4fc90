"""Tasks that compete for memory, in virtual time: scenarios, the machine, and what may be done about it."""
