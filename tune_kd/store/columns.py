"""The store's tables, one line per column: name, type, unit and meaning.

These names are the contract with ``analysis`` and with users' scripts. Base units only: J, g, s, FLOP,
bytes, fractions of 1. Null means "not measured" or "does not apply", never 0. Durations come from a
monotonic clock, times are UTC at µs. A double holds FLOPs: exact up to 2⁵³, and a sum of large ones does
not wrap around, as one of 64-bit integers would.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 2

NESTED = ("counts", "scores", "bins", "matrix", "maps")
TYPES = ("string", "int", "double", "bool", "time", *NESTED)  # schema.py has them in Arrow

RUN_STATUSES = ("planned", "running", "completed", "stopped", "failed", "lost")
TRIAL_STATUSES = ("completed", "stopped", "failed", "lost")


@dataclass(frozen=True)
class Column:
    """One column; ``required`` says that no row may leave it out."""

    name: str
    type: str
    unit: str
    meaning: str
    required: bool = False

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"column {self.name}: type must be one of {', '.join(TYPES)}, got {self.type!r}")


C = Column
KEY = True  # a column that every row has

# fmt: off
VERSION = C("schema_version", "int", "", "version of this schema when the row was written", KEY)
RUN_ID = C("run_id", "string", "", "the run: one policy, scenario, budget and replicate", KEY)
TRIAL_KEY = (
    C("trial_id", "string", "", "the trial, unique everywhere: the run and the trial's index", KEY),
    C("attempt", "int", "", "the attempt at the trial; 0 is the first", KEY),
)

# What a trial has spent up to a moment; the same in `trials` (at its end) and in `reports` (after each epoch).
SPENT = (
    C("flops_executed", "double", "FLOP", "all that ran: forward, backward, teacher, evaluation, policy and synthesis"),
    C("flops_teacher", "double", "FLOP", "the teacher's forward passes"),
    C("flops_forward", "double", "FLOP", "the student's forward passes in training"),
    C("flops_backward", "double", "FLOP", "the student's backward passes"),
    C("flops_eval", "double", "FLOP", "validation"),
    C("flops_synthesis", "double", "FLOP", "synthesis of images that is the trial's own"),
    C("flops_policy", "double", "FLOP", "what the policy itself passed through the networks, beyond one pass a batch"),
    C("flops_paper", "double", "FLOP", "by the paper's convention: forward only, the teacher asked in every trial"),
    C("flops_uncounted_ops", "string", "", "operators that the counts leave out, comma-separated"),
    C("energy_j", "double", "J", "all of it: energy_cpu_j + energy_gpu_j + energy_ram_j + energy_idle_j"),
    C("energy_cpu_j", "double", "J", "the CPUs' energy above idle"),
    C("energy_gpu_j", "double", "J", "the GPUs' energy above idle"),
    C("energy_ram_j", "double", "J", "the reserved share of the memory's energy"),
    C("energy_idle_j", "double", "J", "the reserved share of CPUs and GPUs at idle"),
    C("energy_method", "string", "", "how the joules were found: counter, sampled, model or mixed"),
    C("co2e_g", "double", "g CO2e", "emissions of energy_j, PUE included"),
    C("duration_s", "double", "s", "start to end; of trials side by side an equal share, as of all seconds here"),
    C("train_s", "double", "s", "training passes, the teacher's included"),
    C("eval_s", "double", "s", "validation"),
    C("teacher_s", "double", "s", "the teacher's forward passes, a part of train_s"),
    C("synthesis_s", "double", "s", "synthesis of images that is the trial's own"),
    C("other_s", "double", "s", "the rest: duration_s − train_s − eval_s − synthesis_s"),
    C("policy_parameters", "int", "", "parameters that the policy learns beside the student's"),
    C("peak_memory_bytes", "int", "bytes", "largest memory held: the GPU's where there is one"),
    C("co_tenants", "int", "", "most other processes with trials on the node at the same time"),
    C("metered_s", "double", "s", "time that its energy was metered; of a trial also after its last report"),
    C("cpu_s", "double", "s", "CPU seconds of its processes; of trials side by side an equal share"),
    C("cpu_wait_s", "double", "s", "time that its slowest thread was ready to run and had no CPU"),
    C("cpu_wait_other_s", "double", "s", "of cpu_wait_s: because of programs that are no trials of this meter"),
    C("cpu_other_s", "double", "s", "CPU seconds of those programs on its node meanwhile"),
    C("energy_own_pace_j", "double", "J", "energy_j, but modelled RAM and idle only for the time undisturbed"),
    C("own_pace_method", "string", "", "how that was found: run-time, run-queue, cpu-time, mixed or counter"),
)

RUNS = (
    VERSION, RUN_ID,
    C("study", "string", "", "the study's name"),
    C("study_id", "string", "", "the compare or study that planned the run"),
    C("scenario", "string", "", "what is trained, by name", KEY),
    C("scenario_json", "string", "", "the scenario in full, as JSON"),
    C("scenario_sha256", "string", "", "hash of scenario_json"),
    C("task", "string", "", "what is learned: classification"),
    C("metric", "string", "", "what every score of the run measures, larger is better: accuracy"),
    C("policy", "string", "", "how τ is chosen, by name", KEY),
    C("policy_json", "string", "", "the policy's options, as JSON"),
    C("policy_sha256", "string", "", "hash of the policy's source text"),
    C("space", "string", "", "the search space, by name"),
    C("space_json", "string", "", "the search space in full, as JSON"),
    C("replicate", "int", "", "which replicate; 0 is the first"),
    C("seed", "int", "", "the replicate's seed, of search and training"),
    C("study_seed", "int", "", "what the seeds of all replicates of the study come from"),
    C("track", "string", "", "recipe, budget or target"),
    C("budget_currency", "string", "", "trials, epochs, flops, joules, gco2e or seconds"),
    C("budget_limit", "double", "currency", "the budget, in the currency's base unit"),
    C("budget_text", "string", "", "the budget as it was asked for"),
    C("trials_at_most", "int", "trials", "most trials that the run can have; null: not known beforehand"),
    C("trial_epochs", "int", "epochs", "epochs of a whole trial"),
    C("planned_replicates", "int", "", "replicates of the study by the plan that the run is in; more once extended"),
    C("looks_json", "string", "", "looks, their levels and the reference of a study that stops once decided, as JSON"),
    C("target_accuracy", "double", "fraction", "target track: the validation accuracy at which the run stops"),
    C("spent", "double", "currency", "what the ledger charged"),
    C("overshoot", "double", "currency", "spent beyond the limit"),
    C("energy_unmatched_j", "double", "J", "rows of trials and shared_energy_j, less energy_trials_j of its nodes"),
    C("teacher_id", "string", "", "hash of everything that made the teacher"),
    C("teacher_energy_j", "double", "J", "the teacher's training; outside the budget"),
    C("teacher_energy_own_pace_j", "double", "J", "the same at its own pace"),
    C("teacher_flops", "double", "FLOP", "the teacher's training"),
    C("teacher_co2e_g", "double", "g CO2e", "the teacher's training"),
    C("teacher_duration_s", "double", "s", "the teacher's training"),
    C("teacher_val_score", "double", "fraction", "the teacher's validation score, in the metric"),
    C("teacher_test_score", "double", "fraction", "the teacher's test score, in the metric"),
    C("teacher_test_metrics_json", "string", "", "the teacher's test by the columns that trials have for it, as JSON"),
    C("teacher_val_accuracy", "double", "fraction", "classification: the same as teacher_val_score"),
    C("teacher_test_accuracy", "double", "fraction", "classification: the same as teacher_test_score"),
    C("shared_energy_j", "double", "J", "teacher outputs computed once for all trials"),
    C("shared_energy_own_pace_j", "double", "J", "the same at its own pace"),
    C("shared_flops", "double", "FLOP", "teacher outputs computed once for all trials"),
    C("shared_s", "double", "s", "teacher outputs computed once for all trials"),
    C("shared_co2e_g", "double", "g CO2e", "teacher outputs computed once for all trials"),
    C("examples_json", "string", "", "a few test images: indices, labels, names of classes, PNG of public ones; JSON"),
    C("pool_id", "string", "", "hash of everything that made the pool of synthesised images; null: none"),
    C("pool_energy_j", "double", "J", "the pool's synthesis; outside the budget and in no trial's energy"),
    C("pool_energy_own_pace_j", "double", "J", "the same at its own pace"),
    C("pool_flops", "double", "FLOP", "the pool's synthesis"),
    C("pool_s", "double", "s", "the pool's synthesis"),
    C("pool_co2e_g", "double", "g CO2e", "the pool's synthesis"),
    C("pool_agreement", "double", "fraction", "share of the pool's images that the teacher names as was aimed at"),
    C("pool_examples_json", "string", "", "by class some images of the pool, PNG in base64, as JSON"),
    C("split_sha256", "string", "", "hash of the train, validation and test split"),
    C("val_images", "int", "images", "images of the validation set"),
    C("val_prevalence", "double", "fraction", "share of the largest class of the validation set"),
    C("skipped_images", "int", "", "images that could not be decoded and were left out"),
    C("left_out_json", "string", "", "files of the data folder that are no images, counted by what they are, as JSON"),
    C("cpus_per_trial", "double", "", "CPU cores reserved for a trial"),
    C("gpus_per_trial", "double", "", "GPUs reserved for a trial"),
    C("code_version", "string", "", "version of tune-kd"),
    C("code_revision", "string", "", "revision of its source, where known"),
    C("code_dirty", "bool", "", "whether its source had changes beyond code_revision"),
    C("forced_changes", "string", "", "what differed when a resume was forced"),
    C("equivalence_margin", "double", "fraction", "differences of accuracy below it do not matter; of the scenario"),
    C("started_at", "time", "UTC", "when the run started"),
    C("ended_at", "time", "UTC", "when it ended; of a lost run, its last sign of life"),
    C("status", "string", "", "planned, running, completed, stopped, failed or lost", KEY),
    C("error", "string", "", "why it failed or was lost"),
)

TRIALS = (
    VERSION, RUN_ID, *TRIAL_KEY,
    C("index", "int", "", "place of the trial in its run; 0 is the first", KEY),
    C("params_json", "string", "", "the suggested hyperparameters, as JSON", KEY),
    C("metric", "string", "", "what the scores measure, larger is better: accuracy"),
    C("tau", "double", "", "τ; null when it moves within the trial"),
    C("alpha", "double", "", "weight of the distillation term in the loss"),
    C("seed", "int", "", "seed of initial weights and τ draws", KEY),
    C("status", "string", "", "completed, stopped, failed or lost", KEY),
    C("error", "string", "", "why it failed or was lost"),
    C("node_id", "string", "", "the node that ran it"),
    C("side_by_side", "int", "", "trials that its process trained at the same time, itself included; 1: it alone"),
    C("started_at", "time", "UTC", "when the attempt started", KEY),
    C("ended_at", "time", "UTC", "when it ended; of a lost attempt, its last sign of life", KEY),
    C("tested_at", "time", "UTC", "when the test set was read"),
    C("epochs", "int", "epochs", "epochs that this attempt finished, without those of the attempts before", KEY),
    C("checkpoint_epoch", "int", "", "the epoch whose weights the checkpoint rule chose; 1 is the first"),
    C("diverged_epoch", "int", "", "the first epoch whose loss, outputs or weights were not finite; null: none"),
    C("val_score", "double", "fraction", "validation score at checkpoint_epoch, in the run's metric"),
    C("val_accuracy", "double", "fraction", "classification: the same as val_score"),
    C("val_loss", "double", "", "validation loss at checkpoint_epoch"),
    C("test_score", "double", "fraction", "test score at checkpoint_epoch, in the run's metric, read once"),
    C("test_accuracy", "double", "fraction", "classification: the same as test_score"),
    C("test_metrics_json", "string", "", "the test's other figures, those without a column, as JSON"),
    C("precision_macro", "double", "fraction", "test precision, mean over classes"),
    C("recall_macro", "double", "fraction", "test recall, mean over classes"),
    C("specificity_macro", "double", "fraction", "test specificity, mean over classes"),
    C("f1_macro", "double", "fraction", "test F1, mean over classes"),
    C("kappa", "double", "", "Cohen's kappa on the test set"),
    C("prevalence", "double", "fraction", "share of the largest class of the test set"),
    C("confusion", "counts", "images", "test confusion matrix; rows: true class, columns: predicted; NaN is in none"),
    C("per_class", "scores", "fraction", "test precision, recall and F1 of each class"),
    C("ece", "double", "fraction", "expected calibration error of the test: |accuracy − confidence|, over 15 bins"),
    C("reliability", "bins", "images, fraction", "the test by confidence, in 15 bins of equal width from 0 to 1"),
    C("example_logits", "matrix", "", "logits of the run's example images; rows: images, columns: classes"),
    C("example_maps", "maps", "", "Grad-CAM of the example images' true classes, not scaled: image, row, column"),
    C("example_layer", "string", "", "the layer of the student that example_maps are of"),
    C("inference_s", "double", "s", "prediction of the whole test set, after a pass that warms up"),
    C("inference_energy_j", "double", "J", "prediction of the whole test set"),
    C("inference_co2e_g", "double", "g CO2e", "prediction of the whole test set"),
    C("inference_runtime", "string", "", "what predicted, with its version: torch or onnxruntime"),
    C("weight_bytes", "int", "bytes", "the tensors that the tested network reads: weights, statistics, scales"),
    C("reduce_range", "bool", "", "int8: whether activations have 7 bits, for CPUs without VNNI"),
    C("float_test_score", "double", "fraction", "int8: test score of the float32 network that was quantized"),
    C("float_weight_bytes", "int", "bytes", "int8: weight_bytes of the float32 network"),
    C("float_inference_s", "double", "s", "int8: inference_s of the float32 network in the same runtime"),
    C("float_inference_energy_j", "double", "J", "int8: inference_energy_j of the float32 network in the same runtime"),
    C("energy_test_j", "double", "J", "the whole test evaluation; not in energy_j, not charged"),
    *SPENT,
    C("pue", "double", "", "power usage effectiveness: facility over IT energy", KEY),
    C("carbon_g_per_kwh", "double", "g/kWh", "carbon intensity of the electricity"),
    C("carbon_source", "string", "", "where the intensity comes from"),
    C("carbon_region", "string", "", "the country whose intensity it is, ISO 3166-1 alpha-3; null: no country's"),
    C("carbon_year", "int", "", "the year that the country's intensity is of"),
)

REPORTS = (
    VERSION, RUN_ID, *TRIAL_KEY,
    C("epoch", "int", "", "the epoch; 1 is the first", KEY),
    C("at", "time", "UTC", "when its validation ended", KEY),
    C("node_id", "string", "", "the node that ran it"),
    *SPENT,
    C("train_loss", "double", "", "mean training loss of the epoch"),
    C("val_loss", "double", "", "validation loss after the epoch"),
    C("val_score", "double", "fraction", "validation score after the epoch, in the run's metric"),
    C("val_accuracy", "double", "fraction", "classification: the same as val_score"),
    C("checkpoint_epoch", "int", "", "the epoch that the checkpoint rule would choose so far"),
    C("checkpoint_val_score", "double", "fraction", "validation score at checkpoint_epoch"),
    C("checkpoint_val_accuracy", "double", "fraction", "classification: the same as checkpoint_val_score"),
    C("checkpoint_val_loss", "double", "", "validation loss at checkpoint_epoch"),
    C("diverged_epoch", "int", "", "the first epoch so far whose loss, outputs or weights were not finite"),
    C("lr", "double", "", "learning rate of the epoch's first batch"),
    C("tau_mean", "double", "", "mean τ over the epoch's batches"),
    C("tau_min", "double", "", "smallest τ of the epoch"),
    C("tau_max", "double", "", "largest τ of the epoch"),
)

NODES = (
    VERSION, RUN_ID,
    C("node_id", "string", "", "the node, by Ray's id", KEY),
    C("cpu_model", "string", "", "the CPU's name"),
    C("cpus", "int", "", "logical CPUs"),
    C("ram_bytes", "int", "bytes", "memory"),
    C("gpu_model", "string", "", "the GPUs' name"),
    C("gpus", "int", "", "GPUs"),
    C("gpu_driver", "string", "", "version of the GPU driver"),
    C("power_limit_w", "double", "W", "power limit of a GPU"),
    C("mig", "bool", "", "whether a GPU is split into MIG instances"),
    C("os", "string", "", "operating system"),
    C("python", "string", "", "version"),
    C("torch", "string", "", "version"),
    C("torchvision", "string", "", "version"),
    C("ray", "string", "", "version"),
    C("optuna", "string", "", "version"),
    C("codecarbon", "string", "", "version"),
    C("meter_method_cpu", "string", "", "counter, sampled or model; null: not measured"),
    C("meter_method_gpu", "string", "", "counter, sampled or model; null: not measured"),
    C("meter_method_ram", "string", "", "counter, sampled or model; null: not measured"),
    C("meter_error", "string", "", "why the meter stopped answering; null: it did not"),
    C("meter_params_json", "string", "", "what the meter assumed, as JSON"),
    C("energy_total_j", "double", "J", "the node from the run's start to its end, while it was metered"),
    C("energy_trials_j", "double", "J", "of it: the run's trials, their tests and the teacher outputs that they share"),
    C("energy_other_runs_j", "double", "J", "of it: trials of other runs, and the training of a teacher"),
    C("energy_other_j", "double", "J", "of it: other processes, and idle that trials of other meters reserved"),
    C("energy_idle_j", "double", "J", "of it: idle that nobody reserved"),
    C("energy_residual_j", "double", "J", "total − trials − other runs − other − idle; 0 but for rounding"),
    C("samples", "int", "", "readings taken"),
    C("longest_gap_s", "double", "s", "longest time between two readings"),
    C("coverage", "double", "fraction", "share of the metered time with readings at the asked rate"),
    C("meters_beside_s", "double", "s", "of the metered time: with trials of other meters; null: they are not seen"),
)
# fmt: on

TABLES: dict[str, tuple[Column, ...]] = {"runs": RUNS, "trials": TRIALS, "reports": REPORTS, "nodes": NODES}

ACCURACY = "accuracy"  # the metric of classification
ACCURACIES = {
    "val_score": "val_accuracy",
    "test_score": "test_accuracy",
    "checkpoint_val_score": "checkpoint_val_accuracy",
    "teacher_val_score": "teacher_val_accuracy",
    "teacher_test_score": "teacher_test_accuracy",
}
"""By score, the column that has it, too, where the metric is the accuracy."""

BEFORE = {1: {**ACCURACIES, "task": "'classification'", "metric": f"'{ACCURACY}'"}}
"""By schema version, in SQL, what its files have for columns that they do not have by name."""

KEYS: dict[str, tuple[str, ...]] = {
    "runs": ("run_id",),
    "trials": ("run_id", "trial_id", "attempt"),
    "reports": ("run_id", "trial_id", "attempt", "epoch"),
    "nodes": ("run_id", "node_id"),
}
"""What tells a table's rows apart, and the order in which they are read."""
