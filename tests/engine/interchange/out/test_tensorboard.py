"""Event files are read back by the package of TensorBoard where it is installed, and here by a reader of frames."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.engine.interchange.out.conftest import HOSTILE

from bertdistill.engine.interchange.out import tensorboard_records as records
from bertdistill.engine.interchange.out.outgoing import PREPARATION, Losses, Outgoing, all_metrics
from bertdistill.engine.interchange.out.tensorboard import write


def crc32c(data: bytes) -> int:
    """CRC-32C bit by bit, masked as in record_writer.h."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def messages(data: bytes) -> Iterator[bytes]:
    """The messages of TFRecords whose checksums are right."""
    place = 0
    while place < len(data):
        [length] = struct.unpack_from("<Q", data, place)
        body = data[place + 12 : place + 12 + length]
        assert crc32c(data[place : place + 8]) == struct.unpack_from("<I", data, place + 8)[0]
        assert crc32c(body) == struct.unpack_from("<I", data, place + 12 + length)[0]
        place += 16 + length
        yield body


def test_points_of_any_step_are_framed_as_single_ones() -> None:
    """Steps take one to ten bytes; runs of one length are framed at once."""
    steps = [-(2**63), -1, 0, 127, 128, 16_383, 16_384, 2**35, 2**63 - 1]
    found = list(messages(records.curve("loss", steps, [float(n) for n in range(9)], [n / 3 for n in range(9)])))
    for number, (step, body) in enumerate(zip(steps, found, strict=True)):
        value = records.message(1, "loss") + b"\x15" + struct.pack("<f", number)
        assert records.event(number / 3, step=step, summary=records.message(1, value)) == body


def test_names_stay_inside_of_the_folder(toy: Outgoing, tmp_path: Path) -> None:
    """Folders are numbers; each file has a name of its own."""
    losses = Losses()
    write(toy, tmp_path / "tb", losses)
    assert {"tb"} == {one.name for one in tmp_path.iterdir()}
    assert {"preparation", "study.json", *(f"trial-{n:04d}" for n in range(9))} < {
        one.name for one in (tmp_path / "tb").iterdir()
    }
    files = [one.name for one in tmp_path.rglob("events.out.tfevents.*")]
    assert (11, 11) == (len(files), len(set(files)))
    for file in tmp_path.rglob("events.out.tfevents.*"):
        assert list(messages(file.read_bytes()))
    assert losses.lines() == [
        f"{toy.points} values rounded to 32 bits, as TensorBoard stores them",
        "1 trials with tags or notes, which TensorBoard does not have",
        "3 trials infeasible, failed or stopped, all of which are a failure in TensorBoard",
    ]


def test_the_package_of_tensorboard_reads_it(toy: Outgoing, mine: Outgoing, tmp_path: Path) -> None:
    """Every curve as 32-bit floats, parameters and states exactly."""
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    from tensorboard.plugins.hparams import plugin_data_pb2

    for out in (toy, mine):
        folder = tmp_path / out.study.name
        write(out, folder, Losses())
        for name, trial_id in [("preparation", PREPARATION), *((f"trial-{t.number:04d}", t.id) for t in out.trials)]:
            if not (folder / name).is_dir():
                continue
            read = accumulator.EventAccumulator(str(folder / name), size_guidance={"scalars": 0})
            read.Reload()
            for piece in out.curves(trial_id):
                with np.errstate(over="ignore"):
                    wanted = np.array([math.nan if v is None else v for v in piece.values], dtype=np.float32)
                found = read.Scalars(piece.name)
                np.testing.assert_array_equal(wanted, [one.value for one in found])
                assert (list(piece.steps), list(piece.times)) == ([o.step for o in found], [o.wall_time for o in found])
        for trial in out.trials:
            read = accumulator.EventAccumulator(str(folder / f"trial-{trial.number:04d}"))
            read.Reload()
            start, end = (
                plugin_data_pb2.HParamsPluginData.FromString(
                    read.SummaryMetadata(f"_hparams_/session_{which}_info").plugin_data.content
                )
                for which in ("start", "end")
            )
            told = {key: getattr(v, v.WhichOneof("kind")) for key, v in start.session_start_info.hparams.items()}
            assert {key for key, value in trial.params.items() if value is not None} == told.keys()
            if out is toy:
                assert trial.params == told
                assert {"complete": 1, "pruned": 1, "running": 3, "waiting": 0}.get(trial.state.value, 2) == (
                    end.session_end_info.status
                )
            for name, value in all_metrics(trial).items():
                [final] = read.Scalars(f"final/{name}")
                wanted = np.float32(math.nan if value is None else value)
                np.testing.assert_equal(final.value, wanted.item())
        assert out is toy or HOSTILE in told or trial.number == 2
