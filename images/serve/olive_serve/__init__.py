"""One exported model and its LoRA adapters on CPU, behind an OpenAI-compatible API.

Two processes. The HTTP process (``__main__``, ``app``) answers at any time; the worker
(``worker``) computes in batches, and may die alone. Between them lies ``engine.Engine``::

    app ─► completions ─► engine.Engine ◄─ engine_process ══ JSON lines ══ worker
              routes ▲                  ◄─ reconcile ◄─ serving.json, the store

In the worker, ``scheduler`` decides what is computed next, ``rows`` where in the key-value cache,
``model`` computes it with ONNX Runtime on the graph that ``graph`` has made of the export's, and
``sampling`` chooses the tokens.
"""
