-- A file that may be hostile: places may be missing, doubled or no numbers, entries too large; bytes are taken as they are.
-- name: tables
SELECT name, type, sql FROM sqlite_schema WHERE name IN ('entries', 'signatures', 'meta')

-- name: odd_columns
SELECT count(*) FROM pragma_table_xinfo(?) WHERE hidden <> 0

-- name: rows
SELECT seq, CASE WHEN octet_length(entry) <= 1048576 THEN CAST(entry AS BLOB) END FROM entries
WHERE seq >= ? ORDER BY seq

-- name: strays
SELECT count(*) FROM entries WHERE typeof(seq) <> 'integer'

-- name: ends
SELECT (SELECT min(seq) FROM entries), (SELECT max(seq) FROM entries)

-- name: signatures
SELECT seq, CASE WHEN octet_length(signature) = 64 THEN CAST(signature AS BLOB) ELSE x'' END FROM signatures
WHERE seq > ? ORDER BY seq

-- name: signed_until
SELECT coalesce(max(seq), 0) FROM signatures WHERE seq <= ?
