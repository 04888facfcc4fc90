def demo() -> int:
    """To do."""
    return 0
