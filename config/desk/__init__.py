"""Staff's pages that show several contexts at once: the front page, the go box, and the sheet of an order.

They read through public APIs. What staff changes, it changes on the pages of the context concerned.
"""
