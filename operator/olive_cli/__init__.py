"""What a person types: ``kubectl olive watch``, ``ask``, ``retry``, ``suspend`` and ``resume``.

``view`` reads a job's body (pure); ``lines`` and ``table`` render it (pure); ``follow`` is the
watch's loop, over the stream that ``cluster`` brings; ``change`` patches a job;
``forward`` and ``ask`` speak to the serving. Nothing of the operator is imported: the job's status
is all there is to know.
"""
