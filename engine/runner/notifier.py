"""Notices when a study or a trial ends, fails or pauses, and hands on a message for whoever `[notify]` names.

At most once: an event is recorded in `notified.json` of the workspace before its message is sent, so a runner that is
killed in between leaves it unsent, and no runner sends it twice. Without `[notify]` it reads and writes nothing.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import read_object, write_json
from bertdistill.engine.contract.imported import IMPORTED
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner.messages import Messenger
from bertdistill.engine.runner.occurrences import Marks, first_marks, news, payload
from bertdistill.engine.study.notify_section import NotifySection, read_workspace_notify
from bertdistill.engine.study.outline import LOG
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.study.workspace_file import FILE
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import Study

MARKS_FILE = "notified.json"
log = logging.getLogger("bertdistill.runner")


@dataclass
class Notifier:
    """Looks once a round, at what has changed."""

    workspace: Workspace
    db: Database
    spec: Callable[[Study], StudySpec]
    """The study file in force; raises ConfigError when it is not valid."""
    messenger: Messenger = field(init=False)
    _marks: Marks | None = None
    _seen_version: int = -1
    _own: tuple[float, NotifySection] = (-1.0, NotifySection())
    """`[notify]` of the workspace, with the time of its file."""
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.messenger = Messenger(self.workspace.path)

    def look(self, now: float) -> None:
        """Queue a message for each event since the last look. A problem here is logged and stops no study."""
        version = self.db.data_version()
        if version == self._seen_version:
            return
        try:
            self._look(now)
        except OSError as error:
            self._say(f"{MARKS_FILE} cannot be written, so nothing is sent: {error.strerror}")
        self._seen_version = version

    def close(self) -> None:
        """Let what is queued be sent."""
        self.messenger.close()

    def _look(self, now: float) -> None:
        with self.db.read() as session:
            studies = reads.studies(session)
        to = {study.id: self._section(study) for study in studies}
        if not any(one.is_set for one in to.values()):
            self._forget()
            return
        marks = self._marks or self._read_marks()
        if marks is None:
            self._file(first_marks(studies, now))
            return
        with self.db.read() as session:
            ends = reads.recent_ends(session, marks.since, without=IMPORTED)  # those ended before, elsewhere
            ids = [one for one, at in ends.items() if marks.trials.get(one) != at]
            found, after = news(studies, reads.trials_by_id(session, ids), marks, LOG)
            wanted = [one for one in found if to[one.study.id].is_set and one.event in to[one.study.id].on]
            counts = {one.study.id: reads.counts(session, one.study.id) for one in wanted}
        if wanted:
            self._file(after)  # first: rather never than twice
        self._marks = after
        place, host = str(self.workspace.path), socket.gethostname()
        for one in wanted:
            tally = counts[one.study.id]
            self.messenger.send(to[one.study.id], payload(one, tally, workspace=place, host=host, at=now))

    def _section(self, study: Study) -> NotifySection:
        """Its own `[notify]` if it names anyone, else that of the workspace."""
        try:
            own = NotifySection() if study.kind == LOG else self.spec(study).notify
        except ConfigError:
            own = NotifySection()
        return own if own.is_set else self._of_workspace()

    def _of_workspace(self) -> NotifySection:
        path = self.workspace.path / FILE
        try:
            changed = path.stat().st_mtime
        except OSError:
            changed = 0.0
        if changed != self._own[0]:
            try:
                self._own = (changed, read_workspace_notify(self.workspace.path))
            except ConfigError as error:
                self._own = (changed, NotifySection())
                self._say(str(error))
        return self._own[1]

    # ------------------------------------------------------------------------------------------------------------ marks

    def _read_marks(self) -> Marks | None:
        path = self.workspace.path / MARKS_FILE
        if not path.exists():
            return None
        try:
            return Marks.from_dict(read_object(path))
        except (ValueError, TypeError, KeyError, AttributeError):
            self._say(f"{MARKS_FILE} is damaged and is made again; events until now are not sent")
            return None

    def _file(self, marks: Marks) -> None:
        write_json(self.workspace.path / MARKS_FILE, marks.to_dict())
        self._marks = marks

    def _forget(self) -> None:
        """There is no one to notify any more, and whoever is named later is not notified of what happened before."""
        self._marks = None
        (self.workspace.path / MARKS_FILE).unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        """Log it once."""
        if text not in self._said:
            self._said.add(text)
            log.warning("[notify] %s", text)
