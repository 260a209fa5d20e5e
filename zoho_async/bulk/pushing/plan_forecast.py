"""When a plan would be done, given the quota and the limits of a client."""

from __future__ import annotations

from datetime import datetime

from zoho_async.bulk.scheduling.forecast import Forecast, RateAllowance, forecast, larger_plans, organization_zone
from zoho_async.bulk.scheduling.window import Window, local_now
from zoho_async.transport.rate_limiter import Limits, Quota

from .plan import Plan


class PlanForecast(Forecast, frozen=True, kw_only=True):
    """When a plan would be done, and what was assumed. Numbers are calls."""

    larger_plans: dict[int, datetime]
    """When it would be done under Zoho's plans with more calls a day, by their calls a day."""
    left_today: int | None
    """As Zoho counts; None: not known."""
    per_day: int | None
    """None: not known, or no limit."""
    reserve: int
    """Calls a day that are left to others."""
    time_zone: str
    """Of the moments here: this machine's."""


def forecast_of(plan: Plan, *, quota: Quota | None = None, limits: Limits, window: str | None = None) -> PlanForecast:
    """Computes when a plan would be done.

    Args:
        plan: What `plan()` returned.
        quota: `zoho.quota` after the plan's calls; None: the calls left today are not known.
        limits: Those of the client that would push.
        window: The allowed hours, such as `19:00-07:00`, by this machine's clock; None: all.

    Raises:
        InputError: The window cannot be read.
    """
    now = local_now()
    resets_at = quota.resets_at if quota is not None else None
    zone = organization_zone(resets_at) if resets_at is not None else None
    allowance = RateAllowance(
        per_minute=limits.per_minute,
        per_day=quota.limit if quota is not None else None,
        left_today=quota.remaining if quota is not None else None,
        resets_at=resets_at.astimezone(zone) if resets_at is not None else None,
        headroom=limits.reserve,
        window=Window.parse(window) if window is not None else None,
    )
    when = forecast(plan.calls, allowance, now)
    return PlanForecast(
        done_at=when.done_at,
        days=when.days,
        limited_by=when.limited_by,
        larger_plans=larger_plans(plan.calls, allowance, now),
        left_today=allowance.left_today,
        per_day=allowance.per_day,
        reserve=allowance.headroom,
        time_zone=f"{now:%Z}",
    )
