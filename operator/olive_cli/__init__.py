"""What a person types: ``kubectl olive COMMAND``; and in ``run``, ``olive-operator run``.

From the top: ``argv`` (parser, completion) → ``commands`` (a module each) → ``store``, ``forecast``
(what is worked out) → ``cluster`` (what is read and asked) → ``job`` (what a body says, and how it
is drawn) → ``terminal``. Only the API server is asked: no operator, no store.
"""
