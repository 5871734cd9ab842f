"""Where schemas come from: descriptor sets, ``.proto`` files, a server's reflection service."""

from __future__ import annotations

from wirecase.sources.schemas.loading import SchemaSources, load

__all__ = ["SchemaSources", "load"]
