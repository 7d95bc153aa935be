// Draws each figure's chart from the table that the page has anyway, with uPlot. Without the
// library, or without scripts, the plain columns drawn by the server stay.
"use strict";
(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const drawn = [];

  const read = (figure) => {
    const table = document.getElementById(figure.dataset.table);
    const column = Number(figure.dataset.column) + 1;
    const unit = table.tHead.rows[0].cells[column].dataset.unit || "";
    const times = [], values = [], texts = [];
    for (const row of table.tBodies[0].rows) {
      times.push(Date.parse(row.cells[0].textContent + "T00:00:00Z") / 1000);
      values.push(row.cells[column].dataset.n === undefined ? null : Number(row.cells[column].dataset.n));
      texts.push(row.cells[0].textContent + "  " + row.cells[column].textContent);
    }
    return { unit, times, values, texts };
  };

  const short = (value) => {
    for (const [size, name] of [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]])
      if (Math.abs(value) >= size) return +(value / size).toFixed(1) + name;
    return String(+value.toFixed(2));
  };

  const draw = (figure) => {
    const { unit, times, values, texts } = figure.data || (figure.data = read(figure));
    let readout = figure.querySelector(".readout");
    if (!readout) {
      readout = document.createElement("span");
      readout.className = "readout";
      readout.setAttribute("aria-hidden", "true");
      figure.querySelector("figcaption").append(readout);
    }
    let place = figure.querySelector(".plot");
    if (!place) {
      place = document.createElement("div");
      place.className = "plot";
      place.setAttribute("aria-hidden", "true");
      figure.querySelector("svg").replaceWith(place);
    }
    place.replaceChildren();
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false },
                   font: "12px system-ui, sans-serif" };
    figure.plot = new uPlot({
      width: Math.max(place.clientWidth, 120), height: 190,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low || 0), high > 0 ? high * 1.08 : 1] },
                x: { range: (_, low, high) => [low - 43200, high + 43200] } },
      series: [{}, { stroke: colour("--accent"), fill: colour("--fill"), width: 0,
                     paths: uPlot.paths.bars({ size: [0.72, 60], radius: 0.12 }), points: { show: false } }],
      axes: [{ ...axis, space: 64, size: 34, grid: { show: false },
               values: [[86400 * 365, "{YYYY}", null, null, null, null, null, null, 1],
                        [86400 * 28, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
                        [86400, "{D} {MMM}", null, null, null, null, null, null, 1]] },
             { ...axis, size: 56, values: (_, splits) => splits.map((v) => (v === null ? "" : unit + short(v))) }],
      hooks: { setCursor: [(plot) => { readout.textContent = plot.cursor.idx == null ? "" : texts[plot.cursor.idx] || ""; }] },
    }, [times, values], place);
  };

  const start = () => {
    if (typeof uPlot !== "function") return;
    for (const figure of document.querySelectorAll("figure.chart")) {
      draw(figure);
      drawn.push(figure);
    }
    const observer = new ResizeObserver((entries) => {
      for (const entry of entries) {
        const plot = entry.target.closest("figure").plot;
        if (plot && Math.abs(plot.width - entry.contentRect.width) > 1)
          plot.setSize({ width: Math.max(entry.contentRect.width, 120), height: 190 });
      }
    });
    for (const figure of drawn) observer.observe(figure.querySelector(".plot"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
  };

  start();
})();
