"""Files from a machine, a chunk at each step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.launch.courier import Courier
from bertdistill.engine.launch.mirror import Gate, Mirror


def test_a_cache_that_two_machines_have_made_is_copied_from_one(tmp_path: Path) -> None:
    """Under the same name, but not to the last bit: half of each would match no checksum."""
    gate = Gate(b"result\n", caches=("caches/outputs/k",))

    def fetched(letter: bytes) -> Any:
        def call(verb: str, *args: Any, **_: Any) -> tuple[Any, list[bytes]]:
            return ([("logits.npy", 8)], []) if verb == "manifest" else (None, [letter * args[2]])

        courier = Courier(call, letter.decode(), tmp_path, clock=lambda: 0.0)
        courier._chunk = 4
        paths = RunPaths(tmp_path / "runs" / letter.decode())
        paths.folder.mkdir(parents=True)
        return courier.fetch(f"runs/{letter.decode()}", Mirror(paths, tmp_path), gate)

    one, other = fetched(b"a"), fetched(b"b")
    next(one)
    for steps in (other, one):
        for _ in steps:
            pass
    assert b"b" * 8 == (tmp_path / "caches/outputs/k/logits.npy").read_bytes()
    assert ["k"] == [path.name for path in (tmp_path / "caches/outputs").iterdir()]
