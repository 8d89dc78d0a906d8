-- name: lock
-- One history of one till's epoch at a time; nobody else's rows are touched (R10).
SELECT stream_id FROM stream WHERE store_id = %(store)s AND till = %(till)s AND epoch = %(epoch)s AND branch = '' FOR UPDATE

-- name: branches
-- A statement of its own behind the lock: it must see a branch that began while we waited.
SELECT stream_id, branch, base_seq, encode(base_digest, 'hex'), head_seq, encode(head_digest, 'hex'), last_number,
       provisional, revoked
FROM stream WHERE store_id = %(store)s AND till = %(till)s AND epoch = %(epoch)s
ORDER BY branch <> '', base_seq, branch

-- name: begin_branch
INSERT INTO stream (store_id, stream_id, till, epoch, branch, base_seq, base_digest, head_seq, head_digest, provisional, revoked)
VALUES (%(store)s, %(stream_id)s, %(till)s, %(epoch)s, %(branch)s, %(seq)s, decode(%(digest)s, 'hex'), %(seq)s,
        decode(%(digest)s, 'hex'), %(provisional)s, %(revoked)s)
ON CONFLICT DO NOTHING

-- name: chunks
-- The chunks that hold entries first…last, with what is before in the first of them.
SELECT first_seq, data FROM chunk
WHERE store_id = %(store)s AND stream_id = %(stream_id)s AND first_seq <= %(last)s
  AND first_seq >= (SELECT max(first_seq) FROM chunk
                    WHERE store_id = %(store)s AND stream_id = %(stream_id)s AND first_seq <= %(first)s)
ORDER BY first_seq

-- name: signed
-- The last signed place of a history: each chunk ends on one.
SELECT last_seq, encode(last_digest, 'hex'), signature FROM chunk
WHERE store_id = %(store)s AND stream_id = %(stream_id)s ORDER BY first_seq DESC LIMIT 1

-- name: add_chunk
INSERT INTO chunk (store_id, day, stream_id, first_seq, last_seq, after_digest, last_digest, signature, first_time, last_time,
                   received, bytes, data)
VALUES (%(store)s, %(day)s, %(stream_id)s, %(first)s, %(last)s, decode(%(after)s, 'hex'), decode(%(digest)s, 'hex'),
        %(signature)s, %(first_time)s, %(last_time)s, %(received)s, %(bytes)s, %(data)s)

-- name: move_head
UPDATE stream SET head_seq = %(last)s, head_digest = decode(%(digest)s, 'hex'), head_time = %(head_time)s,
                  last_number = %(last_number)s, heard = %(received)s
WHERE store_id = %(store)s AND stream_id = %(stream_id)s

-- name: heard
UPDATE stream SET heard = %(received)s,
                  as_of_seq = CASE WHEN as_of IS NULL OR as_of < %(as_of)s THEN %(as_of_seq)s ELSE as_of_seq END,
                  as_of_signature = CASE WHEN as_of IS NULL OR as_of < %(as_of)s THEN %(signature)s ELSE as_of_signature END,
                  as_of = greatest(as_of, %(as_of)s)
WHERE store_id = %(store)s AND stream_id = %(stream_id)s

-- name: stand
-- What HQ believes of the epoch now: every history of it, those that send nothing included.
UPDATE stream SET provisional = %(provisional)s, revoked = %(revoked)s
WHERE store_id = %(store)s AND till = %(till)s AND epoch = %(epoch)s
  AND (provisional, revoked) IS DISTINCT FROM (%(provisional)s, %(revoked)s)

-- name: add_hour_sale
INSERT INTO hour_sale AS h (store_id, stream_id, day, hour, receipts, returns, gross_ore, returns_ore, vat_ore, rounding_ore,
                            saved_ore, lines)
SELECT %(store)s, %(stream_id)s, n.* FROM json_to_recordset(%(rows)s) AS n (
    day date, hour timestamptz, receipts int, returns int, gross_ore bigint, returns_ore bigint, vat_ore bigint,
    rounding_ore bigint, saved_ore bigint, lines int)
ON CONFLICT (store_id, day, hour, stream_id) DO UPDATE SET
    receipts = h.receipts + excluded.receipts, returns = h.returns + excluded.returns,
    gross_ore = h.gross_ore + excluded.gross_ore, returns_ore = h.returns_ore + excluded.returns_ore,
    vat_ore = h.vat_ore + excluded.vat_ore, rounding_ore = h.rounding_ore + excluded.rounding_ore,
    saved_ore = h.saved_ore + excluded.saved_ore, lines = h.lines + excluded.lines

-- name: add_hour_group
INSERT INTO hour_group AS h (store_id, stream_id, day, hour, article_group, vat_rate, gross_ore, vat_ore, quantity_milli, lines)
SELECT %(store)s, %(stream_id)s, n.* FROM json_to_recordset(%(rows)s) AS n (
    day date, hour timestamptz, article_group text, vat_rate int, gross_ore bigint, vat_ore bigint, quantity_milli bigint,
    lines int)
ON CONFLICT (store_id, day, hour, stream_id, article_group, vat_rate) DO UPDATE SET
    gross_ore = h.gross_ore + excluded.gross_ore, vat_ore = h.vat_ore + excluded.vat_ore,
    quantity_milli = h.quantity_milli + excluded.quantity_milli, lines = h.lines + excluded.lines

-- name: add_asked_tender
-- Tenders known here move on from where they stood; the others begin, unless this piece only says that a sale counts one.
WITH n AS (
    SELECT * FROM json_to_recordset(%(rows)s) AS n (
        sale bigint, tender int, begins boolean, day date, asked timestamptz, first_seq bigint, means text, path text,
        request text, amount_ore bigint, back boolean, offline boolean, state text, moves jsonb, changed timestamptz,
        last_seq bigint, why text, approved_ore bigint, risky boolean, counted boolean, reference text, service_time text,
        approval text, acquirer text, brand text, card text, how text)
), known AS (
    UPDATE asked_tender t SET
        state = coalesce(n.moves ->> t.state, t.state), changed = n.changed, last_seq = n.last_seq,
        why = coalesce(n.why, t.why), approved_ore = coalesce(n.approved_ore, t.approved_ore),
        risky = coalesce(n.risky, t.risky), counted = coalesce(n.counted, t.counted),
        reference = coalesce(n.reference, t.reference), service_time = coalesce(n.service_time, t.service_time),
        approval = coalesce(n.approval, t.approval), acquirer = coalesce(n.acquirer, t.acquirer),
        brand = coalesce(n.brand, t.brand), card = coalesce(n.card, t.card), how = coalesce(n.how, t.how)
    FROM n WHERE t.store_id = %(store)s AND t.stream_id = %(stream_id)s AND t.sale = n.sale AND t.tender = n.tender
    RETURNING t.sale, t.tender
)
INSERT INTO asked_tender (store_id, stream_id, sale, tender, day, asked, first_seq, means, path, request, amount_ore, back,
                          offline, state, changed, last_seq, why, approved_ore, risky, counted, reference, service_time,
                          approval, acquirer, brand, card, how)
SELECT %(store)s, %(stream_id)s, n.sale, n.tender, n.day, n.asked, n.first_seq, n.means, n.path, n.request, n.amount_ore,
       n.back, n.offline, n.state, n.changed, n.last_seq, coalesce(n.why, ''), coalesce(n.approved_ore, 0),
       coalesce(n.risky, false), coalesce(n.counted, false), coalesce(n.reference, ''), coalesce(n.service_time, ''),
       coalesce(n.approval, ''), coalesce(n.acquirer, ''), coalesce(n.brand, ''), coalesce(n.card, ''), coalesce(n.how, '')
FROM n WHERE n.begins AND NOT EXISTS (SELECT FROM known WHERE known.sale = n.sale AND known.tender = n.tender)

-- name: add_path_state
INSERT INTO path_state (store_id, stream_id, path, means, state, why, since, seq)
SELECT %(store)s, %(stream_id)s, n.* FROM json_to_recordset(%(rows)s) AS n (
    path text, means text, state text, why text, since timestamptz, seq bigint)
ON CONFLICT (store_id, stream_id, path) DO UPDATE SET
    means = excluded.means, state = excluded.state, why = excluded.why, since = excluded.since, seq = excluded.seq

-- name: add_obeyed
INSERT INTO obeyed (store_id, stream_id, subject, said, at, seq)
SELECT %(store)s, %(stream_id)s, n.* FROM json_to_recordset(%(rows)s) AS n (
    subject text, said text, at timestamptz, seq bigint)
ON CONFLICT (store_id, stream_id, subject) DO UPDATE SET said = excluded.said, at = excluded.at, seq = excluded.seq
