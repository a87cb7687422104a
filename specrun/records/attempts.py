"""Owns the question how each attempt at a run went: when it began, what it went on from, how it ended."""

from __future__ import annotations

__all__ = ["ATTEMPTS"]

ATTEMPTS = """
WITH ended AS (
    SELECT attempt, arg_max(status, n) AS status, arg_max(reason, n) AS reason, max(time) AS time
    FROM statuses WHERE run_id = $run AND attempt > 0 AND status <> 'running' GROUP BY attempt),
resumed AS (
    SELECT attempt, arg_min(resumed_from, n) AS step FROM statuses
    WHERE run_id = $run AND attempt > 1 AND resumed_from IS NOT NULL AND reason <> 'rolled back' GROUP BY attempt),
clock AS (
    SELECT attempt, min(first_time) AS began, max(last_time) AS last
    FROM journals WHERE run_id = $run AND attempt > 0 AND first_time IS NOT NULL GROUP BY attempt),
living AS (SELECT max(clock.attempt) AS attempt FROM clock JOIN runs ON run_id = $run AND runs.status = 'running')
SELECT attempt, coalesce(ended.status, CASE WHEN attempt = living.attempt THEN 'running' ELSE 'crashed' END),
    coalesce(ended.reason, CASE WHEN attempt = living.attempt THEN '' ELSE 'its process ended without saying so' END),
    clock.began, epoch(least(last, ended.time)) - epoch(clock.began), resumed.step
FROM clock LEFT JOIN ended USING (attempt) LEFT JOIN resumed USING (attempt) CROSS JOIN living ORDER BY attempt
"""
"""An attempt whose journal holds no ending crashed, unless it is the newest of a run that lives. What training goes back to within an
attempt is no beginning of one."""
