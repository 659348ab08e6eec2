# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparisons of trainings."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from kitti_layout import write_sequence

from kpconv_ros.cli import main
from kpconv_ros.config_io import ConfigError, load_config
from kpconv_ros.training.comparison import ComparisonConfig, format_rows, jobs_of, rows_of

TWO_STAGES = [{"propagation": "cross"}, {"propagation": "intra"}]


def write_street(folder: Path) -> None:
    """Write a sequence of three scans: a floor that is road and a wall that is building."""
    write_sequence(folder)
    generator = np.random.default_rng(len(folder.name))
    for scan in range(3):
        points = generator.uniform(-6, 6, (4000, 3))
        points[::2, 2], points[1::2, 1] = -1.73, 5.0
        cloud = np.concatenate([points, np.full((4000, 1), 0.5)], axis=1).astype(np.float32)
        cloud.tofile(folder / "velodyne" / f"{scan:06d}.bin")
        np.where(np.arange(4000) % 2 == 0, 40, 50).astype(np.uint32).tofile(folder / "labels" / f"{scan:06d}.label")


@pytest.fixture
def shipped(repository: Path) -> ComparisonConfig:
    return load_config(ComparisonConfig, repository / "config" / "compare_trainings.yaml")


def test_every_shipped_variant_has_the_same_steps_and_its_own_changes(shipped: ComparisonConfig) -> None:
    jobs = list(jobs_of(shipped, "ROOT", Path("OUT")))
    assert len(jobs) == len({stage.out for job in jobs for stage in job.stages[-1:]}) == 3 * 8
    assert all(sum(stage.config.steps for stage in job.stages) == shipped.steps for job in jobs)
    assert not set(shipped.train) & set(shipped.left_out)
    first = {job.variant: job for job in jobs if job.seed == 0}
    assert first["paper_recipe"].stages[0].config.augmentation.mixing == 0.0
    assert first["rigid"].stages[0].config.augmentation.mixing == shipped.base["augmentation"]["mixing"]
    cross, intra = first["weak1_dsp"].stages
    assert (cross.config.propagation, intra.config.propagation) == ("cross", "intra")
    assert not cross.config.start_from
    assert Path(intra.config.start_from) == cross.out / "weak1_dsp" / "weights.safetensors"


def test_the_recipes_are_compared_as_in_the_larger_comparison_but_for_the_steps(
    shipped: ComparisonConfig, repository: Path
) -> None:
    recipes = load_config(ComparisonConfig, repository / "config" / "compare_recipes.yaml")
    variants = {name: shipped.variants[name] for name in ("rigid", "paper_recipe")}
    assert recipes == dataclasses.replace(shipped, steps=2000, variants=variants)
    assert len(list(jobs_of(recipes, "ROOT", Path("OUT")))) == 6


@pytest.mark.parametrize(
    ("variants", "only", "message"),
    [
        ({"a": [{}]}, ("b",), "variant b: expected one of a"),
        ({"a": "c"}, (), "variant c: expected one of a"),
        ({"a": [{}, {}, {}]}, (), "stages that share 10 steps, got 3"),
        ({"a": {}}, (), "expected a list of stages"),
        ({"a": [{"ncn": 1.0}]}, (), "unknown key 'ncn'"),
    ],
)
def test_a_wrong_variant_is_named(variants: dict[str, object], only: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(jobs_of(ComparisonConfig(steps=10, variants=variants), "ROOT", Path("OUT"), only))


def test_a_row_needs_all_seeds_and_an_alias_repeats_it() -> None:
    config = ComparisonConfig(seeds=(0, 1), variants={"a": [{}], "b": [{}], "same": "a"})
    scores = [
        {"variant": name, "seed": seed, "miou": miou, "accuracy": 0.5, "added": {"ncm of stage 1": [4 * miou, miou]}}
        for name, seed, miou in (("a", 1, 0.4), ("b", 0, 0.9), ("a", 0, 0.2))
    ]
    rows = rows_of(config, scores, "command")
    assert [(row["name"], row["miou"]) for row in rows] == [("a", [0.2, 0.4]), ("same", [0.2, 0.4])]
    assert "a                    30.0   14.1      50.0   20.0 40.0" in format_rows(rows)
    assert rows[0]["added_to_loss"] == {"ncm of stage 1": pytest.approx([1.2, 0.3])}
    assert "same              ncm of stage 1: 1.2000 in the first tenth of steps, 0.3000" in format_rows(rows)


def test_variants_are_trained_and_scored_and_a_second_call_repeats_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("00", "1"):
        write_street(tmp_path / "sequences" / name)
    config = tmp_path / "compare.yaml"
    base = "{data: semantickitti, width: 8, batch_points: 800, voxel_size: 0.3, sphere_radius: 3.0, device: cpu}"
    config.write_text(
        f"base: {base}\nsteps: 60\nseeds: [0]\ntrain: ['00']\nleft_out: ['1']\nnum_votes: 1\n"
        "variants:\n  plain: [{learning_rate: 0.01}]\n  staged: [{propagation: cross}, {propagation: intra}]\n"
    )
    words = ["compare-trainings", "--config", str(config), "--root", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [row["name"] for row in rows] == ["plain", "staged"] and rows[0]["steps"] == 60
    assert rows[0]["miou"][0] > 0.3  # of 19 classes; road below building is soon learnt
    assert [list(row["added_to_loss"]) for row in rows] == [[], ["gap of stage 1", "gap of stage 2"]]
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "staged").rglob("*") if path.is_file()}
    assert len([path for path in files if path.name == "checkpoint.pt"]) == 2
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == rows
    assert "plain" in capsys.readouterr().out
