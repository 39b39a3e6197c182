"""The words of the app, each in one or two plain sentences with the page that says more. It looks nothing up.

Metrics and settings are not here: their own tables explain them, and `views.terms` joins all three.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """What a word means."""

    name: str
    words: str
    page: str = ""
    """The page of `docs/` that says more."""
    also: tuple[str, ...] = ()
    """Other words for the same."""
    head: bool = False
    """Explained only where it is the head of a column: elsewhere it is a common word."""


_TEXT = """
## guide/studies.md
study | studies | sweep: One search for good students on one task and data set, described by a study file; or a
    collection of runs that were logged.
best | best points | best score: The trial with the best score; of several, the smallest.
smallest | smallest feasible: The smallest trial that meets every threshold.
plan: What a study would cost: number of steps, sizes of its students, minutes, disk. Nothing starts.
## study-file.md
study file: The TOML file that describes a study: data, teacher, search space, objectives, budget.
objective | objectives: What the search makes better: a metric with a direction, for example accuracy up and
    parameters down. ↑ means that more is better, ↓ that less is.
search space | can be: Which parameters are searched, and the values that each can have.
parameter | parameters: A setting that is searched: the optimiser chooses its value for every trial.
setting | settings: A value that defines a student or its training; it is fixed for the study, or searched.
reference | references: A published model from the study file, drawn as ○ for comparison.
transfer set: Texts without labels of their own: only the teacher labels them for the students.
metric | metrics: A number that a trial yields: a score, a size or a time.
## guide/study.md
trial | trials | #: One student with one set of parameters: built, trained, scored and measured. #7 is trial number 7
    of its study.
baseline: The trial that the others are compared with: trial 0, with the settings of [baseline] in the study file.
    Marked ◆.
state: Waiting, running, complete, failed (the machine or the code: retried), infeasible (the parameters: diverged or
    out of memory), pruned, or stopped by a person.
infeasible: Trained but diverged, or does not fit into memory: caused by its parameters, so it is not retried.
pruned: Stopped early, because its curve was far behind those of other trials.
frontier | Pareto front: The trials that no other trial beats in every objective, marked ★: for each size the best
    score. The line of the chart joins them.
dominated | dominated by: Another trial is at least as good in every objective and better in one. The note names it:
    dominated by #7.
hypervolume | volume | HV: The share of the chart's plane that the frontier covers, between 0 and 1. It
    grows as better trials are found; one beyond all others widens the plane, so that it may also fall. In brackets
    its 95 % interval, then what the newest trial added.
gain: What a trial added to the hypervolume when it finished: 0 if others were already better. A repeat takes away
    what a lucky seed had gained.
rank | by rank: Place in the list: the frontier first, then by distance to it, then trials that miss a threshold.
distance: How far a trial would have to improve to reach the frontier, as a share of each objective's range; sizes
    count by their logarithm.
chance | at chance: The score of a model that has learnt nothing and always gives the most frequent answer, or none.
marked: Trials marked with space: their curves are drawn together, and c compares them.
step: One update of the weights, from one batch of examples.
smoothing: Curves are drawn as moving averages, so that a trend shows through the noise.
live: The chart follows the newest values; t freezes it.
log x | log y: The axis is logarithmic: equal steps are equal factors.
stored to step: The running trial's numbers up to this step are in the database and survive any crash.
search/ | search: Before the name of a curve: measured on the validation split.
train/ | train: Before the name of a curve: measured on the training batches.
examples_per_second: How many training examples the worker reads in a second.
## guide/trial.md
attempt | attempts: One process that works on a trial. If it dies, another attempt continues from the last checkpoint.
origin: Who chose the parameters of a trial: the sampler, the baseline of the study file, a person (queue, rerun), or
    another tracker (import).
- differs: The setting is searched, or is not that of the baseline or of the trial that was rerun.
checkpoint | checkpoints: The weights of a student, stored at some step: the best so far, and the last. Its size is
    that of all files in its folder; the last one also has the state of the optimiser, so it is larger.
- time: For how long the trial was worked on, without waiting.
- end: How the attempt ended: complete, or the cause of its death, such as the signal that killed it.
parent: The trial that a rerun repeats with one setting changed.
proposed by: The method that chose the parameters, and the seed that repeats its choice.
## guide.md
teacher: The large model that the students learn to imitate; its score is drawn as a line.
student | students: A small model that a trial trains on the labels and on the outputs of the teacher.
weak teacher: The teacher scores hardly better than chance or than a plain student: fix it first.
validation split | dev set: Part of the training data that is held out to score trials and choose among them, so its
    scores are a little optimistic.
preparing | preparation: Done once for all trials of a study: split and tokenise the data, train the teacher if
    needed, store its outputs.
workspace: The folder with the database, the runs and the promoted models.
## tiny-classifiers.md
family: The kind of network a student is: transformer, bottleneck, bilstm, mlp or linear.
bilstm: A family: a recurrent network that reads a text in both directions.
mlp: A family: averaged word embeddings and one hidden layer. Word order does not matter to it.
linear: A family: a weight for each word or n-gram, added up. The smallest and fastest.
- training: Plain: on the labels alone. Distilled: also on the teacher's outputs, perhaps with a transfer set.
ladder: The best student of every family, from the smallest up, beside the teacher.
95 % | 95 % interval | interval: 95 % confidence interval: where the value would be on other examples of the same
    kind.
to the teacher: Difference to the teacher's score, in points.
## smaller-encoders.md
transformer: A family: encoders such as BERT, with fewer layers, heads, neurons or words.
bottleneck: A family: the narrow transformer layers of MobileBERT.
survey: Every method of a study by how much smaller its models are, beside published results.
- method | best method | methods: A recipe of the study file, or the ways of making a model smaller that a trial uses.
score kept | kept there: The score in percent of the teacher's.
- at least: A compression: only models that are this many times smaller than the teacher compete.
ties with: Methods whose difference to the best may be due to chance.
- published | published method: What authors report for their models on the same data, not measured here.
## guide/settings.md
budget: How many trials a study may run. Reruns and trials queued by hand may come on top.
threshold: A limit that a trial must reach to be feasible. In a cascade: how sure the small model must be to answer
    alone.
misses a threshold: A metric of the trial is worse than the limit set for it; marked ×.
requests | request: Changes that people made: who, when, and the outcome; many can be undone.
## search.md
sampler: The part of the optimiser that proposes the parameters of the next trial.
## guide/rerun.md
rerun: A trial repeated with exactly one setting changed.
## guide/workers.md
waiting: In the queue: it starts as soon as a slot is free.
oom: Out of memory.
phase: What a worker does now: preparing, training, evaluating, measuring.
runner: The process that proposes trials, starts workers and stores their results. It outlives the app.
worker | workers: The process that trains one trial.
slot | slots: A place where one worker can run: a GPU, or a part of the processor.
- rate: Examples per second.
queue | waits: Trials that will run next, with the reason why each still waits.
- device: The GPU or the threads that the worker uses.
## guide/analysis.md
near the teacher | within 1 of teacher: The smallest trial whose score is at most 1 point below the teacher's.
best for: The scenarios that this trial is the answer to.
importance | share: How much of the difference between trials a parameter accounts for; shares add up to 100 %.
parallel coordinates: One vertical axis for each parameter and metric, one line for each trial.
slices: One parameter against one metric: a point for each trial.
scenario | scenarios: A question such as “the smallest model that is as good as the baseline”, with the trial that
    answers it.
keep size, gain score: The best score among trials no larger than the baseline.
shrink, keep score: The smallest trial with a score no worse than the baseline's.
worker-hours: Hours of all workers together: two workers make two worker-hours an hour.
F1: Harmonic mean of precision and recall; of an answer, over the words that it shares with the right one.
precision: Of the texts that were given this label, the share for which it is right.
recall: Of the texts that have this label, the share that were given it.
- is \\ given | given: A row for each right label, a column for each label that the model gave.
mostly correct | mostly wrong: A wrong answer that shares most of its words with the right one: its F1 is above the
    cut.
- class: The kind of error: wrong, mostly correct, answered though there is no answer, or none given.
- hours: Worker-hours until the trial ended.
- cut: The F1 from which on a wrong answer counts as mostly correct.
word order | WOS | shuffled: How often a model changes its answer when the words of a text are shuffled: 0 % means
    that order does not matter.
## guide/promote.md
report split | report score | report scores | test set: Data that no choice is based on. It is read once, when a model
    is promoted, and gives the score to report.
promote | promotion: Load a checkpoint in a clean process, score it again, compare with the record, and export it.
verification | verified: The checks of a promotion: weights, recorded score, report split, latency, export.
- recorded | recorded scores: The score that the worker stored when it trained the model.
- repeated: The score of the same weights, computed again in a clean process.
## noise.md
repeats | repeat of | seeds: Trials with the same settings but for the seed. They are ranked and drawn by their means; ±
    is the standard deviation over the seeds.
on frontier | p_frontier | certainty: The probability that a point is on the frontier of true scores: with other
    examples and seeds, others might be better.
tied: Dominated, but not told apart from the frontier: it is on it with a probability of at least 5 %. Marked ☆.
- tie: The difference is within what other examples and seeds would change.
luck | selection: How far the score is expected to fall when it is measured on other examples: the best of many is
    partly the luckiest.
optimism | validation less report: Validation score minus report score. The model was chosen by the first.
## report.md
digest of the validation split: A checksum of the examples in it: equal digests mean the same examples.
sha256: Checksum of the weights: equal ones mean the same file.
## losses.md
soft loss | soft_loss | distillation loss: How far the student's outputs are from the teacher's. Its weight is alpha.
hard loss | hard_loss: How far the student's outputs are from the labels. Its weight is 1 - alpha.
loss: What training makes smaller: the weighted sum of soft and hard loss and of other terms.
distilled: Trained on the teacher's outputs; a plain student has only the labels.
## analysis.md
PED-ANOVA: A measure of importance: which parameters distinguish the best tenth of the trials from the others.
fANOVA: A measure of importance: which parameters explain the values of all trials, by a random forest.
## guide/cascades.md
cascade | cascades: Two models: the cheap one answers, and passes what it is unsure of to the large one. Marked ◇.
- asked first | then: The cheaper of the two models, with which every text begins.
passed on: The share of texts that the cheap model is unsure of, so that the large one answers.
- random: The score if as many texts, but chosen at random, went to the large model.
- gap: How much of the difference between the two models' scores the cascade makes up.
oracle | shuffle oracle: The best possible choice of the texts to pass on, as a bound.
## machines.md
machine | machines: Another computer that runs workers, reached by ssh or through a job scheduler.
## guide/models.md
alias | aliases: A name for one version of a model, such as production; it can be moved to another version.
versions: Every promotion under the same name makes the next version: name:1, name:2.
card: A page that comes with a model: how it was made, its scores, how to load it.
changed since: Files of the model are missing or differ from those that were verified.
## results.md
latency: Time for one answer on one CPU thread.
"""
"""Below each page `word | other word: what it means`, continued on indented lines; `- ` before heads."""


def _read(text: str) -> Iterator[Entry]:
    page = ""
    for line in text.strip().replace("\n    ", " ").splitlines():
        if line.startswith("## "):
            page = line.removeprefix("## ")
            continue
        names, _, words = line.removeprefix("- ").partition(": ")
        name, *also = names.split(" | ")
        yield Entry(name, words, page, tuple(also), head=line.startswith("- "))


TERMS = tuple(_read(_TEXT))
"""Each name once; matched as whole words, in any case where they are longer than two letters."""
