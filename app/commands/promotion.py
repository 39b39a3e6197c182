"""Promoted models for the command line: waiting for a verification, listing versions, asking one. It writes nothing.

A model answers in a fresh process, because only a process of `engine.distill` loads torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bertdistill.app.children.ask_process import AnswerProcess, order_for, teacher_of
from bertdistill.app.commands.stored import reading
from bertdistill.app.report.records import model_row
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.text.tables import json_text, pairs, text_table
from bertdistill.engine.contract.errors import ActionRefused, WorkerFailed
from bertdistill.engine.contract.events import NOTICE, PROGRESS, newest_event
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.optimism import of_report
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import actions, integrity
from bertdistill.store import reads
from bertdistill.store.errors import NotFound
from bertdistill.store.rows import ModelVersion

ANSWER_MODULE = "bertdistill.engine.distill.export.answer"
POLL_SECONDS = 0.3
CPU_TIME = "latency_cpu_ms"


def follow_promotion(
    ws: Workspace, version: ModelVersion, *, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> ModelVersion:
    """Report each phase once until the verification has ended; returns the settled version."""
    told = ""
    while True:
        settled = actions.settle_promotion(ws, version.id)
        news = _newest(RunPaths(ws.absolute(version.attempt_folder)).events) if version.attempt_folder else ""
        if news and news != told:
            told = news
            say(f"  {news}")
        if settled.state != "verifying":
            return settled
        sleep(POLL_SECONDS)


def _newest(events: Path) -> str:
    """What the verifying worker is doing: its newest phase or notice."""
    event = newest_event(events, PROGRESS, NOTICE)
    return safe_line(event.get("text", event.get("phase", "")), 500)


def read_models(ws: Workspace, name: str = "") -> list[dict[str, Any]]:
    """Every promoted version (of one model); those whose verification has ended meanwhile are settled first."""
    with reading(ws) as db:
        with db.read() as session:
            versions = reads.model_versions(session, name or None)
        for open_version in [v for v in versions if v.state == "verifying"]:
            actions.settle_promotion(ws, open_version.id)
        with db.read() as session:
            versions = reads.model_versions(session, name or None)
            aliases = reads.aliases(session)
            trials = {v.trial_id: reads.trial_by_id(session, v.trial_id) for v in versions}
            names = {s.id: s.name for s in reads.studies(session, deleted=True)}
    return [
        model_row(
            v,
            [a for a in aliases if a.name == v.name],
            study=names.get(trials[v.trial_id].study_id, ""),
            trial=trials[v.trial_id].number,
            workspace=ws.path,
        )
        for v in versions
    ]


def verified_text(row: Mapping[str, Any], version: ModelVersion) -> str:
    """What a verification found: each score as recorded, repeated, and on the report split with its interval."""
    report = version.report
    facts = {"state": row["state"], "from": f"{row['study']}/{row['trial']}"}
    if row["aliases"]:
        facts["aliases"] = ", ".join(row["aliases"])
    if row["folder"]:
        facts["folder"] = row["folder"]
    if report.get("problem"):
        facts["mismatch"] = safe_line(report["problem"], 500)
    for number, remark in enumerate(report.get("remarks", [])):
        facts[f"remark {number + 1}" if number else "remark"] = safe_line(remark, 300)
    scores, gaps = [name for name in row["metrics"] if f"{name}_repeated" in report], of_report(report, version.metrics)
    rows = []
    for name in scores:
        recorded, repeated = (fmt.metric(name, report.get(f"{name}_{kind}")) for kind in ("recorded", "repeated"))
        interval = safe_line(report.get(f"{name}_interval", ""))
        above = gaps[name].words if name in gaps else ""
        rows.append([name, recorded, repeated, fmt.metric(name, row["metrics"][name]), interval, above])
    titles = ["score", "recorded", "repeated", "report split", "95 % interval", "optimism" if gaps else ""]
    table = text_table(titles, rows, right=titles[1:4], indent="  ")
    other = {k: fmt.metric(k, v, unit=True) for k, v in row["metrics"].items() if k not in scores}
    return "\n".join([row["model"], pairs(facts), "", table, "", pairs(other)]).rstrip()


def model_folder(ws: Workspace, reference: str) -> Path:
    """The exported folder that a name, version, alias or path means; NotFound when there is none."""
    if ("/" in reference or reference in (".", "..")) and (Path(reference) / "config.json").is_file():
        return Path(reference).resolve()
    with reading(ws) as db, db.read() as session:
        version = reads.model_version(session, reference)
    if not version.folder:
        raise NotFound(
            f"{reference} has no exported folder; its state is {version.state}", hint="Promote its trial again."
        )
    if words := integrity.changed(ws, version):
        hint = f"Promote its trial again; to query it as it is, give its folder: {ws.path / version.folder}"
        raise ActionRefused(f"{reference} has changed since its verification: {words}", hint=hint)
    return ws.absolute(version.folder)


def answered(program: Sequence[str], request: Mapping[str, Any], otherwise: str) -> dict[str, Any]:
    """The reply of a module of `engine.distill`; WorkerFailed with its last line of error output, or `otherwise`."""
    command = [sys.executable, "-P", "-m", *program]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)
    if done.returncode:
        lines = safe(done.stderr, 4000).strip().splitlines()
        raise WorkerFailed(lines[-1] if lines else otherwise)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ask_model(folder: Path, request: Mapping[str, str], *, as_json: bool) -> str:
    """The answer of an exported model; WorkerFailed with the last line of its error output."""
    found = answered([ANSWER_MODULE, str(folder)], request, f"{folder}: the model did not answer")
    return json_text(found) if as_json else answer_text(found)


def ask_both(ws: Workspace, reference: str, request: Mapping[str, str], *, as_json: bool) -> str:
    """What a model of the workspace and its teacher answer, each with its latency; NotFound without a teacher."""
    folder = model_folder(ws, reference)
    with reading(ws) as db, db.read() as session:
        trial = reads.trial_by_id(session, reads.model_version(session, reference).trial_id)
        study = reads.study_by_id(session, trial.study_id)
    teacher = teacher_of(ws, Prepared.from_dict(study.prepared))
    if teacher.problem:
        raise NotFound(teacher.problem, hint="Ask only the model, without --teacher.")
    orders = {"student": order_for(folder, request), "teacher": order_for(folder, request, teacher=teacher)}
    process = AnswerProcess()
    try:
        replies = {side: process.ask(order) for side, order in orders.items()}
    finally:
        process.close()
    for side, reply in replies.items():
        if reply.error:
            raise WorkerFailed(f"the {side} did not answer: {safe_line(reply.error, 600)}")
    found = {side: {**reply.found, CPU_TIME: reply.latency_cpu_ms} for side, reply in replies.items()}
    return json_text(found) if as_json else "\n\n".join(f"{side}: {answer_text(found[side])}" for side in found)


def answer_text(found: Mapping[str, Any]) -> str:
    """The answer or label on a line of its own, the numbers behind it below."""
    if "label" in found:
        shares = {safe_line(name): f"{share:.4f}" for name, share in found["probabilities"].items()}
        shares |= {"CPU time": fmt.metric(CPU_TIME, ms, unit=True)} if (ms := found.get(CPU_TIME)) else {}
        cut = (
            f"\ntruncated: {found['tokens_read']} of {found['tokens']} tokens were read"
            if "tokens_read" in found
            else ""
        )
        who = {}
        if "answered_by" in found:
            sure = "at least" if found["confidence"] >= found["threshold"] else "below"
            words = f"confidence of the small model {found['confidence']:.4f}, {sure} {found['threshold']:.4f}"
            who = {"answered by": safe_line(found["answered_by"]), "because": words}
        return f"{safe_line(found['label'])}\n{pairs(shares | who)}{cut}"
    first = "no answer in the passage" if found["abstained"] else safe_line(found["answer"], 1000)
    rest = {k: safe_line(fmt.setting(v), 1000) for k, v in found.items() if k not in ("answer", "abstained")}
    return f"{first}\n{pairs(rest)}"
