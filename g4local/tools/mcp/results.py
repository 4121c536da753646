"""What a tool of an MCP server answers, as the text that the model and the person are told.

Text is passed on, also that of resources. All else is left out, which is said in its place.
"""

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
)

from g4local.core.units import human_bytes

MOST_TOLD = 16 * 1024
"""Characters of a result that are told."""

_LONGEST_NAME = 200


def text_of(result: CallToolResult) -> str:
    """What a result says; empty when it says nothing."""
    text = "\n".join(map(_told, result.content))
    return text if len(text) <= MOST_TOLD else f"{text[:MOST_TOLD]}\n[cut: the first {MOST_TOLD:,} characters]"


def _told(part: ContentBlock) -> str:
    match part:
        case TextContent():
            return part.text
        case ImageContent():
            return _left_out("An image", part.mime_type, part.data)
        case AudioContent():
            return _left_out("A sound", part.mime_type, part.data)
        case ResourceLink():
            return f"[The resource {_name(part.name)} is not read here: {_name(part.uri)}]"
        case EmbeddedResource():
            contents = part.resource
            if isinstance(contents, BlobResourceContents):
                kind = contents.mime_type or "bytes"
                return _left_out(f"The resource {_name(contents.uri)}", kind, contents.blob)
            return f"[The resource {_name(contents.uri)}]\n{contents.text}"


def _left_out(what: str, kind: str, base64: str) -> str:
    nbytes = len(base64) * 3 // 4
    return f"[{what} ({_name(kind)}, {human_bytes(nbytes)}) is left out: only text is passed on]"


def _name(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_NAME]
