"""The key of scores on the report split covers what the split depends on, and nothing else."""

from __future__ import annotations

import dataclasses

from bertdistill.engine.analysis.report_cache import report_key
from bertdistill.engine.contract.spec import DataSpec


def test_scores_of_earlier_versions_are_found() -> None:
    """The key was made before `data.header` was one of the settings; whoever sets it reads other rows."""
    data = DataSpec(hub="glue", train="", report="", max_length=64)
    assert "c29f39adfd3249f8c951f04d" == report_key(data, "weights")
    assert report_key(data, "weights") != report_key(dataclasses.replace(data, header="yes"), "weights")
    assert report_key(data, "weights") == report_key(dataclasses.replace(data, search_fraction=0.3), "weights")
