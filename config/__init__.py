"""The deployable: settings, URLs, Celery, where each context runs, and the rooms that look across contexts.

``staff``: accounts and sign-in. ``books``: do stock, orders and money agree? ``operations``: running the product.
``people``: what one person may ask of all contexts.
"""

import gc

# While the product is loaded, hundreds of thousands of objects are made that stay: to look for garbage among them each
# few hundred takes up to an eighth of the time that a command or process needs to begin.
gc.set_threshold(50_000, 20)
