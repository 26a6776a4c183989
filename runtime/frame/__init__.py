"""The machinery of runtime modules, read once: context, storage, module, call, events, errors, metadata."""
