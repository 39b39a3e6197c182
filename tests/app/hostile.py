"""A workspace in whose database every text was altered: escape sequences, C1 codes, bidi overrides, line breaks.

What it must not do on any way out of the program is `driving`: a byte that a terminal would obey.
"""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from contextlib import closing
from typing import Any

from bertdistill.engine.contract.workspace import Workspace

HOSTILE = "\x1b]52;c;aGVsbG8=\x07\x9b2J\x90q\x9c\x1b[8m\u202eevil\u2066\r\nnext\x00\x7f\x1b]8;;http://x\x1b\\link"
"""Writes the clipboard, clears the screen, hides what follows, turns it around, begins a line, opens a link."""
NAME = HOSTILE.replace("/", "").replace("\x00", "")
"""What of it a file system takes for a name."""
STUDY = f"de{NAME}mo"
KEPT = {"state", "task", "kind", "role", "boot_id", "spec", "verb", "level", "version_num"}
"""Columns that hold one of the program's own words; `spec` must stay a valid study, see `_spoil_spec`."""


def spoil(ws: Workspace) -> None:
    """Fill every text column of every table, and every text within JSON, with hostile words."""
    with closing(sqlite3.connect(ws.database)) as db:
        db.execute("PRAGMA foreign_keys = off")
        _add_rows(db)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [(row[1], row[2]) for row in db.execute(f"PRAGMA table_info({table})") if row[1] not in KEPT]
            for name, kind in columns:
                if "CHAR" in kind.upper() or "TEXT" in kind.upper():
                    _fill(db, table, name)
                elif kind.upper() == "JSON":
                    _fill_json(db, table, name)
        _spoil_spec(db)
        db.execute("UPDATE study SET name = ?", (STUDY,))
        db.execute("UPDATE trial SET state = 'INFEASIBLE' WHERE number = 4")
        db.commit()


def driving(text: str) -> set[str]:
    """Characters of a text that would drive a terminal or turn its letters around; line breaks and tabs may stand."""
    return {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\t"}


def _fill(db: sqlite3.Connection, table: str, column: str) -> None:
    """Each row differs, because some columns must; a folder must be one that can be looked for."""
    db.execute(f"UPDATE {table} SET {column} = ? || rowid", (NAME if column == "folder" else HOSTILE,))


def _fill_json(db: sqlite3.Connection, table: str, column: str) -> None:
    for rowid, text in db.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
        value = _worse(json.loads(text), named=column not in ("params", "settings")) if text else None
        db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (json.dumps(value), rowid))


def _worse(value: Any, *, named: bool) -> Any:
    """Hostile at any depth; `named`: one more key with such a name."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, list):
        return [_worse(item, named=named) for item in value] or [HOSTILE]
    if isinstance(value, dict):
        more = {HOSTILE: HOSTILE} if named else {}
        return {name: _worse(item, named=named) for name, item in value.items()} | more
    return value


def _spoil_spec(db: sqlite3.Connection) -> None:
    """Of a study only names and notes may be anything."""
    for rowid, text in db.execute("SELECT rowid, spec FROM study").fetchall():
        spec = json.loads(text) | {"note": HOSTILE}
        for reference in spec.get("references", []):
            reference["name"] = HOSTILE
        db.execute("UPDATE study SET spec = ? WHERE rowid = ?", (json.dumps(spec), rowid))


def _add_rows(db: sqlite3.Connection) -> None:
    """What the sample workspace lacks: a checkpoint, requests, a model with an alias, a runner that left."""
    (study,) = db.execute("SELECT id FROM study").fetchone()
    (trial,) = db.execute("SELECT id FROM trial WHERE number = 1").fetchone()
    (attempt,) = db.execute("SELECT id FROM attempt").fetchone()
    db.execute(
        "INSERT INTO checkpoint (id, trial_id, attempt_id, role, step, folder, sha256, size_bytes, metrics, created_at)"
        " VALUES (1, ?, ?, 'best', 1, 'x', 'x', 1, '{}', 1.0)",
        (trial, attempt),
    )
    db.execute(
        "INSERT INTO request (at, who, verb, study_id, trial_id, arguments, before, handled_at, outcome)"
        " VALUES (1.0, 'me', 'note', ?, ?, '{\"note\": \"x\"}', '{\"note\": \"y\"}', 2.0, 'x')",
        (study, trial),
    )
    db.execute(
        "INSERT INTO model_version (id, name, version, state, trial_id, checkpoint_id, attempt_folder, handle, folder,"
        " sha256, metrics, report, forced, note, detail, who, created_at)"
        " VALUES (1, 'm', 1, 'failed', ?, 1, 'x', '{}', 'models/m/v1', 'x', '{\"exact\": 1.0}', '{\"problem\": \"x\"}',"
        " 0, 'x', 'x', 'me', 1.0)",
        (trial,),
    )
    db.execute("INSERT INTO model_alias (name, alias, version_id, set_at) VALUES ('m', 'x', 1, 1.0)")
    db.execute(
        "INSERT INTO lease (id, host, pid, start_time, boot_id, acquired_at, heartbeat_at, log)"
        " VALUES (1, 'x', 1, 1.0, 'x', 1.0, 1.0, 'x')"
    )
