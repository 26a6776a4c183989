"""What consensus says about data that is not what it claims to be.

    ValueError
      ext.scale.ScaleError      the bytes are not canonical SCALE
      Malformed                 the bytes decode, but the value breaks a rule
        MalformedHeader         a header's digest is not the fixed list of items

Everything that decodes bytes from outside raises one of these; `except ValueError` catches all.
"""


class Malformed(ValueError):
    """A value that no honest peer makes; the message is the rule it breaks."""


class MalformedHeader(Malformed):
    """A header whose digest is not exactly the items of this chain, in their order."""
