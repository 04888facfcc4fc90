"""The least that the SDK can be: one tool. What claudine-mcp is compared with."""

from mcp.server import MCPServer

server = MCPServer("bare")


@server.tool()
def ping(text: str = "") -> str:
    """Give the text back."""
    return text


server.run("stdio")
