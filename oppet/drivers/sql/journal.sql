-- name: add_entry
INSERT INTO entries(seq, entry) VALUES (?, ?)

-- name: add_signature
INSERT INTO signatures(seq, signature) VALUES (?, ?)

-- name: add_receipt
-- A number used twice keeps its first place here: a derived table never stands in the way of the truth.
INSERT OR IGNORE INTO receipts(series, number, seq) VALUES (?, ?, ?)

-- name: put_view
INSERT OR REPLACE INTO views(name, seq, digest, data) VALUES (?, ?, ?, ?)

-- name: put_meta
INSERT INTO meta(name, value) VALUES (?, ?)

-- name: meta
SELECT name, value FROM meta WHERE name IN ('till', 'epoch', 'base')

-- name: last_entry
SELECT seq, CAST(entry AS BLOB) FROM entries ORDER BY seq DESC LIMIT 1

-- name: last_signature
SELECT seq, signature FROM signatures ORDER BY seq DESC LIMIT 1

-- name: entry
SELECT CAST(entry AS BLOB) FROM entries WHERE seq = ?

-- name: some_entries
SELECT seq, CAST(entry AS BLOB) FROM entries WHERE seq >= ? AND seq <= ? ORDER BY seq LIMIT 500

-- name: view
SELECT seq, digest, data FROM views WHERE name = ?

-- name: receipt
SELECT seq FROM receipts WHERE series = ? AND number = ?

-- name: schema
SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name

-- name: signature_between
SELECT seq, CAST(signature AS BLOB) FROM signatures WHERE seq >= ? AND seq <= ? ORDER BY seq DESC LIMIT 1
