CREATE TABLE obeyed (
    -- Distributed by store_id. A till's last word on each subject of what came down: what it runs, charges, waits for, refuses.
    store_id text NOT NULL,
    stream_id bigint NOT NULL,
    subject text NOT NULL,               -- an entry's kind, or "health:" and the beginning of an image's digest
    said text NOT NULL,                  -- the entry's body
    at timestamptz NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (store_id, stream_id, subject)
);
CREATE INDEX obeyed_subject ON obeyed (subject);
