"""What stands beside a list: words that are broken where one may read on."""

from __future__ import annotations

from bertdistill.app.widgets.inspector import at_slashes


def test_paths_are_broken_after_a_slash() -> None:
    """A folder is not cut in the middle where a line would end; what fits stays as it is."""
    assert "in /models/sst2/\nv1 now" == at_slashes("in /models/sst2/v1 now", 14)
    assert "in /models/sst2/v1 now" == at_slashes("in /models/sst2/v1 now", 16)
