"""Imports: a file of rows is read, judged, asked about, applied by the worker in pieces, and can be undone.

1. ``uploads`` keeps the file in the database of the context that owns its kind, for every process of it to read.
2. ``running`` is the worker's side: it takes an import that is due, on a lease, and carries on where it stopped.
3. ``reading`` finds out what the file is (``decoding``, ``tables``), which column is which field (``mapping``), and
   judges each row, as a dry run: it writes the import's own lines only.
4. ``applying`` writes the lines in pieces, each in one transaction together with their marks, or takes them back.
5. ``asking`` is the callers' side: begin, answer, apply, undo, and what became of it.

What a row means is said by a ``kinds.Kind`` in the context's own ``imports.py``.
"""
