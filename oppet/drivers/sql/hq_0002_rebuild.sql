-- Views made again from entries: one history after the other, while ingest goes on. Several processes may share a run.
-- Local on Citus' coordinator: a run is one row.
CREATE TABLE rebuild (
    run bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    views text[] NOT NULL,
    began timestamptz NOT NULL DEFAULT now(),
    ended timestamptz
);

-- The last run that made this history's views again; ingest leaves it alone.
ALTER TABLE stream ADD COLUMN rebuilt bigint NOT NULL DEFAULT 0;
