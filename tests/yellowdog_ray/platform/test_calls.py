"""Calls of the platform: malformed responses, and lists in pages."""

import re

import pytest

from yellowdog_ray.errors import (
    MalformedResponse,
    Unavailable,
)

READS = {
    "named_work_requirement": "crew",
    "work_requirement": "ydid:workreq:000000:1",
    "live_tasks": "ydid:workreq:000000:1",
    "find_pool": "crew-head-00000000",
    "listed_pools": "00000000",
    "listed_computes": "00000000",
    "platform_nodes": "ydid:wrkrpool:000000:1",
    "compute": "ydid:compreq:000000:1",
    "pool": "ydid:wrkrpool:000000:1",
    "platform_node": "ydid:node:000000:1",
    "task": "ydid:task:000000:1",
    "task_spec": "ydid:task:000000:1",
    "template_id": "demo/local",
    "template": "demo/local",
}


class TestMalformedResponse:
    """An answer that is not YellowDog's."""

    def test_response_of_other_shape_raises_malformed_response(self, platform, monkeypatch):
        monkeypatch.setattr("requests.Response.json", lambda _: {"items": 3})

        with pytest.raises(MalformedResponse, match="is it a YellowDog endpoint"):
            platform.work_requirements("demo", finished=False)

    def test_malformed_list_of_work_requirements_is_never_read_as_empty(self, platform, monkeypatch):
        monkeypatch.setattr("yellowdog_client.common.Proxy._handle_response", lambda _, response: response)

        for answer in ({}, [], None, "up", {"status": "fine"}, {"items": [{}]}, {"items": [None]}):
            monkeypatch.setattr("requests.Response.json", lambda _, answer=answer: answer)
            with pytest.raises(MalformedResponse):
                platform.work_requirements("crew", finished=False)

    @pytest.mark.parametrize("read", READS)
    def test_malformed_response_is_never_read_as_empty_list(self, platform, monkeypatch, read):
        monkeypatch.setattr("yellowdog_client.common.Proxy._handle_response", lambda _, response: response)

        for answer in ({}, [], None, "up", {"status": "fine"}, {"items": [{}]}, {"items": [None]}):
            monkeypatch.setattr("requests.Response.json", lambda _, answer=answer: answer)
            with pytest.raises(MalformedResponse):
                getattr(platform, read)(READS[read])

    def test_response_that_is_no_json_raises_malformed_response(self, platform, respond):
        respond(b"<html>Welcome to our network</html>")

        with pytest.raises(MalformedResponse):
            platform.work_requirement("ydid:workreq:000000:1")

    @pytest.mark.parametrize(("body", "may_heal"), [(b"<html>Bad gateway</html>", True), (b'{"status": "NEW"}', False)])
    def test_response_that_is_no_json_may_heal(self, platform, respond, body, may_heal):
        respond(body)

        with pytest.raises(MalformedResponse) as raised:
            platform.work_requirement("ydid:workreq:000000:1")

        assert raised.value.may_heal is may_heal

    def test_malformed_response_may_have_been_applied(self):
        assert issubclass(MalformedResponse, Unavailable)
        assert len(MalformedResponse.code) < 20

    def test_log_has_traceback_and_response_once(self, platform, respond, caplog):
        respond(b"<html>Welcome to our network</html>")

        for _ in range(3):
            with pytest.raises(MalformedResponse):
                platform.work_requirement("ydid:workreq:000000:1")

        (record,) = [record for record in caplog.records if record.name == "yellowdog_ray.platform.calls"]
        assert "Welcome to our network" in record.getMessage()
        assert "JSONDecodeError" in caplog.text
        assert "get_work_requirement_by_id" in caplog.text

    def test_log_has_traceback_when_entity_lacks_its_id(self, platform, respond, caplog):
        respond(b'{"items": [{"name": "a", "taskType": "bash"}]}')

        with pytest.raises(MalformedResponse):
            platform.live_tasks("ydid:workreq:000000:1")

        assert re.search(r"in \w*task_view", caplog.text)

    def test_check_of_key_is_not_logged(self, platform, respond, caplog):
        respond(b"<html>Welcome to our network</html>")

        with pytest.raises(MalformedResponse):
            platform.account_name()

        assert caplog.records == []


class TestLists:
    """Lists in pages."""

    def test_list_that_repeats_a_page_raises_malformed_response(self, platform, respond, calls):
        respond(b'{"items": [], "nextSliceId": "2"}')

        with pytest.raises(MalformedResponse, match="does not end, at page 2"):
            platform.live_tasks("ydid:workreq:000000:1")
        assert len(calls.made) == 2

    def test_empty_id_of_the_next_page_ends_the_list(self, platform, respond, calls):
        respond(b'{"items": [], "nextSliceId": ""}')

        assert platform.live_tasks("ydid:workreq:000000:1") == []
        assert len(calls.made) == 1

    def test_list_without_end_raises_malformed_response(self, platform, monkeypatch):
        pages = iter(range(20))
        monkeypatch.setattr("yellowdog_client.common.Proxy._handle_response", lambda _, response: response)
        monkeypatch.setattr("requests.Response.json", lambda _: {"items": [], "nextSliceId": str(next(pages))})
        monkeypatch.setattr("yellowdog_ray.platform.calls.MAX_PAGES", 5)

        with pytest.raises(MalformedResponse, match="does not end"):
            platform.live_tasks("ydid:workreq:000000:1")
