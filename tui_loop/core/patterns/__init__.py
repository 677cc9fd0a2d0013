"""What all loops taught: values that spoiled runs, changes that helped, what the best ones share.

`trials` reads what was tried, `pattern` is what shows, one module a kind finds it, `reading` puts
it together within a stated time, and `hints` says it of a value that is being typed.
"""
