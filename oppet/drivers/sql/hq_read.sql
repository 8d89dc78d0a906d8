-- name: streams
SELECT store_id, till, epoch, branch, stream_id, base_seq, head_seq, head_time, as_of, as_of_seq, heard, began, provisional, revoked
FROM stream WHERE %(store)s = '' OR store_id = %(store)s ORDER BY store_id, till, epoch, branch <> '', base_seq, branch

-- name: stream
SELECT stream_id, base_seq, encode(base_digest, 'hex'), head_seq FROM stream
WHERE store_id = %(store)s AND till = %(till)s AND epoch = %(epoch)s AND branch = %(branch)s

-- name: histories
SELECT branch, stream_id, base_seq, head_seq FROM stream
WHERE store_id = %(store)s AND till = %(till)s AND epoch = %(epoch)s ORDER BY base_seq, branch

-- name: chunk_with
SELECT first_seq, last_seq, encode(after_digest, 'hex'), encode(last_digest, 'hex'), signature, received, data FROM chunk
WHERE store_id = %(store)s AND stream_id = %(stream_id)s AND first_seq <= %(seq)s ORDER BY first_seq DESC LIMIT 1

-- name: chunks_from
SELECT first_seq, last_seq, encode(after_digest, 'hex'), encode(last_digest, 'hex'), signature, received, data FROM chunk
WHERE store_id = %(store)s AND stream_id = %(stream_id)s AND first_seq >= %(first)s ORDER BY first_seq LIMIT %(most)s

-- name: quarantine
SELECT s.store_id, s.till, s.epoch, s.branch, q.seq, q.time, q.kind, q.place, q.reason, q.detail, q.counted, q.total_ore
FROM quarantine q JOIN stream s USING (store_id, stream_id)
WHERE (%(store)s = '' OR q.store_id = %(store)s) AND q.day >= %(since)s
ORDER BY q.day DESC, q.store_id, q.stream_id, q.seq DESC, q.n LIMIT %(most)s

-- name: open_cases
SELECT store_id, till, epoch, branch, seq, time, number, about, sale, amount_ore FROM open_case
WHERE (%(store)s = '' OR store_id = %(store)s) AND day >= %(since)s
ORDER BY time DESC, store_id, stream_id, seq DESC LIMIT %(most)s

-- name: clashing_numbers
SELECT store_id, till, epoch, number, times, first_time, branches, seqs FROM clashing_number
WHERE %(store)s = '' OR store_id = %(store)s ORDER BY last_time DESC, store_id, till, epoch, number LIMIT %(most)s

-- name: double_returns
SELECT store_id, original_till, original_epoch, original_number, original_line, sold_milli, returned_milli, returned_ore, times,
       last_time
FROM double_return WHERE %(store)s = '' OR store_id = %(store)s
ORDER BY last_time DESC, store_id, original_till, original_epoch, original_number, original_line LIMIT %(most)s
