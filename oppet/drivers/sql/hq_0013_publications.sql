-- What people at head office prepare for every till: drafts, and who has signed them. What is published stands in the repository
-- itself, under its own signatures; nothing here is believed by a till.

CREATE TABLE publication_draft (
    -- Reference: a few rows a day.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what text NOT NULL,                  -- assortment | guidance
    title text NOT NULL,
    state text NOT NULL DEFAULT 'open',  -- open | signing | published | dropped
    version integer NOT NULL DEFAULT 1,  -- counts every change: who changes or signs says which one they saw
    document bytea NOT NULL,             -- zstd
    digest text NOT NULL,                -- of what is in it
    bytes integer NOT NULL,
    valid_from text NOT NULL,            -- UTC
    withdraws integer NOT NULL DEFAULT 0,
    based_on text NOT NULL,              -- the digest of what it was made from
    made_by integer NOT NULL,
    made bigint NOT NULL,
    changed_by integer NOT NULL,
    changed bigint NOT NULL,
    -- from the first signature on:
    role text NOT NULL DEFAULT '',       -- goods | wide
    number integer NOT NULL DEFAULT 0,
    signed_at bigint NOT NULL DEFAULT 0,
    list bytea,                          -- the repository's list with this in it, and the signatures so far
    published_by integer NOT NULL DEFAULT 0,
    published bigint NOT NULL DEFAULT 0
);
ALTER TABLE publication_draft ALTER COLUMN document SET STORAGE EXTERNAL;
CREATE INDEX publication_draft_state ON publication_draft (state, changed);

CREATE TABLE publication_signature (
    -- Reference.
    draft bigint NOT NULL,
    who integer NOT NULL,
    keyid text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (draft, who)
);
