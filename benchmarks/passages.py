"""How much CPU time stored passages save: MiniLM sizes with random weights and separate lower layers.

`python benchmarks/passages.py [--separate 3 4]`. 16 passages of 150 tokens, questions of 14; the ways are timed in
turns on one thread, and a row of medians is printed for each number of separate layers. It trains nothing.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from transformers import BertConfig, BertForQuestionAnswering

from bertdistill.engine.distill.families.separate import FIRST, SECOND, joint_logits, segment_states
from bertdistill.engine.distill.families.standalone import separate

BATCH, QUESTION, PASSAGE, ROUNDS = 16, 14, 150, 8


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--separate", type=int, nargs="+", default=[3, 4], help="numbers of separate layers, of 6")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = BertConfig(hidden_size=384, intermediate_size=1536, num_hidden_layers=6, num_attention_heads=12)
    plain = BertForQuestionAnswering(config).eval()
    print(
        "| separate layers | undecomposed ms | not stored ms | stored, 16 questions | one question | bytes a passage |"
    )
    print("|---|---|---|---|---|---|")
    for layers in options.separate:
        apart = copy.deepcopy(plain)
        separate(apart, layers)
        print(f"| {layers} | {' | '.join(row(plain, apart))} |", flush=True)


@torch.inference_mode()
def row(plain: BertForQuestionAnswering, apart: BertForQuestionAnswering) -> list[str]:
    """The times of one number of separate layers, and what a passage takes in fp16."""
    ids = torch.randint(5, 30_000, (BATCH, QUESTION + PASSAGE))
    types = (torch.arange(QUESTION + PASSAGE) >= QUESTION).long().expand(BATCH, -1).contiguous()
    stored = segment_states(apart, ids[:, QUESTION:], torch.ones(BATCH, PASSAGE), SECOND).half()

    def answer(questions: Tensor) -> Tensor:
        states = segment_states(apart, questions, torch.ones_like(questions), FIRST).expand(BATCH, -1, -1)
        return joint_logits(apart, torch.cat([states, stored.float()], dim=1), torch.ones_like(ids))

    ways: list[Callable[[], object]] = [
        lambda: plain(input_ids=ids, token_type_ids=types),
        lambda: apart(input_ids=ids, token_type_ids=types),
        lambda: answer(ids[:, :QUESTION]),
        lambda: answer(ids[:1, :QUESTION]),
    ]
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS + 1):
        for way, seconds in zip(ways, times, strict=True):
            began = time.thread_time()
            way()
            seconds.append(time.thread_time() - began)
    whole, *others = (1000 * median(one[1:]) for one in times)  # the first round warms up
    cells = [f"{whole:.0f}", *(f"{one:.0f} ({whole / one:.2f} times less)" for one in others)]
    return [*cells, f"{stored[0].numel() * stored.element_size():,}"]


if __name__ == "__main__":
    main()
