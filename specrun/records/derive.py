"""Owns the SQL that turns raw rows into what counts: superseded and repeated rows out, summaries and the list of runs anew.

Every statement works on the runs named in the temporary table `touched` (first_step: the least step among their new
metrics), so that a merge costs what its runs cost, and an incremental merge and a rebuild come to the same rows.
"""

from __future__ import annotations

__all__ = ["PER_RUN_TABLES", "REPEATED", "RESUMED", "RUNS", "SUMMARY", "SUPERSEDED"]

PER_RUN_TABLES = ("runs", "params", "run_summary", "lineage", "trials")
"""Tables whose rows of a touched run are made anew at each merge."""

_TOUCHED = "run_id IN (SELECT run_id FROM touched)"

_SUPERSEDED = """
DELETE FROM {table} AS row WHERE {touched} AND EXISTS (
    SELECT 1 FROM statuses AS later
    WHERE later.run_id = row.run_id AND later.resumed_from < row.step
      AND (later.attempt > row.attempt OR (later.attempt = row.attempt AND later.n > row.n)))
"""
"""What was recorded for a step after the one that a later status resumes from no longer counts."""

_REPEATED = """
DELETE FROM {table} WHERE rowid IN (
    SELECT row_id FROM (
        SELECT t.rowid AS row_id,
            row_number() OVER (PARTITION BY run_id, {key} ORDER BY attempt {order}, n {order}, t.rowid {order}) AS place
        FROM {table} AS t JOIN touched USING (run_id) WHERE {since})
    WHERE place > 1)
"""
"""Of several rows for one thing the last recorded counts (order DESC), or the first (ASC). since: what can have gained a second row by
the newest records."""

_SUMMARY = """
INSERT INTO run_summary
WITH curves AS (
    SELECT run_id, metric, list(value ORDER BY step) AS values, list(step ORDER BY step) AS steps, count(*) AS count,
        min(value) FILTER (isfinite(value)) AS minimum, max(value) FILTER (isfinite(value)) AS maximum,
        count(*) FILTER (NOT isfinite(value)) AS non_finite
    FROM metrics WHERE {touched} GROUP BY run_id, metric)
SELECT coalesce(c.run_id, f.run_id), coalesce(c.metric, f.metric), c.values[1], c.values[-1], c.minimum, c.maximum,
    c.steps[list_position(c.values, c.minimum)], c.steps[list_position(c.values, c.maximum)],
    list_avg(c.values[-CAST(ceil(c.count * 0.05) AS BIGINT):]), coalesce(c.count, 0), coalesce(c.non_finite, 0), f.value
FROM curves AS c FULL JOIN final_metrics AS f ON f.run_id = c.run_id AND f.metric = c.metric
"""
"""Means go over values in the order of steps, so that the same rows give the same last bit."""

_RUNS = """
INSERT INTO runs
WITH state AS (
    SELECT run_id, arg_max(status, (attempt, n)) AS status, arg_max(reason, (attempt, n)) AS reason
    FROM statuses WHERE {touched} AND attempt > 0 GROUP BY run_id),
label AS (
    SELECT run_id, arg_max(name, (number, time, n, name)) FILTER (name IS NOT NULL) AS name
    FROM labels WHERE {touched} GROUP BY run_id),
tagging AS (
    SELECT run_id, unnest(tags) AS tag, true AS has, 0 AS number, NULL AS time, 0 AS n FROM described
    UNION ALL SELECT run_id, unnest(added), true, number, time, n FROM labels WHERE {touched}
    UNION ALL SELECT run_id, unnest(removed), false, number, time, n FROM labels WHERE {touched}),
tagged AS (
    SELECT run_id, list(tag ORDER BY tag) FILTER (has) AS tags
    FROM (SELECT run_id, tag, arg_max(has, (number, time, n, has)) AS has FROM tagging GROUP BY run_id, tag) GROUP BY run_id),
outcome AS (
    SELECT run_id, attempt, max(time) AS time FROM statuses WHERE {touched} AND status <> 'running' GROUP BY run_id, attempt),
clock AS (
    SELECT j.run_id, max(j.attempt) AS attempts, min(first_time) AS began, max(last_time) AS ended,
        sum(epoch(least(last_time, outcome.time)) - epoch(first_time)) AS seconds
    FROM journals AS j LEFT JOIN outcome ON outcome.run_id = j.run_id AND outcome.attempt = j.attempt
    WHERE j.run_id IN (SELECT run_id FROM touched) AND j.attempt > 0 GROUP BY j.run_id)
SELECT d.run_id, coalesce(label.name, d.name), coalesce(d.final_status, state.status, 'running'),
    coalesce(d.final_reason, state.reason, ''), d.task, d.seed, coalesce(clock.attempts, 0),
    coalesce(d.started_at, clock.began),
    coalesce(d.finished_at, CASE WHEN coalesce(state.status, 'running') <> 'running' THEN clock.ended END),
    greatest(coalesce(d.final_duration_s, 0), coalesce(clock.seconds, 0)), coalesce(tagged.tags, []), d.comparable, d.smoke, d.parent,
    d.spec_digest, d.experiment, d.fold, d.folds
FROM described AS d
LEFT JOIN state ON state.run_id = d.run_id LEFT JOIN label ON label.run_id = d.run_id LEFT JOIN tagged ON tagged.run_id = d.run_id
LEFT JOIN clock ON clock.run_id = d.run_id
"""
"""The end knows what the steps took; the journals span all of it, starting too, unless a copy lacks some of them. An attempt is over
with its outcome: the report that then tells how long the run took cannot be part of that."""

SUPERSEDED = tuple(_SUPERSEDED.format(table=table, touched=_TOUCHED) for table in ("metrics", "examples", "spans"))
"""Needed where a touched run was resumed."""

REPEATED = {
    table: _REPEATED.format(table=table, key=key, since=since, order=order)
    for table, key, since, order in (
        ("metrics", "metric, step", "step >= first_step", "DESC"),
        ("steps", "id", "true", "DESC"),
        ("artifacts", "role, path", "true", "DESC"),
        ("examples", "step, name", "true", "DESC"),
        ("alerts", "level, code, message, step", "true", "ASC"),
    )
}
"""Needed where the table of that name gained rows. An alert outlives the steps that it is of, as one of a skipped batch is followed by a
going back at times; an attempt that makes them anew, or reads the same spec, tells it again."""

SUMMARY = _SUMMARY.format(touched=_TOUCHED)
RUNS = _RUNS.format(touched=_TOUCHED)
RESUMED = f"SELECT count(*) FROM statuses WHERE {_TOUCHED} AND resumed_from IS NOT NULL"  # noqa: S608 - constant text
