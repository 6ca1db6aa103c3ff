"""The dashboard of one job: its stages, its training, what was measured, what is served."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from olive_dashboards.layout import Row, dashboard
from olive_dashboards.panels import (
    ENDS,
    STATES,
    PanelBuilder,
    bars,
    lines,
    number,
    rows,
    states,
    word,
)
from olive_dashboards.variables import job as chosen
from olive_dashboards.variables import price, source, team

_LABELS = 'namespace="$namespace", job_name="$job_name"'
_OF = f"{{{_LABELS}}}"
_STAGE = "{{stage}}"


def job() -> Dashboard:
    """One of those with series of their own (metrics.jobs)."""
    return dashboard(
        "olive-job",
        "Olive / Job",
        "One OptimizationJob: its stages, the loss of its training, its quality, its serving.",
        (source(), team(), chosen(), price()),
        (_job(), _training(), _quality(), _serving()),
    )


def _job() -> Row:
    done = f'count(olive_job_stage_info{{{_LABELS}, state="Succeeded"}})'
    lanes = " or ".join(
        f'{value} * olive_job_stage_info{{{_LABELS}, state="{name}"}}'
        for value, (name, _) in {**STATES, **ENDS}.items()
    )
    seconds = f"olive_job_gpu_seconds{_OF}"
    return Row(
        "Job",
        (
            word("Phase", "In one word.", (f"olive_job_info{_OF}", "{{phase}}")),
            number(
                "Waits for a person",
                "1 while its condition Stalled is true.",
                "short",
                (f"sum(olive_job_stalled{_OF}) or vector(0)", ""),
            ),
            number(
                "Stages done",
                "Of all that it has.",
                "percentunit",
                (f"({done} or vector(0)) / count(olive_job_stage_info{_OF})", ""),
            ),
            number(
                "Failed attempts",
                "That count against the limit of retries.",
                "short",
                (f"sum(olive_job_stage_failures{_OF}) or vector(0)", ""),
            ),
            number("GPU time", "Of all ended attempts.", "s", (seconds, "")),
            number(
                "Cost",
                "GPU hours times the price given above.",
                "currencyUSD",
                (f"{seconds} / 3600 * $gpu_hour_price", ""),
            ),
            states("Stages", "The state of each over time.", (f"max by (stage) ({lanes})", _STAGE)),
        ),
    )


def _training() -> Row:
    columns = {
        "Attempts": (_by_stage("attempts"), "short"),
        "Took": (_by_stage("duration_seconds"), "s"),
        "GPU time": (_by_stage("gpu_seconds"), "s"),
    }
    return Row(
        "Work",
        (
            lines(
                "Loss",
                "As running trainings tell it.",
                "short",
                (f"olive_job_stage_loss{_OF}", _STAGE),
            ),
            lines(
                "Progress",
                "Of running stages.",
                "percentunit",
                (f"olive_job_stage_progress_ratio{_OF}", _STAGE),
            ),
            lines(
                "Still to go",
                "As running stages think.",
                "s",
                (f"olive_job_stage_remaining_seconds{_OF}", _STAGE),
            ),
            rows("Stages", "What each took.", columns, ("stage",), width=12),
            bars(
                "Loss at the end",
                "Of the last steps, and of the rows held out.",
                "short",
                (f"olive_job_stage_train_loss{_OF}", f"{_STAGE} trained"),
                (f"olive_job_stage_eval_loss{_OF}", f"{_STAGE} held out"),
                width=6,
                height=8,
            ),
            bars(
                "Most memory",
                "Of a GPU, held by a stage; of nothing where it ran on a CPU.",
                "bytes",
                (f"olive_job_stage_peak_gpu_memory_bytes{_OF} or on() vector(0)", _STAGE),
                width=6,
                height=8,
            ),
        ),
    )


def _by_stage(name: str) -> str:
    return f"max by (stage) (olive_job_stage_{name}{_OF})"


def _quality() -> Row:
    def measured(name: str) -> str:
        return f'olive_job_stage_{name}{{{_LABELS}, stage=~"evaluate/.*"}}'

    return Row(
        "Quality",
        (
            bars(
                "Perplexity",
                "Less is better: of the original, without and with the adapter.",
                "short",
                (measured("original_perplexity"), f"{_STAGE} original"),
                (measured("base_perplexity"), f"{_STAGE} base"),
                (measured("perplexity"), _STAGE),
            ),
            bars(
                "Answers",
                "Of the rows held out: 1 is what was expected.",
                "percentunit",
                (measured("exact_match_ratio"), f"{_STAGE} exact"),
                (measured("f1_ratio"), f"{_STAGE} F1"),
                width=4,
            ),
            bars(
                "Speed",
                "Tokens a second of one stream.",
                "short",
                (measured("tokens_per_second"), _STAGE),
                width=4,
            ),
            bars(
                "First token",
                "Of one stream.",
                "s",
                (measured("time_to_first_token_seconds"), _STAGE),
                width=4,
            ),
            bars(
                "Size",
                "Of the model with its adapter.",
                "bytes",
                (measured("size_bytes"), _STAGE),
                width=4,
            ),
        ),
    )


def _serving() -> Row:
    def rate(name: str) -> str:
        return f"rate({name}{_OF}[$__rate_interval])"

    def quantile(of: str, name: str) -> str:
        return f"histogram_quantile({of}, sum by (le) ({rate(f'vllm:{name}_bucket')})) >= 0"

    def latency(title: str, name: str) -> PanelBuilder:
        half, most = (quantile("0.5", name), "half"), (quantile("0.95", name), "19 of 20")
        return lines(title, "So many take less.", "s", half, most)

    return Row(
        "Serving",
        (
            lines(
                "Requests",
                "In all pods.",
                "short",
                (f"sum(vllm:num_requests_running{_OF})", "being answered"),
                (f"sum(vllm:num_requests_waiting{_OF})", "waiting"),
            ),
            latency("To the first token", "time_to_first_token_seconds"),
            latency("From token to token", "inter_token_latency_seconds"),
            lines(
                "Tokens a second",
                "By model; base is the model without any adapter.",
                "short",
                (
                    f"sum by (model_name) ({rate('vllm:generation_tokens_total')})",
                    "{{model_name}}",
                ),
                stacked=True,
            ),
            lines(
                "Ended requests",
                "By how they ended, and those refused, by the HTTP status.",
                "short",
                (
                    "sum by (finished_reason) "
                    f"(increase(vllm:request_success_total{_OF}[$__rate_interval]))",
                    "{{finished_reason}}",
                ),
                (
                    "sum by (code) "
                    f"(increase(olive_serve_requests_refused_total{_OF}[$__rate_interval])) "
                    "or on() vector(0)",
                    "refused {{code}}",
                ),
            ),
            lines(
                "Cache",
                "Share of the KV cache that is reserved, by pod.",
                "percentunit",
                (f"vllm:kv_cache_usage_perc{_OF}", "{{pod}}"),
                width=4,
            ),
            number(
                "Adapters loaded",
                "In each pod; the fewest.",
                "short",
                (f"min(olive_serve_adapters{_OF})", ""),
            ),
        ),
    )
