-- Tenders that somebody outside decides, how each way of paying works, and what acquirers and Swish say they settled.

CREATE TABLE asked_tender (
    -- Distributed by store_id. One row a tender, moved on by its history's entries alone: a view like the others. Not by
    -- month: its entries may lie in two, and a later one does not say when the first was.
    store_id text NOT NULL,
    stream_id bigint NOT NULL,
    sale bigint NOT NULL,
    tender integer NOT NULL,
    day date NOT NULL,                   -- local, when it was asked
    asked timestamptz NOT NULL,
    first_seq bigint NOT NULL,
    means text NOT NULL,
    path text NOT NULL,
    request text NOT NULL,               -- our reference
    amount_ore bigint NOT NULL,          -- asked for
    back boolean NOT NULL,               -- money to the customer
    offline boolean NOT NULL,
    state text NOT NULL,                 -- a word of payments/tender.py
    changed timestamptz NOT NULL,
    last_seq bigint NOT NULL,
    why text NOT NULL DEFAULT '',
    approved_ore bigint NOT NULL DEFAULT 0,
    risky boolean NOT NULL DEFAULT false,
    counted boolean NOT NULL DEFAULT false,  -- a sale counts it as paid
    reference text NOT NULL DEFAULT '',  -- theirs: what their settlement names it by
    service_time text NOT NULL DEFAULT '',
    approval text NOT NULL DEFAULT '',
    acquirer text NOT NULL DEFAULT '',   -- the acquirer's own id of it
    brand text NOT NULL DEFAULT '',
    card text NOT NULL DEFAULT '',       -- four digits at most
    how text NOT NULL DEFAULT '',
    PRIMARY KEY (store_id, stream_id, sale, tender)
) WITH (fillfactor = 80);
CREATE INDEX asked_tender_day ON asked_tender (day, store_id);
CREATE INDEX asked_tender_reference ON asked_tender (reference) WHERE reference <> '';
CREATE INDEX asked_tender_open ON asked_tender (store_id)
    WHERE state IN ('asked', 'aborting', 'unknown', 'reversing', 'reversal_unknown');

CREATE TABLE path_state (
    -- Distributed by store_id. How a till's way of paying last said it works.
    store_id text NOT NULL,
    stream_id bigint NOT NULL,
    path text NOT NULL,
    means text NOT NULL,
    state text NOT NULL,                 -- working | slow | down | unknown
    why text NOT NULL,
    since timestamptz NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (store_id, stream_id, path)
);

CREATE TABLE settlement_file (
    -- Reference. A file of an acquirer or of Swish that was read whole; the same bytes are read once.
    digest text PRIMARY KEY,
    name text NOT NULL,
    service text NOT NULL,               -- whose it is: a folder's name, or the means
    means text NOT NULL,                 -- card | swish
    lines integer NOT NULL,
    sum_ore bigint NOT NULL,             -- of what settled
    until timestamptz,                   -- its latest movement: it says all there was up to about then
    read bigint NOT NULL                 -- ms since 1970
);

CREATE TABLE settlement_line (
    -- Reference. What they say moved: one row a movement of theirs, whichever files it stands in. Never changed.
    service text NOT NULL,
    line text NOT NULL,                  -- their id of this movement
    file text NOT NULL,                  -- digest of the first file that said it
    at integer NOT NULL,                 -- its line there
    means text NOT NULL,
    kind text NOT NULL,                  -- payment | refund | reversal
    day date NOT NULL,                   -- local
    time timestamptz NOT NULL,
    reference text NOT NULL,             -- what our tender carries
    original text NOT NULL,              -- of a refund or reversal: the payment's
    request text NOT NULL,               -- our own reference, where they repeat it
    amount_ore bigint NOT NULL,          -- negative: back to the customer
    card text NOT NULL,
    approval text NOT NULL,
    status text NOT NULL,                -- settled | refused
    message text NOT NULL,
    PRIMARY KEY (service, line)
);
CREATE INDEX settlement_line_reference ON settlement_line (reference);
CREATE INDEX settlement_line_original ON settlement_line (original) WHERE original <> '';
CREATE INDEX settlement_line_request ON settlement_line (request) WHERE request <> '';
CREATE INDEX settlement_line_day ON settlement_line (day, means);

CREATE TABLE money_case_closed (
    -- Reference. A difference that two people looked at; what it is about is worked out from entries and files.
    key text PRIMARY KEY,
    about text NOT NULL,
    amount_ore bigint NOT NULL,
    how text NOT NULL,                   -- a word of figures/reconcile.py
    note text NOT NULL,
    asked_by integer NOT NULL,
    approved_by integer NOT NULL,
    closed bigint NOT NULL               -- ms since 1970
);
