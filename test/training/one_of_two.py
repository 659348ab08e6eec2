# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trains as one of two processes: ``one_of_two.py FOLDER RANK JOBS``, the jobs ``[WHAT, NAME, FIELDS]`` in turn.

WHAT is ``step``: one step; ``train``: to the end; ``die``: until there is no batch for step 3. One start serves many
tests, since it takes longer than the jobs. Each process leaves in FOLDER/NAME what it has.
"""

import json
import os
import sys
from pathlib import Path

import torch

from kpconv_ros.training.batches import Batch
from kpconv_ros.training.processes import process_group
from kpconv_ros.training.segment import SegmentTraining
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import load_clips, make_cutter

LAST_STEP = 3


class Starved(Exception):
    """There is no such batch."""


class DyingTraining(SegmentTraining):
    """Finds no batch at step 3."""

    def make_batch(self, index: int) -> Batch:
        """Cut the batch, or raise."""
        if index >= 2 * LAST_STEP:
            raise Starved
        return super().make_batch(index)


def work(what: str, training: SegmentTraining) -> dict[str, object]:
    """Do what is asked for; return what the training found, and its weights."""
    found: dict[str, object] = {}
    if what == "step":
        found["row"] = training.train_step(training.draw_batch(0))
        found["gradients"] = {name: p.grad for name, p in training.network.named_parameters()}
        found["affinity"] = None if training.reallocation is None else training.reallocation.affinity.grad
    else:
        try:
            training.train()
            assert what == "train"
        except Starved:
            assert what == "die"
    companions = {name: module.state_dict() for name, module in training.companions.items()}
    return {**found, "network": training.network.state_dict(), "average": training.average.state_dict(), **companions}


def main(folder: Path, rank: str, jobs: list[tuple[str, str, dict[str, object]]]) -> None:
    """Join the other process and do the jobs, all on the clips of the first."""
    torch.set_num_threads(1)
    os.environ.update(RANK=rank, WORLD_SIZE="2", LOCAL_RANK=rank, MASTER_ADDR="127.0.0.1")
    configs = [SegmentTrainingConfig(**fields) for _, _, fields in jobs]  # type: ignore[arg-type]
    clips = load_clips(configs[0])
    with process_group("cpu"):
        with process_group("cpu"):
            pass  # a group within the group is the same one, and its end ends nothing
        for (what, name, _), config in zip(jobs, configs, strict=True):
            (folder / name).mkdir(exist_ok=True)
            training = DyingTraining if what == "die" else SegmentTraining
            result = work(what, training(config, make_cutter(config, clips), folder / name))
            torch.save(result, folder / name / f"{what}{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
