-- copilot.db: the source of truth. vectors.faiss is a cache of the table `vectors`.
-- Changes to this file bump SCHEMA_VERSION in database.py.

-- Facts about the whole database.
--   schema      SCHEMA_VERSION of database.py
--   chunker     CHUNKER_VERSION of chunking.py that the chunks were made with
--   identity    random, anew when something is forgotten; a snapshot of vectors of another
--               identity is not taken for ours
--   mass_commit_files   commits of more files are sweeping changes (mining.py)
--   survival_head, survival_scope   what the table `survival` is level with (survival.py)
--   pruned_refs         the refs when lost commits were last looked for (prune.py)
--   replaced            the replace refs and grafts that commits were mined with (revisit.py)
--   mined_stamp         what would show that objects have come since then (revisit.py)
--   mined_limit         commits beyond so many were left out, 0: none (revisit.py)
--   collected           when blobs that nothing shows were last removed (garbage_collection.py)
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row per content and language: the same bytes as .py and as .txt are cut differently.
-- A row stays for some weeks when no view shows it any more, so that switching back costs nothing
-- (garbage_collection.py). Ids of blobs and chunks are never used again (AUTOINCREMENT): who still holds one
-- finds nothing, not something else.
CREATE TABLE blobs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    oid        TEXT NOT NULL,           -- git's object id, 40 or 64 hex digits
    language   TEXT NOT NULL,           -- tree-sitter's name, 'text', or 'tree' (a missing folder)
    lines      INTEGER NOT NULL,
    skipped    TEXT,                    -- why it has no chunks, or NULL; 'missing': looked for again
    searchable INTEGER NOT NULL DEFAULT 0, -- 1: its words are in chunks_fts
    hidden_at  INTEGER,                 -- since when no view shows it (seconds since 1970), or NULL
    embedder   TEXT,                    -- all its chunks have vectors of this one
    secrets    INTEGER NOT NULL DEFAULT 0, -- lines that look like secrets: empty in its chunks
    allowed    INTEGER NOT NULL DEFAULT 0, -- those that the user takes in all the same
    UNIQUE (oid, language)
);
CREATE INDEX blobs_hidden ON blobs (hidden_at) WHERE hidden_at IS NOT NULL;

-- Whole lines of a blob. Lines are 1-based and inclusive, bytes are half open and count in the
-- blob as classify.to_utf8 gives it.
CREATE TABLE chunks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- also the rowid in chunks_fts, the id in FAISS
    blob_id    INTEGER NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    start_line INTEGER NOT NULL,
    end_line   INTEGER NOT NULL,
    start_byte INTEGER NOT NULL,
    end_byte   INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    scope      TEXT NOT NULL,           -- headers of the definitions that it stands in, a line each
    text       TEXT NOT NULL,
    digest     INTEGER NOT NULL         -- of scope and text: equal ones share their vector
);
CREATE INDEX chunks_by_blob ON chunks (blob_id, start_line);
CREATE INDEX chunks_by_digest ON chunks (digest);

-- Full text over terms.terms(text) of what some view shows, or did until lately. Contentless: the
-- words are never read back.
CREATE VIRTUAL TABLE chunks_fts USING fts5 (
    terms, content = '', tokenize = "unicode61 remove_diacritics 0 tokenchars '_'"
);

-- Names that a chunk defines, for definition look-up; the kinds of named_values.py for `search` only.
CREATE TABLE symbols (
    name      TEXT NOT NULL,
    chunk_id  INTEGER NOT NULL REFERENCES chunks (id) ON DELETE CASCADE,
    line      INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    signature TEXT NOT NULL,            -- its header on one line, with all parameters
    scope     TEXT NOT NULL,            -- names of the definitions around it: `Outer.Inner`
    doc       TEXT NOT NULL             -- the first line of its docstring or comment, or empty
);
CREATE INDEX symbols_by_name ON symbols (name);
CREATE INDEX symbols_by_any_case ON symbols (name COLLATE NOCASE);
CREATE INDEX symbols_by_chunk ON symbols (chunk_id);

-- Vectors as little-endian float16, one per chunk and embedder. `seq` only grows: whoever holds
-- vectors in memory asks for those after the last one it saw, whichever process added them.
CREATE TABLE vectors (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    embedder TEXT NOT NULL,             -- Embedder.name
    chunk_id INTEGER NOT NULL REFERENCES chunks (id) ON DELETE CASCADE,
    vector   BLOB NOT NULL,
    UNIQUE (chunk_id, embedder)
);
CREATE INDEX vectors_by_embedder ON vectors (embedder, seq);
CREATE TRIGGER vectors_gone AFTER DELETE ON vectors BEGIN
    UPDATE blobs SET embedder = NULL
    WHERE id = (SELECT blob_id FROM chunks WHERE id = OLD.chunk_id) AND embedder = OLD.embedder;
END;

-- What each worktree shows: the tree that `files` lists for it.
CREATE TABLE views (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,         -- '' for the main worktree, else its folder below .git
    tree  TEXT NOT NULL,                -- object id
    rules TEXT NOT NULL DEFAULT '',     -- what decided besides the tree (rules.fingerprint)
    seen  INTEGER NOT NULL DEFAULT 0,   -- when it was last used, to the hour, seconds since 1970
    revision INTEGER NOT NULL DEFAULT 0 -- grows with every change of what it shows
);
CREATE TABLE files (
    view_id INTEGER NOT NULL REFERENCES views (id) ON DELETE CASCADE,
    path    BLOB NOT NULL,              -- raw bytes: git's paths need not be UTF-8
    blob_id INTEGER NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (view_id, path)
) WITHOUT ROWID;
CREATE INDEX files_by_blob ON files (blob_id, view_id);

-- Commits that were looked at for holes.
CREATE TABLE commits (
    oid    TEXT PRIMARY KEY,
    author TEXT NOT NULL,               -- "Name <email>" after .mailmap
    time   INTEGER NOT NULL,            -- author time, seconds since 1970
    status TEXT NOT NULL,               -- 'mined', or why nothing was taken: merge, bot, ...
    waits_for TEXT                      -- status 'missing': an object that was not here; once it is,
                                        -- the commit is looked at again (revisit.py)
) WITHOUT ROWID;

-- Why parts of a mined commit gave no hole: files by reason ('vendored', 'not code', ...), holes
-- by 'secret' and 'cap'. Of a commit with the status 'missing' the versions of files that are not
-- here, as 'missing'.
CREATE TABLE left_out (
    commit_oid TEXT NOT NULL REFERENCES commits (oid) ON DELETE CASCADE,
    reason     TEXT NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (commit_oid, reason)
) WITHOUT ROWID;

-- Spans of blobs that a commit added: the FIM corpus. Text is read from the blob.
CREATE TABLE holes (
    id         INTEGER PRIMARY KEY,
    commit_oid TEXT NOT NULL REFERENCES commits (oid) ON DELETE CASCADE,
    blob       TEXT NOT NULL,
    path       BLOB NOT NULL,
    language   TEXT NOT NULL,
    start_byte INTEGER NOT NULL,
    end_byte   INTEGER NOT NULL,
    kind       TEXT NOT NULL,           -- line, lines, node, chars, body, described, completion
    UNIQUE (commit_oid, path, start_byte, end_byte)
);

-- What became of each hole's lines up to the commit in meta 'survival_head'. No row: not known.
CREATE TABLE survival (
    hole_id     INTEGER PRIMARY KEY REFERENCES holes (id) ON DELETE CASCADE,
    stands      REAL NOT NULL,          -- the share of its lines that stand in that commit's tree
    died_commit TEXT,                   -- the commit that took the first of its lines away
    died_time   INTEGER,                -- that commit's author time, seconds since 1970
    places      TEXT NOT NULL           -- JSON: path -> each of its lines' number there, 0: gone
);

-- What the user asked to forget; it is never taken in again.
CREATE TABLE forgotten (
    kind  TEXT NOT NULL,                -- path, commit, author
    value TEXT NOT NULL,
    time  INTEGER NOT NULL,             -- when it was asked, seconds since 1970
    PRIMARY KEY (kind, value)
) WITHOUT ROWID;

-- Lines that look like secrets and are taken in all the same (allowed_lines.py).
CREATE TABLE allowed (
    fingerprint TEXT PRIMARY KEY,       -- a hash of the line without the white space around it
    path        BLOB NOT NULL,          -- where it stood when it was allowed
    line        INTEGER NOT NULL,       -- 1-based
    time        INTEGER NOT NULL        -- when it was asked, seconds since 1970
) WITHOUT ROWID;

-- Completions that were shown, and what people did with them, as editors report it. Waits here
-- until a commit shows what became of it (feedback_holes.py); feedback_store.py bounds the rows.
CREATE TABLE feedback (
    id         TEXT PRIMARY KEY,        -- the completion's id
    time       INTEGER NOT NULL,        -- when it was shown, seconds since 1970
    path       BLOB NOT NULL,
    line       INTEGER NOT NULL,        -- 1-based
    before     TEXT NOT NULL,           -- the text of the line before the cursor
    after      TEXT NOT NULL,           -- and after it
    above      TEXT NOT NULL,           -- the nearest lines above, nearest first (outcome.py)
    below      TEXT NOT NULL,           -- the nearest line below, or empty
    completion TEXT NOT NULL,           -- all texts have \n for line ends
    model      TEXT NOT NULL,
    adapter    TEXT NOT NULL,           -- its id, or empty
    outcome    TEXT NOT NULL,           -- shown, accepted, edited, rejected
    final      TEXT,                    -- what stands there instead: as the editor says, and
                                        -- once there is a hole, as the commit says
    tries      INTEGER NOT NULL DEFAULT 0, -- commits of the path that did not show it
    hole_id    INTEGER REFERENCES holes (id) ON DELETE SET NULL -- what a commit made of it
) WITHOUT ROWID;
CREATE INDEX feedback_by_hole ON feedback (hole_id);
CREATE INDEX feedback_waiting ON feedback (outcome, time) WHERE hole_id IS NULL;

-- How many were shown on a day, and what became of them; stays when the rows above go.
CREATE TABLE feedback_days (
    day      INTEGER NOT NULL,          -- days since 1970, UTC
    model    TEXT NOT NULL,
    adapter  TEXT NOT NULL,
    shown    INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0,
    edited   INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, model, adapter)
) WITHOUT ROWID;
