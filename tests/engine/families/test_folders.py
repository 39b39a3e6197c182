"""Model folders that no loader should touch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.families.folders import check_config, check_folder

CONFIG = {"model_type": "bert", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
          "num_attention_heads": 2, "vocab_size": 50, "max_position_embeddings": 16}  # fmt: skip


def weights(path: Path, count: int = 2000, lost: int = 0) -> Path:
    """A safetensors file of one tensor, perhaps without its last bytes."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(4 * count)
    path.write_bytes(content[: len(content) - lost])
    return path


def model(folder: Path, **config: Any) -> Path:
    """A model folder with these keys in its config.json."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    weights(folder / "model.safetensors")
    return folder


def test_a_plain_folder_passes_and_so_does_one_of_the_hubs_cache(tmp_path: Path) -> None:
    """The hub's snapshots are links to blobs beside them; a link inside of the folder is no way out either."""
    check_folder(model(tmp_path / "model"), "m")
    blobs, snapshot = tmp_path / "repo" / "blobs", tmp_path / "repo" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    model(blobs)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    check_folder(snapshot, "m")
    (tmp_path / "model" / "copy.json").symlink_to("config.json")
    (tmp_path / "link").symlink_to(tmp_path / "model")
    check_folder(tmp_path / "link", "m")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_hidden_layers": 10**6}, r"num_hidden_layers = 1000000; it must be a whole number from 1 to 512"),
        ({"hidden_size": "8"}, "hidden_size = 8; it must be"),
        ({"vocab_size": -1}, "vocab_size = -1"),
        ({"num_attention_heads": 0}, "num_attention_heads = 0"),
        ({"intermediate_size": 1.5}, "intermediate_size = 1.5"),
        ({"hidden_size": None}, "hidden_size = None"),
        ({"type_vocab_size": [1]}, "type_vocab_size"),
        ({"model_type": "mobilebert", "embedding_size": 1 << 20}, "no usable embedding_size"),
        ({"model_type": "mobilebert", "num_hidden_layers": 500}, "describes 32,293,640 weights"),
        (
            {"num_hidden_layers": 400, "hidden_size": 4096},
            "describes 26,884,795,520 weights, but its weight files h",
        ),
        ({"auto_map": {"AutoModel": "x.Y"}}, "refers to custom code"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"model_type": None}, "config.json has no model_type"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key' is not supported"),
        ({"id2label": [1]}, "no usable id2label"),
        ({"id2label": {"a": "x"}}, "no usable id2label"),
        ({"kept_heads": [3]}, "no usable kept_heads"),
    ],
)
def test_an_absurd_config_is_refused_before_anything_is_built(
    tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    """A config of 300 bytes kept a loader busy for 16 minutes."""
    with pytest.raises(ConfigError, match=f"^m: .*{message}"):
        check_folder(model(tmp_path / "model", **config), "m")


def test_null_is_no_padding_id_and_a_missing_key_is_the_default() -> None:
    """As libraries write and read them."""
    check_config(CONFIG | {"pad_token_id": None}, "m")
    check_config({"model_type": "distilbert"}, "m")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Whoever asks has perhaps not looked."""
    with pytest.raises(ConfigError, match=r"^m: cannot be read: No such file"):
        check_folder(tmp_path / "nowhere", "m")


def outward(folder: Path) -> None:
    (folder / "vocab.txt").symlink_to("/etc/passwd")


def dangling(folder: Path) -> None:
    (folder / "vocab.txt").symlink_to("nowhere")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "tokenizer.json")


def device(folder: Path) -> None:
    (folder / "tokenizer.json").symlink_to("/dev/zero")


def traversal(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "../model.safetensors"}}))


def adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def code(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["x.Y", null]}}')


def deep(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def large(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(17 << 20)


def cut(folder: Path) -> None:
    weights(folder / "model.safetensors", lost=7)


def headless(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 20)


def empty(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def shapeless(folder: Path) -> None:
    header = b'{"w": 3}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (outward, "vocab.txt is a link to /etc/passwd, outside the folder"),
        (dangling, "vocab.txt is not a regular file"),
        (pipe, "tokenizer.json is not a regular file"),
        (device, "tokenizer.json is a link to /dev/zero"),
        (traversal, r"index\.json names \.\./model\.safetensors, which is not a file of the folder"),
        (adapter, "an adapter"),
        (code, "tokenizer_config.json refers to custom code"),
        (deep, "config.json cannot be read: its brackets"),
        (large, "config.json cannot be read: it has 17,825,792 bytes"),
        (cut, "model.safetensors is truncated or damaged: it has .* bytes, but its header says"),
        (headless, "model.safetensors is truncated or damaged: its header is truncated"),
        (empty, "model.safetensors is truncated or damaged: its header is truncated"),
        (shapeless, "model.safetensors is truncated or damaged"),
    ],
)
def test_a_spoilt_folder_is_refused_with_the_name_of_the_file(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    """In one sentence; nothing outside is opened, and nothing blocks."""
    folder = model(tmp_path / "model")
    spoil(folder)
    with pytest.raises(ConfigError, match=f"^m: .*{message}"):
        check_folder(folder, "m")
