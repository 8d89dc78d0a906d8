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
