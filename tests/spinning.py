"""A task that computes and holds memory: ``python spinning.py KIND --megabytes 60 --seconds 3.5``."""

import argparse
import time


def main() -> None:
    """Take the memory, and a processor for as long as is said."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("--megabytes", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    held = bytearray(options.megabytes * 10**6)
    for page in range(0, len(held), 4096):
        held[page] = 1
    over_at = time.monotonic() + options.seconds
    while time.monotonic() < over_at:
        pass


main()
