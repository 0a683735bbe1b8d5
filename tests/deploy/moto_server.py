"""moto's server, with a CloudFormation that treats a document as AWS's does.

By itself moto keeps the content of the document as no text, and wants a `DocumentFormat`, where
AWS's default is JSON.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ssm-document.html
"""

import json
import sys
from typing import Any

from moto.server import main
from moto.ssm.models import Document

make = Document.create_from_cloudformation_json


def create(
    _: type[Document],
    /,
    name: str,
    asked: dict[str, Any],
    *place: str,
    **kwargs: Any,  # noqa: ANN401
) -> Document:
    """Make the document, of content that is text."""
    found = asked["Properties"]
    content = json.dumps(found["Content"], ensure_ascii=False)
    given = {"DocumentFormat": "JSON", **found, "Content": content}
    return make(name, {"Properties": given}, *place, **kwargs)


if __name__ == "__main__":
    Document.create_from_cloudformation_json = classmethod(create)  # type: ignore[assignment, method-assign]
    main(sys.argv[1:])
