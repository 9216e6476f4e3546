// What the pages use of Apache ECharts, and nothing else; tools/vendor.py bundles it.
import { use } from "echarts/core";
import { BarChart, GraphChart, LineChart, LinesChart, ParallelChart, SankeyChart, ScatterChart } from "echarts/charts";
import {
  AriaComponent, GeoComponent, GridComponent, LegendComponent, MarkLineComponent, ParallelComponent, TooltipComponent,
} from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

use([
  AriaComponent, BarChart, CanvasRenderer, GeoComponent, GraphChart, GridComponent, LegendComponent, LineChart,
  LinesChart, MarkLineComponent, ParallelChart, ParallelComponent, SankeyChart, ScatterChart, TooltipComponent,
]);

export { getInstanceByDom, init, registerMap } from "echarts/core";
