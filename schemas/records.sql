-- The snapshot of the records: an index over the journals that may be deleted and is remade by `specrun store rebuild`.
-- No primary keys, secondary indexes or ALTER: a change here raises `schema_version`, and the next merge rebuilds.
-- Times are UTC. attempt and n say where a row was recorded: which attempt, and the line of its journal.

CREATE TABLE meta (key VARCHAR, value VARCHAR);

-- One row a run. status: as recorded; a reader shows a run whose process is gone as crashed. duration_s: wall time of all its
-- attempts, each up to its outcome: without the report. experiment: the same for runs that differ by seed or
-- fold alone; fold: of a cross-validation of so many folds, from 1.
CREATE TABLE runs (
    run_id VARCHAR, name VARCHAR, status VARCHAR, reason VARCHAR, task VARCHAR, seed BIGINT, attempts INTEGER,
    started_at TIMESTAMP, finished_at TIMESTAMP, duration_s DOUBLE, tags VARCHAR[], comparable BOOLEAN, smoke BOOLEAN,
    parent VARCHAR, spec_digest VARCHAR, experiment VARCHAR, fold BIGINT, folds BIGINT
);

-- The resolved spec, flattened: one row a value, as JSON text without the quotes of strings.
CREATE TABLE params (run_id VARCHAR, path VARCHAR, value VARCHAR);

-- Every scalar, once a step: what an attempt recorded after the step that a later one resumed from is not here.
CREATE TABLE metrics (
    run_id VARCHAR, attempt INTEGER, n BIGINT, step BIGINT, metric VARCHAR, value DOUBLE, epoch DOUBLE, tokens BIGINT, time TIMESTAMP
);

-- A metric of a run in one row; extremes are over finite values. final: what the run's end reported for it.
CREATE TABLE run_summary (
    run_id VARCHAR, metric VARCHAR, first DOUBLE, last DOUBLE, minimum DOUBLE, maximum DOUBLE, argmin BIGINT, argmax BIGINT,
    tail_mean DOUBLE, count BIGINT, non_finite BIGINT, final DOUBLE
);

CREATE TABLE system (run_id VARCHAR, attempt INTEGER, n BIGINT, time TIMESTAMP, metric VARCHAR, value DOUBLE);

-- Plan steps; predicted and actual hold seconds, memory_bytes, disk_bytes where known. attempt 0: planned and not begun.
CREATE TABLE steps (
    run_id VARCHAR, attempt INTEGER, n BIGINT, id VARCHAR, kind VARCHAR, key VARCHAR, action VARCHAR, reason VARCHAR,
    predicted MAP(VARCHAR, DOUBLE), actual MAP(VARCHAR, DOUBLE)
);

CREATE TABLE spans (
    run_id VARCHAR, attempt INTEGER, n BIGINT, time TIMESTAMP, name VARCHAR, producer VARCHAR, seconds DOUBLE, step BIGINT
);

CREATE TABLE trials (run_id VARCHAR, study VARCHAR, number BIGINT);

CREATE TABLE artifacts (
    run_id VARCHAR, attempt INTEGER, n BIGINT, role VARCHAR, path VARCHAR, sha256 VARCHAR, size_bytes BIGINT, producer VARCHAR
);

CREATE TABLE lineage (run_id VARCHAR, source VARCHAR, relation VARCHAR);

CREATE TABLE alerts (
    run_id VARCHAR, attempt INTEGER, n BIGINT, time TIMESTAMP, level VARCHAR, code VARCHAR, message VARCHAR, step BIGINT
);

-- data: JSON text.
CREATE TABLE examples (run_id VARCHAR, attempt INTEGER, n BIGINT, time TIMESTAMP, step BIGINT, name VARCHAR, data VARCHAR);

CREATE TABLE statuses (
    run_id VARCHAR, attempt INTEGER, n BIGINT, time TIMESTAMP, status VARCHAR, reason VARCHAR, resumed_from BIGINT
);

-- What was given to a run from outside: a name, tags added and taken away. A higher number overrules a lower one.
CREATE TABLE labels (
    run_id VARCHAR, attempt INTEGER, n BIGINT, time TIMESTAMP, number BIGINT, name VARCHAR, added VARCHAR[], removed VARCHAR[]
);

-- How far each journal has been read: read_bytes to its last whole line, of seen_bytes. damaged: lines whose checksum did not hold.
CREATE TABLE journals (
    run_id VARCHAR, file VARCHAR, attempt INTEGER, read_bytes BIGINT, seen_bytes BIGINT, records BIGINT, damaged BIGINT, first_time TIMESTAMP, last_time TIMESTAMP
);
