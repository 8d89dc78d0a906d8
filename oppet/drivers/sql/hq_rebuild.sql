-- name: unfinished
SELECT run FROM rebuild WHERE ended IS NULL AND views = %(views)s ORDER BY run LIMIT 1

-- name: begin
INSERT INTO rebuild (views) VALUES (%(views)s) RETURNING run

-- name: end
UPDATE rebuild SET ended = now()
WHERE run = %(run)s AND NOT EXISTS (SELECT FROM stream WHERE branch = '' AND rebuilt < %(run)s)

-- name: left
-- Entries still to do, of epochs whose first history is not done.
SELECT coalesce(sum(s.head_seq - s.base_seq), 0)::bigint, count(DISTINCT (s.store_id, s.till, s.epoch))
FROM stream r JOIN stream s USING (store_id, till, epoch) WHERE r.branch = '' AND r.rebuilt < %(run)s

-- name: take
-- One epoch nobody else is at. Ingest takes the same row first: a batch of that till waits until it is done, all others go on.
SELECT store_id, till, epoch FROM stream
WHERE branch = '' AND rebuilt < %(run)s ORDER BY store_id, stream_id LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: histories
SELECT stream_id FROM stream WHERE store_id = %(store)s AND till = %(till)s AND epoch = %(epoch)s ORDER BY branch

-- name: done
UPDATE stream SET rebuilt = %(run)s WHERE store_id = %(store)s AND till = %(till)s AND epoch = %(epoch)s

-- name: number
UPDATE stream SET last_number = %(last_number)s WHERE store_id = %(store)s AND stream_id = %(stream_id)s

-- name: chunks
SELECT last_seq, received, data FROM chunk WHERE store_id = %(store)s AND stream_id = %(stream_id)s AND first_seq >= %(first)s
ORDER BY first_seq LIMIT 16
