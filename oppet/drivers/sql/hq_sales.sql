-- What head office asks its views about sales. Every statement on a growing table names store_id and day.

-- name: stores
-- Those with a certificate here, and those that sold before it came; head office's own processes are no store.
SELECT store_id, name, banner, closed FROM store WHERE store_id <> 'hq'
UNION ALL
SELECT DISTINCT store_id, store_id, '', false FROM stream WHERE store_id <> 'hq' AND store_id NOT IN (SELECT store_id FROM store)
ORDER BY 1

-- name: streams
-- Histories of tills (a store node's own journal sells nothing), and in milliseconds since 1970: the till's last entry, its own word, our clock when it last came.
SELECT store_id, stream_id, till, epoch, branch, head_seq, (extract(epoch FROM head_time) * 1000)::bigint,
       (extract(epoch FROM as_of) * 1000)::bigint, (extract(epoch FROM heard) * 1000)::bigint, provisional, revoked
FROM stream WHERE store_id = ANY(%(stores)s) AND head_seq > 0 AND till NOT IN (store_id || '-node', store_id || '-keeper')
ORDER BY store_id, till, epoch, branch <> '', base_seq, branch

-- name: last_chunks
SELECT s.stream_id, c.data FROM unnest(%(stores)s::text[], %(streams)s::bigint[]) AS s (store_id, stream_id)
CROSS JOIN LATERAL (
    SELECT data FROM chunk WHERE store_id = s.store_id AND stream_id = s.stream_id ORDER BY first_seq DESC LIMIT 1
) AS c

-- name: hours
-- A day by store and local hour; provisional sales are in the sums and once more by themselves.
SELECT h.store_id, extract(hour FROM h.hour AT TIME ZONE 'Europe/Stockholm')::int, sum(h.receipts)::bigint,
       sum(h.returns)::bigint, sum(h.gross_ore)::bigint, sum(h.vat_ore)::bigint,
       coalesce(sum(h.gross_ore) FILTER (WHERE s.provisional), 0)::bigint
FROM hour_sale h JOIN stream s ON s.store_id = h.store_id AND s.stream_id = h.stream_id
WHERE h.store_id = ANY(%(stores)s) AND h.day = %(day)s
GROUP BY 1, 2

-- name: stores_past
-- A stretch of days by store, each day as one value: for each row when its hour began and its öre, 8 bytes each as they
-- travel. Sorting and adding up by the hour here takes twice as long as packing them.
SELECT store_id, day, string_agg(timestamptz_send(hour) || int8send(gross_ore), ''::bytea)
FROM hour_sale WHERE store_id = ANY(%(stores)s) AND day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2

-- name: parts_past
-- The same for some tills of stores, those of one part taken as one.
SELECT p.part, h.day, string_agg(timestamptz_send(h.hour) || int8send(h.gross_ore), ''::bytea)
FROM unnest(%(stores)s::text[], %(tills)s::text[], %(parts)s::text[]) AS p (store_id, till, part)
JOIN stream s ON s.store_id = p.store_id AND s.till = p.till
JOIN hour_sale h ON h.store_id = s.store_id AND h.stream_id = s.stream_id
WHERE h.store_id = ANY(%(stores)s) AND h.day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2

-- name: groups
-- A day by article group, VAT rate and local hour.
SELECT article_group, vat_rate, extract(hour FROM hour AT TIME ZONE 'Europe/Stockholm')::int, sum(gross_ore)::bigint,
       sum(vat_ore)::bigint, sum(lines)::bigint
FROM hour_group WHERE store_id = ANY(%(stores)s) AND day = %(day)s
GROUP BY 1, 2, 3

-- name: groups_together
-- A stretch of days by article group, for classes of stores taken as one each.
SELECT c.class, h.article_group, h.day, extract(hour FROM h.hour AT TIME ZONE 'Europe/Stockholm')::int, sum(h.gross_ore)::bigint
FROM hour_group h JOIN unnest(%(stores)s::text[], %(classes)s::int[]) AS c (store_id, class) ON c.store_id = h.store_id
WHERE h.store_id = ANY(%(stores)s) AND h.day BETWEEN %(first)s AND %(last)s
GROUP BY 1, 2, 3, 4

-- name: means
SELECT means, sum(amount_ore)::bigint, count(*)::bigint
FROM tender WHERE store_id = ANY(%(stores)s) AND day = %(day)s
GROUP BY 1 ORDER BY 2 DESC

-- name: rates
SELECT vat_rate, sum(gross_ore)::bigint, sum(vat_ore)::bigint
FROM hour_group WHERE store_id = ANY(%(stores)s) AND day = %(day)s
GROUP BY 1 ORDER BY 1 DESC

-- name: receipts
-- One store's receipts of a day, the latest first, from a place on.
SELECT s.till, s.epoch, s.branch, r.seq, r.number, (extract(epoch FROM r.time) * 1000)::bigint, r.kind, r.cashier, r.lines,
       r.total_ore, s.provisional
FROM receipt r JOIN stream s ON s.store_id = r.store_id AND s.stream_id = r.stream_id
WHERE r.store_id = %(store)s AND r.day = %(day)s AND (%(till)s = '' OR s.till = %(till)s)
  AND (%(hour)s < 0 OR extract(hour FROM r.time AT TIME ZONE 'Europe/Stockholm') = %(hour)s)
ORDER BY r.time DESC, s.till, r.seq DESC LIMIT %(most)s OFFSET %(skip)s

-- name: z_reports
SELECT s.till, s.epoch, s.branch, z.seq, z.number, (extract(epoch FROM z.time) * 1000)::bigint, z.receipts, z.returns, z.total_ore,
       z.cash_difference_ore
FROM z_report z JOIN stream s ON s.store_id = z.store_id AND s.stream_id = z.stream_id
WHERE z.store_id = %(store)s AND z.day = %(day)s
ORDER BY z.time DESC

-- name: export_receipts
SELECT r.store_id, r.day, s.till, s.epoch, s.branch, r.seq, r.number, to_char(r.time, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), r.kind,
       r.cashier, r.lines, r.total_ore, r.vat_ore, r.rounding_ore, r.saved_ore, r.original_till, r.original_epoch, r.original_number,
       s.provisional
FROM receipt r JOIN stream s ON s.store_id = r.store_id AND s.stream_id = r.stream_id
WHERE r.store_id = %(store)s AND r.day = %(day)s ORDER BY r.stream_id, r.seq

-- name: export_lines
SELECT l.store_id, l.day, s.till, s.epoch, s.branch, l.seq, l.line, l.article, l.article_group, l.quantity_milli, l.unit,
       l.amount_ore, l.net_ore, l.vat_rate, l.vat_ore, l.original_line, s.provisional
FROM line l JOIN stream s ON s.store_id = l.store_id AND s.stream_id = l.stream_id
WHERE l.store_id = %(store)s AND l.day = %(day)s ORDER BY l.stream_id, l.seq, l.line

-- name: export_tenders
SELECT t.store_id, t.day, s.till, s.epoch, s.branch, t.seq, t.tender, t.means, t.amount_ore, s.provisional
FROM tender t JOIN stream s ON s.store_id = t.store_id AND s.stream_id = t.stream_id
WHERE t.store_id = %(store)s AND t.day = %(day)s ORDER BY t.stream_id, t.seq, t.tender

-- name: export_hours
SELECT h.store_id, h.day, to_char(h.hour, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), s.till, s.epoch, s.branch, h.receipts, h.returns,
       h.gross_ore, h.returns_ore, h.vat_ore, h.rounding_ore, h.saved_ore, h.lines, s.provisional
FROM hour_sale h JOIN stream s ON s.store_id = h.store_id AND s.stream_id = h.stream_id
WHERE h.store_id = %(store)s AND h.day = %(day)s ORDER BY h.hour, h.stream_id

-- name: histories
SELECT stream_id, till, epoch, branch, base_seq, encode(base_digest, 'hex'), head_seq FROM stream
WHERE store_id = %(store)s AND head_seq > 0 ORDER BY till, epoch, branch <> '', base_seq, branch
