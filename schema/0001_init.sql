-- The catalog: the only truth of a database. Times are ticks of the video's own time base.

-- One row. `generation` grows with every change of videos or segments.
CREATE TABLE catalog (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL
);
INSERT INTO catalog (id, generation) VALUES (1, 0);

-- `generation` grows with every segment of the model that comes or goes.
CREATE TABLE model (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL,
    dim INTEGER NOT NULL CHECK (dim > 0),
    frame_count INTEGER NOT NULL CHECK (frame_count > 0),
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    UNIQUE (digest, dim, frame_count)
);

CREATE TABLE video (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    status INTEGER NOT NULL CHECK (status IN (0, 1, 2)),
    error TEXT NOT NULL DEFAULT '',
    codec TEXT NOT NULL DEFAULT '',
    container TEXT NOT NULL DEFAULT '',
    width INTEGER NOT NULL DEFAULT 0,
    height INTEGER NOT NULL DEFAULT 0,
    rotation INTEGER NOT NULL DEFAULT 0,
    has_audio INTEGER NOT NULL DEFAULT 0,
    frame_rate REAL NOT NULL DEFAULT 0,
    timebase_numerator INTEGER NOT NULL DEFAULT 1 CHECK (timebase_numerator > 0),
    timebase_denominator INTEGER NOT NULL DEFAULT 1 CHECK (timebase_denominator > 0),
    start_ticks INTEGER NOT NULL DEFAULT 0,
    duration_ticks INTEGER NOT NULL DEFAULT 0,
    damage_count INTEGER NOT NULL DEFAULT 0,
    indexed_unix_ms INTEGER NOT NULL
);
CREATE INDEX video_by_digest ON video (digest);
CREATE INDEX video_not_indexed ON video (status) WHERE status <> 0;

-- What was done of a video with a model, also where that gave no segment.
CREATE TABLE coverage (
    video_id INTEGER NOT NULL REFERENCES video (id) ON DELETE CASCADE,
    model_id INTEGER NOT NULL REFERENCES model (id) ON DELETE CASCADE,
    settings TEXT NOT NULL,
    segment_count INTEGER NOT NULL,
    PRIMARY KEY (video_id, model_id)
) WITHOUT ROWID;

-- AUTOINCREMENT: ids are never used twice, so an older vector index can be told from the rows.
CREATE TABLE segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    video_id INTEGER NOT NULL REFERENCES video (id) ON DELETE CASCADE,
    model_id INTEGER NOT NULL REFERENCES model (id) ON DELETE CASCADE,
    start_ticks INTEGER NOT NULL,
    end_ticks INTEGER NOT NULL CHECK (end_ticks > start_ticks),
    shot INTEGER NOT NULL CHECK (shot >= 0),
    norm REAL NOT NULL
);
CREATE INDEX segment_by_video ON segment (video_id, model_id, start_ticks, end_ticks);
CREATE INDEX segment_by_model ON segment (model_id);

-- Apart from `segment`, so that filters read few pages. `half` is dim little-endian binary16.
CREATE TABLE vector (
    segment_id INTEGER PRIMARY KEY REFERENCES segment (id) ON DELETE CASCADE,
    half BLOB NOT NULL
);

-- The cache file of a model's vectors: what it holds and how to know that it is the right one.
CREATE TABLE vector_index (
    model_id INTEGER PRIMARY KEY REFERENCES model (id) ON DELETE CASCADE,
    file TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    digest BLOB NOT NULL,
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL
);

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE prompt (
    model_id INTEGER NOT NULL REFERENCES model (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (model_id, text)
);

CREATE TABLE result (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    query TEXT NOT NULL,
    model_id INTEGER NOT NULL,
    created_unix_ms INTEGER NOT NULL
);

-- Keeps path and digest of its own: a result outlives its videos.
CREATE TABLE moment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    result_id INTEGER NOT NULL REFERENCES result (id) ON DELETE CASCADE,
    video_id INTEGER NOT NULL,
    path TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    peak_ms INTEGER NOT NULL,
    score REAL NOT NULL,
    percentile REAL NOT NULL,
    video_digest BLOB NOT NULL
);
CREATE INDEX moment_by_result ON moment (result_id);
