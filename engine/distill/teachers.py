"""The teachers of a study as `[teacher]` of its file names them: models and files, alone or averaged.

It decides which they are and checks that they fit; `teacher` trains a model, `labelling` labels texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import MemberSpec
from bertdistill.engine.distill.data.batches import MULTIPLE, padded_length
from bertdistill.engine.distill.data.examples import Examples
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.data.outputs_file import OutputsFile, read_outputs
from bertdistill.engine.distill.families.resolve import resolve
from bertdistill.engine.distill.families.transformer import read_any_shape
from bertdistill.engine.distill.labelling import FileLabels, Labels, MeanLabels, ModelLabels
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.teacher import check_classes, fine_tuned, open_tokenizer
from bertdistill.engine.distill.training.evaluate import Evaluator

INIT = "student.init"
OUTPUTS = "teacher.outputs"


def base_model(run: Run) -> tuple[str, str]:
    """The model whose tokens texts are cut into, as a folder or SCRATCH, and how messages name it.

    The teacher; if it is a file, the model that students are initialised from.
    """
    teacher, student = run.spec.teacher, run.spec.student
    if teacher.model:
        folder = resolve(teacher.model, teacher.revision, "teacher.model")
        return folder, f"teacher.model = {teacher.model!r}"
    return resolve(student.init, student.revision, INIT), f"{INIT} = {student.init!r}"


def teacher_model(
    run: Run, base: str, tokenizer: PreTrainedTokenizerBase, features: Features, evaluator: Evaluator
) -> str:
    """The folder of `teacher.model`, fine-tuned if the study says so; empty if the teacher is a file alone."""
    spec = run.spec.teacher
    if not spec.model or (spec.outputs and spec.fine_tune is None):
        return base if spec.model else ""
    return str(fine_tuned(run, base, tokenizer, features, evaluator))


def output_files(run: Run, train: Examples, every: Examples) -> dict[str, OutputsFile]:
    """The files with outputs that the study names, by their key; ConfigError if one lacks texts to learn from.

    `every` are the training examples with the transfer set.
    """
    teacher = run.spec.teacher
    named = {OUTPUTS: teacher.outputs}
    named |= {f"teacher.ensemble.{index}.outputs": one.outputs for index, one in enumerate(teacher.ensemble)}
    found = {key: read_outputs(Path(path), train.labels, key) for key, path in named.items() if path}
    for file in found.values():
        if why := file.missing(train):
            raise ConfigError(why, hint="add these rows to the file, or remove the texts")
        if why := file.missing(every):
            raise ConfigError(why, hint="add these rows to the file, or remove [[transfer]]")
    return found


def labels_of(
    run: Run, teacher: str, tokenizer: PreTrainedTokenizerBase, train: Examples, files: Mapping[str, OutputsFile]
) -> Labels:
    """What labels the texts of the study: `teacher` (a folder) or the file that replaces it, and the ensemble."""
    spec = run.spec.teacher
    first: Labels = ModelLabels(run, Path(teacher), tokenizer, train.labels)
    if spec.outputs:
        first = FileLabels(files[OUTPUTS])
    if not spec.ensemble:
        return first
    members = [_member(run, one, f"teacher.ensemble.{index}", train, files) for index, one in enumerate(spec.ensemble)]
    weights = [spec.weight, *(one.weight for one in spec.ensemble)]
    return MeanLabels(list(zip(weights, [first, *members], strict=True)))


def _member(run: Run, spec: MemberSpec, key: str, train: Examples, files: Mapping[str, OutputsFile]) -> Labels:
    if spec.outputs:
        return FileLabels(files[f"{key}.outputs"])
    folder, named = resolve(spec.model, spec.revision, f"{key}.model"), f"{key}.model = {spec.model!r}"
    check_length(run, folder, named)
    check_classes(run, folder, train, named)
    return ModelLabels(run, Path(folder), open_tokenizer(run, train, folder, named), train.labels, own_tokens=True)


def check_length(run: Run, folder: str, named: str) -> None:
    """ConfigError if the model cannot read `data.max_length` tokens.

    Its tokenizer does not always know how many positions it has, and a GPU would fail with an assertion.
    """
    wanted, most = run.spec.data.max_length, read_any_shape(folder).longest_input
    if padded_length(wanted) > most:
        raise ConfigError(
            f"data.max_length = {wanted}, but {named} reads at most {most} tokens",
            hint=f"lower data.max_length to {most // MULTIPLE * MULTIPLE} (lengths are multiples of {MULTIPLE})",
        )
