"""The dashboard of the platform: jobs, GPUs, what they cost whom, stores, the operator."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from olive_dashboards.layout import Row, dashboard
from olive_dashboards.panels import bars, lines, number
from olive_dashboards.variables import price, source, teams

_AT = '{namespace=~"$namespace"}'
_GPU_HOURS = f"(increase(olive_gpu_seconds_total{_AT}[$__range])) / 3600"
_WORKS = "and on (job, instance) olive_leading == 1"


def platform() -> Dashboard:
    """All teams, or those chosen."""
    return dashboard(
        "olive-platform",
        "Olive / Platform",
        "GPUs, queue and cost of all OptimizationJobs, by team; and the operator itself.",
        (source(), teams(), price()),
        (_jobs(), _gpus(), _cost(), _stages(), _stores(), _operator()),
    )


def _jobs() -> Row:
    return Row(
        "Jobs",
        (
            number(
                "Jobs",
                "By phase.",
                "short",
                (f"sum by (phase) (olive_jobs{_AT})", "{{phase}}"),
                width=8,
            ),
            number(
                "Wait for a person",
                "Jobs whose condition Stalled is true.",
                "short",
                (f"sum(olive_jobs_stalled{_AT}) or vector(0)", ""),
            ),
            number(
                "Longest wait",
                "Of a job with a stage due and none running.",
                "s",
                (f"max(time() - olive_waiting_since_timestamp_seconds{_AT}) or vector(0)", ""),
            ),
            number(
                "Operators at work",
                "1, of all that there are.",
                "short",
                ("sum(olive_leading)", ""),
            ),
            number(
                "Jobs due",
                "For a pass of the operator.",
                "short",
                (f"sum(olive_queue_depth {_WORKS})", ""),
            ),
            lines(
                "Jobs by phase",
                "Of the teams chosen.",
                "short",
                (f"sum by (phase) (olive_jobs{_AT})", "{{phase}}"),
                width=12,
                stacked=True,
            ),
            lines(
                "Stages that wait, by reason",
                "Due, and without a pod that runs.",
                "short",
                (f"sum by (reason) (olive_stages_pending{_AT})", "{{reason}}"),
                width=12,
                stacked=True,
            ),
        ),
    )


def _gpus() -> Row:
    silence = f"time() - min by (namespace) (olive_gpu_progress_timestamp_seconds{_AT})"
    return Row(
        "GPUs",
        (
            lines(
                "GPUs held",
                "By running stages.",
                "short",
                (f"sum by (namespace) (olive_gpus_held{_AT})", "{{namespace}}"),
                stacked=True,
            ),
            lines(
                "GPUs waited for",
                "By stages that are due.",
                "short",
                (f"sum by (namespace) (olive_gpus_waiting{_AT})", "{{namespace}}"),
                stacked=True,
            ),
            lines(
                "Silence of stages that hold one",
                "Since the last progress, of the most silent.",
                "s",
                (silence, "{{namespace}}"),
            ),
        ),
    )


def _cost() -> Row:
    any_product = '"product", "any", "product", ""'
    return Row(
        "Cost in the time shown",
        (
            bars(
                "GPU hours by team",
                "Of attempts that ended.",
                "h",
                (f"sum by (namespace) {_GPU_HOURS}", "{{namespace}}"),
            ),
            bars(
                "GPU hours by product",
                "That the jobs name; any where they name none, or several.",
                "h",
                (
                    f"label_replace(sum by (product) {_GPU_HOURS}, {any_product})",
                    "{{product}}",
                ),
            ),
            bars(
                "Cost by team",
                "GPU hours times the price given above.",
                "currencyUSD",
                (f"sum by (namespace) {_GPU_HOURS} * $gpu_hour_price", "{{namespace}}"),
            ),
        ),
    )


def _stages() -> Row:
    hits = "sum(increase(olive_stage_cache_hits_total[$__range]))"
    failures = "sum by (failure) (increase(olive_stage_failures_total[$__rate_interval]))"
    made = "sum(increase(olive_stage_duration_seconds_count[$__range]))"
    took = "sum by (kind, le) (increase(olive_stage_duration_seconds_bucket[$__range]))"
    return Row(
        "Stages",
        (
            lines(
                "Stages at work",
                "By kind.",
                "short",
                (
                    'sum by (kind) (olive_stages{namespace=~"$namespace", state="Running"})',
                    "{{kind}}",
                ),
                stacked=True,
            ),
            lines(
                "Failed attempts",
                "By class; docs/operations.md says what each means.",
                "short",
                (
                    f"{failures} > 0 or on() vector(0)",
                    "{{failure}}",
                ),
            ),
            bars(
                "Nineteen of twenty take less",
                "95th percentile of attempts that succeeded in the time shown, by kind.",
                "s",
                (f"histogram_quantile(0.95, {took}) >= 0", "{{kind}}"),
                width=4,
                height=8,
            ),
            number(
                "Not made again",
                "Share of stages whose artifact was there.",
                "percentunit",
                (f"{hits} / ({hits} + {made})", ""),
            ),
        ),
    )


def _stores() -> Row:
    by_claim = "sum by (namespace, claim) (max by (namespace, claim, used) "
    return Row(
        "Stores",
        (
            lines(
                "Artifacts in use",
                "Bytes that something refers to, by claim.",
                "bytes",
                (
                    by_claim + '(olive_store_bytes{namespace=~"$namespace", used="true"}))',
                    "{{namespace}}/{{claim}}",
                ),
                width=12,
                stacked=True,
            ),
            lines(
                "Artifacts out of use",
                "Bytes that nothing refers to; swept after store.retention.",
                "bytes",
                (
                    by_claim + '(olive_store_bytes{namespace=~"$namespace", used="false"}))',
                    "{{namespace}}/{{claim}}",
                ),
                width=12,
                stacked=True,
            ),
        ),
    )


def _operator() -> Row:
    def p99(name: str) -> str:
        return f"histogram_quantile(0.99, sum by (le) (rate({name}_bucket[$__rate_interval]))) >= 0"

    return Row(
        "Operator",
        (
            lines(
                "Passes",
                "99th percentile: how long one takes, and how long a job waits for it.",
                "s",
                (p99("olive_reconcile_duration_seconds"), "takes"),
                (p99("olive_queue_wait_seconds"), "waits"),
            ),
            lines(
                "Errors",
                "Passes that ended with one, and watches that began anew.",
                "short",
                ("sum(increase(olive_reconcile_errors_total[$__rate_interval]))", "passes"),
                (
                    "sum(increase(olive_watch_relists_total[$__rate_interval])) or vector(0)",
                    "watches",
                ),
            ),
            lines(
                "Memory",
                "Resident, by pod.",
                "bytes",
                (f"process_resident_memory_bytes {_WORKS}", "{{instance}}"),
                width=4,
            ),
            lines(
                "Processor",
                "Cores in use, by pod.",
                "short",
                (f"rate(process_cpu_seconds_total[$__rate_interval]) {_WORKS}", "{{instance}}"),
                width=4,
            ),
        ),
    )
