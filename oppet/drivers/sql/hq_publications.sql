-- Drafts of publications, their signatures, and receipts to try prices on.

-- name: lock
SELECT pg_advisory_xact_lock(%(key)s)

-- name: drafts
SELECT id, what, title, state, version, digest, bytes, valid_from, withdraws, based_on, made_by, made, changed_by, changed, role, number,
       signed_at, published_by, published
FROM publication_draft

-- name: where_shown
WHERE state <> 'dropped' ORDER BY published = 0 DESC, greatest(changed, published) DESC, id DESC LIMIT %(most)s

-- name: where_id
WHERE id = %(id)s FOR UPDATE

-- name: seen_id
WHERE id = %(id)s

-- name: document
SELECT document FROM publication_draft WHERE id = %(id)s

-- name: list
SELECT list FROM publication_draft WHERE id = %(id)s

-- name: make
INSERT INTO publication_draft (what, title, document, digest, bytes, valid_from, withdraws, based_on, made_by, made, changed_by, changed)
VALUES (%(what)s, %(title)s, %(document)s, %(digest)s, %(bytes)s, %(valid_from)s, %(withdraws)s, %(based_on)s, %(by)s, %(now)s, %(by)s, %(now)s)
RETURNING id

-- name: change
UPDATE publication_draft SET document = %(document)s, digest = %(digest)s, bytes = %(bytes)s, title = %(title)s,
       valid_from = %(valid_from)s, state = 'open', version = version + 1, changed_by = %(by)s, changed = %(now)s, role = '',
       number = 0, signed_at = 0, list = NULL
WHERE id = %(id)s

-- name: void
UPDATE publication_draft SET state = 'open', version = version + 1, role = '', number = 0, signed_at = 0, list = NULL WHERE id = %(id)s

-- name: void_signatures
DELETE FROM publication_signature WHERE draft = %(id)s

-- name: drop
UPDATE publication_draft SET state = 'dropped', version = version + 1, changed_by = %(by)s, changed = %(now)s, list = NULL WHERE id = %(id)s

-- name: signing
UPDATE publication_draft SET state = 'signing', role = %(role)s, number = %(number)s, signed_at = %(signed_at)s, list = %(list)s
WHERE id = %(id)s

-- name: published
UPDATE publication_draft SET state = 'published', published_by = %(by)s, published = %(now)s, list = NULL WHERE id = %(id)s

-- name: signatures
SELECT who, keyid, at FROM publication_signature WHERE draft = %(id)s ORDER BY at

-- name: sign
INSERT INTO publication_signature (draft, who, keyid, at) VALUES (%(id)s, %(who)s, %(keyid)s, %(now)s)

-- name: chunks
-- Some of a day's entries, of stores in an order that is the same whenever it is asked.
SELECT data FROM chunk WHERE day = %(day)s ORDER BY md5(store_id || stream_id::text || first_seq::text) LIMIT %(most)s
