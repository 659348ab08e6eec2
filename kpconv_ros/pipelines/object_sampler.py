# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A trained sampler on the cloud of one object: which of its points to keep.

Lang et al., "SampleNet: Differentiable Point Cloud Sampling", CVPR 2020, arXiv:1912.03663.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.data.object_sets import fit_unit_cube
from kpconv_ros.pipelines.sphere_classifier import PipelineError
from kpconv_ros.sampling_checkpoint import SamplerModel, load_sampler


class ObjectSampler:
    """Chooses points of single objects: crops, detections, models."""

    def __init__(self, model: SamplerModel) -> None:
        """Take a loaded model."""
        self.model = model
        self.device = next(model.network.parameters()).device

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, device: str = "auto") -> "ObjectSampler":
        """Load a model by name or folder.

        Raises:
            CheckpointError: If it cannot be used.
        """
        return cls(load_sampler(name_or_path, device))

    def sample(self, points: NDArray[Any], num_samples: int | None = None) -> NDArray[np.int64]:
        """Choose points of an object.

        Args:
            points: ``(N, 3)``, any unit and place, oriented as in training. Points that are not finite are left out.
            num_samples: How many; by default as many as the network proposes.

        Returns:
            Rows of ``points``, ``(num_samples,)``, each once, the most important first.

        Raises:
            PipelineError: If there are fewer finite points than that.
        """
        count = self.model.network.config.num_samples if num_samples is None else num_samples
        finite = np.flatnonzero(np.isfinite(points).all(1))
        if not 1 <= count <= len(finite):
            raise PipelineError(f"num_samples: expected 1 to {len(finite)}, the number of finite points, got {count}")
        fitted = fit_unit_cube(np.asarray(points, np.float64)[finite]).astype(np.float32)
        rows = self.model.network.sample(torch.from_numpy(fitted)[None].to(self.device), count)
        chosen: NDArray[np.int64] = finite[rows[0].cpu().numpy()]
        return chosen
