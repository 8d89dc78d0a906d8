-- name: persons
SELECT p.number, p.handle, p.roles, p.added, p.added_by, p.ended,
       (SELECT count(*) FROM passkey k WHERE k.who = p.number AND k.stopped = ''),
       coalesce((SELECT max(k.used) FROM passkey k WHERE k.who = p.number), 0)
FROM person p ORDER BY p.ended > 0, p.number
-- name: person
SELECT p.number, p.handle, p.roles, p.added, p.added_by, p.ended,
       (SELECT count(*) FROM passkey k WHERE k.who = p.number AND k.stopped = ''),
       coalesce((SELECT max(k.used) FROM passkey k WHERE k.who = p.number), 0)
FROM person p WHERE p.number = %s FOR UPDATE
-- name: add_person
INSERT INTO person(number, handle, roles, added, added_by) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
-- name: set_roles
UPDATE person SET roles = %s WHERE number = %s AND ended = 0
-- name: set_handle
UPDATE person SET handle = %s WHERE number = %s
-- name: end_person
UPDATE person SET ended = %s WHERE number = %s AND ended = 0
-- name: put_code
INSERT INTO person_code(who, digest, made, tries) VALUES (%s, %s, %s, 0)
ON CONFLICT (who) DO UPDATE SET digest = excluded.digest, made = excluded.made, tries = 0
-- name: code
SELECT digest, made, tries FROM person_code WHERE who = %s FOR UPDATE
-- name: code_tried
UPDATE person_code SET tries = tries + 1 WHERE who = %s
-- name: spend_code
DELETE FROM person_code WHERE who = %s
-- name: add_passkey
INSERT INTO passkey(credential, who, public_key, sign_count, name, added) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
-- name: passkeys
SELECT credential, who, public_key, sign_count, name, added, used, stopped FROM passkey WHERE who = %s ORDER BY added, credential
-- name: passkey
SELECT credential, who, public_key, sign_count, name, added, used, stopped FROM passkey WHERE credential = %s FOR UPDATE
-- name: passkey_used
UPDATE passkey SET sign_count = %s, used = %s WHERE credential = %s
-- name: stop_passkey
UPDATE passkey SET stopped = %s WHERE credential = %s AND who = %s AND stopped = ''
-- name: spend_challenge
INSERT INTO spent_challenge(challenge, spent) VALUES (%s, %s) ON CONFLICT DO NOTHING
-- name: sweep_challenges
DELETE FROM spent_challenge WHERE spent < %s
-- name: add_session
INSERT INTO session(digest, who, how, began, seen) VALUES (%s, %s, %s, %s, %s)
-- name: session
SELECT s.digest, s.who, p.handle, p.roles, s.how, s.began, s.seen FROM session s JOIN person p ON p.number = s.who
WHERE s.digest = %s AND p.ended = 0
-- name: touch_session
UPDATE session SET seen = %s WHERE digest = %s
-- name: end_session
DELETE FROM session WHERE digest = %s
-- name: end_sessions
DELETE FROM session WHERE who = %s
-- name: sweep_sessions
DELETE FROM session WHERE began < %s
-- name: ask
INSERT INTO request(act, about, facts, digest, asked_by, asked, state) VALUES (%s, %s, %s, %s, %s, %s, 'asked') RETURNING id
-- name: asked_already
SELECT id FROM request WHERE digest = %s AND state = 'asked' AND asked > %s
-- name: request
SELECT id, act, about, facts, digest, asked_by, asked, state, settled_by, settled, reason FROM request WHERE id = %s FOR UPDATE
-- name: settle
UPDATE request SET state = %s, settled_by = %s, settled = %s, reason = %s WHERE id = %s AND state = 'asked'
-- name: requests
SELECT id, act, about, facts, digest, asked_by, asked, state, settled_by, settled, reason FROM request
ORDER BY state <> 'asked', id DESC LIMIT %s
-- name: waiting
SELECT count(*) FROM request WHERE state = 'asked' AND asked > %s
-- name: papers_since
SELECT kind, name, epoch, body, signatures, version FROM paper WHERE version > %s ORDER BY version
-- name: put_paper
INSERT INTO paper(kind, name, epoch, body, signatures, version)
VALUES (%s, %s, %s, %s, %s, (SELECT coalesce(max(version), 0) + 1 FROM paper))
ON CONFLICT (kind, name, epoch) DO UPDATE SET body = excluded.body, signatures = excluded.signatures, version = excluded.version
-- name: papers_lock
SELECT pg_advisory_xact_lock(8031171)
-- name: put_store
INSERT INTO store(store_id, name, banner, closed, issued) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (store_id) DO UPDATE SET name = excluded.name, banner = excluded.banner, closed = excluded.closed, issued = excluded.issued
-- name: hold
-- The row that ingest locks before it touches any other of the epoch.
SELECT stream_id FROM stream WHERE store_id = %s AND till = %s AND epoch = %s AND branch = '' FOR UPDATE
-- name: stand
UPDATE stream SET provisional = %s, revoked = %s WHERE store_id = %s AND till = %s AND epoch = %s
-- name: put_invitation
INSERT INTO invitation(name, store, store_name, banner, code, made, made_by) VALUES (%s, %s, %s, %s, %s, %s, %s)
-- name: invitation
SELECT name, store, store_name, banner, code, made, made_by, tries, used FROM invitation WHERE name = %s FOR UPDATE
-- name: invitation_tried
UPDATE invitation SET tries = tries + 1 WHERE name = %s
-- name: invitation_used
UPDATE invitation SET used = %s, code = '' WHERE name = %s
-- name: invitations_open
SELECT name, store, store_name, banner, '' AS code, made, made_by, tries, used FROM invitation
WHERE used = 0 AND made > %s ORDER BY made DESC LIMIT 100
-- name: sweep_invitations
DELETE FROM invitation WHERE made < %s
-- name: add_alarm
INSERT INTO alarm(process, epoch, seq, store, time, about, facts) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
-- name: alarms
SELECT process, epoch, seq, store, time, about, facts, seen, seen_by FROM alarm ORDER BY seen > 0, time DESC LIMIT %s
-- name: forks_unsaid
-- A fork is kept before it is said: one of which no alarm came is an alarm all the same.
SELECT s.store_id, s.till, s.epoch, s.branch, s.base_seq + 1, s.began FROM stream s
WHERE s.branch <> '' AND NOT EXISTS (SELECT 1 FROM alarm a WHERE a.about = 'fork' AND position(s.branch in a.facts) > 0)
ORDER BY s.began DESC LIMIT %s
-- name: alarms_new
SELECT count(*) FROM alarm WHERE seen = 0
-- name: alarm_seen
UPDATE alarm SET seen = %s, seen_by = %s WHERE process = %s AND epoch = %s AND seq = %s AND seen = 0
-- name: streams
SELECT store_id, till, epoch, branch, head_seq, head_time, as_of, as_of_seq, heard, provisional, revoked, began FROM stream
ORDER BY store_id, till, epoch, branch
-- name: waiting_quarantine
SELECT count(*), min(day) FROM quarantine
-- name: put_running
INSERT INTO running(store, till, epoch, seq, software, prices, since) VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (store, till, epoch) DO UPDATE SET seq = excluded.seq, software = excluded.software, prices = excluded.prices,
    since = excluded.since WHERE running.seq < excluded.seq
-- name: running
SELECT till, epoch, software FROM running

-- name: close_money_case
INSERT INTO money_case_closed (key, about, amount_ore, how, note, asked_by, approved_by, closed)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
