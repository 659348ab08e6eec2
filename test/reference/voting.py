# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The voting test written down as the paper tells it, point by point, in float64."""

import numpy as np


def label_by_mean(points, voxels, spheres, num_classes):
    """Average the probabilities of each voxel over its spheres and hand them to the points next to it.

    Args:
        points: ``(N, 3)``.
        voxels: Barycentres ``(V, 3)``.
        spheres: Pairs of the rows of voxels in a sphere and their probabilities ``(M, C)``.
        num_classes: C.

    Returns:
        Labels ``(N,)`` from 1, mean probability of them ``(N,)``, and tests of each voxel ``(V,)``.
    """
    tests_of_voxel = [[] for _ in voxels]
    for rows, probabilities in spheres:
        for row, probability in zip(rows, probabilities):
            tests_of_voxel[row].append(np.asarray(probability, np.float64))
    means = np.array([np.mean(tests, axis=0) if tests else np.zeros(num_classes) for tests in tests_of_voxel])
    labels, confidence = [], []
    for point in points:
        nearest = int(np.argmin(np.square(voxels - point).sum(axis=1)))
        labels.append(1 + int(np.argmax(means[nearest])))
        confidence.append(means[nearest].max())
    return np.array(labels), np.array(confidence), np.array([len(tests) for tests in tests_of_voxel])
