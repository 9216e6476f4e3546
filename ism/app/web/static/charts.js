"use strict";
// Draws every [data-chart] in the colours of the theme. Numbers come from the server; nothing is computed here but
// which sites lie too close together to be drawn apart.
(() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const palette = () => {
    const names = ["ink", "muted", "line", "strong-line", "surface", "sunken", "accent", "danger", "warn"];
    const found = Object.fromEntries(names.map((name) => [name, colour(name)]));
    found.series = ["matching", "gnn", "knowledge", "federated", "fifth", "sixth", "seventh", "other"].map(colour);
    return found;
  };
  const faded = (rgb, share) => rgb.replace("rgb(", "rgba(").replace(")", `, ${share})`);
  const amount = (value, unit) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "not known";
    if (unit === "%") return `${(100 * value).toFixed(Math.abs(value) < 0.1 ? 1 : 0)} %`;
    const size = Math.abs(value);
    const text = size >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en") : value.toPrecision(3).replace(/\.?0+$/, "");
    return unit ? `${text} ${unit}` : text;
  };
  const short = (value, unit) => {
    if (unit === "%") return `${+(100 * value).toFixed(1)} %`;
    return Math.abs(value) >= 10000 ? new Intl.NumberFormat("en", { notation: "compact" }).format(value) : String(+value.toPrecision(4));
  };
  const moment = (at) => new Date(at).toISOString().slice(0, 16).replace("T", " ") + " UTC";

  const text = (c) => ({ color: c.muted, fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12 });
  // Tooltips are drawn on the canvas: as HTML they would need inline styles, which the policy forbids.
  const tooltip = (c, more) => ({
    renderMode: "richText", confine: true, backgroundColor: c.surface, borderColor: c["strong-line"], borderWidth: 1, padding: [8, 12],
    textStyle: { color: c.ink, fontSize: 12, fontFamily: getComputedStyle(document.body).fontFamily }, ...more,
  });
  const legend = (c) => ({ top: 0, left: 0, icon: "roundRect", itemWidth: 10, itemHeight: 10, itemGap: 16, type: "plain", textStyle: text(c) });
  const axis = (c, more) => ({
    axisLabel: { ...text(c), hideOverlap: true }, axisLine: { lineStyle: { color: c["strong-line"] } }, axisTick: { show: false },
    splitLine: { lineStyle: { color: c.line } }, nameTextStyle: text(c), ...more,
  });
  const days = { year: "{yyyy}", month: "{d} {MMM}", day: "{d} {MMM}", hour: "{HH}:{mm}", minute: "{HH}:{mm}", second: "{HH}:{mm}" };
  const shapes = ["solid", "dashed", "dotted", "solid", "dashed"];
  const marks = ["circle", "rect", "triangle", "diamond", "roundRect"];

  const overTime = (chart, c, wide, box) => {
    const many = chart.series.length > 1;
    const told = chart.series.reduce((sum, each) => sum + 42 + 7 * each.name.length, 0); // pixels of the legend, were it one line
    const stacked = chart.kind === "columns";
    const series = chart.series.flatMap((each, index) => {
      const tint = c.series[index % c.series.length];
      const band = chart.bands[each.name];
      const edge = (low, values, name) => ({
        type: "line", name, stack: `band ${index}`, data: chart.at.map((at, row) => [at, values[row]]), symbol: "none", silent: true,
        lineStyle: { opacity: 0 }, areaStyle: low ? undefined : { color: faded(tint, 0.18) }, tooltip: { show: false }, z: 1,
      });
      const widths = band && band[1].map((high, row) => (high === null || band[0][row] === null ? null : high - band[0][row]));
      const line = stacked
        ? { type: "bar", stack: "all", barMaxWidth: 22, itemStyle: { color: tint, borderColor: c.surface, borderWidth: 1, decal: index ? { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: -0.8, color: faded(c.surface, 0.45) } : undefined } }
        : { type: "line", showSymbol: chart.at.length < 40, symbol: marks[index % 5], symbolSize: 6, connectNulls: false, lineStyle: { width: 2, type: shapes[index % 5] }, itemStyle: { color: tint }, areaStyle: many || band ? undefined : { color: faded(tint, 0.1) } };
      const upright = index === 0 && (chart.marks.length || chart.limit) ? {
        markLine: {
          symbol: "none", animation: false, lineStyle: { color: c["strong-line"], type: "dashed", width: 1 },
          label: { ...text(c), position: "insideEndTop", formatter: (mark) => mark.name },
          data: [
            ...chart.marks.map((mark) => ({ xAxis: mark.at, name: mark.label })),
            ...(chart.limit ? [{ yAxis: chart.limit.value, name: chart.limit.label, label: { position: "insideStartTop" }, lineStyle: { color: c.danger, type: "dotted", width: 1.5 } }] : []),
          ],
        },
      } : {};
      return [
        ...(band ? [edge(true, band[0], `${each.name} low`), edge(false, widths, `${each.name} high`)] : []),
        { name: each.name, data: chart.at.map((at, row) => [at, stacked ? each.values[row] || null : each.values[row]]), z: 2, ...line, ...upright },
      ];
    });
    return {
      legend: many ? { ...legend(c), data: chart.series.map((each) => each.name) } : undefined,
      grid: { left: 4, right: 12, top: many ? 16 + 24 * Math.ceil(told / box.clientWidth) : 14, bottom: 2, containLabel: true },
      xAxis: axis(c, { type: "time", splitLine: { show: false }, splitNumber: wide ? 8 : 4, axisLabel: { ...text(c), hideOverlap: true, formatter: days } }),
      yAxis: axis(c, { type: "value", min: chart.min ?? undefined, max: chart.max ?? undefined, axisLine: { show: false }, scale: !stacked && chart.min === null, minInterval: stacked ? 1 : undefined, splitNumber: 5, axisLabel: { ...text(c), formatter: (value) => short(value, chart.unit) } }),
      tooltip: tooltip(c, {
        trigger: "axis", axisPointer: { type: stacked ? "shadow" : "line", lineStyle: { color: c["strong-line"] }, shadowStyle: { color: faded(c.muted, 0.1) } },
        formatter: (rows) => [moment(rows[0].value[0]), ...chart.series.map((each) => {
          const row = rows.find((found) => found.seriesName === each.name);
          const at = row && chart.at.indexOf(row.value[0]);
          const band = row && chart.bands[each.name];
          const span = band && band[0][at] !== null ? ` (${amount(band[0][at], chart.unit)} to ${amount(band[1][at], chart.unit)})` : "";
          return `${each.name}: ${amount(row && row.value[1], chart.unit)}${span}`;
        })].join("\n"),
      }),
      series,
    };
  };

  const drawings = {
    lines: overTime,
    columns: overTime,
    bars: (chart, c, wide) => ({
      grid: { left: 4, right: 44, top: 4, bottom: 2, containLabel: true },
      xAxis: axis(c, { type: "value", axisLabel: { ...text(c), formatter: (value) => short(value, chart.unit) }, splitNumber: 4 }),
      yAxis: axis(c, { type: "category", inverse: true, data: chart.labels, axisLine: { show: false }, axisLabel: { ...text(c), color: c.ink, width: wide ? 240 : 140, overflow: "truncate" } }),
      tooltip: tooltip(c, { trigger: "item", formatter: (each) => `${each.name}: ${amount(each.value, chart.unit)}` }),
      series: [{ type: "bar", data: chart.values.map((value, row) => ({ value, link: chart.links[row] })), barMaxWidth: 18, itemStyle: { color: c.series[0], borderRadius: [0, 4, 4, 0] }, label: { show: true, position: "right", ...text(c), formatter: (each) => short(each.value, chart.unit) } }],
    }),
    points: (chart, c) => ({
      legend: legend(c),
      grid: { left: 4, right: 12, top: 40, bottom: 2, containLabel: true },
      xAxis: axis(c, { type: "value", splitLine: { show: false }, minInterval: 1 }),
      yAxis: axis(c, { type: "value", scale: true, axisLine: { show: false }, splitNumber: 4 }),
      tooltip: tooltip(c, { trigger: "item", formatter: (each) => `${each.seriesName} ${each.value[0]}: ${amount(each.value[1], chart.unit)}` }),
      series: [
        { type: "scatter", name: chart.names[0], symbolSize: 8, itemStyle: { color: faded(c.series[0], 0.65) }, data: chart.at.map((at, row) => [at, chart.values[row]]) },
        { type: "line", step: "end", name: chart.names[1], symbol: "none", lineStyle: { width: 2 }, itemStyle: { color: c.series[1] }, data: chart.at.map((at, row) => [at, chart.best[row]]) },
      ],
    }),
    graph: (chart, c, wide, box) => ({
      legend: { ...legend(c), data: chart.groups, type: wide ? "plain" : "scroll", pageTextStyle: text(c), pageIconColor: c.muted },
      tooltip: tooltip(c, { formatter: (each) => (each.dataType === "edge" ? `${chart.nodes[each.data.source].name}\nto ${chart.nodes[each.data.target].name}: ${amount(each.data.value)}` : `${each.name}\n${each.data.degree} partners · ${chart.groups[each.data.category]}`) }),
      series: [{
        type: "graph", layout: "none", roam: true, scaleLimit: { min: 0.7, max: 8 }, top: 48, bottom: 12, left: 24, right: 24,
        categories: chart.groups.map((name, row) => ({ name, symbol: marks[row % 5], itemStyle: { color: c.series[row % c.series.length] } })),
        data: chart.nodes.map((node) => ({ name: node.name, x: node.x * box.clientWidth, y: node.y * box.clientHeight, category: node.group, degree: node.size, link: node.link, symbolSize: (wide ? 6 : 3) + 4 * Math.sqrt(node.size), itemStyle: { borderColor: c.surface, borderWidth: 1 } })),
        links: chart.links.map((link) => ({ ...link, lineStyle: { color: c["strong-line"], curveness: 0.12, opacity: 0.8 } })),
        edgeSymbol: ["none", "arrow"], edgeSymbolSize: 5, emphasis: { focus: "adjacency", label: { show: true, color: c.ink, position: "top", backgroundColor: c.surface, padding: [2, 6], borderRadius: 4 } },
      }],
    }),
    sankey: (chart, c, wide) => ({
      tooltip: tooltip(c, { formatter: (each) => (each.dataType === "edge" ? `${name(chart, each.data.source)} to ${name(chart, each.data.target)}: ${amount(each.value, chart.unit)}` : `${name(chart, each.name)}: ${amount(each.value, chart.unit)}`) }),
      series: [{
        type: "sankey", left: 4, right: wide ? 190 : 76, top: 8, bottom: 8, nodeWidth: 10, nodeGap: 10, draggable: false, layoutIterations: 48,
        data: chart.nodes.map((node) => ({ name: node.id, depth: node.depth, link: node.link, itemStyle: { color: c.series[node.depth], borderWidth: 0 } })),
        links: chart.links, lineStyle: { color: "gradient", opacity: 0.3, curveness: 0.5 }, emphasis: { focus: "adjacency" },
        label: { color: c.ink, fontSize: 11, fontFamily: text(c).fontFamily, width: wide ? 260 : 70, overflow: "truncate", formatter: (each) => name(chart, each.name) },
      }],
    }),
    parallel: (chart, c, wide) => { // on a narrow screen the axes lie under one another, so that their names have room
      const last = chart.axes.length - 1;
      const scores = chart.rows.map((row) => row[last]).filter((value) => value !== null);
      const low = Math.min(...scores), high = Math.max(...scores);
      return {
        parallel: { layout: wide ? "horizontal" : "vertical", left: wide ? 48 : 104, right: wide ? 48 : 20, top: 20, bottom: 34, parallelAxisDefault: { nameTextStyle: { ...text(c), fontSize: 11 }, nameLocation: "start", nameGap: 14 } },
        parallelAxis: chart.axes.map((each, dim) => ({ dim, name: each.name, type: each.categories ? "category" : each.log ? "log" : "value", data: each.categories || undefined, inverse: false, nameTruncate: { maxWidth: 96 }, scale: true, axisLabel: { ...text(c), fontSize: 11, formatter: each.categories ? undefined : (value) => short(value) }, axisLine: { lineStyle: { color: c["strong-line"] } }, axisTick: { lineStyle: { color: c["strong-line"] } }, splitNumber: 3 })),
        tooltip: tooltip(c, { formatter: (each) => [each.name, ...chart.axes.map((axisOf, dim) => `${axisOf.name}: ${typeof each.value[dim] === "number" ? amount(each.value[dim]) : each.value[dim] ?? "not known"}`)].join("\n") }),
        series: [{ type: "parallel", smooth: 0.1, data: chart.rows.map((row, index) => {
          const share = row[last] === null || high === low ? 0 : (row[last] - low) / (high - low);
          return { value: row, name: chart.names[index], lineStyle: { color: share > 0.8 ? c.series[1] : c.series[0], width: share > 0.8 ? 2 : 1, opacity: 0.25 + 0.6 * share } };
        }) }],
      };
    },
    map: (chart, c) => ({
      geo: {
        map: "world", roam: true, silent: true, boundingCoords: [[-172, 78], [180, -56]], center: chart.center, zoom: chart.zoom, scaleLimit: { min: 1, max: 60 },
        itemStyle: { areaColor: c.sunken, borderColor: c["strong-line"], borderWidth: 0.6 }, left: 0, right: 0, top: 0, bottom: 0,
      },
      tooltip: tooltip(c, { formatter: (each) => (each.seriesType === "lines" ? amount(each.value, chart.unit) : each.data.told) }),
      series: [
        { type: "lines", coordinateSystem: "geo", silent: true, zlevel: 0, symbol: ["none", "arrow"], symbolSize: 5, lineStyle: { color: c.series[1], opacity: 0.55, curveness: 0.25 }, data: chart.routes.map((route) => ({ coords: [route.from, route.to], value: route.value, lineStyle: { width: 1 + 3 * Math.sqrt(route.value / chart.most) } })) },
        { id: "sites", type: "scatter", coordinateSystem: "geo", zlevel: 1, data: [], label: { show: true, formatter: (each) => (each.data.count > 1 ? String(each.data.count) : ""), color: c.surface, fontSize: 11, fontWeight: 600 }, itemStyle: { color: c.accent, borderColor: c.surface, borderWidth: 1.5, opacity: 0.92 }, emphasis: { scale: 1.1 } },
      ],
    }),
  };
  const name = (chart, id) => (chart.nodes.find((node) => node.id === id) || {}).name || id;

  // A site becomes part of the marker that is closer than this; else it is the middle of a new one. The heaviest come
  // first, so that they are where their markers are.
  const APART = 34; // pixels
  const cluster = (drawn, chart) => {
    const markers = [];
    for (const site of chart.sites) {
      const pixel = drawn.convertToPixel("geo", [site[1], site[2]]);
      if (!pixel) continue;
      const near = markers.find((marker) => Math.hypot(marker.pixel[0] - pixel[0], marker.pixel[1] - pixel[1]) < APART);
      if (near) near.sites.push(site); else markers.push({ pixel, sites: [site] });
    }
    return markers.map(({ sites }) => {
      const told = sites.slice(0, 8).map((site) => `${site[0]}: ${amount(site[3], chart.unit)}`);
      if (sites.length > 8) told.push(`and ${sites.length - 8} more`);
      const alone = sites.length === 1;
      return {
        value: [sites[0][1], sites[0][2]], count: sites.length, told: told.join("\n"),
        link: alone ? chart.address + encodeURIComponent(sites[0][4]) : "",
        symbolSize: alone ? 11 : Math.min(32, 16 + 4 * Math.log2(sites.length)),
      };
    });
  };
  const frameSites = (chart) => {
    const side = (index) => chart.sites.map((site) => site[1 + index]);
    const [west, east, south, north] = [Math.min(...side(0)), Math.max(...side(0)), Math.min(...side(1)), Math.max(...side(1))];
    chart.center = [(west + east) / 2, (south + north) / 2];
    chart.zoom = Math.max(1, Math.min(40, 0.75 * Math.min(360 / Math.max(east - west, 4), 150 / Math.max(north - south, 3))));
    chart.most = Math.max(...chart.routes.map((route) => route.value), 1e-9);
  };
  let world = null;
  const loadWorld = () => {
    world ||= fetch("/static/vendor/world.json").then((answer) => answer.json()).then((outline) => echarts.registerMap("world", outline));
    return world;
  };

  const drawn = new Map();
  const draw = async (box, first) => {
    const chart = JSON.parse(box.dataset.chart);
    if (chart.kind === "map") { await loadWorld(); frameSites(chart); }
    if (!box.isConnected) return;
    const one = drawn.get(box) || echarts.init(box, null, { renderer: "canvas" });
    drawn.set(box, one);
    const option = drawings[chart.kind](chart, palette(), box.clientWidth > 620, box);
    one.setOption({ animation: first && !still.matches, animationDuration: 250, aria: { enabled: false }, ...option }, true);
    if (chart.kind === "map") {
      const regroup = () => one.setOption({ series: [{}, { id: "sites", data: cluster(one, chart) }] });
      one.off("georoam");
      one.on("georoam", () => { clearTimeout(box.timer); box.timer = setTimeout(regroup, 80); });
      regroup();
    }
    one.off("click");
    one.on("click", (each) => { if (each.data && each.data.link) location.assign(each.data.link); });
  };
  const drawAll = (root, first) => {
    for (const box of root.querySelectorAll("[data-chart]")) draw(box, first);
  };
  const resized = new ResizeObserver((entries) => {
    for (const entry of entries) { const one = drawn.get(entry.target); if (one) one.resize(); }
  });
  const begin = (root, first) => {
    for (const [box, one] of drawn) if (!box.isConnected) { one.dispose(); drawn.delete(box); resized.unobserve(box); }
    drawAll(root, first);
    for (const box of root.querySelectorAll("[data-chart]")) resized.observe(box);
  };
  document.addEventListener("ism:theme", () => drawAll(document, false));
  document.body.addEventListener("htmx:afterSettle", (event) => begin(event.detail.elt.parentElement || document, false));
  begin(document, true); // what is drawn again by itself does not move

  // --- pictures: of the chart, or of the table where there is none ---
  const picture = (panel) => {
    const c = palette();
    const title = panel.querySelector("h2").textContent;
    const box = panel.querySelector("[data-chart]");
    const source = box && drawn.get(box) ? drawn.get(box).renderToCanvas({ pixelRatio: 2, backgroundColor: c.surface }) : tablePicture(panel.querySelector("table"), c);
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(source.width, 640) + 64;
    canvas.height = source.height + 120;
    const pen = canvas.getContext("2d");
    pen.fillStyle = c.surface;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = c.ink;
    pen.font = `600 28px ${getComputedStyle(document.body).fontFamily}`;
    pen.fillText(title, 32, 52);
    pen.drawImage(source, 32, 84);
    return new Promise((done) => canvas.toBlob((blob) => done([blob, title])));
  };
  const tablePicture = (table, c) => {
    const rows = [...table.rows].slice(0, 60).map((row) => [...row.cells].map((cell) => cell.innerText.trim().replace(/\s+/g, " ").slice(0, 60)));
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d");
    const font = `24px ${getComputedStyle(document.body).fontFamily}`;
    pen.font = font;
    const widths = rows[0].map((_, index) => 32 + Math.max(...rows.map((row) => pen.measureText(row[index] || "").width)));
    canvas.width = widths.reduce((sum, width) => sum + width, 0);
    canvas.height = 40 * rows.length;
    pen.font = font;
    rows.forEach((row, line) => {
      let x = 0;
      pen.fillStyle = line ? c.ink : c.muted;
      row.forEach((word, index) => { pen.fillText(word, x, 28 + 40 * line); x += widths[index]; });
    });
    return canvas;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-png]");
    if (!button) return;
    const [blob, title] = await picture(document.getElementById(button.dataset.png));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    button.closest("details").open = false;
  });
})();
