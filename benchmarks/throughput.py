"""How much faster a distillation trial trains here than in the plain loop, at the same final loss.

The plain loop is the usual script: every window padded to the maximum, the teacher run in every step, fp32, AdamW
neither fused nor multi-tensor, shuffled batches. Ours is `engine.distill.train` on a teacher cache. Same data, same
first weights, same batch size, same number of examples; each runs in a process of its own, one after the other, so that
peak memory is its own. The cost of the cache is printed beside them: it is paid once a study, not once a trial.

    python benchmarks/throughput.py [--examples 320] [--threads 2] [--teacher FOLDER --data SQUAD.json]

Without --teacher and --data it makes both: random weights of MiniLM's shape and passages as long as SQuAD's.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

LENGTH = 384
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=320)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--student-layers", type=int, default=3)
    parser.add_argument("--teacher", default="")
    parser.add_argument("--data", default="")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options, Path(options.folder))))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = {name: run_child(name, folder) for name in CHILDREN}
    report(options, results)


def run_child(name: str, folder: str) -> dict[str, float]:
    """One measurement in a fresh process; the machine is otherwise left alone."""
    command = [sys.executable, __file__, *sys.argv[1:], "--child", name, "--folder", folder]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(options: argparse.Namespace, results: dict[str, dict[str, float]]) -> None:
    plain, ours, cache = results["plain"], results["ours"], results["cache"]
    print(f"{options.examples} windows of at most {LENGTH} tokens (mean {cache['mean_length']:.0f}), batch {BATCH},")
    print(
        f"teacher of {cache['teacher_layers']:.0f} layers, student of {options.student_layers}, "
        f"width {cache['width']:.0f},"
    )
    print(f"{options.threads} CPU threads\n")
    print(f"{'':24}{'plain loop':>12}{'ours':>12}{'ratio':>9}")
    for label, key, digits in (("samples a second", "rate", 2), ("peak memory, MB", "memory_mb", 0)):
        ratio = ours[key] / plain[key]
        print(f"{label:24}{plain[key]:12.{digits}f}{ours[key]:12.{digits}f}{ratio:8.2f}x")
    print(f"{'final loss, train':24}{plain['train_loss']:12.4f}{ours['train_loss']:12.4f}")
    print(f"{'final loss, held out':24}{plain['loss']:12.4f}{ours['loss']:12.4f}")
    print(f"{'loss before, held out':24}{plain['loss_before']:12.4f}{ours['loss_before']:12.4f}")
    print(f"\nteacher cache, once a study: {cache['seconds']:.1f} s for these windows ({cache['rate']:.1f} a second)")


# ------------------------------------------------------------------------------------------------ data, shared by both


def prepare(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Tokenise, make (or take) the teacher and write its outputs; the child `cache`."""
    import numpy as np
    import torch
    from transformers import AutoTokenizer

    from bertdistill.engine.architecture import Shape
    from bertdistill.engine.contract import DataSpec
    from bertdistill.engine.distill.examples import Examples, load_examples
    from bertdistill.engine.distill.features import build_features
    from bertdistill.engine.distill.students import load_encoder, new_encoder, save_student
    from bertdistill.engine.distill.train import choose_precision, predict
    from bertdistill.engine.distill.vocabulary import train_wordpiece

    torch.set_num_threads(options.threads)
    count, held_out = options.examples, 64
    data = DataSpec(train=options.data, max_length=LENGTH)
    if options.data:
        rows = load_examples(data, "question-answering", "train").rows
        chosen = np.random.default_rng(0).choice(len(rows), count + held_out, replace=False)
        examples = Examples("question-answering", [rows[i] for i in chosen])
    else:
        examples = made_examples(count + held_out)
    if options.teacher:
        tokenizer = AutoTokenizer.from_pretrained(options.teacher)
        teacher = load_encoder(options.teacher, "question-answering", ())
    else:
        tokenizer = train_wordpiece([row.context for row in examples.rows], 4000, folder / "tokenizer")
        shape = Shape("bert", 30522, 512, 2, 384, 1536, 6, 12, 32)
        teacher = new_encoder(shape, task="question-answering", labels=(), seed=0)
    layers = teacher.config.num_hidden_layers
    save_student(teacher, [list(range(teacher.config.num_attention_heads))] * layers, folder / "teacher", tokenizer)
    parts = {"train": examples.rows[:count], "held_out": examples.rows[count:]}
    for name, part in parts.items():
        build_features(
            Examples("question-answering", list(part)), tokenizer, data, folder=folder / name, progress=lambda *_: None
        )
    features = read(folder, "train")
    began = time.perf_counter()
    precision = choose_precision("auto", torch.device("cpu"))
    outputs = predict(teacher, features, device=torch.device("cpu"), precision=precision)
    seconds = time.perf_counter() - began
    np.save(folder / "outputs.npy", outputs.astype(np.float16))
    return {
        "seconds": seconds,
        "rate": len(features) / seconds,
        "mean_length": float(features.lengths.mean()),
        "teacher_layers": layers,
        "width": teacher.config.hidden_size,
    }


def made_examples(count: int) -> Any:
    """Questions on passages of random words whose length is spread like SQuAD's (mean 150 tokens, some over 384)."""
    import numpy as np

    from bertdistill.engine.distill.examples import Examples, QAExample

    generator = np.random.default_rng(1)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    rows = []
    for i in range(count):
        size = int(np.clip(generator.lognormal(4.85, 0.42), 30, 420))
        words = ["".join(generator.choice(syllables, 2)) for _ in range(size)]
        answer = int(generator.integers(size))
        start = sum(len(word) + 1 for word in words[:answer])
        question = f"what stands near {' '.join(words[max(0, answer - 5) : answer])}"
        rows.append(QAExample(str(i), f"made {i}", question, " ".join(words), (words[answer],), (start,), False))
    return Examples("question-answering", rows)


def read(folder: Path, part: str) -> Any:
    """Features of a part; as many as asked for, whatever the number of windows of the examples."""
    from bertdistill.engine.distill.features import open_features

    return open_features(folder / part)


def student(options: argparse.Namespace, folder: Path) -> tuple[Any, list[list[int]], Any]:
    from bertdistill.engine.contract import Settings
    from bertdistill.engine.distill.students import build_student, read_shape

    settings = Settings(
        layers=options.student_layers, batch_size=BATCH, epochs=1, learning_rate=1e-4, evaluations=1, weight_decay=0.01
    )
    teacher = folder / "teacher"
    model, kept = build_student(teacher, settings, task="question-answering", labels=(), shape=read_shape(teacher))
    return model, kept, settings


def held_out_loss(model: Any, folder: Path) -> float:
    import torch

    from bertdistill.engine.distill.evaluate import mean_hard_loss
    from bertdistill.engine.distill.train import predict

    features = read(folder, "held_out")
    return mean_hard_loss(predict(model, features, device=torch.device("cpu")), features)


# ------------------------------------------------------------------------------------------------------- the two loops


def plain(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The plain loop, written as the usual distillation script is."""
    import numpy as np
    import torch
    from torch.nn import functional

    from bertdistill.engine.distill.batches import collate
    from bertdistill.engine.distill.students import load_student

    torch.set_num_threads(options.threads)
    model, _, settings = student(options, folder)
    teacher, _ = load_student(folder / "teacher")
    features = read(folder, "train")
    before = held_out_loss(model, folder)
    torch.manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, foreach=False, fused=False)
    order = np.random.default_rng(settings.seed).permutation(len(features))
    steps = math.ceil(len(features) / BATCH)
    losses: list[float] = []
    model.train()
    began = time.perf_counter()
    for step in range(steps):
        batch = collate(features, order[step * BATCH : (step + 1) * BATCH], edges=np.array([LENGTH]), pad_id=0)
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        inputs["token_type_ids"] = batch.token_types
        with torch.no_grad():
            wanted = teacher(**inputs)
        got = model(**inputs)
        total = torch.zeros(())
        for name, side in (("start_logits", 0), ("end_logits", 1)):
            hard = functional.cross_entropy(got[name], batch.targets[:, side])
            t = settings.temperature
            soft = functional.kl_div(
                functional.log_softmax(got[name] / t, -1),
                functional.softmax(wanted[name] / t, -1),
                reduction="batchmean",
            )
            total = total + (settings.alpha * soft * t * t + (1 - settings.alpha) * hard) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, steps, settings)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total.item())
    return result(model, folder, len(features), time.perf_counter() - began, before, losses)


def rate_at(step: int, steps: int, settings: Any) -> float:
    from bertdistill.engine.distill.train import learning_rate, schedule

    plan = dataclasses.replace(schedule(steps, settings), steps=steps, warmup=round(steps * settings.warmup_fraction))
    rate: float = learning_rate(step, plan, settings.learning_rate)
    return rate


def ours(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The training loop of a trial, with its events and without its evaluation."""
    import numpy as np
    import torch

    from bertdistill.engine.contract import METRICS_LOGGED, EventWriter, RunPaths, parse_event
    from bertdistill.engine.distill.students import save_student
    from bertdistill.engine.distill.train import Evaluation, Job, choose_precision, train

    torch.set_num_threads(options.threads)
    model, kept, settings = student(options, folder)
    features = read(folder, "train")
    before = held_out_loss(model, folder)
    paths = RunPaths(folder / "run")
    paths.folder.mkdir()
    ended: list[float] = []

    def evaluate() -> Evaluation:
        ended.append(time.perf_counter())
        return Evaluation(0.0, {}, {})

    job = Job(
        model=model,
        features=features,
        settings=dataclasses.replace(settings, evaluations=1),
        paths=paths,
        events=EventWriter(paths.events),
        stop=threading.Event(),
        device=torch.device("cpu"),
        precision=choose_precision("auto", torch.device("cpu")),
        pad_id=0,
        write_model=lambda target: save_student(model, kept, target),
        evaluate=evaluate,
        teacher=np.load(folder / "outputs.npy", mmap_mode="r"),
    )
    began = time.perf_counter()
    train(job)
    events = [parse_event(line) for line in paths.events.read_bytes().splitlines()]
    curve = [
        e["values"]["train/loss"] for e in events if e and e["k"] == METRICS_LOGGED and "train/loss" in e["values"]
    ]
    return result(model, folder, len(features), ended[0] - began, before, curve)


def result(
    model: Any, folder: Path, examples: int, seconds: float, before: float, losses: list[float]
) -> dict[str, float]:
    import torch

    from bertdistill.engine.distill.measure import peak_memory_mb

    memory = peak_memory_mb(torch.device("cpu"))
    tail = losses[-max(1, len(losses) // 5) :]
    return {
        "rate": examples / seconds,
        "memory_mb": memory,
        "loss": held_out_loss(model, folder),
        "loss_before": before,
        "train_loss": sum(tail) / len(tail),
    }


CHILDREN = {"cache": prepare, "plain": plain, "ours": ours}

if __name__ == "__main__":
    main()
