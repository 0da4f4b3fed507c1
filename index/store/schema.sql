-- copilot.db: the source of truth. vectors.faiss is a cache of the table `vectors`.
-- Changes to this file bump SCHEMA_VERSION in database.py.

-- Facts about the whole database.
--   schema      SCHEMA_VERSION of database.py
--   chunker     CHUNKER_VERSION of chunking.py that made the chunks
--   identity    random; replaced when something is forgotten, which invalidates vector snapshots
--   mass_commit_files   commits with more files are sweeping changes (mining.py)
--   survival_head, survival_scope   the commit and limit that `survival` holds for (survival.py)
--   pruned_refs         the refs at the last search for lost commits (prune.py)
--   replaced            the replace refs and grafts that commits were mined with (revisit.py)
--   mined_stamp         file times that change when objects arrive (revisit.py)
--   mined_limit         the number of newest commits that were mined, 0: all (revisit.py)
--   collected           the time of the last garbage collection (garbage_collection.py)
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row per content and language: the same bytes as .py and as .txt are chunked differently.
-- A row stays for some weeks after the last view has dropped it, so that switching back costs nothing
-- (garbage_collection.py). Ids of blobs and chunks are never reused (AUTOINCREMENT), so an outdated id
-- finds nothing rather than something else.
CREATE TABLE blobs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    oid        TEXT NOT NULL,           -- git's object id, 40 or 64 hex digits
    language   TEXT NOT NULL,           -- tree-sitter's name, 'text', or 'tree' (a missing folder)
    lines      INTEGER NOT NULL,
    skipped    TEXT,                    -- why it has no chunks, or NULL; 'missing': retried
    searchable INTEGER NOT NULL DEFAULT 0, -- 1: its words are in chunks_fts
    hidden_at  INTEGER,                 -- since when no view shows it (seconds since 1970), or NULL
    embedder   TEXT,                    -- all its chunks have vectors of this embedder
    secrets    INTEGER NOT NULL DEFAULT 0, -- lines that look like secrets: empty in its chunks
    allowed    INTEGER NOT NULL DEFAULT 0, -- those that the user has allowed
    UNIQUE (oid, language)
);
CREATE INDEX blobs_hidden ON blobs (hidden_at) WHERE hidden_at IS NOT NULL;

-- Whole lines of a blob. Lines are 1-based and inclusive, bytes are half open and refer to the blob
-- after classify.to_utf8.
CREATE TABLE chunks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- also the rowid in chunks_fts, the id in FAISS
    blob_id    INTEGER NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    start_line INTEGER NOT NULL,
    end_line   INTEGER NOT NULL,
    start_byte INTEGER NOT NULL,
    end_byte   INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    scope      TEXT NOT NULL,           -- headers of the enclosing definitions, one per line
    text       TEXT NOT NULL,
    digest     INTEGER NOT NULL         -- of scope and text: equal chunks share their vector
);
CREATE INDEX chunks_by_blob ON chunks (blob_id, start_line);
CREATE INDEX chunks_by_digest ON chunks (digest);

-- Full-text index over terms.terms(text) of chunks that a view shows, or did until recently.
-- Contentless: the words are never read back.
CREATE VIRTUAL TABLE chunks_fts USING fts5 (
    terms, content = '', tokenize = "unicode61 remove_diacritics 0 tokenchars '_'"
);

-- Names that a chunk defines, for definition lookup; the kinds in named_values.py are for `search` only.
CREATE TABLE symbols (
    name      TEXT NOT NULL,
    chunk_id  INTEGER NOT NULL REFERENCES chunks (id) ON DELETE CASCADE,
    line      INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    signature TEXT NOT NULL,            -- its header on one line, with all parameters
    scope     TEXT NOT NULL,            -- names of the enclosing definitions: `Outer.Inner`
    doc       TEXT NOT NULL             -- the first line of its docstring or comment, or empty
);
CREATE INDEX symbols_by_name ON symbols (name);
CREATE INDEX symbols_by_any_case ON symbols (name COLLATE NOCASE);
CREATE INDEX symbols_by_chunk ON symbols (chunk_id);

-- Vectors as little-endian float16, one per chunk and embedder. `seq` only grows, so a process that
-- holds vectors in memory can fetch those that any process has added since.
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
    rules TEXT NOT NULL DEFAULT '',     -- the rules outside the tree (rules.fingerprint)
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

-- Commits that were examined for holes.
CREATE TABLE commits (
    oid    TEXT PRIMARY KEY,
    author TEXT NOT NULL,               -- "Name <email>" after .mailmap
    time   INTEGER NOT NULL,            -- author time, seconds since 1970
    status TEXT NOT NULL,               -- 'mined', or why it has no holes: merge, bot, ...
    waits_for TEXT                      -- status 'missing': a missing object; once it has arrived,
                                        -- the commit is mined again (revisit.py)
) WITHOUT ROWID;

-- Why parts of a mined commit have no hole: files by reason ('vendored', 'not code', ...), holes by
-- 'secret' and 'cap'. For a commit with the status 'missing', the number of missing file versions as
-- 'missing'.
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

-- Survival of each hole's lines up to the commit in meta 'survival_head'. No row: unknown.
CREATE TABLE survival (
    hole_id     INTEGER PRIMARY KEY REFERENCES holes (id) ON DELETE CASCADE,
    stands      REAL NOT NULL,          -- the share of its lines that are in that commit's tree
    died_commit TEXT,                   -- the commit that removed the first of its lines
    died_time   INTEGER,                -- that commit's author time, seconds since 1970
    places      TEXT NOT NULL           -- JSON: path -> the number of each of its lines, 0: gone
);

-- What the user asked to forget; it is never indexed or mined again.
CREATE TABLE forgotten (
    kind  TEXT NOT NULL,                -- path, commit, author
    value TEXT NOT NULL,
    time  INTEGER NOT NULL,             -- when it was added, seconds since 1970
    PRIMARY KEY (kind, value)
) WITHOUT ROWID;

-- Lines that look like secrets but are allowed (allowed_lines.py).
CREATE TABLE allowed (
    fingerprint TEXT PRIMARY KEY,       -- a hash of the stripped line
    path        BLOB NOT NULL,          -- its place when it was allowed
    line        INTEGER NOT NULL,       -- 1-based
    time        INTEGER NOT NULL        -- when it was allowed, seconds since 1970
) WITHOUT ROWID;

-- Completions that were shown, with their outcome: as reported by editors, or as the next buffer of
-- the file tells (buffer_outcome.py). A row waits until a commit shows the final text
-- (feedback_holes.py); feedback_store.py bounds the number of rows.
CREATE TABLE feedback (
    id         TEXT PRIMARY KEY,        -- the completion's id
    time       INTEGER NOT NULL,        -- when it was shown, seconds since 1970
    path       BLOB NOT NULL,
    line       INTEGER NOT NULL,        -- 1-based
    before     TEXT NOT NULL,           -- the text of the line before the cursor
    after      TEXT NOT NULL,           -- and after it
    above      TEXT NOT NULL,           -- the nearest lines above, nearest first (outcome.py)
    below      TEXT NOT NULL,           -- the nearest line below, or empty
    completion TEXT NOT NULL,           -- all texts have \n line ends
    model      TEXT NOT NULL,
    adapter    TEXT NOT NULL,           -- its id, or empty
    outcome    TEXT NOT NULL,           -- shown, accepted, typed, partial, edited, rejected
    final      TEXT,                    -- the text that replaced it: as reported by the editor,
                                        -- or once there is a hole, by the commit
    tries      INTEGER NOT NULL DEFAULT 0, -- commits of the path that did not contain it
    hole_id    INTEGER REFERENCES holes (id) ON DELETE SET NULL, -- the hole in the commit
    language   TEXT NOT NULL DEFAULT '',
    latency_ms REAL,                    -- from the request to the answer, or NULL
    automatic  INTEGER NOT NULL DEFAULT 0, -- 1: the editor asked by itself
    client     TEXT NOT NULL DEFAULT '', -- how it was asked for: command, lsp, http/infill, ...
    inferred   INTEGER NOT NULL DEFAULT 0, -- 1: the outcome was not reported
    typed      INTEGER NOT NULL DEFAULT 0, -- its first characters that the user typed so far
    taken      INTEGER NOT NULL DEFAULT 0, -- its first characters that the user accepted
    committed  INTEGER,                 -- accepted characters in the next commit of the file, or NULL
    kept       INTEGER                  -- those that were there 30 days later, or NULL (retention.py)
) WITHOUT ROWID;
CREATE INDEX feedback_by_hole ON feedback (hole_id);
CREATE INDEX feedback_waiting ON feedback (outcome, time) WHERE hole_id IS NULL;
CREATE INDEX feedback_open ON feedback (path, time)
    WHERE outcome = 'shown' OR outcome = 'partial' AND inferred = 1;

-- Completions and outcomes per day; kept when the rows above are deleted. A report changes the day on
-- which its completion was shown.
CREATE TABLE feedback_days (
    day       INTEGER NOT NULL,         -- days since 1970, UTC
    model     TEXT NOT NULL,
    adapter   TEXT NOT NULL,
    language  TEXT NOT NULL DEFAULT '', -- empty: counted before version 5
    shown     INTEGER NOT NULL DEFAULT 0,
    accepted  INTEGER NOT NULL DEFAULT 0,
    typed     INTEGER NOT NULL DEFAULT 0, -- the user typed the same text
    partial   INTEGER NOT NULL DEFAULT 0,
    edited    INTEGER NOT NULL DEFAULT 0,
    rejected  INTEGER NOT NULL DEFAULT 0,
    automatic INTEGER NOT NULL DEFAULT 0, -- of those shown
    inferred  INTEGER NOT NULL DEFAULT 0, -- outcomes that were not reported
    chars_shown     INTEGER NOT NULL DEFAULT 0,
    chars_accepted  INTEGER NOT NULL DEFAULT 0,
    chars_settled   INTEGER NOT NULL DEFAULT 0, -- accepted ones whose file was committed since
    chars_committed INTEGER NOT NULL DEFAULT 0, -- those of them that the commit has
    chars_aged      INTEGER NOT NULL DEFAULT 0, -- settled ones that 30 days have passed over
    chars_kept      INTEGER NOT NULL DEFAULT 0, -- those of them that were still there
    PRIMARY KEY (day, model, adapter, language)
) WITHOUT ROWID;

-- How long completions of a day took: how many by bucket of the time (feedback_days.py).
CREATE TABLE feedback_latency (
    day      INTEGER NOT NULL,
    model    TEXT NOT NULL,
    adapter  TEXT NOT NULL,
    language TEXT NOT NULL,
    bucket   INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (day, model, adapter, language, bucket)
) WITHOUT ROWID;
