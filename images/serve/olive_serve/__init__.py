"""onnxruntime-genai behind an OpenAI-compatible API: one exported model with its LoRA adapters.

Two processes. The HTTP process (``__main__``, ``app``) answers at any time; the worker
(``worker``) computes, and holds Python's lock while it does. Between them lies ``engine.Engine``::

    app ─► completions ─► engine.Engine ◄─ engine_process ══ JSON lines ══ worker ─► genai
              routes ▲                  ◄─ reconcile ◄─ serving.json, the store
"""
