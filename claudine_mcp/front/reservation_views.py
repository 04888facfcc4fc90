"""What is shown of a reservation."""

from __future__ import annotations

from claudine_mcp.core.units import format_time
from claudine_mcp.front.system_views import ReservationView
from claudine_mcp.registry.reservations import Reserved


def reservation_view(stored: Reserved) -> ReservationView:
    """Show a reservation that is in force."""
    return ReservationView(
        reservation_id=stored.id,
        memory_bytes=stored.memory_bytes,
        slots=stored.slots,
        task_id=stored.task_id,
        until="" if stored.until is None else format_time(stored.until),
        by=stored.by,
    )
