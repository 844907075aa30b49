"""Ground floor: bindings, errors, symbolic sizes, data types, targets, stages."""
