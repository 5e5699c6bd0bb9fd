"""The executable taxonomy: one file for each axis, one function for each value, under the value's name."""
