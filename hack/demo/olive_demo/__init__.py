"""The demo: a cluster, the operator, a tiny model, a job, and a question to what it serves.

`cli` is argv and the order of the steps; `target` says which cluster; `images`, `install`, `model`
and `story` are the steps; `removal` takes it all away. `timeline` keeps what took how long,
`diagnosis` gathers what explains a failure, `shell` runs commands. `answers` judges, and is pure.
"""
