"""The kernel: everything that all contexts share. It imports no context, and knows no rule of any.

A map, a line for each module:

Databases
    db              which database a model lives in; units of work; read replicas
    databases.sqlite3.base      SQLite
    databases.postgresql.base   PostgreSQL
    databases.postgresql.packets   what goes to it along with the next statement
    databases.mysql.base        MySQL and MariaDB
    idempotency     the same key with the same request gets the first answer again
    events          what has happened, as facts with names; who handles them
    pruning         what is old is deleted in small steps
    chores          which tasks have work
    away            whether an error says that somebody could not be asked at all
    outbox          events are committed with their change, and reach every consumer
    erasure         which customers each context has erased
    activity        how a context tells of its trail
    trail           what staff has written: who, when, before, after
    paging          a page of a list, by cursor

Statements (statements has the story)
    statements.packets    several reads of one database at once
    statements.querysets  reads and updates: a queryset is written once, compiled once, and run with new values
    statements.inserts    rows that are inserted many at a time
    statements.rows       objects of models, made quickly
    statements.stand_ins  what stands for a value while its statement is compiled
    statements.texts      what was compiled, and its way to the database and back

Imports (imports has the story)
    imports.kinds       what a kind says of itself
    imports.rows        their tables
    imports.uploads     their files
    imports.tables      a file as rows of cells
    imports.formats     what a workbook's number formats show beside a number
    imports.decoding    encodings and delimiters
    imports.western     whether a text was read in the right encoding
    imports.mapping     which column is which field
    imports.words       what columns are called in other languages
    imports.values      what people write into cells
    imports.reading     the dry run
    imports.again       a file that was booked before
    imports.applying    writing and undoing
    imports.leases      who carries an import on
    imports.running     the worker's side
    imports.asking      the callers' side
    imports.errors      files that cannot be read

Calls between contexts
    calls.rpc               a context's contract as an object, answered in this process or in another
    calls.remote            calls and events over HTTP
    calls.bulkheads         a context that hangs keeps not all threads
    calls.wire              a contract's arguments, answers and errors as JSON
    calls.promises          what a context promises to others, and what a change breaks
    calls.service_tokens    how a process proves to another who it is

Who is calling
    identity.auth               callers, and what they may do
    identity.roles              the roles
    identity.tokens             access tokens, and the keys that sign them
    identity.published_keys     the same keys, read by a process that signs none
    identity.keys               key files
    identity.names              names that people sign in with, and how guesses at them are counted
    identity.passwords          password hashes
    identity.second_factor      codes of authenticator apps, and recovery codes
    identity.locks              locking an account of staff ends its logins
    identity.sessions           sessions of the admin, kept by a digest
    limits                      how many requests and passwords a caller may try
    counters                    what limits count with: Redis or a file

HTTP
    http.views          the base of every view
    http.commands       how a command answers its idempotency key
    http.conditional    ETag and If-Match
    http.envelope       the envelope around answers and errors
    http.fields         strict fields of request bodies
    http.parsers        strict JSON
    http.negotiation    JSON, unless a page is asked for
    http.imports        imports
    http.exports        lists as files
    http.downloads      tables as files
    http.paging         pages, with links that hold cursors
    http.pages          middleware that only pages need
    http.present        contract dataclasses as JSON
    http.routes         a context's paths
    http.converters     ids in paths
    http.cards          the guard against card numbers
    http.rates          rate limits
    http.security       what proxies may say, and security headers
    http.internal       the endpoint that other processes call
    http.jwks           the endpoint of public keys
    http.health         health checks
    http.schema         the OpenAPI document
    http.docs           its pages
    http.together       health and document of all contexts, wherever they run
    http.browsable      the API in a browser
    http.endpoints      the endpoints that a page can lead to
    http.root           the page that leads to them
    http.metadata       answers to OPTIONS

Watching
    watch.requests          request ids, the request log, and loggers
    watch.logs              what may be logged, and how
    watch.tracing           traces
    watch.metrics           what processes count
    watch.metrics_folder    where they count
    watch.metrics_text      how it is added up and written

Small things
    errors          the errors that all contexts share
    addresses       what the parts of an address are called, by us and by other shops
    text            the one intake for text, e-mail addresses, phone numbers and SKUs
    forms           its form fields for staff's pages
    intake          it for rows that are there already, in migrations
    money           amounts and currencies
    metadata        other systems' keys and values on a row
    clock           times
    ids             order ids
    remembered      values that a process keeps for some seconds
    totals          what beat counts of a large table, kept for whoever asks
    staff           what admin pages share
    staff_confirm   dangerous acts, for which staff confirm that it is them
    staff_forms     forms that carry the version they showed and a one-time key
    staff_commands  pages beside a row's own, each a form for one command
    staff_exports   lists of staff's pages as files
    staff_imports   pages of imports
    checks          start-up checks
    apps            the kernel as a Django app

Of the shop it knows what nearly every context handles, and what no context could own, because those below it must not
import it:

- Customers and staff, as callers (``identity``), and ids of customers (``erasure``).
- Order ids: which are ours (``ids``), their field in bodies (``http.fields``), the error for changes that only the
  orders context may make (``errors.OwnedByOrder``), and log lines and spans that name them (``watch.requests``).
- The names of the contexts' fields that may be logged (``watch.logs``).
- Money and currencies (``money``).
- What a card number looks like, so that none gets in (``http.cards``).
"""
