from ._output cimport Output

# What a connection calls, which need not know the class: it would have to be loaded for that.
ctypedef int (*pack_message)(object codec, Output *s, object message) except -1
