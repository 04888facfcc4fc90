"""What tasks are expected to need, and for how long: learnt from the tasks of the same class that ran before. Pure."""

from claudine_mcp.core.demand.need import Need

__all__ = ["Need"]
