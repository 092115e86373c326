"""The deployable: settings, URLs, Celery, where each context runs, and the rooms that look across contexts.

``staff``: accounts and sign-in. ``books``: do stock, orders and money agree? ``operations``: running the product.
``people``: what one person may ask of all contexts.
"""
