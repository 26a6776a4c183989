"""A client that believes nobody: it follows headers by commits and checks every answer's proof."""
