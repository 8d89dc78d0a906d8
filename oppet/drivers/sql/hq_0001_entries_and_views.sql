-- Head office's store. Entries are the truth; every other growing table is a view of them and can be dropped and made
-- again (`oppet hq rebuild`). Forwards only, and last week's code must run on it: later files add tables, and columns
-- with defaults; nothing is renamed, narrowed or dropped while code that names it may still run.
--
-- Ready for Citus. Reference tables: migration, store. Everything else is distributed by store_id and co-located with
-- stream, so that one batch of one till is one transaction on one worker. store_id is first in every primary key, every
-- unique index holds it, every hot query names it, and no foreign key crosses from one table to another.
-- Growing tables are partitioned by month of a local (Swedish) day; a day that no till can have meant goes to the
-- DEFAULT partition and waits there for a person.

CREATE TABLE store (
    -- Reference. What HQ's own certificates say of each store; kept by the office, never by ingest.
    store_id text PRIMARY KEY,
    name text NOT NULL,
    banner text NOT NULL DEFAULT '',
    closed boolean NOT NULL DEFAULT false,
    issued text NOT NULL DEFAULT ''  -- of the certificate these words are from
);

CREATE TABLE stream (
    -- Distributed by store_id. One history of one epoch of one till: branch '' is the first, a fork's name is the digest
    -- of its first entry. Its rows of one (till, epoch) are the only lock there is (R10): no two tills share a row here.
    store_id text NOT NULL,
    stream_id bigint NOT NULL,           -- first 8 bytes of SHA-256 of till, epoch and branch: no counter is shared
    till text NOT NULL,
    epoch integer NOT NULL,
    branch text NOT NULL DEFAULT '',
    base_seq bigint NOT NULL,            -- what its own first entry follows on
    base_digest bytea NOT NULL,
    head_seq bigint NOT NULL,            -- the last entry here; an entry is counted in the transaction that moves this
    head_digest bytea NOT NULL,
    head_time timestamptz,               -- what the till's clock said then
    as_of timestamptz,                   -- the till's signed word: up to this moment everything is here
    as_of_seq bigint NOT NULL DEFAULT 0,
    as_of_signature bytea,
    heard timestamptz,                   -- our clock, when a batch of this history last came
    last_number bigint NOT NULL DEFAULT 0,  -- of its receipts: none may come twice
    provisional boolean NOT NULL DEFAULT false,
    revoked text NOT NULL DEFAULT '',    -- why, or ''
    began timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, stream_id),
    UNIQUE (store_id, till, epoch, branch)
) WITH (fillfactor = 50);                -- updated with every batch, in place

CREATE TABLE chunk (
    -- Distributed by store_id. The truth: consecutive entries as one zstd frame, one a line, exact bytes, as they came.
    store_id text NOT NULL,
    day date NOT NULL,                   -- of its first entry, for the partition alone
    stream_id bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    after_digest bytea NOT NULL,         -- of the entry before the first
    last_digest bytea NOT NULL,
    signature bytea NOT NULL,            -- the till's, over the last entry and through it all before
    first_time text NOT NULL,            -- as the entries say it
    last_time text NOT NULL,
    received timestamptz NOT NULL,
    bytes integer NOT NULL,              -- unpacked
    data bytea NOT NULL,
    PRIMARY KEY (store_id, stream_id, first_seq, day)
) PARTITION BY RANGE (day);
ALTER TABLE chunk ALTER COLUMN data SET STORAGE EXTERNAL;  -- packed already: never packed again

CREATE TABLE receipt (
    -- Distributed by store_id. A finished sale or return; training is in no table. A return's amounts are negative.
    store_id text NOT NULL,
    day date NOT NULL,
    stream_id bigint NOT NULL,
    seq bigint NOT NULL,                 -- the entry that says it
    number bigint NOT NULL,
    time timestamptz NOT NULL,
    kind text NOT NULL,                  -- sale | return
    cashier integer NOT NULL,
    lines integer NOT NULL,              -- as the receipt has them, counted below or not
    total_ore bigint NOT NULL,           -- VAT included
    vat_ore bigint NOT NULL,
    rounding_ore bigint NOT NULL,
    saved_ore bigint NOT NULL,
    original_till text,                  -- of a return
    original_epoch integer,
    original_number bigint,
    PRIMARY KEY (store_id, day, stream_id, seq)
) PARTITION BY RANGE (day);
CREATE INDEX receipt_number ON receipt (store_id, stream_id, number);
CREATE INDEX receipt_original ON receipt (store_id, original_till, original_epoch, original_number)
    WHERE original_till IS NOT NULL;

CREATE TABLE line (
    -- Distributed by store_id. What was sold; its quantity with the sign turned is the movement of stock.
    store_id text NOT NULL,
    day date NOT NULL,
    stream_id bigint NOT NULL,
    seq bigint NOT NULL,
    line integer NOT NULL,
    article text NOT NULL,
    article_group text NOT NULL,
    quantity_milli bigint NOT NULL,      -- negative for a return
    unit text NOT NULL,
    amount_ore bigint NOT NULL,          -- before discounts
    net_ore bigint NOT NULL,             -- what was paid for it, VAT included
    vat_rate integer NOT NULL,           -- basis points
    vat_ore bigint NOT NULL,
    original_line integer NOT NULL DEFAULT 0,
    PRIMARY KEY (store_id, day, stream_id, seq, line)
) PARTITION BY RANGE (day);

CREATE TABLE tender (
    -- Distributed by store_id. How a receipt was paid; of a return, what was given back, negative.
    store_id text NOT NULL,
    day date NOT NULL,
    stream_id bigint NOT NULL,
    seq bigint NOT NULL,
    tender integer NOT NULL,             -- 1, 2 … as they stand on the receipt
    means text NOT NULL,
    amount_ore bigint NOT NULL,
    PRIMARY KEY (store_id, day, stream_id, seq, tender)
) PARTITION BY RANGE (day);

CREATE TABLE hour_sale (
    -- Distributed by store_id. One row a history and hour: added to by that history's batches alone.
    store_id text NOT NULL,
    day date NOT NULL,
    hour timestamptz NOT NULL,           -- when it began; a UTC hour is a Swedish one, also in October
    stream_id bigint NOT NULL,
    receipts integer NOT NULL,           -- sales
    returns integer NOT NULL,
    gross_ore bigint NOT NULL,           -- sales less returns, VAT included
    returns_ore bigint NOT NULL,         -- what of it came back, as a positive amount
    vat_ore bigint NOT NULL,
    rounding_ore bigint NOT NULL,
    saved_ore bigint NOT NULL,
    lines integer NOT NULL,
    PRIMARY KEY (store_id, day, hour, stream_id)
) PARTITION BY RANGE (day);

CREATE TABLE hour_group (
    -- Distributed by store_id. The same money by article group and VAT rate; group '' is money whose lines could not be
    -- read, so that the groups always add up to hour_sale.
    store_id text NOT NULL,
    day date NOT NULL,
    hour timestamptz NOT NULL,
    stream_id bigint NOT NULL,
    article_group text NOT NULL,
    vat_rate integer NOT NULL,           -- basis points; -1 when that could not be read either
    gross_ore bigint NOT NULL,
    vat_ore bigint NOT NULL,
    quantity_milli bigint NOT NULL,
    lines integer NOT NULL,
    PRIMARY KEY (store_id, day, hour, stream_id, article_group, vat_rate)
) PARTITION BY RANGE (day);

CREATE TABLE z_report (
    -- Distributed by store_id. What the till's own Z says, beside what HQ counted.
    store_id text NOT NULL,
    day date NOT NULL,
    stream_id bigint NOT NULL,
    seq bigint NOT NULL,
    number bigint NOT NULL,
    time timestamptz NOT NULL,
    receipts integer NOT NULL,
    returns integer NOT NULL,
    total_ore bigint NOT NULL,           -- sales less returns
    sales_ore bigint NOT NULL,
    returns_ore bigint NOT NULL,
    vat_ore bigint NOT NULL,
    rounding_ore bigint NOT NULL,
    cash_difference_ore bigint NOT NULL,
    grand_net_ore bigint NOT NULL,
    first_seq bigint NOT NULL,           -- the entries it is a function of
    last_seq bigint NOT NULL,
    PRIMARY KEY (store_id, day, stream_id, seq)
) PARTITION BY RANGE (day);

CREATE TABLE till_case (
    -- Distributed by store_id. What a till says a person must settle, and that somebody did; never changed, only added to.
    store_id text NOT NULL,
    day date NOT NULL,
    stream_id bigint NOT NULL,
    seq bigint NOT NULL,
    time timestamptz NOT NULL,
    event text NOT NULL,                 -- opened | settled
    number bigint NOT NULL,              -- of the case, within its epoch
    about text NOT NULL,
    sale bigint NOT NULL,
    amount_ore bigint NOT NULL,
    PRIMARY KEY (store_id, day, stream_id, seq)
) PARTITION BY RANGE (day);

CREATE TABLE quarantine (
    -- Distributed by store_id. Entries whose content is bad: kept, counted as far as they can be, and waiting for a person.
    store_id text NOT NULL,
    day date NOT NULL,
    stream_id bigint NOT NULL,
    seq bigint NOT NULL,
    n integer NOT NULL,                  -- 1, 2 … within the entry
    time timestamptz,                    -- as the entry says it, where that is a time
    kind text NOT NULL,                  -- of the entry
    place text NOT NULL,                 -- where in its body, '' for the whole
    reason text NOT NULL,                -- a word of figures/quarantine.py
    detail text NOT NULL,
    counted text NOT NULL,               -- all | lines (not how it was paid) | total | nothing
    total_ore bigint NOT NULL DEFAULT 0, -- what of it was counted
    PRIMARY KEY (store_id, day, stream_id, seq, n)
) PARTITION BY RANGE (day);

CREATE TABLE growing (
    -- Local. Tables partitioned by month of `day`; every later one adds itself here.
    name text PRIMARY KEY
);
INSERT INTO growing VALUES
    ('chunk'), ('receipt'), ('line'), ('tender'), ('hour_sale'), ('hour_group'), ('z_report'), ('till_case'), ('quarantine');

CREATE FUNCTION make_partitions(first_month date, last_month date) RETURNS integer LANGUAGE plpgsql AS $$
-- Make the DEFAULT partitions and those of each month that are not there; rows that waited in DEFAULT move over. Takes
-- no lock that stops ingest except on DEFAULT. The caller holds the migration lock.
DECLARE
    parent text; child text; rest text; month date; made integer := 0;
BEGIN
    FOR parent IN SELECT name FROM growing ORDER BY name LOOP
        rest := parent || '_other';
        IF to_regclass(rest) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', rest, parent);
            made := made + 1;
        END IF;
        month := date_trunc('month', first_month)::date;
        WHILE month <= last_month LOOP
            child := parent || to_char(month, '_YYYY_MM');
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
                EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', rest);
                EXECUTE format('WITH gone AS (DELETE FROM %I WHERE day >= %L AND day < %L RETURNING *) INSERT INTO %I SELECT * FROM gone',
                               rest, month, (month + interval '1 month')::date, child);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                               parent, child, month, (month + interval '1 month')::date);
                made := made + 1;
            END IF;
            month := (month + interval '1 month')::date;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- --- what is worked out when it is asked for: it spans tills, and no batch of one till may touch another's rows -------

CREATE VIEW movement AS
    SELECT store_id, day, stream_id, seq, line, article, unit, -quantity_milli AS moved_milli FROM line;

CREATE VIEW open_case AS
    SELECT c.store_id, s.till, s.epoch, s.branch, c.stream_id, c.seq, c.day, c.time, c.number, c.about, c.sale, c.amount_ore
    FROM till_case c JOIN stream s USING (store_id, stream_id)
    WHERE c.event = 'opened' AND NOT EXISTS (
        SELECT FROM till_case d
        WHERE d.store_id = c.store_id AND d.stream_id = c.stream_id AND d.event = 'settled' AND d.number = c.number);

CREATE VIEW clashing_number AS
    -- A receipt number that two histories of one epoch both used: each is counted, and a person must say which paper is which.
    SELECT s.store_id, s.till, s.epoch, r.number, count(*) AS times, min(r.time) AS first_time, max(r.time) AS last_time,
           array_agg(s.branch ORDER BY s.branch) AS branches, array_agg(r.seq ORDER BY s.branch) AS seqs
    FROM stream s JOIN receipt r USING (store_id, stream_id)
    WHERE (s.store_id, s.till, s.epoch) IN (SELECT store_id, till, epoch FROM stream WHERE branch <> '')
    GROUP BY s.store_id, s.till, s.epoch, r.number HAVING count(*) > 1;

CREATE VIEW double_return AS
    -- More of a line came back, at whatever tills of the store, than its receipt sold (R17).
    SELECT r.store_id, r.original_till, r.original_epoch, r.original_number, l.original_line,
           sold.quantity_milli AS sold_milli, -sum(l.quantity_milli) AS returned_milli, -sum(l.net_ore) AS returned_ore,
           count(DISTINCT (r.stream_id, r.seq)) AS times, min(r.time) AS first_time, max(r.time) AS last_time
    FROM receipt r
    JOIN line l ON l.store_id = r.store_id AND l.day = r.day AND l.stream_id = r.stream_id AND l.seq = r.seq
    JOIN LATERAL (
        SELECT max(ol.quantity_milli) AS quantity_milli
        FROM stream os
        JOIN receipt o ON o.store_id = os.store_id AND o.stream_id = os.stream_id AND o.number = r.original_number AND o.kind = 'sale'
        JOIN line ol ON ol.store_id = o.store_id AND ol.day = o.day AND ol.stream_id = o.stream_id AND ol.seq = o.seq
                    AND ol.line = l.original_line
        WHERE os.store_id = r.store_id AND os.till = r.original_till AND os.epoch = r.original_epoch
    ) sold ON sold.quantity_milli IS NOT NULL
    WHERE r.original_till IS NOT NULL
    GROUP BY r.store_id, r.original_till, r.original_epoch, r.original_number, l.original_line, sold.quantity_milli
    HAVING -sum(l.quantity_milli) > sold.quantity_milli;
