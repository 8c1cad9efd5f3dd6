"""The values of the Helm chart: the document's keys and the cluster's beside them.

Used by `python -m penstock.chart`, which writes the chart's generated files, and by the chart's tests. Nothing that
serves a request needs it.
"""

from penstock.chart.values import ChartValues

__all__ = ["ChartValues"]
