-- What tills said of what came down: of each till's latest epoch, in the history that was heard last.

-- name: words
SELECT DISTINCT ON (s.store_id, s.till, o.subject) s.store_id, s.till, s.epoch, o.subject, o.said,
       (extract(epoch FROM o.at) * 1000)::bigint, o.seq, (extract(epoch FROM s.heard) * 1000)::bigint
FROM obeyed o JOIN stream s ON s.store_id = o.store_id AND s.stream_id = o.stream_id
WHERE (%(store)s = '' OR o.store_id = %(store)s) AND o.subject NOT LIKE 'health:%%'
  AND s.epoch = (SELECT max(e.epoch) FROM stream e WHERE e.store_id = s.store_id AND e.till = s.till)
ORDER BY s.store_id, s.till, o.subject, s.heard DESC NULLS LAST

-- name: statements
-- Signed by the tills themselves: whose history they came in does not matter.
SELECT o.said FROM obeyed o WHERE o.subject = %(subject)s ORDER BY o.store_id, o.stream_id LIMIT %(most)s
