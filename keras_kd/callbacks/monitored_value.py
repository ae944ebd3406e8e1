"""Reading the metric that a callback watches."""

from typing import Any


def monitored_value(monitor: str, logs: dict[str, Any] | None) -> Any:
    """Returns an epoch's value of a metric.

    Raises:
        ValueError: If the logs lack it.
    """
    value = (logs or {}).get(monitor)
    if value is None:
        raise ValueError(
            "The logs hold no such metric. "
            f"Received: monitor={monitor!r}. Available: {sorted(logs or {})}"
        )
    return value
