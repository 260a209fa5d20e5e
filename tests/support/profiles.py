"""How large tests are: one Hypothesis profile for each of `make quick`, `make test` and `make soak`."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import settings

T = TypeVar("T")

_STANDARD = 100
"""Examples of a property that sets no number of its own, in the profile `test`."""


SLOW = (
    "fleet/test_fleet.py",
    "fleet/test_redis_store.py",
    "bulk/pushing/test_push.py",
    "bulk/pushing/test_routing.py",
    "bulk/source/test_dirty_files.py",
    "transport/test_transport.py",
    "fake/test_fake_foreign.py",
    "docs/test_blocks.py",
    "docs/test_pages.py",
    "bulk/pushing/test_keys.py",
    "bulk/pushing/test_plan_equals_push.py",
    "bulk/pulling/test_changes_model.py",
    "bulk/pulling/test_full_pulls.py",
    "bulk/state/test_log_epoch.py",
    "fake/test_fake_threads.py",
    "bulk/pushing/test_two_processes.py",
    "auth/test_oauth.py::test_processes_that_share_a_token_file_cause_one_refresh",
    "bulk/pulling/test_every_fault.py",
    "bulk/pushing/test_every_fault.py",
    "bulk/pushing/test_plans_of_all_resources.py",
    "bulk/pushing/test_storms.py",
    "bulk/source/test_cases.py",
    "cli/",
    "codegen/test_generation.py::test_check_names_what_was_edited_removed_or_left_behind",
    "codegen/test_generation.py::test_generation_is_byte_equal_whatever_the_hash_seed",
    "codegen/test_generation.py::test_the_project_holds_what_its_specs_say",
    "fake/test_fake_plugin.py",
    "fake/test_fake_schemathesis.py",
    "fleet/test_file_processes.py",
    "fleet/test_recipes.py",
    "fleet/test_redis_processes.py",
    "test_dlt.py",
    "test_dlt_model.py",
    "fleet/test_slices.py",
    "test_examples.py",
    "test_typing.py",
    "bulk/pulling/test_few_calls.py",
    "bulk/pulling/test_pull.py",
    "docs/test_reference.py",
    "fleet/test_file_limiters.py::test_a_fork_is_another_process",
    "test_client.py::test_hundreds_of_organisations_with_their_own_tokens_on_several_data_centres",
    "test_client.py::test_request_takes_responses_without_a_code_other_media_and_no_content",
    "transport/test_bounds.py",
    "transport/test_downloads.py",
    "transport/test_rate_limiter.py::test_a_thousand_organisations_are_served_fairly",
    "transport/test_uploads.py::test_a_refused_upload_is_sent_again_whole",
)
"""Beginnings of the names of tests that are marked `slow`: processes, kills, long simulations."""


def register() -> None:
    """Register the profiles and load `test`; `pytest --hypothesis-profile` chooses another."""
    settings.register_profile("test", derandomize=True, database=None, deadline=None, max_examples=_STANDARD)
    test = settings.get_profile("test")
    settings.register_profile("quick", test, max_examples=_STANDARD // 10)
    settings.register_profile("soak", test, derandomize=False, print_blob=True, max_examples=_STANDARD * 10)
    settings.load_profile("test")


def size() -> str:
    """The profile in force: `quick`, `test` or `soak`."""
    return settings.get_current_profile_name()


def examples(count: int) -> int:
    """The number of examples for a property: `count` in the profile `test`, in the others in proportion."""
    return max(1, count * settings.get_profile(size()).max_examples // _STANDARD)


def sized(small: T, big: T) -> T:
    """The size of a long test: `big` in `make soak`, `small` everywhere else."""
    return big if size() == "soak" else small
