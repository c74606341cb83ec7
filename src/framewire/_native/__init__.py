"""The native backend: Cython over csrc/, the same modules as `framewire._pure`."""
