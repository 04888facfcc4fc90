"""What tasks are expected to need, and for how long: learnt from the tasks of the same class that ran before. Pure."""

from claudine_mcp.core.demand.demand import Demand
from claudine_mcp.core.demand.durations import Durations
from claudine_mcp.core.demand.need import Need
from claudine_mcp.core.demand.tuning import USUAL, Prior, Tuning

__all__ = ["USUAL", "Demand", "Durations", "Need", "Prior", "Tuning"]
