"""Provider kind -> settings model and adapter, imported on first use. Used by wiring and by the runtime's context only.

    kind        settings (what a spec may say)                     adapter
    local       fedkeeper.providers.local.settings:LocalSettings   fedkeeper.providers.local.provider:LocalProvider
    openwhisk   ...openwhisk.settings:OpenWhiskSettings            ...openwhisk.provider:OpenWhiskProvider
    google      ...google.settings:GoogleSettings                  ...google.provider:GoogleProvider
    aws         ...aws.settings:AwsSettings                        ...aws.provider:AwsProvider

The settings of every kind are needed to check a spec; an adapter only to deploy or to run.
"""

from __future__ import annotations

import difflib
import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fedkeeper.errors import ProviderError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from fedkeeper.providers.base import Provider

SETTINGS = MappingProxyType(
    {
        "local": "fedkeeper.providers.local.settings:LocalSettings",
        "openwhisk": "fedkeeper.providers.openwhisk.settings:OpenWhiskSettings",
        "google": "fedkeeper.providers.google.settings:GoogleSettings",
        "aws": "fedkeeper.providers.aws.settings:AwsSettings",
    }
)
ADAPTERS = MappingProxyType(
    {
        "local": "fedkeeper.providers.local.provider:LocalProvider",
        "openwhisk": "fedkeeper.providers.openwhisk.provider:OpenWhiskProvider",
        "google": "fedkeeper.providers.google.provider:GoogleProvider",
        "aws": "fedkeeper.providers.aws.provider:AwsProvider",
    }
)


def settings_models() -> dict[str, type[BaseModel]]:
    """Every kind's settings model, in the order in which documents list them."""
    return {kind: _load(target) for kind, target in SETTINGS.items()}


def provider_class(kind: str) -> type[Provider]:
    """The adapter of a kind."""
    if kind not in SETTINGS:
        near = difflib.get_close_matches(kind, SETTINGS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(SETTINGS)}"
        raise ProviderError(f"unknown provider {kind!r}", hint=hint)
    loaded: type[Provider] = _load(ADAPTERS[kind])
    return loaded


def _load(target: str) -> Any:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)
