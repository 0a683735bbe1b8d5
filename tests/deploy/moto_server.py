"""moto's server, with a CloudFormation that treats a document as AWS's does.

By itself moto makes the document anew whatever `UpdateMethod` says, keeps its content as no text,
and wants a `DocumentFormat`, where AWS's default is JSON.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ssm-document.html
"""

from __future__ import annotations

import json
import sys
from typing import Any

from moto.server import main
from moto.ssm.models import Document, ssm_backends

make = Document.create_from_cloudformation_json
make_anew = Document.update_from_cloudformation_json


def properties(cloudformation_json: dict[str, Any]) -> dict[str, Any]:
    """The resource's properties as the API takes them."""
    found = cloudformation_json["Properties"]
    content = found["Content"]
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return {"DocumentFormat": "JSON", **found, "Content": text}


def create(
    _: type[Document],
    /,
    name: str,
    asked: dict[str, Any],
    *place: str,
    **kwargs: Any,  # noqa: ANN401
) -> Document:
    """Make the document, of content that is text."""
    return make(name, {"Properties": properties(asked)}, *place, **kwargs)


def update(
    _: type[Document],
    /,
    original_resource: Document,
    cloudformation_json: dict[str, Any],
    **place: str,
) -> Document:
    """Make a new version of the document, the default from now on; or the document anew."""
    asked, name = properties(cloudformation_json), original_resource.name
    if asked.get("UpdateMethod") != "NewVersion" or asked["Name"] != name:
        anew = {"original_resource": original_resource, "cloudformation_json": cloudformation_json}
        return make_anew(**anew, **place)  # type: ignore[arg-type]
    backend = ssm_backends[place["account_id"]][place["region_name"]]
    version = backend.update_document(
        content=asked["Content"],
        attachments=[],
        name=name,
        version_name="",
        document_version="$LATEST",
        document_format=asked["DocumentFormat"],
        target_type="",
    )["DocumentVersion"]
    backend.update_document_default_version(name, version)
    return backend._documents[name].get_default_version()  # noqa: SLF001


if __name__ == "__main__":
    Document.create_from_cloudformation_json = classmethod(create)  # type: ignore[assignment, method-assign]
    Document.update_from_cloudformation_json = classmethod(update)  # type: ignore[assignment, method-assign]
    main(sys.argv[1:])
