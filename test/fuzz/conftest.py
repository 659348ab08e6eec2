# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A few cases, the same each time; ``pytest test/fuzz --hypothesis-profile=full`` takes 10,000 new ones a test."""

from hypothesis import HealthCheck, settings

SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("core", max_examples=60, derandomize=True, deadline=None, suppress_health_check=SLOW_IS_FINE)
settings.register_profile("full", max_examples=10_000, deadline=None, suppress_health_check=SLOW_IS_FINE)
if settings.get_current_profile_name() not in ("core", "full"):
    settings.load_profile("core")
