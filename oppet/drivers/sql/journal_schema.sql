-- The journal of one epoch of one till. entries and signatures are the truth; views and receipts are derived from them
-- and can be thrown away. An entry is its exact signed bytes, as UTF-8 text (J3).
CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries(seq INTEGER PRIMARY KEY NOT NULL, entry TEXT NOT NULL);
CREATE TABLE signatures(seq INTEGER PRIMARY KEY NOT NULL, signature BLOB NOT NULL);
CREATE TABLE views(name TEXT PRIMARY KEY NOT NULL, seq INTEGER NOT NULL, digest TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE receipts(series TEXT NOT NULL, number INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(series, number)) WITHOUT ROWID;
