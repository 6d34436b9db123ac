"""What the help says of the options of the commands that train, and what a terminal alone has beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tune_kd.cli.choices import LOSSES, RECIPES, SYNTHESES, TRACKS, one_of, scenario_presets, spaces
from tune_kd.cli.options import CACHE, CARBON, DATA_ROOT, METER, SEARCH, SHOWN, STORE, WHAT, WHERE, option

# The fields of Planning, Execution and Shown, in the order of the help. Their types and defaults are there.
WORDS: dict[str, Any] = {
    "scenario": option(
        WHAT,
        "A preset or a file of your own.",
        "NAME|FILE.toml",
        default="digits; with --data: images",
        complete=scenario_presets,
    ),
    "data": option(WHAT, "A folder of images: ImageFolder layout, or Hugging Face Parquet files.", "DIR"),
    "image_column": option(
        WHAT, "Of Parquet files, the column of images.", "NAME", default="image, else the only one of images"
    ),
    "label_column": option(
        WHAT, "Of Parquet files, the column of labels.", "NAME", default="label, else the only one of labels"
    ),
    "train_limit": option(WHAT, "Train on a stratified part of so many images.", "N", default="all"),
    "skip_bad_images": option(WHAT, "Leave out images that cannot be decoded.", "", "--skip-bad-images"),
    "teacher": option(WHAT, "The teacher's network: one of ours, timm:NAME or package.module:callable.", "MODEL"),
    "teacher_checkpoint": option(WHAT, "The teacher's weights, a state_dict.", "FILE", default="it is trained"),
    "student": option(WHAT, "The student's network.", "MODEL"),
    "recipe": option(
        WHAT,
        "default: the scenario's own; paper: the paper's text; authors: its code.",
        "NAME",
        complete=one_of(RECIPES),
    ),
    "epochs": option(WHAT, "Epochs of a trial; milestones move in proportion.", "N"),
    "teacher_epochs": option(
        WHAT, "Epochs of the teacher, which is trained before; milestones move in proportion.", "N"
    ),
    "batch_size": option(WHAT, "Images of a student's batch.", "N"),
    "synthesis": option(
        WHAT,
        "Train on images made out of the teacher: deep-inversion, cmi or fast; noise and real to compare with.",
        "METHOD",
        default="the scenario's own",
        complete=one_of(SYNTHESES),
    ),
    "validation": option(
        WHAT, "With synthesised images: validate on real images, or on synthetic ones.", "real|synthetic"
    ),
    "quantize": option(
        WHAT, "Quantize the student to int8: quantization-aware training after the recipe's epochs.", "", "--quantize"
    ),
    "loss": option(WHAT, "hkd, cmc, cmc-tau, dml, dml-tau or ce.", "NAME", complete=one_of(LOSSES)),
    "alpha": option(WHAT, "Weight of the distillation term, 0 to 1.", "X", default="hkd: 0.95, others: 1"),
    "reduction": option(WHAT, "Of a KL term: batchmean or classmean.", "NAME"),
    "precision": option(WHAT, "float32 or bfloat16.", "NAME"),
    "compile": option(
        WHAT,
        "Compile the networks: for long trials, since each worker's first is charged the minutes that it takes.",
        "",
        "--compile",
    ),
    "set": option(WHAT, "Any field of the scenario, as in recipe.lr=0.05; repeat it for more.", "KEY=VALUE", "--set"),
    "space": option(SEARCH, "The search space: one of ours or a file.", "NAME|FILE.toml", complete=spaces),
    "budget": option(
        SEARCH,
        "What a run may spend: 20trials, 400epochs, 3e15flops, 50Wh, 15g, 10min; 20trials-equivalent: energy, so "
        "many times what one trial with a constant τ is measured to use.",
        "AMOUNT",
    ),
    "track": option(
        SEARCH,
        "recipe: each policy's own number of trials; budget: spend it all; target: stop once one is good enough.",
        "NAME",
        complete=one_of(TRACKS),
    ),
    "target_accuracy": option(SEARCH, "Of the target track: the validation accuracy that is good enough, 0 to 1.", "X"),
    "replicates": option(SEARCH, "Independent repeats, each with its own seed.", "N"),
    "until_decided": option(
        SEARCH,
        "Add replicates in looks, 5, 10, 20, …, until each policy's verdict against grid, or the first named, is "
        "there; error rates hold over all looks.",
        "",
        "--until-decided",
    ),
    "max_replicates": option(SEARCH, "With --until-decided: the replicates of the last look.", "N", default="40"),
    "seed": option(SEARCH, "What all seeds come from.", "N"),
    "store": option(WHERE, "Where the records go.", STORE),
    "cache": option(WHERE, "Where teachers, decoded data and checkpoints live.", "DIR|URL", default=CACHE),
    "data_root": option(WHERE, DATA_ROOT, "DIR", default="in the cache"),
    "address": option(WHERE, "A running Ray cluster: auto or HOST:PORT.", "ADDRESS", default="a Ray of its own"),
    "cpus_per_trial": option(WHERE, "CPUs that a trial reserves.", "X"),
    "gpus_per_trial": option(
        WHERE, "GPUs that a trial reserves; a fraction shares one.", "X", default="1 where there is any"
    ),
    "max_concurrent": option(WHERE, "Most trials at a time.", "N", default="as many as fit"),
    "side_by_side": option(
        WHERE,
        "Trials of a run that one process trains at the same time, as one network: so many, or auto, as many as pays.",
        "N|auto",
    ),
    "max_failures": option(WHERE, "How often a trial that broke is tried again.", "N"),
    "train_teacher": option(
        WHERE, "Train the teacher, for its row in the tables, even if no policy asks it.", "", "--train-teacher"
    ),
    "share_teacher": option(
        WHERE,
        "Ask the teacher once for all trials of a run, instead of in each of them.",
        "",
        "--share-teacher/--no-share-teacher",
        default="where there may be several",
    ),
    "share_synthesis": option(
        WHERE,
        "Synthesise images once for all trials, as a cost of its own; or in each trial, at its cost.",
        "",
        "--share-synthesis/--no-share-synthesis",
    ),
    "wait_for_quiet": option(
        WHERE, "Begin once other programs no longer keep this machine busy.", "", "--wait-for-quiet"
    ),
    "meter_period": option(WHERE, "Seconds between two readings of a node's energy.", "S"),
    "cpu_watts": option(METER, "A node's CPUs at full load.", "W", default="from the CPU's model"),
    "ram_watts_per_gib": option(METER, "Memory, per GiB.", "W", default="0.3725"),
    "idle_share": option(METER, "What CPUs draw at rest, as a part of full load.", "X", default="0.1"),
    "country": option(CARBON, "Whose energy mix, as in DEU or DE.", "ISO", default="the world average"),
    "carbon_intensity": option(CARBON, "Your own figure, in g CO2e/kWh.", "X", default="the country's"),
    "pue": option(CARBON, "The data centre's energy over its computers'.", "X"),
    "log_to": option(
        SHOWN,
        "Log trials to a page that you have open, too, as they go: TensorBoard's or MLflow's; repeat it for more.",
        "tensorboard:DIR|mlflow:URI",
        "--log-to",
        default="none",
    ),
    "quiet": option(SHOWN, "No progress, only results and notices.", "", "--quiet", "-q"),
    "json": option(SHOWN, "One JSON document on stdout instead of the table.", "", "--json"),
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is shown of a study."""

    quiet: bool = False
    json: bool = False
