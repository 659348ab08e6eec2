# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Takes one step as one of two processes: ``one_of_two.py FOLDER RANK FIELDS``; process 0 writes its gradients."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import torch

from kpconv_ros.training.processes import process_group
from kpconv_ros.training.segment import SegmentTraining
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import make_cutter


def main(folder: Path, rank: str, fields: dict[str, object]) -> None:
    """Join, take the step and write the result."""
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("clip_of_tests", Path(__file__).with_name("conftest.py"))
    assert spec is not None and spec.loader is not None
    clip_of_tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(clip_of_tests)
    config = SegmentTrainingConfig(**fields)  # type: ignore[arg-type]
    os.environ.update(RANK=rank, WORLD_SIZE="2", LOCAL_RANK=rank, MASTER_ADDR="127.0.0.1")
    with process_group("cpu"):
        with process_group("cpu"):
            pass  # a group within the group is the same one, and its end ends nothing
        training = SegmentTraining(config, make_cutter(config, [clip_of_tests.make_clip()]), folder)
        row = training.train_step(training.draw_batch(0))
        if rank == "0":
            gradients = {name: p.grad for name, p in training.network.named_parameters()}
            result = {"gradients": gradients, "average": training.average.state_dict(), "row": row}
            torch.save(result, folder / "result.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
