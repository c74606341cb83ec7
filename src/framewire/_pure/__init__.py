"""The pure-Python backend: the readable specification, the same modules as `framewire._native`."""
