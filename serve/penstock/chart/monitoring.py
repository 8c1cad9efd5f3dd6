"""Metrics, alerts and the dashboard."""

from __future__ import annotations

from pydantic import Field

from penstock.config.base import Section
from penstock.config.units import Duration


class PodMonitor(Section):
    """The Prometheus operator's PodMonitors, of gateways and of Ray."""

    enabled: bool = False
    """Whether there are any."""

    interval: Duration = 15.0
    """Time between two readings."""

    labels: dict[str, str] = Field(default_factory=dict)
    """More labels, by which the Prometheus at hand finds them."""


class PrometheusRule(Section):
    """Alerts, each with a page in docs/runbooks."""

    enabled: bool = False
    """Whether there are any."""

    labels: dict[str, str] = Field(default_factory=dict)
    """More labels, by which the Prometheus at hand finds them."""

    runbook_base: str = "https://github.com/penstock-ai/penstock/blob/main/docs/runbooks"
    """Where the pages are."""

    disabled: list[str] = Field(default_factory=list)
    """Names of alerts to leave out."""


class Dashboard(Section):
    """A Grafana dashboard in a ConfigMap."""

    enabled: bool = False
    """Whether there is one."""

    labels: dict[str, str] = Field(default_factory=lambda: {"grafana_dashboard": "1"})
    """Labels by which Grafana's sidecar finds it."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations."""


class Monitoring(Section):
    """Metrics, alerts and a dashboard."""

    pod_monitor: PodMonitor = Field(default_factory=PodMonitor)
    """Metrics."""

    prometheus_rule: PrometheusRule = Field(default_factory=PrometheusRule)
    """Alerts."""

    dashboard: Dashboard = Field(default_factory=Dashboard)
    """The dashboard."""
