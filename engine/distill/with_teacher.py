"""What a trial reads for losses that need the teacher's network: how the student was cut from it, and its texts.

It builds no network and computes no loss.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.spec import SCRATCH
from bertdistill.engine.distill.data.features import open_features
from bertdistill.engine.distill.families.importance import load_neurons
from bertdistill.engine.distill.families.model import Model
from bertdistill.engine.distill.families.projection import Projection
from bertdistill.engine.distill.families.selection import choose_neurons
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.training.shared_projection import PLAIN, Start
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.families.shared_projection import KEPT, compared
from bertdistill.engine.families.transformer import TRANSFORMER

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.mixed import Mixer

MOSTLY_WHOLE = 0.5
"""From this share of inputs that are not mixed, the log warns."""


def start_of(spec: AttemptSpec, model: Model) -> Start:
    """How the student was made from its teacher, for the terms that compare their weights or embeddings."""
    facts, settings = spec.prepared, spec.settings
    if not (settings.projection_weight or settings.dual_share):
        return PLAIN
    from bertdistill.engine.distill.families.encoder import Encoder  # loads transformers, for students that have it

    if not isinstance(model, Encoder):
        return PLAIN
    scratch = spec.student.init == SCRATCH
    own = not scratch and facts.init_folder == facts.teacher_folder
    plan = TRANSFORMER.plan(facts, settings, scratch=scratch)
    basis = None
    if own and plan.projected:
        basis = Projection.load(Path(facts.projection)).basis[:, : plan.shape.hidden_size].contiguous()
    if not settings.projection_weight:
        return Start(basis)
    layers = compared(plan, Shape.from_dict(facts.teacher_shape), own=own)
    cut = any(one.neurons == KEPT for one in layers)
    return Start(
        basis, layers, model.kept_heads, choose_neurons(plan, load_neurons(Path(facts.importance))) if cut else ()
    )


def mixer_of(run: Run, model: Model) -> Mixer | None:
    """The training texts in the teacher's pieces and in the student's, if the trial trains with both."""
    spec, facts = run.spec, run.spec.prepared
    if not spec.settings.dual_share:
        return None
    from bertdistill.engine.distill.data.mixed import Division, Mixer
    from bertdistill.engine.distill.families.embeddings import open_tokenizer
    from bertdistill.engine.distill.families.encoder import Encoder

    if not (isinstance(model, Encoder) and model.tokenizer):
        return None
    plain = Division.of(open_features(Path(facts.features_of("train"))), open_tokenizer(facts.vocabulary.tokenizer))
    other = Division.of(open_features(Path(facts.features_of("train", model.units))), model.tokenizer)
    mixer = Mixer(plain, other, spec.data.max_length)
    if mixer.whole:
        level = "warning" if mixer.whole >= MOSTLY_WHOLE else "info"
        run.notice(
            level,
            f"dual training: {mixer.whole:.1%} of the texts reach data.max_length = {spec.data.max_length} in one of "
            "the two vocabularies and are not mixed",
        )
    return mixer
