"""Every study file key that reaches a worker, and the device that a worker may use.

Standard library only, because both sides import it, one without torch and one without a database. It starts no
processes and decides nothing. `attempt` puts them together as a worker's whole input.

Every study file key that reaches a worker is a dataclass field here with its help, range or choices in the
metadata (the others are in `study_spec`): the study file is validated against it, the reference in `docs/` is
generated from it, and the worker reads the very same objects.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

SCRATCH = "scratch"
"""Instead of a checkpoint: build the model from a configuration with random weights."""
SUPERNET = "supernet"
"""Value of `student.init`: the shared weights of the teacher's sub-networks; see `SupernetSpec`."""
RANDOM = "random"
"""Value of `settings.embedding_init`: no embeddings of the teacher."""
TEACHER_UNITS = "teacher"
"""Value of `settings.units`: the pieces of the teacher's tokenizer. Elsewhere these units are named ""."""
AUTO_UNITS = "auto"
"""Value of `settings.units`: what suits the family best."""
FP32, FP16, INT8, INT4 = WEIGHTS = ("fp32", "fp16", "int8", "int4-embeddings")
"""Values of `settings.weights`."""
CUT_VOCABULARY, NEW_VOCABULARY = "cut", "new"
"""Values of `settings.vocabulary`."""
MOST_NGRAM, MOST_COUNT = 3, 100
"""Highest values of `settings.ngrams` and `settings.min_count`."""


def key(default: Any = MISSING, *, help: str, low: float | None = None, high: float | None = None, **more: Any) -> Any:
    """Declare one key of the study file: its default, help text and inclusive range."""
    metadata = {"help": help, "low": low, "high": high, **more}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class DataSpec:
    """`[data]`: where the examples come from and how they are split."""

    hub: str = key("", help="Dataset id on the Hugging Face Hub, used instead of files.")
    hub_config: str = key("", help="Configuration name of the Hub dataset.")
    train_split: str = key("train", help="Hub split to train on; the validation split is taken from it.")
    report_split: str = key("validation", help="Hub split used as report split; only promotions read it.")
    train: str = key("", help="Local training file: SQuAD JSON, CSV, TSV, JSONL, or lines of text;label.")
    report: str = key("", help="Local file used as report split; only promotions read it.")
    header: str = key(
        "auto",
        help="Whether the first row of CSV, TSV and text;label files names their columns; auto: judged by its cells.",
        choices=("auto", "yes", "no"),
    )
    search_fraction: float = key(
        0.1, help="Fraction of the training data held out as the validation split.", low=0.005, high=0.5
    )
    split_seed: int = key(13, help="Seed of that split (by whole articles for question answering).", low=0)
    max_train_examples: int = key(0, help="Use at most this many training examples; 0 uses all.", low=0)
    max_search_examples: int = key(0, help="Use at most this many validation examples; 0 uses all.", low=0)
    max_report_examples: int = key(0, help="Use at most this many report examples; 0 uses all.", low=0)
    max_length: int = key(384, help="Maximum input length in tokens.", low=8, high=8192)
    doc_stride: int = key(128, help="Overlap of adjacent windows of a passage, in tokens.", low=0)
    max_question_length: int = key(64, help="Maximum question length in tokens; longer questions are truncated.", low=4)
    max_answer_length: int = key(30, help="Maximum length of an answer span in tokens.", low=1)
    n_best: int = key(
        20,
        help="Number of candidate start tokens per window; each is tried with every end within max_answer_length.",
        low=1,
        high=200,
    )
    text_column: str = key("", help="Column of the (first) sentence; if empty, common names are tried.")
    text_pair_column: str = key("", help="Column of the second sentence, for sentence pairs.")
    label_column: str = key("", help="Column of the label; if empty, common names are tried.")
    labels: list[str] = key([], help="Label names in order; if empty, the sorted labels of the training data.")


@dataclass(frozen=True)
class FineTuneSpec:
    """`[teacher.fine_tune]`: fine-tune the teacher on this task first."""

    epochs: float = key(
        2.0, help="Passes over the training data; 0: the model is fine-tuned already.", low=0.01, high=1000
    )
    learning_rate: float = key(3e-5, help="Peak learning rate.", low=1e-8, high=1)
    batch_size: int = key(16, help="Examples per optimiser step.", low=1)
    warmup_fraction: float = key(
        0.1, help="Fraction of the steps over which the learning rate rises linearly from 0.", low=0, high=1
    )
    weight_decay: float = key(0.01, help="AdamW weight decay; not applied to bias and LayerNorm.", low=0, high=1)
    max_grad_norm: float = key(1.0, help="Maximum gradient norm for clipping; 0 disables clipping.", low=0)
    dropout: float = key(0.1, help="Dropout while the teacher is fine-tuned.", low=0, high=1)
    seed: int = key(42, help="Seed of data order, dropout and new weights.", low=0)


@dataclass(frozen=True)
class MemberSpec:
    """`[[teacher.ensemble]]`: a further teacher, used as it is; the probabilities of all are averaged."""

    model: str = key("", help="Hub id or folder of a classifier, with any tokenizer.")
    revision: str = key("", help="Hub revision (commit hash) to pin.")
    outputs: str = key("", help="Or a file as in teacher.outputs.")
    weight: float = key(1.0, help="Its weight in the average.", low=1e-6, high=1e6)


@dataclass(frozen=True)
class TeacherSpec:
    """`[teacher]`: the model whose outputs the students learn to match."""

    model: str = key("", help='Hub id or folder of an encoder, or "scratch".')
    revision: str = key("", help="Hub revision (commit hash) to pin.")
    outputs: str = key(
        "",
        help="JSON Lines with id (row of data.train from 0) or text, and probabilities or logits by label or in the "
        "order of the labels. They are learnt instead of the outputs of model, which may then be left out.",
    )
    weight: float = key(1.0, help="With teacher.ensemble: weight in the average.", low=1e-6, high=1e6)
    ensemble: list[MemberSpec] = key([], help="Further teachers: tables [[teacher.ensemble]].")
    layers: int = key(2, help="From scratch: number of layers.", low=1, high=48)
    hidden_size: int = key(128, help="From scratch: hidden size.", low=8, high=4096)
    ffn_size: int = key(512, help="From scratch: feed-forward size.", low=8, high=16384)
    head_size: int = key(64, help="From scratch: size of one attention head; must divide hidden_size.", low=4, high=512)
    vocab_size: int = key(30522, help="From scratch: size of the WordPiece vocabulary trained on the data.", low=64)
    initializer_range: float = key(0.02, help="From scratch: standard deviation of new weights.", low=1e-4, high=1)
    batch_size: int = key(32, help="Batch size for computing the teacher's outputs.", low=1)
    fine_tune: FineTuneSpec | None = key(None, help="Fine-tune the teacher first; required for a teacher from scratch.")


@dataclass(frozen=True)
class StudentSpec:
    """`[student]`: where students get their initial weights."""

    init: str = key(
        "teacher",
        help='Hub id or folder to initialise students from, "teacher", "scratch", or "supernet": the teacher after a '
        "training that all students share, see [supernet].",
    )
    revision: str = key("", help="Hub revision (commit hash) to pin.")
    importance_examples: int = key(
        1024, help="Training examples used to compute the importance of heads and neurons.", low=1
    )


@dataclass(frozen=True)
class SupernetSpec:
    """`[supernet]`: one training that all students share, and what is known of them before they are trained themselves.

    With student.init = "supernet" the preparation trains sub-networks of the teacher, nested by the importance of heads
    and neurons, on its cached outputs. Trials are cut from the result as from a teacher.
    """

    epochs: float = key(0.6, help="Passes over the training data.", low=0.001, high=1000)
    learning_rate: float = key(2e-4, help="Peak learning rate.", low=1e-8, high=1)
    batch_size: int = key(16, help="Examples per optimiser step.", low=1, high=4096)
    alpha: float = key(0.8, help="Weight of the soft loss; the hard loss gets 1 - alpha.", low=0, high=1)
    temperature: float = key(3.0, help="Temperature of both softmaxes in the soft loss.", low=0.1, high=100)
    nets_per_step: int = key(1, help="Sub-networks drawn for each step; their losses are averaged.", low=1, high=16)
    every_depth: bool = key(
        True,
        help="Train each drawn sub-network together with those that differ from it in layers alone. Layers that "
        "several begin with are computed once.",
    )
    seed: int = key(42, help="Seed of data order and of the sub-networks drawn.", low=0)
    screen: int = key(
        200, help="Sub-networks evaluated on the validation split before trial 0; 0 evaluates none.", low=0, high=2000
    )
    screen_examples: int = key(
        500, help="Validation examples that they are evaluated on, the first ones; 0 uses all.", low=0
    )
    screen_minutes: float = key(
        10.0, help="CPU time for that, in minutes; the sub-networks left out are not evaluated.", low=0.01, high=10_000
    )


def of(kinds: str, default: Any, *, help: str, **more: Any) -> Any:
    """A key that only some kinds of `[[transfer]]` use; `kinds` names them, separated by blanks."""
    return key(default, help=help, kinds=tuple(kinds.split()), **more)


TRANSFER_KINDS = ("file", "hub", "words", "ngrams", "mask", "replace", "eda", "generate")


@dataclass(frozen=True)
class TransferSpec:
    """`[[transfer]]`: texts without labels, which the teacher labels for the students, besides the training data.

    Text classification only. Duplicates, training texts, and texts of the validation or report split are dropped. Of a
    pair of sentences, all kinds but file and hub change one side.
    """

    kind: str = key(
        help="file, hub; words (every word alone), ngrams (parts of texts); mask, replace, eda (changed texts); "
        "generate (texts of a language model).",
        choices=TRANSFER_KINDS,
    )
    rows: int = key(0, help="Number of rows; 0 takes all (file, hub, words).", low=0)
    seed: int = key(1, help="Seed of the draws.", low=0)
    path: str = of("file", "", help="CSV, TSV, JSON Lines, or .txt with one text per line.")
    hub: str = of("hub", "", help="Dataset id on the Hugging Face Hub.")
    hub_config: str = of("hub", "", help="Configuration name of the Hub dataset.")
    split: str = of("hub", "train", help="Split of the Hub dataset.")
    text_column: str = of("file hub", "", help="Column of the (first) sentence; if empty, common names are tried.")
    text_pair_column: str = of("file hub", "", help="Column of the second sentence, for sentence pairs.")
    shortest: int = of("ngrams", 2, help="Fewest words of an n-gram.", low=1, high=1000)
    longest: int = of("ngrams", 5, help="Most words of an n-gram.", low=1, high=1000)
    share: float = of("mask replace eda", 0.1, help="Share of the words of a text that are changed.", low=0.01, high=1)
    model: str = of("generate", "", help="Hub id or folder of a causal language model, tuned on the training texts.")
    revision: str = of("generate", "", help="Hub revision (commit hash) to pin.")
    epochs: float = of("generate", 1.0, help="Passes over the training texts; 0 does not tune.", low=0, high=1000)
    learning_rate: float = of("generate", 5e-5, help="Peak learning rate.", low=1e-8, high=1)
    temperature: float = of("generate", 1.0, help="Temperature of sampling.", low=0.1, high=10)


PRETRAIN_KINDS = ("train", "transfer", "file")
REFUSE, DROP = "refuse", "drop"
"""Values of `pretrain.overlap`."""


@dataclass(frozen=True)
class PretrainSpec:
    """`[[pretrain]]`: texts for the pre-training of students as masked language models, see `pretrain_epochs`.

    Without a table these are the training texts, without their labels. Empty texts and duplicates are dropped.
    """

    kind: str = key(
        help="train: the training texts, of questions also the passages; transfer: those of [[transfer]]; file.",
        choices=PRETRAIN_KINDS,
    )
    path: str = of("file", "", help="CSV, TSV, JSON Lines, SQuAD JSON, or .txt with one text per line.")
    text_column: str = of("file", "", help="Column of the text; if empty, common names are tried.")
    overlap: str = of(
        "file",
        REFUSE,
        help="If the file has texts of the validation or the report split: refuse it, or drop these texts.",
        choices=(REFUSE, DROP),
    )


@dataclass(frozen=True)
class Settings:
    """`[settings]`: everything that defines one trial; each key is either fixed here or searched in `[search]`.

    A test verifies that the worker reads every one of them, so no searched parameter can be without effect.
    """

    recipe: str = key("", help="Name of the table in [recipes] with further settings of the student; empty: none.")
    family: str = key("transformer", help="Model family of the student, i.e. its kind of network.")
    layers: int = key(0, help="Number of layers; 0 keeps all layers of the initial model.", low=0, high=48)
    layer_choice: str = key("first", help="Which layers are kept.", choices=("first", "even", "list"))
    layer_list: list[int] = key(
        [], help="For layer_choice = list: indices of the kept layers, from 0.", searchable=False
    )
    heads: int = key(0, help="Attention heads kept in every layer; 0 keeps all.", low=0, high=128)
    head_choice: str = key("importance", help="Which heads are kept.", choices=("random", "importance"))
    head_seed: int = key(1, help="Seed for the random choice of heads.", low=0)
    hidden_size: int = key(
        0,
        help="Hidden size; below the initial model's, its hidden states are projected onto their principal components. "
        "0 keeps it, or from scratch uses the teacher's.",
        low=0,
        high=4096,
    )
    ffn_size: int = key(
        0,
        help="Feed-forward size: neurons kept in every layer, the most important ones; 0 keeps all. From scratch 0 "
        "means four times hidden_size.",
        low=0,
        high=16384,
    )
    ffn_choice: str = key(
        "even",
        help="For ffn_size below the initial model's: as many in each layer (even), or so many on average, the most "
        "important of all layers (global). list: the numbers of ffn_list.",
        choices=("even", "global", "list"),
    )
    ffn_list: list[int] = key(
        [],
        help="For ffn_choice = list: feed-forward neurons kept in each layer of the student, the first one first.",
        searchable=False,
    )
    embedding_rank: int = key(
        0,
        help="Rank of the word embeddings: a table of vocabulary times rank and a matrix of rank times hidden_size; 0 "
        "keeps the whole table.",
        low=0,
        high=4096,
    )
    separate_layers: int = key(
        0,
        help="Lower layers in which question and passage, or the sentences of a pair, attend only to themselves, so "
        "that passages can be computed once (DeFormer); fewer than the student has, 0 for none.",
        low=0,
        high=47,
    )
    head_size: int = key(64, help="From scratch: size of one head; must divide hidden_size.", low=4, high=512)
    bottleneck_size: int = key(
        0,
        help="bottleneck: width inside a layer, of its attention and feed-forward networks; 0 means a quarter of "
        "hidden_size.",
        low=0,
        high=4096,
    )
    ffn_count: int = key(
        0, help="bottleneck: feed-forward networks in a layer, one after the other; 0 means 4.", low=0, high=32
    )
    normalization: str = key(
        "auto",
        help="bottleneck: what follows every linear sum: no_norm (auto), a scale and a shift of each number, which is "
        "faster, or layer_norm, which is easier to train.",
        choices=("auto", "no_norm", "layer_norm"),
    )
    units: str = key(
        AUTO_UNITS,
        help="What a text is divided into; mlp, bilstm: the pieces of the teacher's tokenizer (auto) or words; linear: "
        "words (auto) or these pieces.",
        choices=(AUTO_UNITS, TEACHER_UNITS, "words"),
    )
    vocab_size: int = key(
        0,
        help="Rows of the embeddings. transformer, bottleneck: special tokens, characters and the most frequent pieces "
        "of the training data; 0 keeps the whole vocabulary of the initial model. mlp, bilstm: padding, unknown units "
        "and the most frequent units; 0 means 5000.",
        low=0,
        high=1_000_000,
    )
    vocabulary: str = key(
        CUT_VOCABULARY,
        help="Where the pieces of vocab_size come from: cut keeps pieces of the initial model's vocabulary; new trains "
        "a WordPiece vocabulary on the data, whose embeddings start as means of the old ones.",
        choices=(CUT_VOCABULARY, NEW_VOCABULARY),
    )
    embedding_size: int = key(16, help="mlp, bilstm: size of the embeddings.", low=1, high=4096)
    embedding_init: str = key(
        RANDOM,
        help="mlp, bilstm: first embeddings: random, or reduced by PCA the teacher's input embeddings of these units "
        "(of a word the mean over its pieces), or what the teacher makes of each unit alone (its last hidden states).",
        choices=(RANDOM, "teacher", "teacher-output"),
    )
    pooling: str = key(
        "auto",
        help="How a text becomes one vector; mlp: mean (auto) or attention; bilstm: last (auto), the last states of "
        "both directions, or max.",
        choices=("auto", "mean", "attention", "last", "max"),
    )
    word_dropout: float = key(
        0.0, help="mlp, bilstm: fraction of the units of a text that training leaves out.", low=0, high=0.9
    )
    ngrams: int = key(1, help="linear: longest n-gram, in units.", low=1, high=MOST_NGRAM)
    min_count: int = key(1, help="linear: training texts in which an n-gram must occur.", low=1, high=MOST_COUNT)
    max_features: int = key(
        100_000, help="linear: maximum number of n-grams; the most frequent ones are kept.", low=1, high=10_000_000
    )
    term_frequency: str = key(
        "linear",
        help="linear: weight of an n-gram that occurs n times in a text, before idf: n, or sublinear: 1 + ln n.",
        choices=("linear", "sublinear"),
    )
    C: float = key(10.0, help="linear: inverse of the L2 penalty, as in scikit-learn.", low=1e-4, high=1e4)
    class_weight: str = key(
        "none",
        help="linear: weight of a label in the loss: equal, or balanced: inverse to its frequency in the training "
        "data.",
        choices=("none", "balanced"),
    )
    dropout: float = key(0.1, help="Dropout after embeddings, attention and feed-forward.", low=0, high=0.9)
    attention_dropout: float = key(0.1, help="Dropout on attention weights.", low=0, high=0.9)
    classifier_dropout: float = key(0.1, help="Dropout before the task head.", low=0, high=0.9)
    initializer_range: float = key(
        0.02, help="Standard deviation of new weights; mlp, bilstm: of the embeddings.", low=1e-4, high=1
    )
    pruning: str = key(
        "none",
        help="Which weights become 0. magnitude: the smallest; random: any, as a control; gradual: the smallest, more "
        "with every step; iterative: in rounds with training between them (NIP); movement: those that training moves "
        "towards 0; proximal: those that a reweighted l1 norm makes 0 (RPP). Bytes and times of a model with zeros are "
        "those of a dense one.",
        choices=("none", "magnitude", "random", "gradual", "iterative", "movement", "proximal"),
    )
    sparsity: float = key(
        0.5,
        help="Share of zeros in every matrix that is pruned, or of the heads and neurons of every layer.",
        low=0,
        high=0.99,
    )
    pruning_scope: str = key(
        "linears",
        help="What is pruned: single weights of the linear layers of the encoder, or also of its word embeddings (not "
        "by movement); or whole attention heads or feed-forward neurons, which are removed (not by proximal).",
        choices=("linears", "embeddings", "heads", "neurons", "heads-and-neurons"),
    )
    pruning_when: str = key(
        "before",
        help="magnitude, random: before the training, which leaves the zeros alone; during it, like gradual; or after "
        "it.",
        choices=("before", "during", "after"),
    )
    pruning_begin: float = key(
        0.0,
        help="Share of the training after which pruning during it begins; movement: after the warm-up at the earliest.",
        low=0,
        high=1,
    )
    pruning_end: float = key(
        0.6, help="Share of the training after which pruning during it has reached the sparsity.", low=0, high=1
    )
    pruning_rounds: int = key(
        10, help="iterative: rounds of pruning; proximal: how often the norm is reweighted.", low=1, high=100_000
    )
    pruning_strength: float = key(
        0.0,
        help="proximal: weight gamma of the norm; 0 adjusts it so that about the sparsity is reached.",
        low=0,
        high=100,
    )
    pruning_learning_rate: float = key(0.01, help="movement: peak learning rate of the scores.", low=1e-8, high=10)
    alpha: float = key(0.5, help="Weight of the soft loss; the hard loss gets 1 - alpha.", low=0, high=1)
    soft_loss: str = key(
        "kl",
        help="kl: divergence of the softmaxes at a temperature; mse: mean squared difference of the logits.",
        choices=("kl", "mse"),
    )
    temperature: float = key(2.0, help="Temperature of both softmaxes in the soft loss kl.", low=0.1, high=100)
    hidden_weight: float = key(
        0.0,
        help="Weight of the hidden loss (PKD): mean squared difference of the normalised hidden states of the first "
        "token, student against teacher, after every layer of the student but the last; 0: off.",
        low=0,
        high=1e6,
    )
    hidden_map: str = key(
        "skip",
        help="Teacher layers of the hidden loss; of 12 for a student with 6: skip: 2 4 6 8 10; last: 7 8 9 10 11.",
        choices=("skip", "last"),
    )
    states_weight: float = key(
        0.0,
        help="Weight of the states loss (TinyBERT): mean squared difference of the hidden states of every token, "
        "summed over layers and embeddings; the teacher runs in every step; 0: off.",
        low=0,
        high=1e6,
    )
    attention_weight: float = key(
        0.0,
        help="Weight of the attention loss (TinyBERT): mean squared difference of attention scores before the softmax, "
        "head by head, summed over layers; the teacher runs in every step; 0: off.",
        low=0,
        high=1e6,
    )
    compared_layers: str = key(
        "all",
        help="Layers of the student that the hidden, states, attention and map losses compare: all, or joint: those "
        "above separate_layers alone, whose tokens see both segments as those of the teacher do (DeFormer).",
        choices=("all", "joint"),
    )
    relation_weight: float = key(
        0.0,
        help="Weight of the relation loss (MiniLM v2): divergence of how tokens relate to each other in the queries, "
        "keys and values of the student's last layer and a layer of the teacher, which runs in every step; 0: off.",
        low=0,
        high=1e6,
    )
    relation_heads: int = key(
        0,
        help="Heads of equal size that these queries, keys and values are divided into; 0 takes the teacher's number.",
        low=0,
        high=1024,
    )
    relation_layer: int = key(
        0, help="Layer of the teacher that the relation loss reads, counted from 1; 0: the last.", low=0, high=1000
    )
    map_weight: float = key(
        0.0,
        help="Weight of the map loss (MobileBERT): mean squared difference of the normalised hidden states of every "
        "token, summed over layers; the teacher runs in every step; 0: off; the authors use 100.",
        low=0,
        high=1e6,
    )
    map_mean_weight: float = key(
        0.0,
        help="Weight of the map mean loss: squared difference of the mean of each token's hidden state, summed over "
        "layers; the teacher runs in every step; 0: off; the authors use 5000.",
        low=0,
        high=1e6,
    )
    map_variance_weight: float = key(
        0.0,
        help="Weight of the map variance loss: absolute difference of the variance of each token's hidden state, "
        "summed over layers; the teacher runs in every step; 0: off; the authors use 5.",
        low=0,
        high=1e6,
    )
    attention_map_weight: float = key(
        0.0,
        help="Weight of the attention map loss (MobileBERT): divergence of the attention of each token, head by head, "
        "summed over layers; the teacher runs in every step; 0: off; the authors use 1.",
        low=0,
        high=1e6,
    )
    layerwise: str = key(
        "together",
        help="When the losses that compare layers count. together: in every step; first: in the first steps, alone, "
        "and not in the others (TinyBERT); progressive: the same, one layer after the other with those below it frozen "
        "(MobileBERT).",
        choices=("together", "first", "progressive"),
    )
    layerwise_share: float = key(0.5, help="Share of the steps that are these first ones.", low=0.01, high=0.99)
    projection_weight: float = key(
        0.0,
        help="Weight of the projection loss (shared projection): mean squared difference of the weights of the layers, "
        "student against teacher, which one pair of learned matrices brings to the same width; needs hidden_size below "
        "the teacher's; patented in the US, see losses.md; 0: off.",
        low=0,
        high=1e9,
    )
    projection: str = key(
        "down",
        help="What the projection loss compares: the teacher's weights in the student's width (down), the student's in "
        "the teacher's width (up), or both.",
        choices=("down", "up", "both"),
    )
    dual_share: float = key(
        0.0,
        help="With vocab_size: probability that a word reaches the teacher in the student's pieces, whose embeddings "
        "learn from what the teacher makes of them (dual training); it runs in every step; patented in the US, see "
        "losses.md; classification only; 0: off.",
        low=0,
        high=1,
    )
    transfer_share: float = key(
        0.0,
        help="Share of each batch drawn from the transfer set; they have no hard loss, and epochs counts passes over "
        "the labelled texts.",
        low=0,
        high=0.95,
    )
    pretrain_epochs: float = key(
        0.0,
        help="Passes over the texts of [[pretrain]] as a masked language model before the training on the task; 0: "
        "none. Students that start and read alike share the result.",
        low=0,
        high=1000,
    )
    pretrain_learning_rate: float = key(5e-4, help="Peak learning rate of the pre-training.", low=1e-8, high=1)
    pretrain_batch_size: int = key(32, help="Texts per optimiser step of the pre-training.", low=1, high=4096)
    pretrain_max_length: int = key(
        128, help="Maximum input length of the pre-training in tokens; longer texts are divided.", low=8, high=8192
    )
    mask_probability: float = key(
        0.15,
        help="Share of the tokens that the pre-training predicts: 80 % of them masked, 10 % replaced, 10 % left.",
        low=0.01,
        high=0.9,
    )
    learning_rate: float = key(5e-5, help="Peak learning rate.", low=1e-8, high=1)
    beta_1: float = key(0.9, help="AdamW decay rate of the first moment.", low=0, high=0.99999)
    beta_2: float = key(0.999, help="AdamW decay rate of the second moment.", low=0, high=0.999999)
    adam_epsilon: float = key(1e-8, help="AdamW epsilon.", low=1e-12, high=1e-2)
    weight_decay: float = key(0.01, help="AdamW weight decay; not applied to bias and LayerNorm.", low=0, high=1)
    warmup_fraction: float = key(
        0.1, help="Fraction of the steps over which the learning rate rises linearly from 0.", low=0, high=1
    )
    max_grad_norm: float = key(1.0, help="Maximum gradient norm for clipping; 0 disables clipping.", low=0)
    batch_size: int = key(16, help="Examples per forward and backward pass.", low=1, high=4096)
    accumulation: int = key(
        1, help="Batches accumulated per optimiser step, averaged over all their examples.", low=1, high=4096
    )
    epochs: float = key(3.0, help="Passes over the training data.", low=0.001, high=1000)
    finetune_epochs: float = key(
        0.0,
        help="Passes over the labelled training data with the hard loss alone, after those of epochs; 0: none.",
        low=0,
        high=1000,
    )
    finetune_learning_rate: float = key(5e-5, help="Peak learning rate of these passes.", low=1e-8, high=1)
    seed: int = key(42, help="Seed of data order, dropout, masks and new weights.", low=0)
    precision: str = key(
        "auto",
        help="Training precision; auto uses bf16 on GPUs that have it, and on processors where it measures faster.",
        choices=("auto", "fp32", "bf16"),
    )
    weights: str = key(
        FP32,
        help="Number format of the stored weights. int8: 8 bits with a scale for each output channel and each row of "
        "embeddings, vectors in fp16; int4-embeddings: the same with embeddings in 4 bits, a scale for each 32. "
        "Training is not affected; every evaluation uses the rounded weights.",
        choices=WEIGHTS,
    )
    evaluations: int = key(4, help="Evaluations on the validation split, evenly spaced.", low=1, high=1000)
    checkpoint_minutes: float = key(
        10.0, help="Minutes between writes of the last checkpoint.", low=0.01, high=1440, searchable=False
    )


SEARCHABLE = tuple(f.name for f in dataclasses.fields(Settings) if f.metadata.get("searchable", True))


@dataclass(frozen=True)
class Device:
    """What an attempt may use: CPU threads, or one GPU by UUID and a fraction of its memory.

    `node` is the name of the machine that has it; empty for the machine that the runner is on.
    """

    kind: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    uuid: str = ""
    memory_fraction: float = 1.0
    node: str = ""
