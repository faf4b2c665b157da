"""The guards behind each row of docs/reliability.md, in its order: what keeps a promise, and who must notice its loss.

A row is named by its first cell. Texts are short, so that they outlive changes around them. `test_guards.py` sees to it
that every text is still there and that every test of the page has a guard; `scripts/guards` takes the guards out.
"""

from __future__ import annotations

from tests.guards.guard import Edit, Guard

UNGUARDED: dict[str, str] = {}
"""Rows without a guard, and why there can be none."""

_KILLED = "commands/test_ray_commands_killed.py"
_HEAD = "yellowdog_ray/commands/test_up.py"
_WAIT = "yellowdog_ray/commands/test_wait.py"
_CHANGES = "yellowdog_ray/commands/test_reconfigure.py"
_ADDRESSES = "simulation/test_addresses.py"
_POOLS = "simulation/test_configured_pools.py"
_UPDATERS = "simulation/test_updaters.py"
_UNBORN = "simulation/test_unborn.py"
_NODE_ADDRESSES = "yellowdog_ray/cluster/test_platform_node_addresses.py"
_COMPLETE = "yellowdog_ray/cluster/test_task_cache_completeness.py"
_GROUPS = "simulation/test_placement_groups.py"

_POOLS_LAST = Edit(
    "commands/teardown.py",
    """\
    _shut_down(platform, pools)
    if not work.finished:
        platform.cancel_work_requirement(work.id)
""",
    """\
    if not work.finished:
        platform.cancel_work_requirement(work.id)
    _shut_down(platform, pools)
""",
)
"""Pools are ended after the work requirement, instead of before it."""

GUARDS: dict[str, tuple[Guard, ...]] = {
    "`ray up` is killed at any call": (
        Guard(
            "a pool that is there is not made again",
            "commands/up.py",
            "if group.configured or not (is_new or self._platform.find_pool(group.worker_tag) is None):",
            "if group.configured:",
            (f"{_KILLED}::test_ray_up_completes_a_killed_ray_up",),
            also=(Edit("platform/idempotent.py", "pool = platform.find_pool(spec.name)", "pool = None"),),
        ),
        Guard(
            "`ray down` finds the pools by name",
            "commands/teardown.py",
            "return {tag: pool for tag, pool in found.items() if pool is not None}",
            "return {}",
            (f"{_KILLED}::test_ray_down_removes_everything_after_killed_ray_up",),
        ),
    ),
    "`ray up` is killed and never run again": (
        Guard(
            "a machine without a task ends soon",
            "cluster/pools.py",
            "IDLE_NODE_TIMEOUT = timedelta(seconds=20)",
            "IDLE_NODE_TIMEOUT = timedelta(hours=1)",
            (f"{_HEAD}::test_head_pool_ends_by_itself_when_ray_up_is_killed_before_the_head_task",),
        ),
        Guard(
            "a machine that never registers ends, and is not replaced",
            "commands/up.py",
            "boot_timeout=2 * timeout,",
            "boot_timeout=timeout,",
            (f"{_HEAD}::test_head_instance_that_never_registers_ends_without_ray_up",),
        ),
        Guard(
            "a machine has time to register",
            "commands/up.py",
            "idle_pool_timeout=timeout,",
            "idle_pool_timeout=timedelta(minutes=1),",
            (f"{_HEAD}::test_head_instance_that_never_registers_ends_without_ray_up",),
        ),
    ),
    "`ray down` is killed at any call": (
        Guard(
            "pools go before the work requirement",
            "commands/teardown.py",
            _POOLS_LAST.text,
            _POOLS_LAST.without,
            (f"{_KILLED}::test_ray_up_creates_a_new_cluster_after_killed_ray_down",),
        ),
        Guard(
            "`ray down` knows the last incarnation, though its work requirement has ended",
            "commands/side.py",
            "find_work_requirement(self._cluster_name, finished=True)",
            "find_work_requirement(self._cluster_name)",
            (f"{_KILLED}::test_ray_down_completes_a_killed_ray_down",),
            also=(_POOLS_LAST,),
        ),
        Guard(
            "`ray up` ends what is being taken down before it begins",
            "commands/up.py",
            "        if work.cancelling:\n            return True\n",
            "",
            (f"{_HEAD}::test_create_head_waits_for_a_teardown_in_progress",),
        ),
    ),
    "`ray up` again, without a node type that has running nodes": (
        Guard(
            "a type of which nodes run is not taken away",
            "commands/reconfigure.py",
            "    _refuse_removed_types(internal, workers)\n",
            "",
            ("yellowdog_ray/commands/test_reconfigure.py::test_removed_node_type_is_refused_while_its_nodes_run",),
        ),
    ),
    "`ray up` again, with another head": (
        Guard(
            "no head makes way for another",
            "commands/side.py",
            "raise head_replacement_error(self._cluster_name, self.settings.current.internal.source, head)",
            "return self.terminate_nodes([node_id])",
            ("yellowdog_ray/commands/test_reconfigure.py::test_change_that_replaces_the_head_is_refused",),
        ),
    ),
    "The head's autoscaler is killed at any call": (
        Guard(
            "a replacement's name follows from the lost node's",
            "names.py",
            "hashlib.sha256(node_id.encode()).hexdigest()[: 2 * _NODE_BYTES]",
            "secrets.token_hex(_NODE_BYTES)",
            ("simulation/test_killed.py::test_restarted_autoscaler_completes_what_a_killed_one_has_begun",),
        ),
        Guard(
            "a task of which Ray wants the end is aborted",
            "cluster/terminator.py",
            "self._attempt(task_id, self._platform.abort_task)",
            "None",
            ("simulation/test_quiet.py::test_restarted_autoscaler_completes_terminations",),
        ),
    ),
    "Two `ray up` at once": (
        Guard(
            "a work requirement that another has made meanwhile is looked up",
            "platform/idempotent.py",
            "work = platform.find_work_requirement(name)",
            "work = None",
            ("commands/test_two_ray_up.py::test_two_ray_up_bring_up_one_cluster_with_the_same_configuration",),
        ),
        Guard(
            "the head's name follows from its incarnation",
            "commands/up.py",
            "names.head_id(names.token_of(group.worker_tag))",
            "names.head_id(names.new_token())",
            ("commands/test_two_ray_up.py::test_two_ray_up_bring_up_one_cluster_with_the_same_configuration",),
        ),
        Guard(
            "the heads' configurations are compared",
            "commands/up.py",
            "if dict(head.tags) != dict(tags):",
            "if False:",
            ("commands/test_two_ray_up.py::test_one_of_two_ray_up_fails_with_another_configuration",),
        ),
        Guard(
            "a `ray up` knows its own incarnation, though it has ended",
            "cluster/cluster.py",
            "if not self._adopted:",
            "if True:",
            ("commands/test_two_ray_up.py::test_ray_up_keeps_the_cluster_that_has_replaced_its_head",),
        ),
    ),
    "A creating call times out, is cut, or is applied and answered with an error": (
        Guard(
            "a pool is looked up by its name",
            "platform/idempotent.py",
            "pool = platform.find_pool(spec.name)",
            "pool = None",
            (
                "commands/test_ambiguous_answers.py::test_ray_up_creates_one_cluster_after_ambiguous_answer",
                "simulation/test_ambiguous_answers.py::test_autoscaler_creates_nothing_twice_after_ambiguous_answer",
            ),
            also=(
                Edit(
                    "cluster/launch.py",
                    "pool = None if is_new else self._platform.find_pool(group.worker_tag)",
                    "pool = None",
                ),
            ),
        ),
        Guard(
            "a task group is looked up by its name",
            "platform/idempotent.py",
            "group = platform.work_requirement(requirement_id).group(spec.name)",
            "group = None",
            ("simulation/test_ambiguous_answers.py::test_autoscaler_creates_nothing_twice_after_ambiguous_answer",),
            also=(Edit("cluster/launch.py", "self._groups.get(name) or work.group(name)", "self._groups.get(name)"),),
        ),
        Guard(
            "tasks are looked up by their names",
            "platform/idempotent.py",
            "added = [task for task in shown if task.name in wanted]",
            "added = []",
            ("commands/test_ambiguous_answers.py::test_ray_up_creates_one_cluster_after_ambiguous_answer",),
        ),
    ),
    "Clusters whose names share a prefix; other work of the same name": (
        Guard(
            "the platform's matches of parts of names are narrowed",
            "platform/work.py",
            "if identified(summary.name, subject) == name and summary.namespace == self.namespace",
            "if summary.namespace == self.namespace",
            (
                "yellowdog_ray/cluster/test_cluster.py::test_clusters_of_similar_names_list_no_foreign_nodes",
                "yellowdog_ray/commands/test_teardown.py::test_tear_down_leaves_a_cluster_with_a_common_prefix",
            ),
        ),
        Guard(
            "a work requirement that is no cluster is known by its head's pool",
            "commands/up.py",
            "if group is None or not names.is_head_pool(work.name, group.worker_tag):",
            "if group is None:",
            ("yellowdog_ray/test_provider.py::test_ray_up_and_ray_down_change_no_foreign_work_requirement",),
        ),
    ),
    "A name that YellowDog would refuse": (
        Guard(
            "the cluster's name is checked",
            "config/bootstrap.py",
            '    _check_cluster_name(result.get("cluster_name"), source)\n',
            "",
            ("yellowdog_ray/config/test_bootstrap.py::test_invalid_cluster_name_is_refused",),
        ),
        Guard(
            "names have a length",
            "names.py",
            "return len(name) <= MAX_NAME_LENGTH and",
            "return",
            ("yellowdog_ray/test_names.py::test_is_valid_name_refuses_other_texts",),
        ),
        Guard(
            "a long node type is cut",
            "names.py",
            "plain[: length - 7]",
            "plain",
            ("yellowdog_ray/test_names.py::test_slug_is_a_valid_name_for_any_text",),
        ),
        Guard(
            "what was changed gets a digest",
            "names.py",
            ".rstrip('-')}-{digest}",
            ".rstrip('-')}-000000",
            ("yellowdog_ray/test_names.py::test_slug_differs_for_similar_texts",),
        ),
        Guard(
            "a long cluster's name is cut in a pool's",
            "names.py",
            "{slug(cluster, MAX_NAME_LENGTH - len(group) - len(token) - 2)}",
            "{cluster}",
            ("yellowdog_ray/test_names.py::test_pool_name_is_valid_for_the_longest_cluster_and_node_type",),
        ),
    ),
    "A command that keeps the head, such as `ray exec` or `ray down --workers-only`": (
        Guard(
            "no other command than `ray down` ends the cluster",
            "commands/context.py",
            "context.info_name in _ENDING and ",
            "",
            ("yellowdog_ray/commands/test_context.py::test_ends_the_cluster_is_false_in_other_commands",),
        ),
        Guard(
            "`ray down --workers-only` leaves the head",
            "commands/context.py",
            ' and not context.params.get("workers_only")',
            "",
            ("yellowdog_ray/commands/test_context.py::test_ends_the_cluster_is_false_in_other_commands",),
        ),
    ),
    "The provider object is dropped, or Python exits": (
        Guard(
            "constructing asks nothing",
            "commands/side.py",
            "self._created_head = False\n",
            "self._created_head = self.cluster.find() is None\n",
            ("yellowdog_ray/test_provider.py::test_constructor_makes_no_platform_call",),
        ),
        Guard(
            "a head out of reach is not taken for a lost one",
            "commands/side.py",
            "if not ends_the_cluster() and (self.tag_store.refresh() or self.tag_store.get(head.id)):",
            "if not self.tag_store.refresh():\n            self._request_end()\n        else:",
            ("yellowdog_ray/commands/test_side.py::test_reading_commands_change_nothing",),
        ),
        Guard(
            "nothing is done when a provider is dropped",
            "commands/side.py",
            "    def _request_end(self) -> None:\n",
            "    def __del__(self) -> None:\n        self._request_end()\n\n    def _request_end(self) -> None:\n",
            ("yellowdog_ray/commands/test_side.py::test_end_of_provider_and_process_changes_nothing",),
        ),
        Guard(
            "nothing is done when Python ends",
            "commands/side.py",
            "self._created_head = False\n",
            'self._created_head = False\n        __import__("atexit").register(self._request_end)\n',
            ("yellowdog_ray/commands/test_side.py::test_end_of_provider_and_process_changes_nothing",),
        ),
    ),
    "A command reads a cluster that is still booting": (
        Guard(
            "a head without an instance is not taken for a dead one",
            "cluster/cluster.py",
            "            self._escalate()\n            return self._snapshot\n",
            "            if self._work and self._snapshot.head and self._snapshot.head.phase.value == 'pending':\n"
            "                self._platform.cancel_work_requirement(self._work.id)\n"
            "            return self._snapshot\n",
            ("yellowdog_ray/commands/test_up.py::test_reading_a_booting_cluster_changes_nothing",),
        ),
    ),
    "YellowDog does not answer, for any length of time": (
        Guard(
            "the last complete listing stands, not an empty one",
            "monitor/side.py",
            "self._outage.failed(error)\n            return self.cluster.snapshot",
            "self._outage.failed(error)\n            return Snapshot()",
            (
                "simulation/test_outages.py::test_last_listing_stands_while_the_platform_is_unreachable",
                "simulation/test_outages.py::test_demand_during_an_outage_is_launched_once_afterwards",
                "simulation/test_outages.py::test_idle_nodes_of_an_outage_are_terminated_afterwards",
            ),
        ),
        Guard(
            "the log speaks now and then only",
            "monitor/outage.py",
            "if now - self._logged_at < REPEAT_SECONDS:",
            "if False:",
            ("yellowdog_ray/monitor/test_outage.py::test_outage_is_logged_at_start_each_minute_and_end",),
        ),
        Guard(
            "retries have an end",
            "platform/retry.py",
            "if self.monotonic() - start + delay > self.seconds:",
            "if False:",
            ("yellowdog_ray/platform/test_retry.py::test_retry_raises_last_failure_when_time_is_over",),
        ),
    ),
    "YellowDog is slow, or a call hangs": (
        Guard(
            "a call has a time to be answered",
            "platform/client.py",
            "readTimeout=READ_TIMEOUT,",
            "",
            ("yellowdog_ray/platform/test_client.py::test_call_times_out",),
        ),
        Guard(
            "without time nothing is retried",
            "platform/retry.py",
            "if self.monotonic() - start + delay > self.seconds:",
            "if self.monotonic() - start > self.seconds:",
            ("yellowdog_ray/platform/test_retry.py::test_retry_makes_one_attempt_and_never_sleeps_without_time",),
        ),
    ),
    "A listing fails halfway": (
        Guard(
            "some pages are no listing",
            "platform/calls.py",
            "                page = search.slice(SliceReference(sliceId=slice_id, size=PAGE_SIZE))\n",
            "                try:\n"
            "                    page = search.slice(SliceReference(sliceId=slice_id, size=PAGE_SIZE))\n"
            "                except Exception:\n"
            "                    if slice_id is None:\n"
            "                        raise\n"
            "                    return\n",
            ("simulation/test_outages.py::test_listing_is_discarded_when_it_breaks_off_between_pages",),
        ),
        Guard(
            "the snapshot is replaced once all of it has been read",
            "cluster/cluster.py",
            """\
        if not self._composed:
            self._platform_nodes.update(self._listing.tasks().values(), work.groups)
""",
            """\
        if not self._composed:
            self._compose()
            self._platform_nodes.update(self._listing.tasks().values(), work.groups)
""",
            ("yellowdog_ray/cluster/test_cluster.py::test_last_listing_stands_when_reading_fails_halfway",),
        ),
    ),
    "Lists do not show new entities yet": (
        Guard(
            "what was asked for is listed though it is not shown",
            "cluster/task_cache.py",
            "tasks = {task_id: added.task for task_id, added in self._added.items()}",
            "tasks: dict[str, TaskView] = {}",
            ("simulation/test_outages.py::test_listing_lag_costs_no_node",),
        ),
        Guard(
            "platform nodes that were not shown are looked for again",
            "cluster/cluster.py",
            "self._composed = given <= known.keys()",
            "self._composed = True",
            ("simulation/test_outages.py::test_listing_lag_costs_no_node",),
        ),
        Guard(
            "tasks that were not shown are looked for again",
            "cluster/task_cache.py",
            "if self._nothing_moved(group.id, known, group.counts):\n                known.counts",
            "if known.counts.at == group.counts.at:\n                known.counts",
            ("simulation/test_outages.py::test_listing_lag_costs_no_node",),
        ),
    ),
    "An answer is malformed": (
        Guard(
            "what the SDK makes of nonsense is a failure of the platform",
            "platform/errors.py",
            "except (BaseValidationError, ValueError, TypeError, AttributeError) as error:",
            "except ZeroDivisionError as error:",
            (
                "yellowdog_ray/platform/test_client.py::test_response_of_other_shape_raises_malformed_response",
                "yellowdog_ray/platform/test_client.py::test_malformed_response_is_never_read_as_empty_list",
            ),
        ),
        Guard(
            "a page without items is no empty page",
            "platform/calls.py",
            "            if page.items is None:\n",
            "            if page.items is None:\n                return\n            if page.items is None:\n",
            ("yellowdog_ray/platform/test_client.py::test_malformed_response_is_never_read_as_empty_list",),
        ),
        Guard(
            "one log entry per distinct malformed response",
            "platform/calls.py",
            "if self._errors.is_new(error.__cause__ or error):",
            "if True:",
            ("yellowdog_ray/platform/test_client.py::test_log_has_traceback_and_response_once",),
        ),
        Guard(
            "the log shows no user's secrets",
            "platform/responses.py",
            "return json.dumps(_omit(json.loads(text)))",
            "return text",
            ("yellowdog_ray/platform/test_client.py::test_log_quotes_response_bounded_and_without_secrets",),
        ),
    ),
    "A list of the platform never ends": (
        Guard(
            "a page that repeats is malformed",
            "platform/calls.py",
            "if slice_id in seen or",
            "if",
            ("yellowdog_ray/platform/test_client.py::test_list_that_repeats_a_page_raises_malformed_response",),
        ),
        Guard(
            "a list has a maximum number of pages",
            "platform/calls.py",
            " or len(seen) >= MAX_PAGES:",
            " or len(seen) >= 50:",
            ("yellowdog_ray/platform/test_client.py::test_list_without_end_raises_malformed_response",),
        ),
    ),
    "A list of tasks skips, repeats, lags, or changes between its pages": (
        Guard(
            "a task that a list lacks is requested by its id",
            "cluster/task_cache.py",
            "            found = self._platform.task(task.id)\n",
            "            raise NotFound(task.id)\n",
            (
                f"{_COMPLETE}::test_living_task_stays_when_list_lacks_it_after_change",
                f"{_COMPLETE}::test_living_task_stays_when_full_readings_lack_it",
                f"{_COMPLETE}::test_living_task_stays_when_another_moves_it_off_its_page",
                f"{_COMPLETE}::test_no_living_task_is_dropped_and_every_ended_one_is_eventually",
            ),
        ),
        Guard(
            "a task that was seen ended stays ended",
            "cluster/task_reading.py",
            "if not task.finished and id_ not in ended_before}",
            "if not task.finished}",
            (f"{_COMPLETE}::test_ended_task_is_not_revived_by_list_that_lags",),
        ),
    ),
    "The autoscaler starts, and the first list lacks nodes": (
        Guard(
            "the first list has all tasks that the platform counts",
            "cluster/task_cache.py",
            "        self._require_complete(work, now)\n",
            "",
            (
                f"{_COMPLETE}::test_first_reading_that_lacks_a_counted_task_is_no_listing",
                f"{_COMPLETE}::test_first_reading_is_completed_by_the_next",
                f"{_COMPLETE}::test_lists_are_believed_after_a_while_when_counts_never_agree",
            ),
        ),
    ),
    "A platform node's address comes late, or changes": (
        Guard(
            "a platform node without an address is read again",
            "cluster/platform_nodes.py",
            " or (node.private_ip is None and age >= ADDRESS_SECONDS)",
            "",
            (
                f"{_NODE_ADDRESSES}::test_address_that_comes_late_is_read",
                f"{_NODE_ADDRESSES}::test_missing_address_is_read_at_a_bounded_rate",
            ),
        ),
        Guard(
            "every platform node is read again now and then",
            "cluster/platform_nodes.py",
            "return age >= self._reread_seconds or (",
            "return (",
            (f"{_NODE_ADDRESSES}::test_address_that_changes_is_read",),
        ),
    ),
    "Another user copies a worker's task in the portal": (
        Guard(
            "a node of ours has the name that its environment says",
            "platform/convert.py",
            "    if environment.get(CLOUD_INSTANCE_ID) != task.name:\n        return {}\n",
            "",
            ("yellowdog_ray/cluster/test_cluster.py::test_copy_of_a_workers_task_is_no_node",),
        ),
        Guard(
            "a copy is logged",
            "cluster/task_cache.py",
            "            self._copies.warn_of(self._all())\n",
            "            pass\n",
            (f"{_COMPLETE}::test_copy_with_other_name_is_logged_once",),
        ),
        Guard(
            "the original of two tasks with one name is listed",
            "cluster/task_reading.py",
            "task if other is None else min(task, other, key=_originality)",
            "task",
            (f"{_COMPLETE}::test_original_is_listed_when_its_copy_has_its_name",),
        ),
    ),
    "RayDog has a bug, for example in the conversion of an answer": (
        Guard(
            "conversions run outside the translation of the SDK's errors",
            "platform/work.py",
            "        return [task_view(task) for task in self._items(subject, results, Task, most)]",
            "        with self._sdk(subject):\n"
            "            return [task_view(task) for task in self._items(subject, results, Task, most)]",
            ("yellowdog_ray/platform/test_client.py::test_bug_in_conversion_is_raised_as_it_is",),
        ),
        Guard(
            "on the head the last complete listing stands",
            "monitor/side.py",
            "        except Exception as error:  # a mistake",
            "        except RayDogError as error:  # a mistake",
            ("simulation/test_outages.py::test_bug_in_conversion_keeps_last_listing_and_is_logged_with_its_line",),
        ),
        Guard(
            "a bug in one duty leaves the others",
            "monitor/supervisor.py",
            "        except Exception as error:  # noqa: BLE001",
            "        except ZeroDivisionError as error:  # noqa: BLE001",
            ("simulation/test_outages.py::test_bug_in_one_duty_leaves_the_loop_running",),
        ),
        Guard(
            "a bug in the background is logged",
            "cluster/executors.py",
            "    except Exception:",
            "    except ZeroDivisionError:",
            ("yellowdog_ray/cluster/test_executors.py::test_bug_in_action_is_logged_with_its_line",),
        ),
        Guard(
            "what is no failure of Ray's RPC is logged with its traceback",
            "monitor/gcs.py",
            "except RayError as error:",
            "except Exception as error:",
            ("yellowdog_ray/monitor/test_gcs.py::test_bug_in_conversion_is_logged_once_with_its_line",),
        ),
    ),
    "Throttling (429)": (
        Guard(
            "429 has a name of its own",
            "platform/errors.py",
            "    429: Throttled,\n",
            "",
            ("yellowdog_ray/platform/test_client.py::test_failure_is_translated_by_its_kind",),
        ),
        Guard(
            "the SDK's own retries, which obey `Retry-After`, are off",
            "platform/client.py",
            "retry=RetryProperties(maxAttempts=0),",
            "retry=RetryProperties(maxAttempts=3),",
            ("yellowdog_ray/platform/test_client.py::test_failure_is_translated_by_its_kind",),
        ),
        Guard(
            "pauses after throttling are short",
            "cluster/backoff.py",
            "MAX_THROTTLED_SECONDS if isinstance(reason, Throttled) else MAX_SECONDS",
            "MAX_SECONDS",
            ("yellowdog_ray/cluster/test_backoff.py::test_backoff_is_shorter_when_throttled",),
        ),
    ),
    "The API key is wrong or revoked": (
        Guard(
            "a refused key is told from a declined call",
            "platform/errors.py",
            "raise _unauthorised(subject, error.message) from error",
            "raise _refusal(subject, str(error)) from error",
            ("yellowdog_ray/platform/test_client.py::test_failure_is_translated_by_its_kind",),
        ),
        Guard(
            "so is one that is refused with a mere 401",
            "platform/errors.py",
            'if status == _UNAUTHORISED or "MissingPermission" in text:',
            'if "MissingPermission" in text:',
            (
                "yellowdog_ray/test_provider.py::test_ray_up_fails_when_key_is_wrong",
                "yellowdog_ray/platform/test_client.py::test_failure_is_translated_by_its_kind",
            ),
        ),
        Guard(
            "a refused key is an outage",
            "monitor/side.py",
            "            if not self.cluster.snapshot.nodes:\n                raise\n",
            '            if not self.cluster.snapshot.nodes or getattr(error, "code", "") == "NotAuthorised":\n'
            "                raise\n",
            ("simulation/test_outages.py::test_revoked_key_costs_no_node_and_is_logged",),
        ),
    ),
    "The autoscaler starts during an outage": (
        Guard(
            "a first listing that fails is no empty one",
            "monitor/side.py",
            "if not self.cluster.snapshot.nodes:",
            "if False:",
            ("simulation/test_outages.py::test_autoscaler_started_during_an_outage_skips_ticks",),
        ),
    ),
    "Valkey never starts, or stops": (
        Guard(
            "a store out of reach is no exception",
            "remote/tags.py",
            "except (redis.RedisError, SshError) as error:",
            "except redis.RedisError as error:",
            ("yellowdog_ray/remote/test_tags.py::test_store_raises_nothing_when_the_head_is_unreachable",),
        ),
        Guard(
            "the Redis client's own retries are off",
            "remote/tags.py",
            "retry=Retry(NoBackoff(), 0),",
            "",
            ("simulation/test_quiet.py::test_absent_tag_store_does_not_block_the_loop",),
        ),
        Guard(
            "the user is told",
            "side.py",
            "if not self.tag_store.set(node_id, tags) and tags.get(TAG_RAY_NODE_STATUS) == STATUS_UP_TO_DATE:",
            "if not self.tag_store.set(node_id, tags) and False:",
            ("yellowdog_ray/commands/test_side.py::test_missing_tag_server_is_warned_of_when_head_is_ready",),
        ),
    ),
    "Valkey restarts empty": (
        Guard(
            "an empty store is filled again",
            "remote/tags.py",
            "if self._restores and self._stored and not fields:",
            "if False:",
            ("yellowdog_ray/remote/test_tags.py::test_refresh_restores_a_store_that_restarted_empty",),
        ),
    ),
    "Your machine cannot reach the head by SSH": (
        Guard(
            "somebody knocks before Ray waits for SSH",
            "commands/side.py",
            "        self.access.check(self.node(node_id))\n",
            "",
            ("yellowdog_ray/commands/test_side.py::test_ssh_command_fails_with_one_message_when_head_is_unreachable",),
        ),
        Guard(
            "where the tag store is silent the platform's word counts",
            "commands/side.py",
            "self.tag_store.remember(head.id, {TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE})",
            "pass",
            ("yellowdog_ray/commands/test_side.py::test_get_head_ip_works_when_head_is_unreachable",),
        ),
        Guard(
            "a tunnel that cannot be opened is no exception",
            "remote/tags.py",
            "except (redis.RedisError, SshError) as error:",
            "except redis.RedisError as error:",
            (
                "yellowdog_ray/commands/test_side.py::test_get_head_ip_works_when_head_is_unreachable",
                "yellowdog_ray/commands/test_side.py::test_get_worker_ips_works_when_head_is_unreachable",
                f"{_KILLED}::test_ray_down_removes_everything_after_killed_ray_up",
            ),
        ),
    ),
    "A network without public addresses": (
        Guard(
            "the private address is used where it is asked for",
            "commands/access.py",
            "head.private_ip if self.use_private_ip else head.public_ip or head.private_ip",
            "head.public_ip or head.private_ip",
            ("yellowdog_ray/commands/test_wait.py::test_wait_uses_private_address_with_use_internal_ips",),
        ),
        Guard(
            "the YAML's word is heard",
            "commands/access.py",
            "use_private_ip=internal and not outside",
            "use_private_ip=False",
            ("yellowdog_ray/commands/test_access.py::test_ssh_settings_choose_address_by_yaml",),
        ),
    ),
    "The head has only an unreachable private address": (
        Guard(
            "a private address that is silent for a minute is not waited for",
            "commands/wait.py",
            "                self._require_route(target)\n",
            "                pass\n",
            (f"{_WAIT}::test_unreachable_private_head_fails_before_timeout",),
        ),
    ),
    "A jump host is down": (
        Guard(
            "a proxy command that has just failed is not tried again by Ray",
            "commands/access.py",
            "            self._failure = error\n",
            "            pass\n",
            ("yellowdog_ray/commands/test_side.py::test_ssh_command_fails_with_one_message_when_proxy_fails",),
        ),
    ),
    "Another host answers at the head's address": (
        Guard(
            "the host's key must stay what it was",
            "remote/ssh.py",
            "accept-new",
            "no",
            ("yellowdog_ray/remote/test_ssh.py::test_changed_host_key_fails_before_anything_is_sent",),
        ),
        Guard(
            "Ray's own SSH, which takes any key, is not let near it",
            "commands/access.py",
            "if isinstance(failure, HostKeyChanged):",
            "if False:",
            ("yellowdog_ray/commands/test_side.py::test_ssh_command_sends_nothing_when_host_key_has_changed",),
        ),
    ),
    "A node joins Ray with another of its addresses": (
        Guard(
            "the address with which a node has joined is its address",
            "monitor/side.py",
            "(self.ray_nodes.address(node_id) or node.private_ip)",
            "node.private_ip",
            (f"{_ADDRESSES}::test_node_is_same_node_when_it_joins_with_another_address",),
        ),
    ),
    "An instance dies, its network is cut, its agent is lost, or its task exits": (
        Guard(
            "what the platform shows no more is gone",
            "cluster/cluster.py",
            "self._snapshot = build_snapshot(self._tasks.values(), known, self._terminator.node_ids)",
            "shown = build_snapshot(self._tasks.values(), known, self._terminator.node_ids)\n"
            "            self._snapshot = Snapshot({**self._snapshot.nodes, **shown.nodes})",
            (
                "simulation/test_losses.py::test_lost_node_is_replaced_while_it_is_wanted",
                "simulation/test_losses.py::test_all_nodes_are_replaced_when_lost_at_once",
                "simulation/test_losses.py::test_node_that_the_platform_loses_is_replaced",
                "yellowdog_ray/cluster/test_cluster.py::test_refresh_drops_node_when_instance_dies",
            ),
        ),
    ),
    "Ray dies on a node whose machine runs": (
        Guard(
            "what Ray wants to end is ended",
            "monitor/side.py",
            "        self.cluster.terminate(node_ids)\n",
            "",
            ("simulation/test_losses.py::test_node_is_terminated_and_replaced_after_its_raylet_dies",),
        ),
        Guard(
            "the default scripts watch the raylet",
            "node/scripts.py",
            '  elif [ -n "$joined" ]; then\n',
            "  elif false; then\n",
            ("yellowdog_ray/node/test_scripts.py::test_task_ends_with_its_raylet",),
        ),
    ),
    "A spot notice, then the loss": (
        Guard(
            "a replacement is asked for",
            "monitor/preemption.py",
            "elif self._has_room(node.node_type):",
            "elif False:",
            ("simulation/test_preemption.py::test_replacement_joins_before_the_loss",),
        ),
        Guard(
            "the node is drained",
            "monitor/preemption.py",
            "            self._drain(node, ends)\n",
            "            pass\n",
            ("simulation/test_preemption.py::test_replacement_joins_before_the_loss",),
        ),
        Guard(
            "a notice is settled once",
            "monitor/preemption.py",
            "self._handled &= snapshot.nodes.keys()",
            "self._handled.clear()",
            ("simulation/test_preemption.py::test_spot_notice_launches_one_replacement_however_often_it_is_read",),
        ),
        Guard(
            "the limits hold",
            "monitor/preemption.py",
            "elif self._has_room(node.node_type):",
            "else:",
            ("simulation/test_preemption.py::test_replacements_never_exceed_max_workers",),
        ),
        Guard(
            "autoscaler v1 counts what is drained",
            "monitor/preemption.py",
            "set() if self._drained_count else set(self._drained)",
            "set(self._drained)",
            ("simulation/test_preemption.py::test_replacements_never_exceed_max_workers",),
        ),
    ),
    "The head's own machine gets a spot notice": (
        Guard(
            "the head is no worker to be replaced",
            "monitor/preemption.py",
            "        if node.is_head:\n",
            "        if False:\n",
            ("simulation/test_preemption.py::test_notice_for_the_head_is_logged_and_changes_nothing",),
        ),
    ),
    "Ray reports a placement group as pending to autoscaler v1 after it got its nodes": (
        Guard(
            "what v1 is told is compared with what is",
            "monitor/gcs.py",
            "return any(group.placement_group_id.hex() not in waiting for group in groups)",
            "return False",
            (
                f"{_GROUPS}::test_placed_group_launches_nothing_while_ray_reports_it_late",
                "yellowdog_ray/monitor/test_gcs.py::test_placed_group_that_counts_as_waiting_is_detected",
            ),
        ),
        Guard(
            "old news keep nobody waiting for ever",
            "monitor/scale_gate.py",
            "self._skipped < MAX_SKIPPED_TICKS and ",
            "",
            (f"{_GROUPS}::test_stale_groups_delay_other_demand_for_few_ticks",),
        ),
        Guard(
            "no answer of Ray's keeps nobody waiting",
            "monitor/gcs.py",
            "return self._request(_counts_placed_groups) or False",
            "return self._request(_counts_placed_groups) is not False",
            (f"{_GROUPS}::test_ray_decides_while_its_control_store_does_not_answer",),
        ),
    ),
    "An instance never boots or never registers: no platform node takes a worker's task": (
        Guard(
            "waiting has an end",
            "monitor/liveness.py",
            "[node for node in building if node.phase is Phase.PENDING],",
            "[],",
            (f"{_UNBORN}::test_node_is_withdrawn_and_replaced_when_no_instance_registers",),
        ),
    ),
    "A worker's task runs, and Ray does not join": (
        Guard(
            "waiting for Ray has an end",
            "monitor/liveness.py",
            "missing.append(node)",
            "pass",
            (f"{_UNBORN}::test_node_is_terminated_and_replaced_when_its_raylet_never_joins",),
        ),
        Guard(
            "no answer of Ray's is no sign that a node is missing",
            "monitor/liveness.py",
            "if started and self._ray_nodes.refresh():",
            "if started and (self._ray_nodes.refresh() or True):",
            (f"{_UNBORN}::test_no_node_times_out_while_ray_does_not_answer",),
        ),
    ),
    "Ray on a node lacks `RAY_CLOUD_INSTANCE_ID`, for example in a container without the task's environment": (
        Guard(
            "a raylet without an id is told",
            "monitor/liveness.py",
            "if self._ids_needed and self._ray_nodes.lacks_id(node.private_ip):",
            "if False:",
            (f"{_UNBORN}::test_missing_id_is_logged_once_with_the_script",),
        ),
        Guard(
            "a raylet without an id is known all the same",
            "monitor/gcs.py",
            "return node_id in self._ray_ids or address in self._addresses",
            "return node_id in self._ray_ids",
            (f"{_UNBORN}::test_raylet_without_id_is_matched_by_its_address",),
        ),
        Guard(
            "`ray up` looks at the head's own Ray",
            "node/scripts.py",
            "{variables.ON_HEAD} {variables.CLOUD_INSTANCE_ID}; do",
            "; do",
            ("yellowdog_ray/node/test_scripts.py::test_environment_check_reports_a_missing_variable_with_the_remedy",),
        ),
    ),
    "A worker's set-up over SSH fails, on the worker or for lack of SSH": (
        Guard(
            "a set-up that failed counts as a failed launch",
            "monitor/liveness.py",
            'self._record(of_type, SetupFailed(f"{text} on the head"))',
            "str(text)",
            (
                f"{_UPDATERS}::test_worker_is_terminated_with_the_reason_and_replaced_when_its_set_up_fails",
                f"{_UPDATERS}::test_back_off_grows_when_set_up_always_fails",
            ),
        ),
        Guard(
            "a launch that Ray asks for in the same tick is held back too",
            "cluster/launch.py",
            "if not ids:  # again",
            "if False:  # again",
            ("yellowdog_ray/cluster/test_launch.py::test_launch_stops_when_backoff_starts_meanwhile",),
        ),
    ),
    "A worker's set-up hangs": (
        Guard(
            "each step has its own time",
            "monitor/liveness.py",
            "(max(since, step.since) if step else since)",
            "since",
            (f"{_UPDATERS}::test_long_set_up_does_not_time_out_while_it_makes_progress",),
        ),
    ),
    "Too little capacity, a quota, or a missing image": (
        Guard(
            "what the sources say is looked at",
            "monitor/liveness.py",
            "if unserved <= 0 or not compute.messages:",
            "if True:",
            (f"{_UNBORN}::test_workers_are_withdrawn_with_the_reason_when_no_source_has_capacity",),
        ),
        Guard(
            "instances that are on their way count",
            "monitor/liveness.py",
            "unserved = len(waiting) - max(0, compute.live_instances - served)",
            "unserved = len(waiting)",
            (f"{_UNBORN}::test_workers_are_kept_while_their_instances_boot",),
        ),
        Guard(
            "a pause has an end",
            "cluster/backoff.py",
            "left = entry.ends - self._monotonic() if entry else 0.0",
            "left = 1e9 if entry else 0.0",
            (f"{_UNBORN}::test_nodes_are_launched_once_there_is_capacity_again",),
        ),
        Guard(
            "sources may complain for a while",
            "monitor/liveness.py",
            "if self._monotonic() - since >= SHORTAGE_TIMEOUT_SECONDS:",
            "if since:",
            (f"{_UNBORN}::test_short_shortage_withdraws_nothing",),
        ),
        Guard(
            "a quota is known by its word",
            "monitor/liveness.py",
            "if any(word in text for word in _QUOTA_WORDS):",
            "if False:",
            ("simulation/test_unborn.py::test_quota_and_image_errors_have_their_own_categories",),
        ),
        Guard(
            "what is not said to be a shortage is none",
            "monitor/liveness.py",
            "return NoCapacity if any(word in text for word in _CAPACITY_WORDS) else ProvisioningFailed",
            "return NoCapacity",
            ("simulation/test_unborn.py::test_quota_and_image_errors_have_their_own_categories",),
        ),
    ),
    "A launch is refused: missing template, missing permission ...": (
        Guard(
            "the category is the failure's code",
            "provider.py",
            "raise NodeLaunchException(error.code, str(error), sys.exc_info()) from error",
            'raise NodeLaunchException("failed", str(error), sys.exc_info()) from error',
            ("yellowdog_ray/test_provider.py::test_failed_launch_raises_node_launch_exception_with_short_category",),
        ),
        Guard(
            "pauses grow",
            "cluster/backoff.py",
            "2 ** min(failures - 1, 10)",
            "1",
            (f"{_UNBORN}::test_back_off_grows_with_each_failed_launch",),
        ),
        Guard(
            "each node type has pauses of its own",
            "cluster/backoff.py",
            "        entry = self._entries.get(node_type)\n        left",
            "        entry = next(iter(self._entries.values()), None)\n        left",
            ("simulation/test_outages.py::test_failed_launch_does_not_block_another_node_type",),
        ),
        Guard(
            "it is told at ERROR",
            "provider.py",
            "logger.error(\"%d node(s) of type '%s' could not be launched",
            "logger.info(\"%d node(s) of type '%s' could not be launched",
            ("yellowdog_ray/test_provider.py::test_failed_launch_raises_node_launch_exception_with_short_category",),
        ),
        Guard(
            "a permission that is missing is told from other refusals",
            "platform/errors.py",
            'if status == _UNAUTHORISED or "MissingPermission" in text:',
            "if status == _UNAUTHORISED:",
            ("yellowdog_ray/platform/test_client.py::test_failure_is_translated_by_its_kind",),
        ),
    ),
    "Another party shuts a pool down": (
        Guard(
            "a pool that has ended is not used again",
            "cluster/launch.py",
            "elif pool.finished:",
            "elif False:",
            ("simulation/test_growth.py::test_pool_is_replaced_after_somebody_shuts_it_down",),
        ),
        Guard(
            "workers that wait for a pool that has ended are withdrawn",
            "monitor/liveness.py",
            "if pool.finished:",
            "if False:",
            (f"{_UNBORN}::test_pool_is_replaced_after_it_ends_under_waiting_workers",),
        ),
    ),
    "`resources` are missing and cannot be filled in": (
        Guard(
            "what is not known is refused",
            "commands/resources.py",
            "if kind.resources_unknown is not None:",
            "if False:",
            (
                "yellowdog_ray/commands/test_resources.py::test_ray_up_refuses_unknown_resources_before_creating_anything",
            ),
        ),
    ),
    "More `resources` are declared than the machines have": (
        Guard(
            "declared CPUs are compared",
            "cluster/resources.py",
            "if amount is not None and declared.get(word, 0) > amount",
            "if False",
            (
                "yellowdog_ray/commands/test_resources.py::test_ray_up_warns_of_resources_above_the_machines_size",
                "yellowdog_ray/monitor/test_resources.py::test_declared_resources_are_warned_of_once_when_machines_are_smaller",
            ),
        ),
    ),
    "A node type names a configured pool that cannot serve it": (
        Guard(
            "a pool is looked at before anything is made",
            "commands/up.py",
            "warnings = check_configured_pools(platform, internal)",
            "warnings: list[str] = []",
            (
                "yellowdog_ray/commands/test_configured_pools.py::test_create_head_creates_nothing_when_a_pool_is_missing",
            ),
        ),
        Guard(
            "its platform nodes must run tasks as ours",
            "commands/configured_pools.py",
            "    if not usable:\n",
            "    if False:\n",
            ("yellowdog_ray/commands/test_configured_pools.py::test_pool_without_the_task_type_is_refused",),
        ),
    ),
    "All machines of a configured pool are taken": (
        Guard(
            "nobody waits for ever",
            "monitor/liveness.py",
            "[node for node in building if node.phase is Phase.PENDING],",
            "[],",
            (f"{_POOLS}::test_workers_are_withdrawn_and_type_backs_off_when_all_machines_are_taken",),
        ),
    ),
    "A second `ray up` changes how nodes are set up": (
        Guard(
            "another way is refused",
            "commands/reconfigure.py",
            "        _refuse_other_updaters(cluster.name, internal, made.environment)\n",
            "",
            (
                f"{_CHANGES}::test_change_between_tasks_and_updaters_is_refused",
                f"{_CHANGES}::test_new_node_type_is_refused_with_updaters_and_v2",
            ),
        ),
    ),
    "More than 10,000 nodes of one type": (
        Guard(
            "a pool has a size",
            "cluster/launch.py",
            "room = MAX_POOL_NODES - self._cluster.load(group.id)",
            "room = request.count",
            ("yellowdog_ray/cluster/test_launch.py::test_pool_holds_at_most_the_maximum_of_nodes",),
        ),
        Guard(
            "task groups are counted before anything is made",
            "config/bootstrap.py",
            "if groups > MAX_TASK_GROUPS:",
            "if False:",
            ("yellowdog_ray/config/test_bootstrap.py::test_max_workers_beyond_the_task_group_limit_is_refused",),
        ),
        Guard(
            "tasks are added in batches",
            "platform/work.py",
            "TASK_BATCH_SIZE = 1_000",
            "TASK_BATCH_SIZE = 10_000",
            ("simulation/test_growth.py::test_more_than_a_thousand_nodes_are_submitted_in_batches",),
        ),
    ),
    "An abort is lost": (
        Guard(
            "an abort of which nothing shows is asked for again soon",
            "cluster/terminations.py",
            "ABORT_AGAIN_SECONDS = 10.0",
            "ABORT_AGAIN_SECONDS = 1000.0",
            ("simulation/test_shrinking.py::test_lost_abort_is_repeated",),
        ),
    ),
    "An abort succeeds and the task continues": (
        Guard(
            "the platform node is shut down",
            "cluster/terminator.py",
            "self._attempt(platform_node_id, self._platform.shut_down_node)",
            "pass",
            ("simulation/test_stubborn.py::test_ineffective_abort_is_escalated_until_the_instance_is_gone",),
        ),
        Guard(
            "the instance is terminated",
            "cluster/terminator.py",
            "self._attempt(platform_node_id, self._terminate_instance)",
            "pass",
            ("simulation/test_stubborn.py::test_ineffective_abort_is_escalated_until_the_instance_is_gone",),
        ),
        Guard(
            "the aborts of others, and of an earlier life, are seen through",
            "cluster/terminator.py",
            "self._ledger.observe(tasks, adopt=self._adopts)",
            "self._ledger.observe(tasks, adopt=False)",
            (
                "simulation/test_stubborn.py::test_restarted_autoscaler_escalates_earlier_terminations",
                "simulation/test_stubborn.py::test_abort_by_the_user_is_escalated",
            ),
        ),
    ),
    "The machines are yours (`worker_pool`)": (
        Guard(
            "an abort is all that is done to them",
            "cluster/terminations.py",
            "if abort_only or task.platform_node_id is None",
            "if task.platform_node_id is None",
            ("yellowdog_ray/commands/test_configured_pools.py::test_ineffective_abort_is_repeated_without_escalation",),
        ),
        Guard(
            "a pool is ours only if it bears a name of ours",
            "platform/convert.py",
            'worker_tag=group.tag or next(iter(placement.worker_tags), "")',
            'worker_tag=next(iter(placement.worker_tags), "")',
            ("yellowdog_ray/commands/test_configured_pools.py::test_tear_down_leaves_the_pool_running",),
            also=(Edit("commands/teardown.py", " if token_of(group.worker_tag) == token]", "]"),),
        ),
    ),
    "`ray down`, and something does not end": (
        Guard(
            "instances are terminated under tasks that do not end",
            "commands/teardown.py",
            "if remains.work.finished or waited > GRACE_SECONDS:",
            "if remains.work.finished:",
            ("yellowdog_ray/commands/test_teardown.py::test_instances_are_terminated_when_tasks_ignore_their_abort",),
        ),
        Guard(
            "giving up is told",
            "commands/teardown.py",
            "        if waited > TEARDOWN_TIMEOUT_SECONDS:\n",
            "        if waited > TEARDOWN_TIMEOUT_SECONDS:\n            return\n        if False:\n",
            ("yellowdog_ray/commands/test_teardown.py::test_tear_down_names_the_remains_after_its_timeout",),
        ),
        Guard(
            "the command fails",
            "commands/side.py",
            "raise SystemExit(1) from error",
            "return",
            ("yellowdog_ray/commands/test_side.py::test_ray_down_fails_with_the_remains_after_its_timeout",),
        ),
    ),
    "A machine boots for a node that was withdrawn meanwhile": (
        Guard(
            "platform nodes without a task end soon",
            "cluster/pools.py",
            "IDLE_NODE_TIMEOUT = timedelta(seconds=20)",
            "IDLE_NODE_TIMEOUT = timedelta(hours=1)",
            ("yellowdog_ray/cluster/test_cluster.py::test_instance_that_boots_for_withdrawn_node_ends",),
        ),
    ),
    "Ray's autoscaler tries to terminate the head": (
        Guard(
            "on the head nobody ends the head",
            "monitor/side.py",
            "            node_ids = [node_id for node_id in node_ids if node_id != head.id]\n",
            "",
            (
                "simulation/test_shrinking.py::test_head_does_not_terminate_itself",
                "simulation/test_shrinking.py::test_head_is_kept_when_ray_never_sees_it",
            ),
        ),
    ),
    "The cluster's lifetime ends": (
        Guard(
            "each announcement is made once",
            "monitor/lifetime.py",
            "if reached is not None and reached != self._announced:",
            "if reached is not None:",
            ("simulation/test_lifetime.py::test_end_of_lifetime_is_announced_once_at_each_step",),
        ),
        Guard(
            "the workers are drained",
            "monitor/lifetime.py",
            "if left > DRAIN:",
            "if True:",
            ("simulation/test_lifetime.py::test_workers_are_drained_in_the_last_minute",),
        ),
        Guard(
            "late workers live only as long as the cluster",
            "cluster/launch.py",
            "return work, remaining\n",
            "return work, self._settings.current.lifetime\n",
            ("yellowdog_ray/cluster/test_launch.py::test_late_worker_ends_with_cluster_lifetime",),
        ),
        Guard(
            "workers have a timeout",
            "cluster/launch.py",
            "return work, remaining\n",
            "return work, remaining + timedelta(days=1)\n",
            ("simulation/test_lifetime.py::test_no_instance_lives_after_the_lifetime",),
        ),
        Guard(
            "the last launch is in time to be of use",
            "cluster/launch.py",
            "if remaining <= min(LAST_LAUNCH, (deadline - work.created) * LAST_LAUNCH_SHARE):",
            "if not remaining:",
            ("simulation/test_lifetime.py::test_no_worker_is_launched_in_the_last_two_minutes",),
        ),
    ),
    "All RayDog processes are gone for good": (
        Guard(
            "platform nodes that are idle end",
            "platform/provisioning.py",
            "idleNodeShutdown=AutoShutdown(enabled=True,",
            "idleNodeShutdown=AutoShutdown(enabled=False,",
            ("simulation/test_lifetime.py::test_no_instance_lives_after_the_lifetime",),
        ),
        Guard(
            "a pool ends after the lifetime",
            "platform/compute.py",
            "end = AutoShutdown(enabled=True, timeout=time)",
            "end = AutoShutdown(enabled=False, timeout=time)",
            ("simulation/test_lifetime.py::test_no_instance_lives_after_the_lifetime_without_head",),
        ),
        Guard(
            "workers do not depend on it",
            "cluster/launch.py",
            '        except PlatformError as error:\n            logger.warning("Worker pool',
            '        except DeadlinePassed as error:\n            logger.warning("Worker pool',
            ("yellowdog_ray/cluster/test_launch.py::test_launch_succeeds_when_pool_gets_no_end",),
        ),
    ),
    "The API key could leak": (
        Guard(
            "log records are cleaned",
            "redaction.py",
            "if redact(text) != text:",
            "if False:",
            ("yellowdog_ray/test_redaction.py::test_log_record_of_any_logger_is_redacted",),
        ),
        Guard(
            "errors are cleaned",
            "errors.py",
            "super().__init__(redact(text))",
            "super().__init__(text)",
            ("yellowdog_ray/platform/test_client.py::test_failure_text_contains_no_secret",),
        ),
        Guard(
            "tracebacks are cleaned",
            "redaction.py",
            "if record.exc_info and record.exc_info[0] is not None:",
            "if False:",
            ("yellowdog_ray/test_redaction.py::test_traceback_in_the_log_is_redacted",),
        ),
        Guard(
            "the file on the head is for its owner only",
            "remote/ssh.py",
            "umask 077 && ",
            "",
            ("yellowdog_ray/remote/test_ssh.py::test_write_secret_creates_private_files",),
        ),
        Guard(
            "the secret goes in by standard input",
            "remote/ssh.py",
            "cat > {target}.new && mv",
            "echo {shlex.quote(text)} > {target}.new && mv",
            ("yellowdog_ray/remote/test_ssh.py::test_write_secret_keeps_the_secret_off_the_command_line",),
        ),
    ),
    "An old head script needs the key in its environment": (
        Guard(
            "the key is in the task only where that is asked for",
            "config/environment.py",
            "key = load_credentials().as_environment() if settings.api_key_in_head_task else {}",
            "key = load_credentials().as_environment()",
            ("yellowdog_ray/commands/test_side.py::test_api_key_is_in_head_task_only_with_its_setting",),
        ),
        Guard(
            "there is a warning",
            "config/bootstrap.py",
            "    if settings.api_key_in_head_task:\n",
            "    if False:\n",
            ("yellowdog_ray/config/test_bootstrap.py::test_api_key_in_head_task_is_warned_of",),
        ),
    ),
    "Another machine on the network reads or writes tags": (
        Guard(
            "the tag server listens to one address",
            "node/scripts.py",
            " --bind 127.0.0.1 ",
            " --bind 0.0.0.0 --protected-mode no ",
            ("yellowdog_ray/node/test_scripts.py::test_tag_server_listens_on_loopback_only",),
        ),
    ),
    "A private key in an example": (
        Guard(
            "the example names a path",
            "/examples/autoscaler/raydog.yaml",
            "<path of your private key>",
            "|\n    PRIVATE KEY",
            ("test_examples.py::test_no_example_holds_a_key",),
        ),
    ),
    "Work per tick that grows with the cluster": (
        Guard(
            "where nothing has changed nothing is read",
            "cluster/task_cache.py",
            "if self._nothing_moved(group.id, known, group.counts):\n                known.counts",
            "if False:\n                known.counts",
            ("simulation/test_quiet.py::test_calls_of_a_quiet_tick_do_not_grow_with_the_cluster",),
        ),
        Guard(
            "a node that is not known has no address",
            "monitor/side.py",
            "(self.ray_nodes.address(node_id) or node.private_ip) if node else None",
            "self.ray_nodes.address(node_id) or node.private_ip",
            ("yellowdog_ray/monitor/test_side.py::test_getters_answer_for_unknown_id",),
        ),
    ),
}
