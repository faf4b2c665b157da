"""The YellowDog client: typed views, timeouts, typed failures. Contains no decisions. Does not import Ray.

Every method is one platform call (or one per page) unless its docstring says otherwise. A creating call that fails with
`Unavailable` may have been applied: look it up by name before a second attempt (`idempotent`).
"""

from __future__ import annotations

from datetime import timedelta

from yellowdog_client import PlatformClient
from yellowdog_client.model import ApiKey, RetryProperties, ServicesSchema

from yellowdog_ray.clock import Clock, SystemClock
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.platform.account import AccountCalls
from yellowdog_ray.platform.bounded_http import bound_calls
from yellowdog_ray.platform.documents import DocumentCalls
from yellowdog_ray.platform.history import HistoryCalls
from yellowdog_ray.platform.platform_clock import PlatformClock
from yellowdog_ray.platform.pools import PoolCalls
from yellowdog_ray.platform.preflight import PreflightCalls
from yellowdog_ray.platform.responses import Responses
from yellowdog_ray.platform.retry import RetryPolicy
from yellowdog_ray.platform.work import WorkCalls

MAX_CONNECTIONS = 20
"""Connections kept in the pool: for the concurrent aborts, and for other calls at the same time."""

CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=20)
"""Maximum time between two bytes of an answer; a page of 1,000 tasks takes a second or two."""

CALL_TIMEOUT = CONNECT_TIMEOUT + READ_TIMEOUT
"""Maximum time of a whole call, however steadily its bytes come."""

MAX_ANSWER_BYTES = 256 * 2**20
"""Maximum size of an answer: a page of 1,000 tasks with the longest scripts and environments stays below."""

MAX_REDIRECTS = 3
"""Each one is a call of its own. The platform has none; a proxy may have one, to HTTPS or a login page."""


class Platform(WorkCalls, PoolCalls, AccountCalls, HistoryCalls, PreflightCalls, DocumentCalls):
    """All platform calls that a cluster needs. Thread-safe.

    Args:
        credentials: the API key and the URL of its platform.
        namespace: where everything is created.
        retry_policy: how long failing calls are retried; `account_name`, the check of the key, is never retried.

    Attributes:
        credentials: the key in use.
    """

    def __init__(
        self,
        credentials: Credentials,
        namespace: str,
        retry_policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        clock: Clock = SystemClock(),  # noqa: B008 - without state
    ) -> None:
        self.clock = PlatformClock(clock)
        responses = Responses()
        super().__init__(_connect(credentials, responses, self.clock), responses, namespace, retry_policy)
        self.credentials = credentials

    @property
    def url(self) -> str:
        """The platform's URL."""
        return self.credentials.url

    def use(self, credentials: Credentials) -> None:
        """Use another key of the same platform from the next call on. Calls under way end with the old one."""
        self._client = _connect(credentials, self._responses, self.clock)
        self.credentials = credentials

    def account_name(self) -> str:
        """The account that the key belongs to: the cheapest check of URL and key. Never retried or logged."""
        with self._sdk("the application's details"):
            details = self._client.application_client.get_application_details()
        return str(details.accountName)


def _connect(credentials: Credentials, responses: Responses, clock: PlatformClock) -> PlatformClient:
    client = PlatformClient.create(
        ServicesSchema(
            defaultUrl=credentials.url,
            retry=RetryProperties(maxAttempts=0),
            connectionTimeout=CONNECT_TIMEOUT,
            readTimeout=READ_TIMEOUT,
        ),
        ApiKey(credentials.key_id, credentials.key_secret),
    )
    _prepare_session(client, responses, clock)
    return client


def _prepare_session(client: PlatformClient, responses: Responses, clock: PlatformClock) -> None:
    """Bound the calls of the SDK's session, and keep its responses; the SDK has no option for either."""
    session = getattr(client, "_PlatformClient__session", None)
    if session is None:
        return
    bound_calls(session, MAX_CONNECTIONS, CALL_TIMEOUT.total_seconds(), MAX_ANSWER_BYTES)
    session.max_redirects = MAX_REDIRECTS
    responses.attach(session)
    session.hooks["response"].append(clock.observe)
