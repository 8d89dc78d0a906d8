-- What head office asks about tenders, ways of paying and settlement. Signed öre: negative is money to the customer.

-- name: paths
-- How each till's ways of paying last said they work: of its latest epoch, in the history that was heard last.
SELECT DISTINCT ON (s.store_id, s.till, p.path) s.store_id, s.till, s.epoch, p.path, p.means, p.state, p.why,
       (extract(epoch FROM p.since) * 1000)::bigint, (extract(epoch FROM s.heard) * 1000)::bigint
FROM path_state p JOIN stream s ON s.store_id = p.store_id AND s.stream_id = p.stream_id
WHERE (%(store)s = '' OR p.store_id = %(store)s) AND s.epoch = (SELECT max(o.epoch) FROM stream o WHERE o.store_id = s.store_id AND o.till = s.till)
ORDER BY s.store_id, s.till, p.path, s.heard DESC NULLS LAST

-- name: ours
SELECT t.store_id, s.till, s.epoch, s.branch, t.sale, t.tender, to_char(t.day, 'YYYY-MM-DD'), (extract(epoch FROM t.asked) * 1000)::bigint,
       t.first_seq, t.means, t.path, t.request, t.amount_ore, t.back, t.offline, t.state, (extract(epoch FROM t.changed) * 1000)::bigint,
       t.last_seq, t.why, t.approved_ore, t.risky, t.counted, t.reference, t.approval, t.card
FROM asked_tender t JOIN stream s ON s.store_id = t.store_id AND s.stream_id = t.stream_id

-- name: where_open
WHERE t.state IN ('asked', 'aborting', 'unknown', 'reversing', 'reversal_unknown') AND (%(store)s = '' OR t.store_id = %(store)s)
ORDER BY t.asked LIMIT %(most)s

-- name: where_left
-- Of some days, those that are not plainly one payment of ours and one of theirs over the same öre.
-- A gift card is the store's own book: no service sends a list of it.
WHERE t.day BETWEEN %(first)s AND %(last)s AND t.means <> 'gift_card' AND (t.state <> 'declined' OR t.reference <> '') AND NOT (
    t.state IN ('approved', 'partial') AND NOT t.back AND t.reference IN (SELECT reference FROM plain))
ORDER BY t.asked LIMIT %(most)s

-- name: where_named
WHERE t.reference = ANY(%(references)s) ORDER BY t.asked LIMIT %(most)s

-- name: where_one
WHERE t.store_id = %(store)s AND s.till = %(till)s AND s.epoch = %(epoch)s AND t.sale = %(sale)s AND t.tender = %(tender)s LIMIT %(most)s

-- name: with_plain
-- References of exactly one approved payment of ours and exactly one settled payment of theirs, over the same amount.
WITH mine AS (
    SELECT reference, means, count(*) AS n, max(approved_ore) AS ore, bool_and(state IN ('approved', 'partial') AND NOT back) AS fine
    FROM asked_tender WHERE day BETWEEN %(first)s - 7 AND %(last)s + 1 AND reference <> '' GROUP BY reference, means
), them AS (
    SELECT CASE WHEN original <> '' THEN original ELSE reference END AS reference, means, count(*) AS n, max(amount_ore) AS ore,
           bool_and(kind = 'payment' AND status = 'settled') AS fine
    FROM settlement_line WHERE day BETWEEN %(first)s - 7 AND %(last)s + 60 GROUP BY 1, 2
), plain AS (
    SELECT mine.reference, mine.means FROM mine JOIN them ON them.reference = mine.reference AND them.means = mine.means
    WHERE mine.n = 1 AND them.n = 1 AND mine.fine AND them.fine AND mine.ore = them.ore
)

-- name: sums
-- By day and means what we count, with what of it is plainly matched.
SELECT to_char(t.day, 'YYYY-MM-DD'), t.means, count(*)::bigint,
       sum(CASE WHEN t.back THEN -t.approved_ore ELSE t.approved_ore END)::bigint,
       count(*) FILTER (WHERE t.reference IN (SELECT reference FROM plain))::bigint,
       coalesce(sum(t.approved_ore) FILTER (WHERE t.reference IN (SELECT reference FROM plain)), 0)::bigint
FROM asked_tender t
WHERE t.day BETWEEN %(first)s AND %(last)s AND t.means <> 'gift_card'
  AND t.state IN ('approved', 'partial', 'accepted_at_risk', 'reversal_failed')
GROUP BY 1, 2

-- name: their_sums
SELECT to_char(day, 'YYYY-MM-DD'), means, service, count(*)::bigint, sum(amount_ore)::bigint
FROM settlement_line WHERE day BETWEEN %(first)s AND %(last)s AND status = 'settled' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: theirs
SELECT l.service, l.line, f.name, l.at, l.means, l.kind, to_char(l.day, 'YYYY-MM-DD'), (extract(epoch FROM l.time) * 1000)::bigint,
       l.reference, l.original, l.request, l.amount_ore, l.card, l.approval, l.status, l.message
FROM settlement_line l JOIN settlement_file f ON f.digest = l.file

-- name: lines_left
WHERE l.day BETWEEN %(first)s AND %(last)s AND NOT (
    l.kind = 'payment' AND (l.reference, l.means) IN (SELECT reference, means FROM plain))
ORDER BY l.time LIMIT %(most)s

-- name: lines_named
WHERE l.reference = ANY(%(references)s) OR l.original = ANY(%(references)s) OR l.request = ANY(%(requests)s)
   OR (l.message <> '' AND l.means = 'swish' AND l.day BETWEEN %(first)s - 3 AND %(last)s + 3 AND l.request = '')
ORDER BY l.time LIMIT %(most)s

-- name: told_until
SELECT means, (extract(epoch FROM max(until)) * 1000)::bigint FROM settlement_file WHERE until IS NOT NULL GROUP BY means

-- name: at_risk
SELECT t.store_id, s.till, t.means, count(*)::bigint, sum(t.approved_ore)::bigint
FROM asked_tender t JOIN stream s ON s.store_id = t.store_id AND s.stream_id = t.stream_id
WHERE t.day = %(day)s AND t.risky AND t.counted AND NOT t.back GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: files
SELECT name, service, means, lines, sum_ore, (extract(epoch FROM until) * 1000)::bigint, read
FROM settlement_file ORDER BY read DESC, name LIMIT %(most)s

-- name: lock_settlement
SELECT pg_advisory_xact_lock(1869640805, 7)

-- name: known_file
SELECT name, lines FROM settlement_file WHERE digest = %(digest)s

-- name: add_file
INSERT INTO settlement_file (digest, name, service, means, lines, sum_ore, until, read)
VALUES (%(digest)s, %(name)s, %(service)s, %(means)s, %(lines)s, %(sum_ore)s, %(until)s, %(read)s)

-- name: same_lines
-- Movements that another file said already, but otherwise.
SELECT n.at, f.name FROM json_to_recordset(%(rows)s) AS n (
    line text, at int, kind text, time timestamptz, reference text, original text, amount_ore bigint, status text)
JOIN settlement_line l ON l.service = %(service)s AND l.line = n.line
JOIN settlement_file f ON f.digest = l.file
WHERE (l.kind, l.time, l.reference, l.original, l.amount_ore, l.status) IS DISTINCT FROM
      (n.kind, n.time, n.reference, n.original, n.amount_ore, n.status)
ORDER BY n.at LIMIT 1

-- name: add_lines
INSERT INTO settlement_line (service, line, file, at, means, kind, day, time, reference, original, request, amount_ore, card,
                             approval, status, message)
SELECT %(service)s, n.line, %(digest)s, n.at, %(means)s, n.kind, n.day, n.time, n.reference, n.original, n.request, n.amount_ore,
       n.card, n.approval, n.status, n.message
FROM json_to_recordset(%(rows)s) AS n (
    line text, at int, kind text, day date, time timestamptz, reference text, original text, request text, amount_ore bigint,
    card text, approval text, status text, message text)
ON CONFLICT DO NOTHING

-- name: closed
SELECT key, about, amount_ore, how, note, asked_by, approved_by, closed FROM money_case_closed WHERE key = ANY(%(keys)s)

-- name: export
SELECT t.store_id, t.day, s.till, s.epoch, s.branch, t.sale, t.tender, t.means, t.path, t.state,
       to_char(t.asked, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), t.amount_ore, t.approved_ore, t.back, t.risky, t.counted, t.request,
       t.reference, t.approval, t.card, t.why
FROM asked_tender t JOIN stream s ON s.store_id = t.store_id AND s.stream_id = t.stream_id
WHERE t.store_id = %(store)s AND t.day = %(day)s ORDER BY t.asked, s.till, t.sale, t.tender
