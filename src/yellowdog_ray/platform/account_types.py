"""Plain records of an account: templates, images, keyrings, and the application of the API key. No SDK, no Ray."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceView:
    """A compute source that a template would use.

    Attributes:
        limit: the maximum number of its instances; None if it states none.
        credential: keyring and name of its cloud credential, as `keyring/name`.
    """

    name: str
    region: str | None
    instance_type: str | None
    image: str | None
    limit: int | None
    credential: str | None = None


@dataclass(frozen=True)
class KeyringView:
    """A keyring: the names of its credentials, and the ids of who may use it. None where YellowDog gives none."""

    credentials: frozenset[str]
    accessors: frozenset[str] | None


@dataclass(frozen=True)
class ImageView:
    """An image, a group or a family of images: its name, and its operating system as YellowDog names it."""

    name: str
    system: str


@dataclass(frozen=True)
class Application:
    """The application that the API key belongs to.

    Attributes:
        namespaces: the namespaces that it may read; None for all.
        account: the name of its account.
    """

    id: str
    name: str
    namespaces: tuple[str, ...] | None
    account: str = ""


@dataclass(frozen=True)
class TemplateSource:
    """The machines of one source of a template.

    Attributes:
        provider: YellowDog's name of the cloud provider, such as `AWS`; None if it has none.
        instance_type: the cloud's name of the machine's type.
        region: the cloud's region.
        zone: the cloud's zone in it; None if the cloud selects one.
        spot: whether its machines are spot ones; None if they may be either, or YellowDog does not show it.
    """

    provider: str | None
    instance_type: str | None
    region: str | None
    zone: str | None
    spot: bool | None


@dataclass(frozen=True)
class TemplateView:
    """A compute requirement template.

    Attributes:
        sources: what it would use now.
        is_static: whether it always uses these sources.
    """

    sources: tuple[TemplateSource, ...]
    is_static: bool
