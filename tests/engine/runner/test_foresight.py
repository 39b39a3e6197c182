"""A word before a trial starts that will hardly fit into memory."""

from __future__ import annotations

import dataclasses

import pytest
from tests.fakes import CPU, Workbench, study_spec

from bertdistill.engine.runner import foresight
from bertdistill.engine.runner.foresight import memory_warning


def test_a_trial_that_will_hardly_fit_is_announced(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From recent trials of its study; nothing without a measurement, or where there is room or its size unknown."""
    folder = tmp_path_factory.mktemp("study")
    bench = Workbench(folder, study_spec(folder)).start()
    try:
        bench.run()
        *_, last = trials = bench.trials()
        load = {"gflops": 1.0, "params": 1e6}
        measured = [dataclasses.replace(one, known=load, metrics={"peak_memory_mb": 500.0}) for one in trials]
        monkeypatch.setattr(foresight.reads, "trials_by_id", lambda session, ids: measured[:-1])
        larger = dataclasses.replace(last, known={"gflops": 1.0, "params": 1e9})
        with bench.db.read() as session:
            for room, trial, said in ((10**9, larger, True), (10**11, larger, False), (10**9, last, False)):
                monkeypatch.setattr(foresight, "memory_bytes", lambda device, room=room: room)
                found = memory_warning(session, trial, CPU)
                assert bool(found) == said
            monkeypatch.setattr(foresight, "memory_bytes", lambda device: 10**9)
            assert memory_warning(session, larger, CPU).startswith(f"Trial {last.number} may need 16.5 GB")
            monkeypatch.setattr(foresight, "memory_bytes", lambda device: None)
            assert memory_warning(session, larger, CPU) == ""
    finally:
        bench.close()
