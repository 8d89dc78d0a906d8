-- Head office's people and papers. None of these tables grows with sales: on Citus they are all reference tables or local.
-- Times are milliseconds since 1970 UTC, as every clock of ours says them.

CREATE TABLE person (
    number integer PRIMARY KEY,          -- all that the rest of the product ever sees of a person
    handle text NOT NULL,                -- chosen by the person, shown at head office alone
    roles text[] NOT NULL,
    added bigint NOT NULL,
    added_by integer NOT NULL,           -- 0: at the machine itself
    ended bigint NOT NULL DEFAULT 0      -- 0 while the person may sign in
);

CREATE TABLE person_code (
    -- A one-time code to register a passkey with; argon2 digest, spent by use, by time and by wrong tries.
    who integer PRIMARY KEY REFERENCES person,
    digest text NOT NULL,
    made bigint NOT NULL,
    tries integer NOT NULL DEFAULT 0
);

CREATE TABLE passkey (
    credential bytea PRIMARY KEY,
    who integer NOT NULL REFERENCES person,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    name text NOT NULL,                  -- the person's word for it
    added bigint NOT NULL,
    used bigint NOT NULL DEFAULT 0,
    stopped text NOT NULL DEFAULT ''     -- why it no longer opens: cloned | removed
);
CREATE INDEX passkey_who ON passkey (who);

CREATE TABLE spent_challenge (
    -- What a passkey has answered: no answer opens twice. Challenges prove themselves and are not kept; old rows are swept.
    challenge bytea PRIMARY KEY,
    spent bigint NOT NULL
);

CREATE TABLE session (
    digest text PRIMARY KEY,             -- of the secret, which is nowhere
    who integer NOT NULL,
    how text NOT NULL,                   -- passkey | demo
    began bigint NOT NULL,
    seen bigint NOT NULL
);
CREATE INDEX session_who ON session (who);

CREATE TABLE request (
    -- Four eyes: what was asked, frozen, and what became of it.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    act text NOT NULL,
    about text NOT NULL,
    facts text NOT NULL,                 -- the exact bytes that were asked
    digest text NOT NULL,                -- of act, about and facts
    asked_by integer NOT NULL,
    asked bigint NOT NULL,
    state text NOT NULL,                 -- asked | approved | refused | expired | withdrawn
    settled_by integer NOT NULL DEFAULT 0,
    settled bigint NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT ''
);
CREATE INDEX request_waiting ON request (asked) WHERE state = 'asked';

CREATE TABLE paper (
    -- What the directory believes: store and till certificates, revocations. `version` grows in the order of commits.
    kind text NOT NULL,
    name text NOT NULL,
    epoch integer NOT NULL,
    body text NOT NULL,                  -- the signed text
    signatures text NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (kind, name, epoch)
);
CREATE INDEX paper_version ON paper (version);

CREATE TABLE invitation (
    name text PRIMARY KEY,
    store text NOT NULL,
    store_name text NOT NULL,
    banner text NOT NULL,
    code text NOT NULL,                  -- blank once it is used
    made bigint NOT NULL,
    made_by integer NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    used bigint NOT NULL DEFAULT 0
);

CREATE TABLE alarm (
    -- Made of AlarmRaised entries, wherever they were written; the entry is the truth, `seen` is ours.
    process text NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    store text NOT NULL,
    time text NOT NULL,
    about text NOT NULL,
    facts text NOT NULL,
    seen bigint NOT NULL DEFAULT 0,
    seen_by integer NOT NULL DEFAULT 0,
    PRIMARY KEY (process, epoch, seq)
);
CREATE INDEX alarm_new ON alarm (time) WHERE seen = 0;

CREATE TABLE running (
    -- What each epoch said it runs when it last started; made of its entries.
    store text NOT NULL,
    till text NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    software text NOT NULL,
    prices text NOT NULL,
    since text NOT NULL,
    PRIMARY KEY (store, till, epoch)
);
