-- Times are nanoseconds since 1970 where nothing else is said. JSON is text.
CREATE TABLE lives (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- a late event is never of another life
    boot_id TEXT NOT NULL,
    container_id TEXT NOT NULL,
    namespace TEXT,
    pod TEXT,
    container TEXT,
    attempt INTEGER,
    image TEXT,
    node TEXT,
    identity TEXT NOT NULL,
    command TEXT NOT NULL,
    memory_limit_bytes INTEGER,
    cgroup_id INTEGER NOT NULL,
    main_pid INTEGER,
    main_start_ns INTEGER, -- since boot
    began_ns INTEGER NOT NULL,
    ended_ns INTEGER,
    ended_row INTEGER, -- the newest event at its end
    exit TEXT,
    cause TEXT,
    UNIQUE (boot_id, container_id)
) STRICT;
CREATE INDEX lives_by_pod ON lives (pod, namespace);
CREATE INDEX lives_by_workload ON lives (namespace, container, began_ns);

-- What repeats in every event of a kind: a JSON array of the paths of its values.
CREATE TABLE shapes (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    paths TEXT NOT NULL,
    UNIQUE (kind, paths)
) STRICT;

-- States of processes, each said once in a while of events: a JSON array of the values of its shape.
CREATE TABLE processes (
    id INTEGER PRIMARY KEY,
    shape INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- In order of arrival; `event_list` shows them to people. Time is found by bisection of the id.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    life INTEGER NOT NULL,
    process INTEGER NOT NULL,
    shape INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    offset_ns INTEGER NOT NULL, -- since the beginning of the life
    body TEXT NOT NULL
) STRICT;

-- A life's end (process '') or an incident of one process. Long columns last: a list does not read them.
CREATE TABLE crashes (
    id INTEGER PRIMARY KEY,
    life INTEGER NOT NULL,
    scope TEXT NOT NULL,
    process TEXT NOT NULL,
    crash_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    cause TEXT NOT NULL,
    confidence TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    summary TEXT NOT NULL,
    object TEXT NOT NULL,
    timeline TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (life, scope, process)
) STRICT;
CREATE INDEX crashes_by_id ON crashes (crash_id);
CREATE INDEX crashes_by_time ON crashes (time_ns);

CREATE VIEW event_list AS
SELECT events.id,
    strftime('%Y-%m-%dT%H:%M:%fZ', events.time_ns / 1e9, 'unixepoch') AS time,
    lives.namespace,
    lives.pod,
    lives.container,
    shapes.kind,
    (SELECT json_group_object(path.value, iif(leaf.type IN ('true', 'false'), json(leaf.type),
            iif(leaf.type IN ('array', 'object'), json(leaf.value), leaf.value)))
        FROM json_each(process_shapes.paths) AS path JOIN json_each(processes.body) AS leaf USING (key)) AS process,
    (SELECT json_group_object(path.value, iif(leaf.type IN ('true', 'false'), json(leaf.type),
            iif(leaf.type IN ('array', 'object'), json(leaf.value), leaf.value)))
        FROM json_each(shapes.paths) AS path JOIN json_each(events.body) AS leaf USING (key)) AS fields
FROM events
    JOIN shapes ON shapes.id = events.shape
    LEFT JOIN lives ON lives.id = events.life
    LEFT JOIN processes ON processes.id = events.process
    LEFT JOIN shapes AS process_shapes ON process_shapes.id = processes.shape;

CREATE VIEW crash_list AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', crashes.time_ns / 1e9, 'unixepoch') AS time,
    lives.namespace, lives.pod, lives.container, lives.attempt, crashes.crash_id, crashes.cause, crashes.summary
FROM crashes JOIN lives ON lives.id = crashes.life
ORDER BY crashes.time_ns;
