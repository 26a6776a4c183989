"""The machinery of runtime modules, read once.

origins   who calls            Signed, Root, Inherent: the type is the permission
errors    who is to blame
declared  annotations          -> codecs and descriptions
storage   values and maps      -> keys and bytes in the state
events    what happened        -> bytes in a receipt
call      what can be asked    -> a number, arguments, a weight
dispatch  the table of calls   decodes bytes to a call and runs it
context   what a module sees   state, block, events, the acting module
module    all of it together
"""
