"""How much faster a distillation trial trains here than in the plain loop, at the same loss.

The plain loop is the usual script: every window padded to the maximum, the teacher run in every step, fp32, AdamW
neither fused nor multi-tensor, shuffled batches. Ours is `engine.distill.training.train` on a teacher cache. Data,
initial weights, dropout rates, batch size and schedule are the same, and both have the environment of a worker (threads
that sleep while they wait, an allocator that keeps freed memory). They are processes that exist at the same time and
alternate every few steps, so that other load on the machine slows both alike; each counts its own time and its own peak
memory. The plain loop makes one pass over the windows, after which both losses are measured; ours continues to the end
of a trial's three passes, so that the cost of the first batch of every length has the weight it has in a (short) trial.
The cache is timed separately: its cost arises once per study, not once per trial.

    python benchmarks/throughput.py [--examples 192] [--threads 2] [--width 768] [--attention-dropout 0.1]
    python benchmarks/throughput.py --teacher FOLDER --data SQUAD.json

Without --teacher and --data it generates both: random weights of DistilBERT's shape (6 layers of width 768; 384 is
MiniLM's) and windows as long as SQuAD's: log-normal, median 154 tokens, mean 165, 1 % truncated at 384 like real ones.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LENGTH = 384
BATCH = 16
HELD_OUT = 64
PASSES = 3
PLAIN_TURN = 2
"""Steps of the plain loop per turn; ours makes PASSES times as many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=192)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--width", type=int, default=768, help="hidden size of the generated teacher and its student")
    parser.add_argument("--student-layers", type=int, default=3)
    parser.add_argument("--attention-dropout", type=float, default=0.1)
    parser.add_argument("--teacher", default="")
    parser.add_argument("--data", default="")
    parser.add_argument("--usual-environment", action="store_true", help="do not give the plain loop a worker's")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options, Path(options.folder))))
        return
    with tempfile.TemporaryDirectory() as folder:
        worker = environment(options, folder)
        cache = finish(start("cache", folder, worker))
        plain_environment = dict(os.environ) if options.usual_environment else worker
        results = take_turns(
            {"plain": start("plain", folder, plain_environment), "ours": start("ours", folder, worker)}
        )
    report(options, {"cache": cache, **results})


def environment(options: argparse.Namespace, folder: str) -> dict[str, str]:
    """The environment of a worker with all threads."""
    from bertdistill.engine.contract.spec import Device
    from bertdistill.engine.launch.local import worker_environment

    return worker_environment(os.environ, Device("cpu", options.threads), Path(folder))


def start(name: str, folder: str, env: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *sys.argv[1:], "--child", name, "--folder", folder]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(env))


def take_turns(children: dict[str, subprocess.Popen[str]]) -> dict[str, dict[str, float]]:
    """Let one child work while the others wait, in turns, until each has reported its result."""
    results: dict[str, dict[str, float]] = {}
    for child in children.values():  # they also start up one after the other
        say(child)
        hear(child)
    while len(results) < len(children):
        for name, child in children.items():
            if name not in results:
                say(child)
                heard = hear(child)
                if "rate" in heard:
                    results[name] = heard
    return results


def say(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None  # a pipe, as requested
    child.stdin.write("go\n")
    child.stdin.flush()


def hear(child: subprocess.Popen[str]) -> dict[str, float]:
    assert child.stdout is not None  # as above
    line = child.stdout.readline()
    if not line:
        raise SystemExit(f"a measurement ended with status {child.wait()}; its message is above")
    heard: dict[str, float] = json.loads(line)
    return heard


def finish(child: subprocess.Popen[str]) -> dict[str, float]:
    heard = hear(child)
    child.wait()
    return heard


def report(options: argparse.Namespace, results: dict[str, dict[str, float]]) -> None:
    plain, ours, cache = results["plain"], results["ours"], results["cache"]
    print(
        f"{cache['windows']:.0f} windows of at most {LENGTH} tokens (mean {cache['mean_length']:.0f}), batch {BATCH},"
    )
    print(
        f"teacher of {cache['teacher_layers']:.0f} layers, student of {options.student_layers}, "
        f"width {cache['width']:.0f}, attention dropout {options.attention_dropout:g},"
    )
    print(f"{options.threads} CPU threads\n")
    print(f"{'':32}{'plain loop':>12}{'ours':>12}{'ratio':>9}")
    lines = (
        ("windows per second", "rate", 2),
        ("  first pass only", "first_rate", 2),
        ("windows per second of CPU time", "cpu_rate", 2),
        ("peak memory, MB", "memory_mb", 0),
    )
    for label, key, digits in lines:
        ratio = ours[key] / plain[key]
        print(f"{label:32}{plain[key]:12.{digits}f}{ours[key]:12.{digits}f}{ratio:8.2f}x")
    losses = (
        ("held-out loss before", "loss_before"),
        ("held-out loss after one pass", "loss"),
        ("in the first pass's last fifth", "train_loss"),
    )
    for label, key in losses:
        print(f"{label:32}{plain[key]:12.4f}{ours[key]:12.4f}")
    print(f"\nteacher cache, once per study: {cache['seconds']:.1f} s for these windows ({cache['rate']:.1f} a second)")


class Turns:
    """Gate and clock of a loop: lets it run a few steps per turn. Our loop sees it as a stop flag that is never set."""

    def __init__(self, steps: int, *, first_pass: int) -> None:
        self._steps, self._first_pass = steps, first_pass
        self._done = 0
        self._seconds = self._cpu = self.first_seconds = 0.0
        self.after_first_pass: Any = None
        """Called when the first pass is done; its time does not count."""
        sys.stdin.readline()
        print("{}", flush=True)
        sys.stdin.readline()
        self._go()

    def is_set(self) -> bool:
        """Checked before every step."""
        if self._done == self._first_pass and self.after_first_pass:
            self._stop()
            self.first_seconds = self._seconds
            self.after_first_pass()
            self._go()
        if self._done and self._done % self._steps == 0:
            self._stop()
            print("{}", flush=True)
            sys.stdin.readline()
            self._go()
        self._done += 1
        return False

    def end(self) -> tuple[float, float]:
        """Wall and CPU seconds of all turns."""
        self._stop()
        return self._seconds, self._cpu

    def _go(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), time.process_time()

    def _stop(self) -> None:
        self._seconds += time.perf_counter() - self._began
        self._cpu += time.process_time() - self._cpu_began


# ------------------------------------------------------------------------------------------------ data, shared by both


def prepare(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Tokenise, create or load the teacher and write its outputs; the child `cache`."""
    import numpy as np
    import torch
    from transformers import AutoTokenizer

    from bertdistill.engine.contract.spec import DataSpec
    from bertdistill.engine.distill.data.examples import Examples, load_examples
    from bertdistill.engine.distill.data.features import build_features
    from bertdistill.engine.distill.data.vocabulary import train_wordpiece
    from bertdistill.engine.distill.families.encoder import Encoder
    from bertdistill.engine.distill.families.transformer import load_encoder, new_encoder
    from bertdistill.engine.distill.training.train import choose_precision, predict
    from bertdistill.engine.families.encoder_plan import Shape

    torch.set_num_threads(options.threads)
    count = options.examples
    data = DataSpec(train=options.data, max_length=LENGTH)
    if options.data:
        rows = load_examples(data, "question-answering", "train").rows
        chosen = np.random.default_rng(0).choice(len(rows), count + HELD_OUT, replace=False)
        examples = Examples("question-answering", [rows[i] for i in chosen])
    else:
        examples = made_examples(count + HELD_OUT)
    if options.teacher:
        tokenizer = AutoTokenizer.from_pretrained(options.teacher)
        teacher = load_encoder(options.teacher, "question-answering", ())
    else:
        tokenizer = train_wordpiece([row.context for row in examples.rows], 8000, folder / "tokenizer")
        shape = Shape("bert", 30522, 512, 2, options.width, 4 * options.width, 6, 12, options.width // 12)
        teacher = new_encoder(shape, task="question-answering", labels=(), seed=0)
    Encoder(teacher).save(folder / "teacher", tokenizer)
    parts = {"train": examples.rows[:count], "held_out": examples.rows[count:]}
    for name, part in parts.items():
        build_features(
            Examples("question-answering", list(part)), tokenizer, data, folder=folder / name, progress=lambda *_: None
        )
    features = read(folder, "train")
    began = time.perf_counter()
    precision = choose_precision("auto", torch.device("cpu"))
    outputs = predict(Encoder(teacher), features, device=torch.device("cpu"), precision=precision)
    seconds = time.perf_counter() - began
    np.save(folder / "outputs.npy", outputs.astype(np.float16))
    return {
        "seconds": seconds,
        "rate": len(features) / seconds,
        "windows": len(features),
        "mean_length": float(features.lengths.mean()),
        "teacher_layers": teacher.config.num_hidden_layers,
        "width": teacher.config.hidden_size,
    }


def made_examples(count: int) -> Any:
    """Questions of 12 words on passages of random words, one token per word, with the total lengths of SQuAD's."""
    import numpy as np

    from bertdistill.engine.distill.data.examples import Examples, QAExample

    generator = np.random.default_rng(1)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    rows = []
    for i in range(count):
        size = int(np.clip(generator.lognormal(math.log(154), 0.39), 40, 700)) - 15
        words = ["".join(generator.choice(syllables, 2)) for _ in range(size)]
        answer = int(generator.integers(12, size))
        start = sum(len(word) + 1 for word in words[:answer])
        question = " ".join(words[answer - 12 : answer])
        rows.append(QAExample(str(i), f"made {i}", question, " ".join(words), (words[answer],), (start,), False))
    return Examples("question-answering", rows)


def read(folder: Path, part: str) -> Any:
    """Features of a part; exactly as many as requested, whatever the number of windows of the examples."""
    from bertdistill.engine.distill.data.features import open_features

    return open_features(folder / part)


def student(options: argparse.Namespace, folder: Path) -> tuple[Any, list[list[int]], Any]:
    from bertdistill.engine.contract.spec import Settings
    from bertdistill.engine.distill.families.transformer import build_student, read_shape

    settings = Settings(
        layers=options.student_layers,
        batch_size=BATCH,
        epochs=PASSES,
        learning_rate=1e-4,
        weight_decay=0.01,
        attention_dropout=options.attention_dropout,
        evaluations=1,
        checkpoint_minutes=1440,
    )
    teacher = folder / "teacher"
    model, kept = build_student(teacher, settings, task="question-answering", labels=(), shape=read_shape(teacher))
    return model, kept, settings


def held_out_loss(model: Any, folder: Path) -> float:
    import torch

    from bertdistill.engine.distill.families.encoder import Encoder
    from bertdistill.engine.distill.training.evaluate import mean_hard_loss
    from bertdistill.engine.distill.training.train import predict

    features = read(folder, "held_out")
    return mean_hard_loss(predict(Encoder(model), features, device=torch.device("cpu")), features)


# ------------------------------------------------------------------------------------------------------- the two loops


def plain(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The plain loop, written like the usual distillation script."""
    import numpy as np
    import torch
    from torch.nn import functional

    from bertdistill.engine.distill.data.batches import collate
    from bertdistill.engine.distill.families.transformer import load_student

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
    turns = Turns(PLAIN_TURN, first_pass=steps)
    for step in range(steps):
        turns.is_set()
        batch = collate(features, order[step * BATCH : (step + 1) * BATCH], edges=np.array([LENGTH]), pad_id=0)
        inputs: dict[str, Any] = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
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
            group["lr"] = rate_at(step, len(features), settings)
        torch.autograd.backward(total)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total.item())
    seconds, cpu = turns.end()
    return result(len(features), seconds, cpu, seconds, before, held_out_loss(model, folder), losses)


def rate_at(step: int, features: int, settings: Any) -> float:
    from bertdistill.engine.distill.training.schedule import schedule

    rate: float = schedule(features, settings).rate(step)
    return rate


def ours(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The training loop of a trial, with its events and without its evaluation."""
    import numpy as np
    import torch

    from bertdistill.engine.contract.events import METRICS_LOGGED, EventWriter, parse_event
    from bertdistill.engine.contract.folder import RunPaths
    from bertdistill.engine.contract.terms import LOGITS
    from bertdistill.engine.distill.families.encoder import Encoder
    from bertdistill.engine.distill.training.schedule import schedule
    from bertdistill.engine.distill.training.train import Evaluation, Job, choose_precision, train

    torch.set_num_threads(options.threads)
    model, kept, settings = student(options, folder)
    features = read(folder, "train")
    before = held_out_loss(model, folder)
    paths = RunPaths(folder / "run")
    paths.folder.mkdir()
    first_pass = schedule(len(features), settings).phases[0].passes_per_epoch
    turns = Turns(PLAIN_TURN * PASSES, first_pass=first_pass)
    held_out: list[float] = []
    turns.after_first_pass = lambda: held_out.append(held_out_loss(model, folder))
    ended: list[tuple[float, float]] = []

    def evaluate() -> Evaluation:  # due once, after the last step
        ended.append(turns.end())
        return Evaluation(0.0, {}, {})

    train(
        Job(
            model=Encoder(model, kept),
            features=features,
            settings=settings,
            paths=paths,
            events=EventWriter(paths.events),
            stop=turns,
            device=torch.device("cpu"),
            precision=choose_precision("auto", torch.device("cpu")),
            pad_id=0,
            evaluate=evaluate,
            teacher={LOGITS: np.load(folder / "outputs.npy", mmap_mode="r")},
        )
    )
    events = [parse_event(line) for line in paths.events.read_bytes().splitlines()]
    curve = [
        e["values"]["train/loss"] for e in events if e and e["k"] == METRICS_LOGGED and "train/loss" in e["values"]
    ]
    (seconds, cpu), windows = ended[0], len(features) * PASSES
    figures = result(windows, seconds, cpu, turns.first_seconds, before, held_out[0], curve[:first_pass])
    return {**figures, "first_rate": len(features) / turns.first_seconds}


def result(
    windows: int, seconds: float, cpu: float, first: float, before: float, after: float, losses: list[float]
) -> dict[str, float]:
    import torch

    from bertdistill.engine.distill.training.measure import peak_memory_mb

    tail = losses[-max(1, len(losses) // 5) :]
    return {
        "rate": windows / seconds,
        "first_rate": windows / first,
        "cpu_rate": windows / cpu,
        "memory_mb": peak_memory_mb(torch.device("cpu")),
        "loss": after,
        "loss_before": before,
        "train_loss": sum(tail) / len(tail),
    }


CHILDREN = {"cache": prepare, "plain": plain, "ours": ours}

if __name__ == "__main__":
    main()
