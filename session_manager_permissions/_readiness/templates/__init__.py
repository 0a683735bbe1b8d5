"""Synthesized templates: their files, their content, and what their values refer to.

Nothing here raises, whatever the files of an assembly contain. A value that is malformed or nested
too deep is unknown. CDK itself refuses to synthesize more than 200 levels.
"""

from .values import Assembly

__all__ = ["Assembly"]
