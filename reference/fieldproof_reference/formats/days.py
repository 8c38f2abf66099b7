"""Days counted from 1970-01-01 in UTC, as Unix time counts them: 86400 seconds each, always."""

from datetime import date
from functools import lru_cache

DAY_S = 86_400
HOUR_S = 3600

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=64)
def day_text(day: int, form: str = "%Y-%m-%d") -> str:
    """The date of a day in a form of strftime; cached, for days repeat and dates are slow."""
    return date.fromordinal(_EPOCH_ORDINAL + day).strftime(form)


@lru_cache(maxsize=64)
def day_number(text: str) -> int:
    """The day of `YYYY-MM-DD` or `YYYYMMDD`; ValueError where that is no date."""
    return date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL
